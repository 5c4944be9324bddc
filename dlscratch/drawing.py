"""What the picture and the page of a comparison share: which points of which lines, up to where, in which colours.

No number is made here: points are chosen from the curves that `dlscratch.compare` made in full length.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlscratch.compare import SMOOTHING, Comparison, Curve
from dlscratch.curves import robust_range, thin
from dlscratch.functions import Array
from dlscratch.runs import WATCHED
from dlscratch.scores import MOST
from dlscratch.slices import SHOWN

# Okabe and Ito 2008, without their yellow, which white paper swallows; neighbours also differ in grey.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#000000")
MARKERS = {  # matplotlib's names and plotly's; one more than colours, so that 56 groups differ in one or the other
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "P": "cross",
}
BANDS = {"std": "± one standard deviation", "sem": "± one standard error", "minmax": "from the lowest to the highest"}
TOLD = {
    "dataset": "{}", "model": "{}", "hidden": "{} hidden", "optimizer": "{}", "lr": "lr {}", "batch_size": "batch {}",
}  # fmt: skip
POINTS = 500  # of a line: more than a picture or a screen can show
BUDGET = 10_000  # points of all single runs together: a page stays under 8 MB and quick
SINGLES = 100  # runs that are drawn beside the means


@dataclass(frozen=True)
class View:
    """How a comparison is looked at."""

    axis: str | None = None  # step, epoch, examples or seconds; None: the comparison's own choice
    quantity: str | None = None  # loss or accuracy; None: both
    smoothing: float = SMOOTHING  # of the loss of each step, in epochs
    band: str = "std"  # around means: std, sem, minmax or none
    log: bool = True  # the scale of the loss


STANDARD = View()


@dataclass(frozen=True)
class Line:
    """One line to draw: "raw", a run as recorded; "run", a run smoothed; "mean", that of a group, with its band."""

    kind: str
    group: int
    split: str
    name: str  # the label of the group, or the name of the run
    x: dict[str, Array]  # by axis
    y: Array
    low: Array | None = None
    high: Array | None = None
    n: Array | None = None
    diverged: bool = False  # the last point gets a mark


def style(group: int) -> tuple[str, str]:
    """The colour of the group with this index, and the name of its marker."""
    return COLOURS[group % len(COLOURS)], list(MARKERS)[group % len(MARKERS)]


def drawn_of(comparison: Comparison) -> Comparison:
    """What has its curves drawn: all groups, or, if they are more than a table holds, the best one for each colour."""
    many = len(comparison.groups) > MOST
    return replace(comparison, groups=comparison.groups[: len(COLOURS)]) if many else comparison


def left_out(comparison: Comparison) -> str:
    """What is not drawn of a comparison, in sentences; empty if all is."""
    drawn, each = drawn_of(comparison).groups, _singles(drawn_of(comparison))
    groups = f"Curves: the best {len(drawn)} of {len(comparison.groups):,} groups. "
    runs = f"Single runs: the first {each} of each group; means and bands are of all. "
    points = f"Points: about {SHOWN:,} groups, evenly from the best to the worst. "
    told = {
        groups: len(drawn) < len(comparison.groups),
        points: len(comparison.groups) > SHOWN,
        runs: any(len(group.runs) > each for group in drawn),
    }
    return "".join(sentence for sentence, true in told.items() if true).strip()


def _singles(comparison: Comparison) -> int:
    """How many runs of each group are drawn beside the means."""
    return SINGLES // len(comparison.groups)


def shared_settings(comparison: Comparison) -> str:
    """The settings that all groups have in common, those that tell most."""
    config = comparison.groups[0].runs[0].config
    return described({name: value for name, value in config.items() if name not in comparison.differing})


def described(config: Mapping[str, Any]) -> str:
    """The settings that tell most of a run."""
    return ", ".join(words.format(config[name]) for name, words in TOLD.items() if config.get(name) is not None)


def split_names(comparison: Comparison) -> dict[str, str]:
    """What the two sets are called: test is validation, where images were held back for it."""
    runs = [run for group in comparison.groups for run in group.runs]
    held = dict.fromkeys(WATCHED[run.held] for run in runs)
    return {"train": "train", "test": " or ".join(held)}


def lines(comparison: Comparison, curve: Curve) -> list[Line]:
    """The lines of a curve of this comparison, of POINTS points each; where there are many runs, of fewer."""
    each = _singles(comparison)
    points = min(POINTS, BUDGET // sum(2 * min(len(group.runs), each) for group in comparison.groups))
    rough = all(np.array_equal(single.raw, single.y, equal_nan=True) for single in curve.singles)
    drawn = []
    for single in curve.singles[:each]:
        line = Line("run", curve.group, curve.split, single.run.name, single.x, single.y, diverged=single.diverged)
        drawn.append(_thinned(line, points, extremes=rough))
        if not rough:
            drawn.append(_thinned(replace(line, kind="raw", y=single.raw, diverged=False), points, extremes=True))
    mean = Line("mean", curve.group, curve.split, curve.label, curve.x, curve.mean, curve.low, curve.high, curve.n)
    return [line for line in (*drawn, _thinned(mean, POINTS, extremes=rough)) if line.y.size]


def in_order(drawn: Iterable[Line]) -> list[Line]:
    """These lines in the order in which they are drawn: means on top of runs, and these on what was recorded."""
    return sorted(drawn, key=lambda line: ("raw", "run", "mean").index(line.kind))


def faintness(drawn: Sequence[Line]) -> float:
    """How opaque a run as recorded is drawn: the more of them, the less, so that together they hide nothing."""
    return min(0.3, max(0.03, 0.6 / (1 + sum(line.kind == "raw" for line in drawn))))


def y_range(drawn: Sequence[Line], *, log: bool) -> tuple[float, float]:
    """Where the y axis begins and ends: no run that diverged, nor what comes before training, flattens the rest.

    Where a run ends that did not diverge is always in the picture. With `log` both ends are positive, and chosen as
    evenly as the logarithm shows them.
    """
    values: dict[tuple[int, str], list[Array]] = {}
    for line in drawn:
        if line.kind == "run":
            trained = line.y[line.x["step"] > 0]
            values.setdefault((line.group, line.name), []).append(trained if trained.size > 3 else line.y)
    runs = [np.concatenate(both) for both in values.values()]  # its curves on both sets
    ends = np.array([line.y[-1] for line in drawn if line.kind == "run" and not line.diverged])
    if log:
        low, high = _with_ends(robust_range([np.log10(y[y > 0]) for y in runs]), np.log10(ends[ends > 0]))
        return 10**low, 10**high
    return _with_ends(robust_range(runs), ends)


def _with_ends(limits: tuple[float, float], ends: Array) -> tuple[float, float]:
    """The limits moved apart until all these values lie inside."""
    (low, high), ends = limits, ends[np.isfinite(ends)]
    margin = 0.05 * (high - low)
    return float(min([low, *(ends - margin)])), float(max([high, *(ends + margin)]))


def _thinned(line: Line, points: int, *, extremes: bool) -> Line:
    rows = thin(line.y, points, extremes=extremes)
    low, high, n = (None if values is None else values[rows] for values in (line.low, line.high, line.n))
    x = {axis: values[rows] for axis, values in line.x.items()}
    return replace(line, x=x, y=line.y[rows], low=low, high=high, n=n)
