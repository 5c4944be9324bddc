"""The fully connected layer, the one layer of the two-layer net that has parameters."""

import numpy as np

from dlscratch.functions import Array
from dlscratch.initializers import Initializer, he
from dlscratch.layers.base import Layer, check_sizes


class Affine(Layer):
    """y = x W + b

    x (N, D), W (D, M), b (M,) -> y (N, M). W is drawn from `rng` with the standard deviation that `init` gives for
    (D, M); b starts at 0.
    """

    W: Array
    b: Array
    dW: Array
    db: Array

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        rng: np.random.Generator,
        init: Initializer = he,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        check_sizes(self, in_size, out_size)
        W = rng.standard_normal((in_size, out_size), dtype)
        W *= init(in_size, out_size)
        super().__init__(W=W, b=np.zeros_like(W, shape=(out_size,)))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        if x.shape[1:] != (len(self.W),):
            hint = "; flatten the images first" if x.ndim > 2 else ""
            raise ValueError(f"{self} expects x of shape (N, {len(self.W)}), got {x.shape}{hint}")
        y = np.matmul(x, self.W, out=out)
        y += self.b
        return y

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        dx = np.empty_like(x, dtype=dy.dtype) if out is None else out  # in the order of x in memory
        return np.matmul(dy, self.W.T, out=dx)

    def backward_params(self, dy: Array, x: Array, y: Array) -> None:
        np.matmul(x.T, dy, out=self.dW)
        dy.sum(axis=0, out=self.db)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.W)} -> {len(self.b)})"
