"""Layers that only arrange numbers anew: views of their inputs wherever the memory allows it."""

import math
from itertools import accumulate
from typing import Any

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers.base import Layer, check_sizes


class Flatten(Layer):
    """y = x with all axes but the first made one

    x (N, ...) -> y (N, D)
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return _reshaped(x, (len(x), math.prod(x.shape[1:])), out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return _reshaped(dy, x.shape, out)


class Reshape(Layer):
    """y = x with the shape of each row changed: Reshape(1, 28, 28) makes images of rows

    x (N, ...) -> y (N, *shape)
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        check_sizes(self, *shape)
        self.shape = shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(f"{self} expects x with {math.prod(self.shape)} numbers in each row, got {x.shape}")
        return _reshaped(x, (len(x), *self.shape), out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return _reshaped(dy, x.shape, out)

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Concatenate(Layer):
    """y = the inputs, any number of them, one after the other along `axis`; each gets its own part of dy

    xs (N, D1), (N, D2), ... -> y (N, D1 + D2 + ...) along axis 1. The other axes are equally long.
    """

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.mixes_batch = axis == 0

    def forward(self, *xs: Array, out: Array | None = None) -> Array:
        if len({(*x.shape[: self.axis], *x.shape[self.axis :][1:]) for x in xs}) > 1:
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ValueError(f"{self} expects arrays that differ in the length of axis {self.axis} only, got {shapes}")
        return np.concatenate(xs, axis=self.axis, out=out)

    def backward(self, dy: Array, *xs: Array, y: Array, out: Any = None) -> Any:
        ends = accumulate(x.shape[self.axis] for x in xs[:-1])
        parts = np.split(dy, list(ends), axis=self.axis)
        outs = out if isinstance(out, tuple) else (out,) * len(xs)
        dxs = tuple(p if o is None else np.positive(p, out=o) for p, o in zip(parts, outs, strict=True))
        return dxs if len(xs) > 1 else dxs[0]

    def __repr__(self) -> str:
        return f"Concatenate(axis={self.axis})"


def _reshaped(x: Array, shape: tuple[int, ...], out: Array | None) -> Array:
    return x.reshape(shape) if out is None else np.positive(x.reshape(shape), out=out)
