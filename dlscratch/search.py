"""Which arms of an experiment go on, and which one is the best, by images that are held back from training.

Successive halving (Jamieson and Talwalkar 2016) trains all arms for a while, keeps the best of them, trains these for
longer, and so on. A run that goes on does so from its checkpoint, and the test set is opened for the last one only:

    going = candidates
    for rung in rungs(len(candidates), keep_one_in=3):
        ...  # train the runs in the folders of these until they have taken rung.share of their steps
        going = kept(going, rung)
    print(judged(going[0], len(candidates), folder, lambda: data.test))
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from dlscratch.arms import Arm, told
from dlscratch.folder import CONFIG, read_json, write_json
from dlscratch.functions import Array
from dlscratch.groups import seed_of
from dlscratch.job import Share, steps_in
from dlscratch.runs import Run
from dlscratch.saved_net import load_net
from dlscratch.settings import Settings

WINNER = "winner.json"


class Rung(NamedTuple):
    """A round of the search: so many candidates are trained up to this share of their steps, and so many kept."""

    candidates: int
    share: Share
    keep: int

    @property
    def goal(self) -> str:
        """Where they go, in words."""
        return "the end" if self.share == (1, 1) else "{}/{} of their steps".format(*self.share)


class Candidate(NamedTuple):
    """An arm, how many steps its runs take if nothing ends them early, and their folders, one for each seed."""

    arm: Arm
    steps: int
    folders: tuple[Path, ...]


class Standing(NamedTuple):
    """A candidate's validation accuracy and loss where it is judged, each a mean over its runs."""

    candidate: Candidate
    accuracy: float
    loss: float


class Winner(NamedTuple):
    """The best of so many arms, its runs' settings, and by seed when they ended and how good their nets are."""

    arm: Arm
    compared: int
    config: dict[str, Any]
    ended: dict[str, str]
    validation_accuracy: dict[str, float]
    test_accuracy: dict[str, float]

    def __str__(self) -> str:
        validation, test = (fmean(each.values()) for each in (self.validation_accuracy, self.test_accuracy))
        runs = f" (means of {len(self.ended)} runs)" if len(self.ended) > 1 else ""
        return (
            f"the best of {self.compared} on the validation images is {told(self.arm) or 'the only one'}: validation "
            f"accuracy {validation:.4f}, test accuracy {test:.4f}{runs}"
        )


def check_validation(planned: Iterable[Settings]) -> None:
    """ValueError unless all of these hold the same images back from training, so that an arm can be chosen by them."""
    held = {(each.dataset, each.validation) for each in planned}
    if len(held) > 1:
        raise ValueError("the best arm is chosen by the same images for all; do not vary dataset or validation")
    if not all(validation for _, validation in held):
        raise ValueError("the best arm is chosen by images held back from training; give --validation N, such as 10000")


def rungs(candidates: int, keep_one_in: int | None = None) -> list[Rung]:
    """The rounds of successive halving: n candidates, n/η, n/η², ..., rounded down, as long as there are any.

    The last ones, fewer than η, are trained to the end, those of the round before to 1/η of their steps, and so on;
    this is a bracket of Hyperband (Li et al. 2018). keep_one_in: η, 2 or more; None trains all candidates to the end,
    as happens where there are fewer than η.
    """
    if keep_one_in is not None and keep_one_in < 2:
        raise ValueError(f"to keep one in {keep_one_in} would end nowhere; expected one in 2 or more")
    counts, eta = [candidates], keep_one_in or candidates + 1
    while counts[-1] >= eta:
        counts.append(counts[-1] // eta)
    shares = [(1, eta**later) for later in reversed(range(len(counts)))]
    return [Rung(n, share, keep) for share, (n, keep) in zip(shares, pairwise([*counts, 1]), strict=True)]


def ranking(candidates: Iterable[Candidate], share: Share) -> list[Standing]:
    """How the candidates stood at this share of their steps, the best first: by accuracy, by loss, as they came.

    Those of which a run is missing, or ended before (diverged, failed), are not ranked. What a run did later makes no
    difference. ValueError if a run has gone further and was not evaluated there.
    """
    standings = []
    for each in candidates:
        rows = [_row(folder, share, each.steps) for folder in each.folders]
        whole = [row for row in rows if row]
        if len(whole) == len(rows):
            accuracy, loss = map(fmean, zip(*whole, strict=True))
            standings.append(Standing(each, accuracy, loss))
    return sorted(standings, key=lambda standing: (-standing.accuracy, standing.loss))


def check_rungs(candidates: Sequence[Candidate], rounds: Iterable[Rung]) -> None:
    """ValueError if a run has gone past the end of a round without an evaluation there, as part of another search."""
    for rung in rounds:
        ranking(candidates, rung.share)


def kept(candidates: Sequence[Candidate], rung: Rung) -> list[Candidate]:
    """The candidates that go on from here, the best first; ValueError if there is none."""
    if not (best := ranking(candidates, rung.share)[: rung.keep]):
        raise ValueError(
            f"none of {len(candidates)} arms came to {rung.goal} with all of its runs, so there is no best one"
        )
    return [standing.candidate for standing in best]


def judged(best: Candidate, compared: int, folder: Path, test: Callable[[], tuple[Array, Array]]) -> Winner:
    """The best of `compared` arms, and how good its nets are on the test images, written to winner.json in `folder`.

    test: gives images and labels. It is not called if winner.json holds the results of these runs already.
    """
    runs = {str(seed_of(run)): run for run in map(Run.open, best.folders)}
    known = read_json(folder / WINNER) if (folder / WINNER).exists() else {}
    winner = Winner(
        arm=best.arm,
        compared=compared,
        config={name: value for name, value in next(iter(runs.values())).config.items() if name != "seed"},
        ended={seed: run.facts["ended"] for seed, run in runs.items()},
        validation_accuracy={seed: float(run.epochs["val_acc"][-1]) for seed, run in runs.items()},
        test_accuracy=known.get("test_accuracy", {}),
    )
    if known | {"compared": compared} != winner._asdict():
        x, t = test()
        winner = winner._replace(test_accuracy={seed: load_net(run).evaluate(x, t)[1] for seed, run in runs.items()})
    write_json(folder / WINNER, winner._asdict())
    return winner


def _row(folder: Path, share: Share, steps: int) -> tuple[float, float] | None:
    """A run's validation accuracy and loss at this share of its steps; None if it has not come so far."""
    if not (folder / CONFIG).exists():
        return None
    run = Run.open(folder)
    if share == (1, 1) and run.status != "finished":
        return None
    step, taken = steps_in(share, steps), run.epochs["step"]
    row = int(np.searchsorted(taken, step))
    if row == len(taken):
        return None
    if taken[row] != step:
        raise ValueError(
            f"{folder} went past step {step} without an evaluation there, so it cannot be ranked; a search with other "
            "steps, or another number of arms, wants another --out"
        )
    return float(run.epochs["val_acc"][row]), float(run.epochs["val_loss"][row])
