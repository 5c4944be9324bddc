"""What a search has found out: the final accuracy of every group over each setting that was varied in numbers."""

from dataclasses import dataclass

import numpy as np

from dlscratch.compare import Comparison
from dlscratch.functions import Array
from dlscratch.groups import column
from dlscratch.scores import MOST

DECADES = 15  # times the lowest tenth of the values, where the highest begins: from there on, an axis is logarithmic
SHOWN = 2_000  # about so many groups, taken evenly from the best to the worst


@dataclass(frozen=True)
class Slice:
    """A point for each group: the value of a setting, x, and the mean final accuracy on the test set, y."""

    setting: str
    x: Array
    y: Array
    groups: Array  # their places in the comparison
    whole: Array  # whether all runs of the group took all of their steps

    @property
    def log(self) -> bool:
        """Whether the setting was varied over decades."""
        low, high = np.quantile(self.x, [0.1, 0.9])
        return bool(self.x.min() > 0 and high > DECADES * low)


def slices(comparison: Comparison) -> list[Slice]:
    """One for each setting in which the groups differ in numbers; none for as few groups as a table holds."""
    count = len(comparison.groups)
    if count <= MOST:
        return []
    rows = np.unique(np.r_[:MOST, np.linspace(0, count - 1, SHOWN).round().astype(np.intp)])
    groups = [comparison.groups[row] for row in rows]
    y = np.array([np.mean([column(run, "accuracy", "test")[-1] for run in group.runs]) for group in groups])
    whole = np.array([all(run.status == "finished" for run in group.runs) for group in groups])
    found = []
    for name in comparison.differing:
        x = _numbers([group.settings[name] for group in groups])
        known = np.isfinite(x)
        if len(np.unique(x[known])) > 1:
            found.append(Slice(name, x[known], y[known], rows[known], whole[known]))
    return found


def _numbers(values: list[object]) -> Array:
    """These values, nan for None; nothing but nan if one of them is no number."""
    try:
        return np.array([np.nan if value is None else float(str(value)) for value in values])
    except ValueError:
        return np.full(len(values), np.nan)
