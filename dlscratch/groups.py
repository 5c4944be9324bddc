"""Runs in groups: those that differ only in seed, labelled by what tells the groups apart, and by what is unfair."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from dlscratch.functions import Array
from dlscratch.runs import Run
from dlscratch.settings import CHOICES

NOT_COMPARED = ("seed", "data_dir", "checkpoint_every", "epochs")  # settings in which the runs of a group may differ
EARLY = {
    "model": "multi-layer", "batch_norm": False, "dropout": 0.0, "label_smoothing": 0.0, "schedule": "constant",
    "warm_up": 0, "clip": 0.0, "sparse": False,
}  # fmt: skip  # settings of which runs from before there were any do not tell


@dataclass(frozen=True)
class Group:
    """Runs that differ only in seed, named after the settings in which the groups differ."""

    name: str
    settings: dict[str, Any]
    runs: tuple[Run, ...]  # by seed

    @property
    def label(self) -> str:
        """Its name, and how many runs it has."""
        return f"{self.name} (n={len(self.runs)})"


def column(run: Run, quantity: str, split: str) -> Array:
    """A quantity (loss, accuracy) on whole sets, row by row; test means what is held back for validation, if any."""
    return run.epochs[f"{'train' if split == 'train' else run.held}_{'acc' if quantity == 'accuracy' else 'loss'}"]


def make_groups(runs: Iterable[Run]) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """The groups of these runs, in order of their first ones, and the names of the settings in which they differ."""
    members: dict[str, list[Run]] = {}
    for run in runs:
        settings = _settings(run)
        settings.pop("dataset", None)  # the data tells more than its name
        members.setdefault(repr(sorted(settings.items())), []).append(run)
    differing = _differing([_settings(group[0]) for group in members.values()])
    return tuple(_group(differing, group) for group in members.values()), differing


def seed_of(run: Run) -> int:
    """The seed of a run; ValueError if it is no whole number."""
    seed = run.config.get("seed", 0)
    if not isinstance(seed, int):
        raise ValueError(f"{run.folder / 'config.json'} is damaged: expected a whole number as seed, got {seed!r}")
    return seed


def warnings_about(groups: Sequence[Group]) -> Iterator[str]:
    """What makes a comparison of these groups unfair, or unfinished, in sentences."""
    runs = [run for group in groups for run in group.runs]
    settings = [_settings(run) for run in runs]
    data = {each["data"]: f"{each.get('dataset')} {each['data']}" for each in settings}
    if len(data) > 1:
        yield f"the runs learned from different data ({few(data.values())}), so their figures are not comparable"
    if len(held := _values(settings, "validation")) > 1:
        yield f"the figures are of different images (validation {few(held)}), so they are not comparable"
    if len(nets := [value for value in _values(settings, "hidden") if value != "None"]) > 1:
        yield f"the nets have different sizes (hidden {few(nets)}), which makes a difference of its own"
    ended: dict[str, list[Run]] = {}
    for run in runs:
        ended.setdefault(run.status, []).append(run)
    if paused := ended.pop("paused", []):
        steps = Counter(f"{run.epochs['step'][-1]:.0f}" for run in paused)
        where = few([f"{count} at step {step}" for step, count in steps.items()], 6)
        yield f"{len(paused)} of {len(runs)} runs were stopped early, and counted as far as they went: {where}"
    ended.pop("finished", None)
    for status, others in ended.items():
        which = [f"{run.name} at step {run.epochs['step'][-1]:.0f}" for run in others]
        yield f"{status}, and counted as far as they went: {few(which)}"
    if which := [run.name for run in runs if "note" in run.facts]:
        yield f"learned from strokes, since MNIST could not be had: {few(which)}"
    seeds = [[seed_of(run) for run in group.runs] for group in groups]
    if any(set(each) != set(seeds[0]) for each in seeds):
        yield "the groups have different seeds; differences are taken over those that they share"
    if again := [b.name for group in groups for a, b in pairwise(group.runs) if seed_of(a) == seed_of(b)]:
        yield f"repeat others, seed and all, and so are no further evidence, but count in n: {few(again)}"


def _settings(run: Run) -> dict[str, Any]:
    """The settings that make a group, and what was learned from: a few digits of its checksum, else its name.

    The user's own code is known by such digits too, and its files by their names, wherever they lay.
    """
    settings = {name: value for name, value in (EARLY | run.config).items() if name not in NOT_COMPARED}
    data, code = run.facts.get("data"), run.facts.get("code")
    checksum = str(data.get("sha256", ""))[:8] if isinstance(data, dict) else ""
    files = {str(name): str(sha256)[:8] for name, sha256 in code.items()} if isinstance(code, dict) else {}
    for name in ("model", "activation"):
        path, colon, function = str(settings.get(name)).rpartition(":")
        if (file := path.replace("\\", "/").rpartition("/")[2]) in files:
            settings[name] = file + colon + function
    told = "+".join(f"{name}@{digits}" for name, digits in sorted(files.items()))
    return settings | {"data": checksum or settings.get("dataset"), "code": told or None}


def _differing(settings: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the settings that differ; data and code are called by their names, if these tell them apart.

    That one net has a setting and another does not is no difference: the nets are.
    """
    names = dict.fromkeys(name for each in settings for name in each)
    values = {name: {repr(each.get(name)) for each in settings} for name in names}
    if len(values["model"]) > 1:
        values |= {name: values[name] - {"None"} for name in CHOICES if name in values}
    different = {name: len(each) for name, each in values.items()}
    nets = [(repr(each.get("model")), repr(each.get("activation"))) for each in settings]
    if len(set(nets)) == len({(*net, each["code"]) for net, each in zip(nets, settings, strict=True)}):
        different["code"] = 1
    if different["data"] == 1:
        different["dataset"] = 1  # the same data in two places
    elif different.get("dataset") == different["data"]:
        different["data"] = 1
    return tuple(name for name, count in different.items() if count > 1)


def _group(differing: Sequence[str], runs: Sequence[Run]) -> Group:
    ordered = tuple(sorted(runs, key=lambda run: (seed_of(run), run.name)))
    settings = _settings(runs[0])
    own = {name: settings.get(name) for name in differing}
    words = [f"{name}={_shown(name, value)}" for name, value in own.items()] or [str(settings.get("dataset"))]
    return Group(" ".join(words), own, ordered)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "all" if name == "examples" else "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def few(names: Collection[str], most: int = 3) -> str:
    """Names in a row, but not too many."""
    return ", ".join(islice(names, most)) + (f" and {len(names) - most} more" if len(names) > most else "")


def _values(settings: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(str(each.get(name)) for each in settings))
