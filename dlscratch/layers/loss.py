"""The last layers of training: output function and loss in one, because together their gradient is y - t."""

import numpy as np

from dlscratch.functions import Array, batch_size, class_weights, log_softmax, mean_squared_error
from dlscratch.layers.base import Layer, Pair


class SoftmaxWithLoss(Layer):
    """L = -(1/N) Σ_n Σ_k t_nk log softmax(scores)_nk, whose gradient is (y Σ_k t_nk - t) / N with y = softmax(scores)

    scores (N, K); t (N, K) one-hot or soft, or integer labels (N,); L is a scalar. No gradient flows to t.
    Computed from log-sum-exp: finite also for an answer that is wrong and certain, without an eps.
    """

    remembers = True  # t as weights and log p, which would take 5 % of a training step to compute again
    t: Array
    log_p: Array

    def forward(self, scores: Array, t: Array, out: Array | None = None) -> Array:
        self.t, self.log_p = class_weights(t, scores), log_softmax(scores)
        return np.divide(np.vdot(self.t.T, self.log_p.T), -batch_size(scores), out=out)

    def backward(self, dy: Array, scores: Array, t: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        dx = np.exp(self.log_p, out=out[0])
        if np.shape(t) == scores.shape:  # a distribution need not sum to 1, as labels do
            dx *= np.sum(self.t, axis=-1, keepdims=True)
        dx -= self.t
        dx *= dy / batch_size(scores)
        return dx, None


class IdentityWithLoss(Layer):
    """L = ½ (1/N) Σ_n Σ_k (x_nk - t_nk)², the mean squared error of regression, whose gradient is (x - t) / N

    x and t (N, K); L is a scalar. No gradient flows to t.
    """

    def forward(self, x: Array, t: Array, out: Array | None = None) -> Array:
        return np.positive(mean_squared_error(x, t.astype(x.dtype, copy=False)), out=out)

    def backward(self, dy: Array, x: Array, t: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        dx = np.subtract(x, t, out=out[0], dtype=x.dtype)
        dx *= dy / batch_size(x)
        return dx, None
