"""Mini-batches: endless generators of (x, t), whose images fill the same array again and again.

Whoever wants to keep a batch beyond the next one copies it. All randomness comes from `rng`.
"""

from collections.abc import Iterator
from itertools import repeat

import numpy as np

from dlscratch.functions import Array

Batches = Iterator[tuple[Array, Array]]


def random_batches(x: Array, t: Array, batch_size: int, *, rng: np.random.Generator) -> Batches:
    """Each batch is batch_size random rows, drawn with replacement: the book's `np.random.choice` (chapter 4.2.3).

    N draws, which count as an epoch, meet only 1 - 1/e = 63.2 % of N rows.
    """
    _check(x, t, batch_size)
    draws = batch_size * steps_per_epoch(len(x), batch_size)
    return _batches(x, t, batch_size, (rng.choice(len(x), draws) for _ in repeat(None)))


def shuffled_batches(x: Array, t: Array, batch_size: int, *, rng: np.random.Generator) -> Batches:
    """Every row once in each epoch, in a new order each time; the last batch of an epoch may be smaller."""
    _check(x, t, batch_size)
    return _batches(x, t, batch_size, (rng.permutation(len(x)) for _ in repeat(None)))


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """How many batches make an epoch: the smallest number of them that holds all examples."""
    return -(-examples // batch_size)


def examples_shuffled(step: int, examples: int, batch_size: int) -> int:
    """How many rows the first `step` batches of shuffled_batches hold together."""
    epochs, rest = divmod(step, steps_per_epoch(examples, batch_size))
    return epochs * examples + rest * batch_size


def _batches(x: Array, t: Array, batch_size: int, epochs: Iterator[Array]) -> Batches:
    """The rows of x and t at the indices of each epoch in turn: row i of both comes from the same index.

    Indices are drawn for a whole epoch, since a draw of its own for each batch would be 2 % of a training step.
    """
    batch_x = np.empty_like(x, shape=(batch_size, *x.shape[1:]))
    for indices in epochs:
        targets = t.take(indices, axis=0)
        for start in range(0, len(indices), batch_size):
            part = slice(start, start + batch_size)
            index = indices[part]
            # mode="clip": with "raise", take() first copies its output, in case an index is bad
            yield x.take(index, axis=0, out=batch_x[: len(index)], mode="clip"), targets[part]


def _check(x: Array, t: Array, batch_size: int) -> None:
    if len(x) != len(t) or len(x) == 0:
        raise ValueError(f"expected one or more images and as many targets, got {len(x)} images and {len(t)} targets")
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size expects a whole number from 1 up, got {batch_size}")
