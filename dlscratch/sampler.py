"""Mini-batches: endless iterators of (x, t), which fill the same arrays again and again.

Whoever wants to keep a batch beyond the next one copies it. All randomness comes from `rng`, which is the sampler's
own if its `state` is to be restored.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from dlscratch.functions import Array

Part = Callable[[int], slice]  # of so many rows of a batch, those that are taken

BLOCK = 16  # batches whose indices are drawn at once: a draw for each of them would be 2 % of a training step


class Batches:
    """Batches of batch_size rows, the last of a round perhaps smaller; `draw(rng)` gives the row numbers of a round.

    With `part` only some rows of each batch are handed out; which ones are drawn, and `examples`, stay the same.
    """

    def __init__(
        self,
        x: Array,
        t: Array,
        batch_size: int,
        rng: np.random.Generator,
        draw: Callable[[np.random.Generator], Array],
        part: Part = slice,
    ) -> None:
        if len(x) != len(t) or len(x) == 0:
            raise ValueError(
                f"expected one or more images and as many targets, got {len(x)} images and {len(t)} targets"
            )
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size expects a whole number from 1 up, got {batch_size}")
        self.x, self.t, self.batch_size, self.rng, self.draw, self.part = x, t, batch_size, rng, draw, part
        self.examples = 0  # how many rows were drawn so far
        self._memory = np.empty_like(x, shape=(batch_size, *x.shape[1:]))
        self._batch_x = self._memory[:0]
        self._indices, self._targets, self._next = np.empty(0, np.intp), t[:0], 0
        self._round_began: Any = rng.bit_generator.state

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Array, Array]:
        if self._next >= len(self._indices):
            self._begin_round()
        batch = slice(self._next, self._next + self.batch_size)
        self._next, index = batch.stop, self._indices[batch]
        self.examples += len(index)
        part = self.part(len(index))
        index = index[part]
        if len(index) != len(self._batch_x):  # else the very same array, which SparseAffine knows: 5 % of its step
            self._batch_x = self._memory[: len(index)]
        # mode="clip": with "raise", take() first copies its output, in case an index is bad
        return self.x.take(index, axis=0, out=self._batch_x, mode="clip"), self._targets[batch][part]

    @property
    def state(self) -> dict[str, Any]:
        """Where it stands, as plain numbers: the random stream as the round began, the rows used since, and all."""
        return {"stream": self._round_began, "rows": self._next, "examples": self.examples}

    def restore(self, state: dict[str, Any]) -> None:
        """Stand where `state` was taken, also in another process: the batches that follow are the same."""
        self.rng.bit_generator.state = state["stream"]
        self._begin_round()
        self._next, self.examples = state["rows"], state["examples"]

    def _begin_round(self) -> None:
        self._round_began = self.rng.bit_generator.state
        self._indices, self._next = self.draw(self.rng), 0
        if len(self._targets) != len(self._indices):
            self._targets = np.empty_like(self.t, shape=(len(self._indices), *self.t.shape[1:]))
        self.t.take(self._indices, axis=0, out=self._targets, mode="clip")


def random_batches(x: Array, t: Array, batch_size: int, *, rng: np.random.Generator, part: Part = slice) -> Batches:
    """Each batch is batch_size random rows, drawn with replacement: the book's `np.random.choice` (chapter 4.2.3).

    N draws, which count as an epoch, meet only 1 - 1/e = 63.2 % of N rows.
    """
    return Batches(x, t, batch_size, rng, lambda rng: rng.choice(len(x), BLOCK * batch_size), part)


def shuffled_batches(x: Array, t: Array, batch_size: int, *, rng: np.random.Generator, part: Part = slice) -> Batches:
    """Every row once in each epoch, in a new order each time; the last batch of an epoch may be smaller."""
    rows, order = np.arange(len(x)), np.arange(len(x))

    def draw(rng: np.random.Generator) -> Array:
        np.copyto(order, rows)  # so that an order depends on the stream alone, and not on the order before it
        rng.shuffle(order)
        return order

    return Batches(x, t, batch_size, rng, draw, part)


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """How many batches make an epoch: the smallest number of them that holds all examples."""
    return -(-examples // batch_size)
