"""Groups of runs in figures, and in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlscratch.groups import Group, column, seed_of
from dlscratch.runs import WATCHED, Run

MOST = 20  # groups in a table


@dataclass(frozen=True)
class Row:
    """A group in figures. Each is a mean over runs with its standard deviation, which is nan for a single run.

    diverged, paused: how many of the n runs did, or were stopped early by a search; they count with their last figures.
    step: of these. watched: test, or validation where images were held back for it, and then all that is called test
    here is of these. final, best: test accuracy in the last and in the best row. best_epoch: where the best was. loss:
    the last test loss. seconds: of training. to_95, to_97: epochs until the test accuracy was first so high, over the
    reached_95 and reached_97 runs that came so far. difference: of final to that of the first group, over the `pairs`
    seeds that both have, with its standard error; what is paused is compared only with what is paused at the same step.
    """

    group: str
    n: int
    diverged: int
    paused: int
    step: float
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
    own, others = _finals(group), _finals(first)
    differences = [own[pair] - others[pair] for pair in own.keys() & others.keys()]
    return Row(
        group=group.name,
        n=len(group.runs),
        diverged=sum(run.status == "diverged" for run in group.runs),
        paused=sum(run.status == "paused" for run in group.runs),
        step=_mean([run.epochs["step"][-1] for run in group.runs]),
        watched=WATCHED[group.runs[0].held],
        final=_mean([accuracy[-1] for accuracy in accuracies]),
        final_std=_std([accuracy[-1] for accuracy in accuracies]),
        best=_mean([accuracy.max() for accuracy in accuracies]),
        best_std=_std([accuracy.max() for accuracy in accuracies]),
        best_epoch=_mean([run.epochs["epoch"][i] for run, i in zip(group.runs, best, strict=True)]),
        loss=_mean(losses),
        loss_std=_std(losses),
        seconds=_mean([_seconds(run) for run in group.runs]),
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


def _finals(group: Group) -> dict[tuple[int, float], float]:
    """The last test accuracy by seed, and by step if it was paused; the mean, where there is more than one."""
    finals: dict[tuple[int, float], list[float]] = {}
    for run in group.runs:
        step = run.epochs["step"][-1] if run.status == "paused" else np.inf
        finals.setdefault((seed_of(run), step), []).append(column(run, "accuracy", "test")[-1])
    return {pair: _mean(values) for pair, values in finals.items()}


def _seconds(run: Run) -> float:
    """The last row of epochs.csv is where a run ended, unless something else than its end or a pause ended it."""
    tables = [run.epochs] if run.status in ("finished", "paused") else [run.epochs, run.steps]
    return float(max(seconds for table in tables for seconds in table["seconds"][-1:]))


def rank(group: Group) -> tuple[float, float, float]:
    """What brings groups into order, the best first: the share of their steps that all of its runs have taken; then its
    final test accuracy; then its loss. Of a run that diverged or failed the share is 0.
    """
    shares = [_share(run) for run in group.runs]
    accuracy, loss = (_mean([column(run, name, "test")[-1] for run in group.runs]) for name in ("accuracy", "loss"))
    return -min(shares), -accuracy, float(np.nan_to_num(loss, nan=np.inf))


def _share(run: Run) -> float:
    if run.status in ("finished", "diverged", "failed"):
        return float(run.status == "finished")
    steps = run.config.get("steps")
    return float(run.epochs["step"][-1] / steps) if isinstance(steps, int) and steps else 0.0


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _std(values: Sequence[Any]) -> float:
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan")
    with np.errstate(over="ignore"):  # losses of runs that diverge
        return float(np.std(values, ddof=1))
