"""Mini-batches: endless generators of (x, t), whose images fill the same array again and again.

Whoever wants to keep a batch beyond the next one copies it. All randomness comes from `rng`.
"""

from collections.abc import Iterator
from itertools import repeat

import numpy as np

from dlscratch.functions import Array

Batches = Iterator[tuple[Array, Array]]

BLOCK = 16  # batches whose indices are drawn at once: a draw for each of them would be 2 % of a training step


def random_batches(x: Array, t: Array, batch_size: int, *, rng: np.random.Generator) -> Batches:
    """Each batch is batch_size random rows, drawn with replacement: the book's `np.random.choice` (chapter 4.2.3).

    N draws, which count as an epoch, meet only 1 - 1/e = 63.2 % of N rows.
    """
    _check(x, t, batch_size)
    return _batches(x, t, batch_size, (rng.choice(len(x), BLOCK * batch_size) for _ in repeat(None)))


def shuffled_batches(x: Array, t: Array, batch_size: int, *, rng: np.random.Generator) -> Batches:
    """Every row once in each epoch, in a new order each time; the last batch of an epoch may be smaller."""
    _check(x, t, batch_size)
    return _batches(x, t, batch_size, _shuffled_blocks(len(x), BLOCK * batch_size, rng))


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """How many batches make an epoch: the smallest number of them that holds all examples."""
    return -(-examples // batch_size)


def examples_shuffled(step: int, examples: int, batch_size: int) -> int:
    """How many rows the first `step` batches of shuffled_batches hold together."""
    epochs, rest = divmod(step, steps_per_epoch(examples, batch_size))
    return epochs * examples + rest * batch_size


def _shuffled_blocks(examples: int, block: int, rng: np.random.Generator) -> Iterator[Array]:
    rows, order = np.arange(examples), np.arange(examples)
    while True:
        np.copyto(order, rows)  # so that an order depends on the stream alone, and not on the order before it
        rng.shuffle(order)
        yield from (order[start : start + block] for start in range(0, examples, block))


def _batches(x: Array, t: Array, batch_size: int, blocks: Iterator[Array]) -> Batches:
    """The rows of x and t at the indices of each block in turn: row i of both comes from the same index."""
    batch_x = np.empty_like(x, shape=(batch_size, *x.shape[1:]))
    for indices in blocks:
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
