"""Dropout: noise while training, and nothing at test time."""

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers.base import Layer


class Dropout(Layer):
    """y = x keep / (1 - ratio), where keep is 0 with probability `ratio` and else 1, drawn anew for each number

    x of any shape. Srivastava et al. 2014, in the form that scales while training, so that at test time y = x; the book
    leaves out the division, and multiplies by 1 - ratio at test time instead.
    """

    remembers = ("keep",)
    shares_batch = True
    keep: Array

    def __init__(self, ratio: float = 0.5, *, rng: np.random.Generator) -> None:
        if not 0 <= ratio < 1:
            raise ValueError(f"Dropout expects a ratio from 0 up to, but not including, 1, got {ratio}")
        super().__init__()
        self.ratio, self.rng = ratio, rng

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.keep = np.empty_like(x, dtype=bool)  # in the memory order of x, which the random numbers do not have
        self.keep[...] = self.rng.random(self.batch.shape(x), np.float32)[self.batch.rows] >= self.ratio
        return self._kept(x, out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return self._kept(dy, out)

    def predict(self, x: Array) -> Array:
        return x

    def _kept(self, x: Array, out: Array | None) -> Array:
        y = np.multiply(x, self.keep, out=out)
        y *= 1 / (1 - self.ratio)
        return y

    def __repr__(self) -> str:
        return f"Dropout({self.ratio})"
