"""Pooling: the largest, or the mean, of each small square of an image.

A square is computed as K² shifted images, each taken as a whole, which is quick where the batch is innermost in memory
(see convolution.py) and right everywhere.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers.base import Layer, check_sizes


class _Pooling(Layer):
    """The base of both: squares of size x size pixels, `stride` apart (side by side if None); x and y (N, C, H, W)

    y has (H - K) // s + 1 rows: rows and columns that no whole square covers are left out.
    """

    def __init__(self, size: int, stride: int | None = None) -> None:
        super().__init__()
        self.size, self.stride = size, size if stride is None else stride
        check_sizes(self, self.size, self.stride)

    def _shifts(self, x: Array) -> Iterator[Array]:
        """The K² views (N, C, I, J) of x, one for each place in a square."""
        if x.ndim != 4 or min(x.shape[2:]) < self.size:
            raise ValueError(f"{self} expects x of shape (N, C, H, W), H and W at least {self.size}, got {x.shape}")
        rows, columns = ((n - self.size) // self.stride * self.stride + 1 for n in x.shape[2:])
        for u in range(self.size):
            for v in range(self.size):
                yield x[:, :, u : u + rows : self.stride, v : v + columns : self.stride]

    def _spread(self, dy: Array, factors: Iterable[Any], x: Array, out: Array | None) -> Array:
        """dx: each place in a square receives dy times its factor."""
        dx = np.empty_like(x) if out is None else out
        tiled = self.stride == self.size and x.shape[2] % self.size == x.shape[3] % self.size == 0
        if not tiled:
            dx[...] = 0
        for part, factor in zip(self._shifts(dx), factors, strict=True):
            if tiled:  # each number of x is in one square
                np.multiply(dy, factor, out=part)
            else:
                part += dy * factor
        return dx

    def __repr__(self) -> str:
        apart = "" if self.stride == self.size else f", stride {self.stride}"
        return f"{type(self).__name__}({self.size}{apart})"


class MaxPooling(_Pooling):
    """y = the largest x of each square; of several that are equal the first receives dy    (book, chapter 7.3)"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        first, *others = self._shifts(x)
        y = np.positive(first, out=out)
        for shifted in others:
            np.maximum(y, shifted, out=y)
        return y

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return self._spread(dy, self._winners(x, y), x, out)

    def _winners(self, x: Array, y: Array) -> Iterator[Array]:
        won = np.zeros_like(y, dtype=bool)
        wins = np.empty_like(won)
        for shifted in self._shifts(x):
            np.equal(shifted, y, out=wins)
            np.greater(wins, won, out=wins)  # not where another has won already
            np.logical_or(won, wins, out=won)
            yield wins


class AveragePooling(_Pooling):
    """y = the mean of x over each square"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        first, *others = self._shifts(x)
        y = np.positive(first, out=out)
        for shifted in others:
            y += shifted
        y *= 1 / self.size**2
        return y

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return self._spread(dy, [1 / self.size**2] * self.size**2, x, out)
