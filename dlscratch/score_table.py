"""The figures of groups as a comparison prints them: a table for people, and CSV for programs."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from dlscratch.scores import Row
from dlscratch.table import Table


def score_table(rows: Sequence[Row], among: int) -> Table:
    """The rows as text, accuracies in percent; the best of a column stands out, if it was not paused, unless all were.

    among: how many groups there are; if these are more, the rows are those of the best.
    """
    shown = tuple(_cells(row, first=i == 0) for i, row in enumerate(rows))
    columns = {2: [-row.final for row in rows], 3: [-row.best for row in rows], 5: [row.loss for row in rows]}
    able = [row.paused == 0 or all(each.paused for each in rows) for row in rows]
    best = frozenset(
        (i, j)
        for j, values in columns.items()
        for i, x in enumerate(values)
        if len(rows) > 1 and able[i] and x == np.fmin.reduce(values, where=able, initial=np.inf)
    )
    watched = " or ".join(dict.fromkeys(row.watched for row in rows))
    ranked = f"the best {len(rows)} of {among:,} groups; " if among > len(rows) else ""
    below = f"... and {among - len(rows):,} more groups, all of them in the CSV (compare.py --csv)" if ranked else ""
    about = ranked + (
        f"{watched} accuracy in %, final and best, mean±std of n runs; epoch of the best; last {watched} loss; seconds "
        "of training; epochs to 95 and 97 %; Δ: final less that of the first group, over shared seeds, ±standard error"
    )
    header = ("", "n", "final", "best", "epoch", "loss", "sec", "95 %", "97 %", "Δ")
    return Table("Comparison", about, header, shown, best, below)


def scores_as_csv(rows: Sequence[Row], settings: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV, one column for each figure, in full; what is not known is left empty. Settings come last."""
    text = io.StringIO()
    names = dict.fromkeys([*(each.name for each in fields(Row)), *settings[0]])
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    for row, own in zip(rows, settings, strict=True):
        figures = {name: "" if value != value else value for name, value in vars(row).items()}
        writer.writerow({**own, **figures})
    return text.getvalue()


def _cells(row: Row, *, first: bool) -> tuple[str, ...]:
    difference = "" if first else _spread(row.difference, row.difference_sem, sign="+")
    paused = f" (to step {row.step:.0f})" if row.paused == row.n else f" ({row.paused} paused)"
    return (
        row.group + (f" ({row.diverged} diverged)" if row.diverged else "") + (paused if row.paused else ""),
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
