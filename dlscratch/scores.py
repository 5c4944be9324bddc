"""Groups of runs in figures: the rows of the table that a comparison prints."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from dlscratch.groups import Group, column, seed_of
from dlscratch.runs import WATCHED
from dlscratch.table import Table


@dataclass(frozen=True)
class Row:
    """A group in figures. Each is a mean over runs with its standard deviation, which is nan for a single run.

    diverged: how many of the n runs did; they count with their last figures. watched: test, or validation where
    images were held back for it, and then all that is called test here is of these. final, best: test accuracy in the
    last and in the best row. best_epoch: where the best was. loss: the last test loss. seconds: of training. to_95,
    to_97: epochs until the test accuracy was first so high, over the reached_95 and reached_97 runs that came so far.
    difference: of final to that of the first group, over the `pairs` seeds that both have, with its standard error.
    """

    group: str
    n: int
    diverged: int
    watched: str
    final: float
    final_std: float
    best: float
    best_std: float
    best_epoch: float
    loss: float
    loss_std: float
    seconds: float
    to_95: float
    reached_95: int
    to_97: float
    reached_97: int
    difference: float
    difference_sem: float
    pairs: int


def score(group: Group, first: Group) -> Row:
    """The figures of a group, and how they differ from those of the first one."""
    accuracies = [column(run, "accuracy", "test") for run in group.runs]
    best = [int(accuracy.argmax()) for accuracy in accuracies]
    losses = [column(run, "loss", "test")[-1] for run in group.runs]
    to_95, to_97 = (_epochs_to(level, group) for level in (0.95, 0.97))
    own, others = _final_by_seed(group), _final_by_seed(first)
    differences = [own[seed] - others[seed] for seed in own.keys() & others.keys()]
    return Row(
        group=group.name,
        n=len(group.runs),
        diverged=sum(run.status == "diverged" for run in group.runs),
        watched=WATCHED[group.runs[0].held],
        final=_mean([accuracy[-1] for accuracy in accuracies]),
        final_std=_std([accuracy[-1] for accuracy in accuracies]),
        best=_mean([accuracy.max() for accuracy in accuracies]),
        best_std=_std([accuracy.max() for accuracy in accuracies]),
        best_epoch=_mean([run.epochs["epoch"][i] for run, i in zip(group.runs, best, strict=True)]),
        loss=_mean(losses),
        loss_std=_std(losses),
        seconds=_mean([max([*run.epochs["seconds"][-1:], *run.steps["seconds"][-1:]]) for run in group.runs]),
        to_95=_mean(to_95),
        reached_95=len(to_95),
        to_97=_mean(to_97),
        reached_97=len(to_97),
        difference=_mean(differences),
        difference_sem=_std(differences) / max(1, len(differences)) ** 0.5,
        pairs=len(differences),
    )


def _epochs_to(level: float, group: Group) -> list[float]:
    """The epochs at which the runs first had this test accuracy, of those that ever had it."""
    curves = [(run.epochs["epoch"], column(run, "accuracy", "test") >= level) for run in group.runs]
    return [float(epoch[reached.argmax()]) for epoch, reached in curves if reached.any()]


def _final_by_seed(group: Group) -> dict[int, float]:
    """The last test accuracy for each seed: the mean, where a seed is there more than once."""
    finals: dict[int, list[float]] = {}
    for run in group.runs:
        finals.setdefault(seed_of(run), []).append(column(run, "accuracy", "test")[-1])
    return {seed: _mean(values) for seed, values in finals.items()}


def score_table(rows: Sequence[Row]) -> Table:
    """The rows as text, accuracies in percent; the best of a column stands out."""
    shown = tuple(_cells(row, first=i == 0) for i, row in enumerate(rows))
    columns = {2: [-row.final for row in rows], 3: [-row.best for row in rows], 5: [row.loss for row in rows]}
    best = frozenset(
        (i, j)
        for j, values in columns.items()
        for i, x in enumerate(values)
        if len(rows) > 1 and x == np.fmin.reduce(values)
    )
    watched = " or ".join(dict.fromkeys(row.watched for row in rows))
    about = (
        f"{watched} accuracy in %, final and best, mean±std of n runs; epoch of the best; last {watched} loss; seconds "
        "of training; epochs to 95 and 97 %; Δ: final less that of the first group, over shared seeds, ±standard error"
    )
    header = ("", "n", "final", "best", "epoch", "loss", "sec", "95 %", "97 %", "Δ")
    return Table("Comparison", about, header, shown, best)


def scores_as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV, one column for each figure, in full; what is not known is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [each.name for each in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value != value else value for name, value in asdict(row).items()})
    return text.getvalue()


def _cells(row: Row, *, first: bool) -> tuple[str, ...]:
    difference = "" if first else _spread(row.difference, row.difference_sem, sign="+")
    return (
        row.group + (f" ({row.diverged} diverged)" if row.diverged else ""),
        str(row.n),
        _spread(row.final, row.final_std),
        _spread(row.best, row.best_std),
        f"{row.best_epoch:.1f}",
        f"{row.loss:.4f}" if row.loss < 1000 else f"{row.loss:.1e}",
        f"{row.seconds:.1f}" if row.seconds < 100 else f"{row.seconds:.0f}",
        _reached(row.to_95, row.reached_95, row.n),
        _reached(row.to_97, row.reached_97, row.n),
        difference,
    )


def _spread(mean: float, spread: float, sign: str = "") -> str:
    if np.isnan(mean):
        return "-"
    return f"{100 * mean:{sign}.2f}" + ("" if np.isnan(spread) else f"±{100 * spread:.2f}")


def _reached(epochs: float, count: int, n: int) -> str:
    if not count:
        return "-"
    return f"{epochs:.1f}" + (f" ({count}/{n})" if count < n else "")


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _std(values: Sequence[Any]) -> float:
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan")
    with np.errstate(over="ignore"):  # losses of runs that diverge
        return float(np.std(values, ddof=1))
