"""Arithmetic: the nodes that larger formulas are drawn from, from the book's apple shop to a residual connection."""

from typing import Any

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers.base import Layer, Pair


class Add(Layer):
    """y = a + b, a and b of one shape, or either of them a scalar"""

    def forward(self, a: Array, b: Array, out: Array | None = None) -> Array:
        _check_shapes(self, a, b)
        return np.add(a, b, out=out)

    def backward(self, dy: Array, a: Array, b: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, Array]:
        return _gradient(np.positive, (dy,), a, out[0]), _gradient(np.positive, (dy,), b, out[1])


class Mul(Layer):
    """y = a b elementwise, a and b of one shape, or either of them a scalar"""

    def forward(self, a: Array, b: Array, out: Array | None = None) -> Array:
        _check_shapes(self, a, b)
        return np.multiply(a, b, out=out)

    def backward(self, dy: Array, a: Array, b: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, Array]:
        return _gradient(np.multiply, (dy, b), a, out[0]), _gradient(np.multiply, (dy, a), b, out[1])


class Sub(Layer):
    """y = a - b, a and b of one shape, or either of them a scalar"""

    def forward(self, a: Array, b: Array, out: Array | None = None) -> Array:
        _check_shapes(self, a, b)
        return np.subtract(a, b, out=out)

    def backward(self, dy: Array, a: Array, b: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, Array]:
        return _gradient(np.positive, (dy,), a, out[0]), _gradient(np.negative, (dy,), b, out[1])


class Div(Layer):
    """y = a / b elementwise, a and b of one shape, or either of them a scalar; dy/da = 1/b, dy/db = -y/b"""

    def forward(self, a: Array, b: Array, out: Array | None = None) -> Array:
        _check_shapes(self, a, b)
        return np.divide(a, b, out=out)

    def backward(self, dy: Array, a: Array, b: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, Array]:
        return _gradient(np.divide, (dy, b), a, out[0]), _gradient(np.multiply, (dy, -y / b), b, out[1])


class Exp(Layer):
    """y = exp(x), dy/dx = y"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.exp(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return np.multiply(dy, y, out=out)


class Log(Layer):
    """y = log(x), dy/dx = 1/x"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.log(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return np.divide(dy, x, out=out)


class MatMul(Layer):
    """y = a b, the matrix product

    a (N, D), b (D, M) -> y (N, M); or stacks of as many matrices each, a (..., N, D) and b (..., D, M).
    """

    def forward(self, a: Array, b: Array, out: Array | None = None) -> Array:
        first, second = np.shape(a), np.shape(b)
        if len(first) < 2 or first[:-2] != second[:-2] or first[-1:] != second[-2:-1]:
            raise ValueError(f"{self} expects a of shape (..., N, D) and b (..., D, M), got {first} and {second}")
        return np.matmul(a, b, out=out)

    def backward(self, dy: Array, a: Array, b: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, Array]:
        return np.matmul(dy, b.swapaxes(-1, -2), out=out[0]), np.matmul(a.swapaxes(-1, -2), dy, out=out[1])


class Sum(Layer):
    """y = Σ x over all axes, or over one or several of them; dx is dy for every number that was added

    axis and keepdims as in NumPy.
    """

    def __init__(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> None:
        super().__init__()
        self.axis, self.keepdims = axis, keepdims
        self.mixes_batch = axis is None or 0 in (axis if isinstance(axis, tuple) else (axis,))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.sum(x, axis=self.axis, keepdims=self.keepdims, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        dx = np.empty_like(x, dtype=np.result_type(x, dy)) if out is None else out
        dx[...] = dy if self.keepdims or self.axis is None else np.expand_dims(dy, self.axis)
        return dx

    def __repr__(self) -> str:
        return f"{type(self).__name__}(axis={self.axis}, keepdims={self.keepdims})"


class Mean(Sum):
    """y = the mean of x over all axes, or over one or several of them; dx is dy / (how many numbers share it)

    axis and keepdims as in NumPy.
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.mean(x, axis=self.axis, keepdims=self.keepdims, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return super().backward(dy * (np.size(y) / np.size(x)), x, y, out=out)


def _check_shapes(layer: Layer, a: Array, b: Array) -> None:
    shapes = np.shape(a), np.shape(b)
    if shapes[0] != shapes[1] and () not in shapes:
        raise ValueError(f"{layer} expects two arrays of one shape, or a scalar, got {shapes[0]} and {shapes[1]}")


def _gradient(ufunc: np.ufunc, operands: tuple[Any, ...], x: Array, out: Array | None) -> Array:
    """The gradient of x: elementwise where x has the shape of the result, summed where x is a scalar."""
    scalar_among_arrays = np.ndim(x) == 0 and np.ndim(operands[0]) > 0
    return np.sum(ufunc(*operands), out=out) if scalar_among_arrays else ufunc(*operands, out=out)
