"""Activations: one array in, one array of the same shape out."""

import math

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


class LeakyReLU(Layer):
    """y = x where x > 0, else slope x; the derivative at 0 is taken as slope (Maas et al. 2013)"""

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.add(np.maximum(x, 0), self.slope * np.minimum(x, 0), out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        positive = np.greater(x, 0).astype(np.result_type(y))
        return np.multiply(dy, positive + self.slope * (1 - positive), out=out)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.slope})"


class ELU(Layer):
    """y = x where x > 0, else alpha (exp(x) - 1), whose derivative is alpha exp(x) (Clevert et al. 2016)"""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.add(np.maximum(x, 0), self.alpha * np.expm1(np.minimum(x, 0)), out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        positive = np.greater(x, 0).astype(np.result_type(y))
        return np.multiply(dy, positive + self.alpha * np.exp(np.minimum(x, 0)) * (1 - positive), out=out)

    def __repr__(self) -> str:
        return f"ELU({self.alpha})"


class GELU(Layer):
    """y = x σ(v) with v = √(8/π) (x + 0.044715 x³), dy/dx = σ(v) + y (1 - σ(v)) dv/dx

    This is ½ x (1 + tanh(v/2)), the tanh form of Hendrycks and Gimpel 2016; it differs from x Φ(x) by less than 0.0005.
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.multiply(x, self._gate(x), out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        gate, dv = self._gate(x), math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return np.multiply(dy, gate + y * (1 - gate) * dv, out=out)

    def _gate(self, x: Array) -> Array:
        return functions.sigmoid(math.sqrt(8 / math.pi) * x * (1 + 0.044715 * x * x))


class SiLU(Layer):
    """y = x σ(x), dy/dx = σ(x) + y (1 - σ(x)); also called Swish (Elfwing et al. 2018)"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.multiply(x, functions.sigmoid(x), out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        gate = functions.sigmoid(x)
        return np.multiply(dy, gate + y * (1 - gate), out=out)


class Softplus(Layer):
    """y = log(1 + exp(x)), dy/dx = σ(x) = 1 - exp(-y)"""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return np.logaddexp(x, 0, out=out)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        return np.multiply(dy, -np.expm1(-y), out=out)
