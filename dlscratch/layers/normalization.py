"""Normalization: to mean 0 and variance 1 over the batch or over each row, then to a learned scale and shift."""

from math import prod
from typing import Any

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers.base import Layer, check_sizes


class _Normalization(Layer):
    """What both have: gamma, which starts at 1, and beta, which starts at 0."""

    remembers = ("centered", "inv_std")
    centered: Array  # x - mean
    inv_std: Array
    gamma: Array
    beta: Array
    dgamma: Array
    dbeta: Array

    def __init__(self, size: int, eps: float = 1e-5, dtype: type[np.floating] = np.float32) -> None:
        check_sizes(self, size)
        super().__init__(gamma=np.ones(size, dtype), beta=np.zeros(size, dtype))
        self.eps = eps

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.gamma)})"


class BatchNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with mean and variance of each feature over the batch

    x (N, D), D features; or (N, C, H, W), C of them, each over N, H and W. At test time running averages take the place
    of the mean and the (unbiased) variance: running = momentum running + (1 - momentum) batch. What PyTorch calls
    momentum is 1 less this one. Ioffe and Szegedy 2015.
    """

    buffer_names = ("running_mean", "running_var")
    mixes_batch = shares_batch = True

    def __init__(
        self, size: int, momentum: float = 0.9, eps: float = 1e-5, dtype: type[np.floating] = np.float32
    ) -> None:
        super().__init__(size, eps, dtype)
        if not 0 <= momentum < 1:
            raise ValueError(f"BatchNormalization expects a momentum from 0 up and below 1, got {momentum}")
        self.momentum = momentum
        self.running_mean, self.running_var = np.zeros(size, dtype), np.ones(size, dtype)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self._check_shape(x)
        n = self._count(x)
        if n < 2:
            raise ValueError(f"{self} takes the variance of a batch of two or more, got x of shape {x.shape}")
        mean = self.batch.sum(_sums(x, kept=[1])) / n
        self.centered = x - _column(mean, x)
        var = self.batch.sum(_sums(self.centered, self.centered, kept=[1])) / n
        self._average(self.running_mean, mean)
        self._average(self.running_var, var * (n / (n - 1)))
        self.inv_std = np.reciprocal(np.sqrt(var + self.eps))
        y = np.multiply(self.centered, _column(self.gamma * self.inv_std, x), out=out)
        y += _column(self.beta, x)
        return y

    def backward_params(self, dy: Array, x: Array, y: Array) -> None:
        np.multiply(_sums(dy, self.centered, kept=[1]), self.inv_std, out=self.dgamma)
        self.dbeta[...] = _sums(dy, kept=[1])

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        n = self._count(x)
        slope = self.batch.sum(_sums(dy, self.centered, kept=[1])) * np.square(self.inv_std) / n
        dx = np.multiply(self.centered, _column(-slope, x), out=out)
        dx += dy
        dx -= _column(self.batch.sum(_sums(dy, kept=[1])) / n, x)
        dx *= _column(self.gamma * self.inv_std, x)
        return dx

    def predict(self, x: Array) -> Array:
        self._check_shape(x)
        y = x - _column(self.running_mean, x)
        y *= _column(self.gamma / np.sqrt(self.running_var + self.eps), x)
        y += _column(self.beta, x)
        return y

    def _check_shape(self, x: Array) -> None:
        size = len(self.gamma)
        if x.ndim not in (2, 4) or x.shape[1] != size:
            raise ValueError(f"{self} expects x of shape (N, {size}) or (N, {size}, H, W), got {x.shape}")

    def _count(self, x: Array) -> int:
        """How many numbers of the batch each feature has."""
        return prod(self.batch.shape(x)) // len(self.gamma)

    def _average(self, running: Array, batch: Array) -> None:
        running *= self.momentum
        running += (1 - self.momentum) * batch


class LayerNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with mean and variance of each row over its features

    x (..., D), the features along the last axis. The same at test time. Ba et al. 2016.
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        if x.shape[-1:] != self.gamma.shape:
            raise ValueError(f"{self} expects x of shape (N, {len(self.gamma)}), got {x.shape}")
        self.centered = x - _row_means(x)
        self.inv_std = np.reciprocal(np.sqrt(_row_means(self.centered, self.centered) + self.eps))
        y = np.multiply(self.centered, self.inv_std, out=out)
        y *= self.gamma
        y += self.beta
        return y

    def backward_params(self, dy: Array, x: Array, y: Array) -> None:
        self.dgamma[...] = _sums(dy, self.centered * self.inv_std, kept=[x.ndim - 1])
        self.dbeta[...] = _sums(dy, kept=[x.ndim - 1])

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        dx = np.multiply(dy, self.gamma, out=out)
        slope = _row_means(dx, self.centered) * np.square(self.inv_std)
        dx -= _row_means(dx)
        dx -= self.centered * slope
        dx *= self.inv_std
        return dx


def _sums(*factors: Any, kept: list[int]) -> Array:
    """The product of these arrays, summed over all axes but the kept ones.

    einsum makes no array of the product, and even of a single factor it is four times as fast as np.sum. It adds one
    number after the other, so that of images it is given row by row: a hundred times fewer roundings pile up.
    """
    axes = list(range(factors[0].ndim))
    rows = [2] if len(axes) == 4 and kept == [1] else []
    sums = np.einsum(*(operand for factor in factors for operand in (factor, axes)), kept + rows)
    return sums.sum(axis=-1) if rows else sums


def _row_means(*factors: Array) -> Array:
    """The product of these arrays, averaged over the last axis, which stays as one of length 1."""
    last = factors[0].ndim - 1
    return _sums(*factors, kept=list(range(last)))[..., None] / factors[0].shape[-1]


def _column(values: Array, x: Array) -> Array:
    """One value for each feature or channel, in a shape that NumPy stretches along the other axes of x."""
    return values.reshape(-1, *[1] * (x.ndim - 2))
