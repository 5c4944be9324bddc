"""Training on several ranks: each batch is spread over them, and their gradients are summed in one message.

All ranks draw the same batches, and each goes there and back with its own rows only. Their sums are the same numbers,
so all take the same step, and their parameters stay equal.
"""

from collections.abc import Callable, Mapping, Sized
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers import Layer
from dlscratch.layers.base import Batch
from dlscratch.network import Network
from dlscratch.ranks import Ranks
from dlscratch.recorder import Recorder


class Part(Batch):
    """The rows of a batch that one of the ranks has, and its weight: their share of the batch.

    Where there are fewer rows than ranks, a rank that has none of its own computes with the first row, which then
    counts nothing. So every rank goes through every layer, whose sums it takes part in and whose noise it draws.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.size, self.rows, self.weight = 0, slice(0), 0.0

    def take(self, size: int) -> slice:
        """The rows of a batch of this size; until the next call all is meant for that batch."""
        own = share(self.ranks, size)
        self.size, self.weight = size, (own.stop - own.start) / size
        self.rows = own if self.weight else slice(1)
        return self.rows

    def shape(self, x: Array) -> tuple[int, ...]:
        """That of x with the rows of all ranks."""
        return (self.size, *x.shape[1:])

    def sum(self, array: Array) -> Array:
        """The sum over all ranks."""
        total = np.array(array, order="C")  # so that it is the same memory on all of them
        if not self.weight:
            total[...] = 0
        self.ranks.sum(total)
        return total


class DataParallel:
    """A network that is trained on the `part` of each batch that is here, as if the whole batch were.

    ValueError if it has a layer to which it matters which rows are here, and which does not know of it.
    """

    def __init__(self, net: Network, part: Part) -> None:
        self.net, self.part, self.ranks = net, part, part.ranks
        self.interrupts: Sized = ()
        self.agreed: list[bool] = []
        for layer in net.layers:
            check_shareable(layer)
        for layer in net.layers:
            if layer.shares_batch:
                layer.batch = part

    def loss(self, x: Array, t: Array) -> float:
        """The mean loss of the whole batch, of which x and t are the rows that are here; `grads` are filled with it."""
        message, weight = self.net.message, self.part.weight
        message[-2] = weight * self.net.loss(x, t)
        self.net.backward(weight)
        if not weight:
            message[...] = 0
        message[-1] = bool(self.interrupts)
        self.ranks.sum(message)
        if message[-1]:
            self.agreed.append(True)
        return float(message[-2])

    def backward(self) -> None:
        """Nothing: the gradients came with the loss."""

    def evaluate(self, x: Array, t: Array) -> tuple[float, float]:
        """Mean loss and accuracy over all of x and t at test time, of which each rank looks at its share."""
        own = share(self.ranks, len(x))
        means = self.net.evaluate(x[own], t[own]) if own.start < own.stop else (0.0, 0.0)
        sums = np.array(means) * (own.stop - own.start)
        self.ranks.sum(sums)
        loss, accuracy = sums / len(x)
        return float(loss), float(accuracy)

    def agree(self, interrupts: Sized) -> Sized:
        """What holds something as soon as, at the end of a step, the `interrupts` of any rank do."""
        self.interrupts = interrupts
        return self.agreed


class Unrecorded(Recorder):
    """What the other ranks have where the first has its Recorder: it writes nothing."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder, self.facts = folder, dict(facts)

    def append(self, table: str, row: Mapping[str, float]) -> None:
        """Let the first rank do it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def release(self) -> None:
        """There is nothing to release."""


class Spread(NamedTuple):
    """What is trained, the rows of a batch that it takes, and what makes one list of the interrupts of all ranks."""

    trained: Network | DataParallel
    part: Callable[[int], slice]
    agree: Callable[[Sized], Sized]


def spread(net: Network, ranks: Ranks) -> Spread:
    """How the net is trained on these ranks: as it is, with all rows, where there is one."""
    if ranks.size == 1:
        return Spread(net, slice, lambda interrupts: interrupts)
    parallel = DataParallel(net, Part(ranks))
    return Spread(parallel, parallel.part.take, parallel.agree)


def share(ranks: Ranks, size: int) -> slice:
    """Which of `size` rows are this rank's: as many as others have, but for one."""
    return slice(ranks.rank * size // ranks.size, (ranks.rank + 1) * size // ranks.size)


def check_shareable(layer: Layer) -> None:
    """ValueError if what the layer computes depends on which rows of a batch it is given, and it does not know."""
    why = {
        "looks at other rows": layer.mixes_batch,
        "draws random numbers": "rng" in vars(layer),
        "keeps averages": layer.buffer_names,
    }
    for what, holds in why.items():
        if holds and not layer.shares_batch:
            raise ValueError(
                f"{layer} {what}, and would learn something else on several ranks; train it on one, or let it compute "
                "with self.batch and say shares_batch = True in its class"
            )
