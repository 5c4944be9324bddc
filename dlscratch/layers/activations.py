"""Activations: one array in, one array of the same shape out."""

import numpy as np

from dlscratch import functions
from dlscratch.functions import Array
from dlscratch.layers.base import Layer


class Identity(Layer):
    """y = x"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return functions.identity_function(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return np.positive(dy, out=out)


class ReLU(Layer):
    """y = max(x, 0); the derivative at 0 is taken as 0"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return functions.relu(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return np.multiply(dy, y > 0, out=out)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)), dy/dx = y (1 - y)"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return functions.sigmoid(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        dx = np.subtract(1, y, out=out)
        dx = np.multiply(dx, y, out=out)
        return np.multiply(dx, dy, out=out)


class Tanh(Layer):
    """y = tanh(x), dy/dx = 1 - y²"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.tanh(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        dx = np.square(y, out=out)
        dx = np.subtract(1, dx, out=out)
        return np.multiply(dx, dy, out=out)


class Softmax(Layer):
    """y_k = exp(x_k) / Σ_j exp(x_j) along the last axis, dx = y (dy - Σ_k dy_k y_k)

    For training use SoftmaxWithLoss, which needs no logarithm of y.
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return functions.softmax(x, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        dx = np.subtract(dy, np.sum(dy * y, axis=-1, keepdims=True), out=out)
        return np.multiply(dx, y, out=out)
