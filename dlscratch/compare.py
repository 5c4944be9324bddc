"""Runs side by side: those that differ only in seed form a group, and groups are compared, in figures and curves.

Tables, pictures and pages all take their numbers from the Comparison that `compare` returns.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape
from os import PathLike
from typing import Self

import numpy as np

from dlscratch.curves import mean_and_band, smooth
from dlscratch.functions import Array
from dlscratch.groups import Group, column, few, make_groups, warnings_about
from dlscratch.runs import Run, find_runs
from dlscratch.score_table import score_table, scores_as_csv
from dlscratch.scores import MOST, Row, rank, score
from dlscratch.table import Table

AXES = ("step", "epoch", "examples", "seconds")
QUANTITIES = ("loss", "accuracy")
SPLITS = ("train", "test")  # test: the images held back for validation, where there are any
SMOOTHING = 0.1  # epochs
Place = str | PathLike[str] | Run


@dataclass(frozen=True)
class Single:
    """The curve of one run: as recorded (`raw`) and smoothed (`y`), over each axis."""

    run: Run
    x: dict[str, Array]
    y: Array
    raw: Array
    diverged: bool


@dataclass(frozen=True)
class Curve:
    """The curve of a group: mean and band over its runs, n of which reach each row."""

    group: int
    label: str
    quantity: str
    split: str
    x: dict[str, Array]
    mean: Array
    low: Array | None
    high: Array | None
    n: Array
    singles: tuple[Single, ...]
    band: str

    def recorded(self) -> Self:
        """The same without smoothing; nothing is read again."""
        singles = tuple(replace(single, y=single.raw) for single in self.singles)
        mean, low, high, n = mean_and_band([single.raw for single in singles], self.band)
        return replace(self, mean=mean, low=low, high=high, n=n, singles=singles)


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, in the order in which they were named; what is unfair about it; and all numbers about them.

    Of more than MOST groups the best comes first: see `scores.rank`.
    """

    groups: tuple[Group, ...]
    warnings: tuple[str, ...]
    differing: tuple[str, ...]  # the settings in which the groups differ
    axis: str  # the one to draw over, if none is asked for

    def curves(self, quantity: str, *, smoothing: float = SMOOTHING, band: str = "std") -> Iterator[Curve]:
        """The curves of a quantity, loss or accuracy: for each group one on the training set and one on the test set.

        One after the other, since all steps of a thousand runs would fill the memory. The training loss is that of each
        step, averaged over `smoothing` epochs; all others are recorded once an epoch, over whole sets, and are not
        smoothed.
        """
        if quantity not in QUANTITIES:
            raise ValueError(f"expected loss or accuracy, got {quantity!r}")
        return (
            _curve(number, group, quantity, split, smoothing, band)
            for number, group in enumerate(self.groups)
            for split in SPLITS
        )

    def rows(self, most: int | None = None) -> list[Row]:
        """The table, one row a group; of at most so many."""
        return [score(group, self.groups[0]) for group in self.groups[:most]]

    def table(self) -> Table:
        """The table as text, accuracies and differences in percent, of the first MOST groups; the best stand out."""
        return score_table(self.rows(MOST), len(self.groups))

    def csv(self) -> str:
        """The table of all groups as CSV, every figure in full, with the settings that differ; see `scores_as_csv`."""
        return scores_as_csv(self.rows(), [group.settings for group in self.groups])

    def _repr_html_(self) -> str:
        return "".join(f"<p>Note: {escape(warning)}</p>" for warning in self.warnings) + self.table().html()

    def __str__(self) -> str:
        return "\n".join([*(f"note: {warning}" for warning in self.warnings), str(self.table())])


def compare(runs: Place | Iterable[Place]) -> Comparison:
    """Compare runs: Run objects, folders of runs, or folders that hold some, however deep.

    ValueError if there is none, or none that has been evaluated at least once.
    """
    places = [runs] if isinstance(runs, str | PathLike | Run) else list(runs)
    found = [run for place in places for run in ([place] if isinstance(place, Run) else find_runs([place]))]
    found = list({run.folder.resolve(): run for run in found}.values())
    begun = [run for run in found if len(run.epochs["epoch"])]
    others = [run.name for run in found if not len(run.epochs["epoch"])]
    if not begun:
        raise ValueError(f"none of {len(found)} runs has been evaluated yet, so there is nothing to compare")
    groups, differing = make_groups(begun)
    if len(groups) > MOST:
        groups = tuple(sorted(groups, key=rank))
    are = "have no rows yet and are" if len(others) > 1 else "has no rows yet and is"
    warnings = [f"{few(others)} {are} left out"] if others else []
    axis = "epoch" if "batch_size" in differing else "step"
    return Comparison(groups, (*warnings, *warnings_about(groups)), differing, axis)


def _curve(number: int, group: Group, quantity: str, split: str, smoothing: float, band: str) -> Curve:
    singles = tuple(_single(run, quantity, split, smoothing) for run in group.runs)
    mean, low, high, n = mean_and_band([single.y for single in singles], band)
    longest = max(singles, key=lambda single: len(single.y))
    # the mean time of a step, summed up: that of all until then would fall where a slow run ends early
    pace, *_ = mean_and_band([np.diff(single.x["seconds"], prepend=0) for single in singles], "none")
    x = longest.x | {"seconds": np.cumsum(pace)}
    return Curve(number, group.label, quantity, split, x, mean, low, high, n, singles, band)


def _single(run: Run, quantity: str, split: str, smoothing: float) -> Single:
    each_step = (quantity, split) == ("loss", "train")
    table = run.steps if each_step else run.epochs
    raw = table["loss"] if each_step else column(run, quantity, split)
    y = smooth(raw, smoothing * float(table["step"][0] / table["epoch"][0])) if each_step and len(raw) else raw
    return Single(run, {axis: table[axis] for axis in AXES}, y, raw, run.status == "diverged")
