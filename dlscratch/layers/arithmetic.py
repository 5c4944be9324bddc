"""Addition and multiplication, the two nodes of the book's apple shop, and of every residual connection."""

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


def _check_shapes(layer: Layer, a: Array, b: Array) -> None:
    shapes = np.shape(a), np.shape(b)
    if shapes[0] != shapes[1] and () not in shapes:
        raise ValueError(f"{layer} expects two arrays of one shape, or a scalar, got {shapes[0]} and {shapes[1]}")


def _gradient(ufunc: np.ufunc, operands: tuple[Any, ...], x: Array, out: Array | None) -> Array:
    """The gradient of x: elementwise where x has the shape of the result, summed where x is a scalar."""
    scalar_among_arrays = np.ndim(x) == 0 and np.ndim(operands[0]) > 0
    return np.sum(ufunc(*operands), out=out) if scalar_among_arrays else ufunc(*operands, out=out)
