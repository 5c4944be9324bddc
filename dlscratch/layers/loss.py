"""The last layers of training: output function and loss in one, because together their gradient is y - t.

All are means over the batch of a sum over the K outputs: PyTorch's reduction="sum", divided by N.
"""

import copy

import numpy as np

from dlscratch.functions import Array, batch_size, class_weights, log_softmax, mean_squared_error, sigmoid
from dlscratch.layers.base import Layer, Pair


class SoftmaxWithLoss(Layer):
    """L = -(1/N) Σ_n Σ_k t_nk log softmax(scores)_nk, whose gradient is (y Σ_k t_nk - t) / N with y = softmax(scores)

    scores (N, K); t (N, K) one-hot or soft, or integer labels (N,); L is a scalar. No gradient flows to t.
    Computed from log-sum-exp: finite also for an answer that is wrong and certain, without an eps.

    smoothing: while training, t is (1 - smoothing) t + smoothing / K, so no answer is to be certain (Szegedy et al.
    2016); the loss at test time is that of t itself, so that nets trained with and without it can be compared.
    """

    remembers = ("t", "log_p")  # t as weights and log p, which would take 5 % of a training step to compute again
    t: Array
    log_p: Array

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"SoftmaxWithLoss expects a smoothing from 0 up to, but not including, 1, got {smoothing}")
        self.smoothing = smoothing

    def forward(self, scores: Array, t: Array, out: Array | None = None) -> Array:
        self.t, self.log_p = class_weights(t, scores), log_softmax(scores)
        if self.smoothing:
            self.t = (1 - self.smoothing) * self.t + self.smoothing / scores.shape[-1]
        return np.divide(np.vdot(self.t.T, self.log_p.T), -batch_size(scores), out=out)

    def backward(self, dy: Array, scores: Array, t: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        dx = np.exp(self.log_p, out=out[0])
        if np.shape(t) == scores.shape:  # a distribution need not sum to 1, as labels do
            dx *= np.sum(self.t, axis=-1, keepdims=True)
        dx -= self.t
        dx *= dy / batch_size(scores)
        return dx, None

    def predict(self, scores: Array, t: Array) -> Array:
        twin = copy.copy(self)
        twin.smoothing = 0.0
        return twin.forward(scores, t)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'smoothing={self.smoothing}' if self.smoothing else ''})"


class SigmoidWithLoss(Layer):
    """L = -(1/N) Σ_n Σ_k t_nk log y_nk + (1 - t_nk) log(1 - y_nk) with y = σ(scores), whose gradient is (y - t) / N

    scores and t (N, K): K questions, each answered by yes (1) or no (0), or anything between; or integer labels t (N,),
    one yes for each row. L is a scalar. No gradient flows to t. Computed as max(x, 0) - t x + log(1 + exp(-|x|)), which
    is right in both tails.
    """

    def forward(self, scores: Array, t: Array, out: Array | None = None) -> Array:
        t = class_weights(t, scores)
        errors = np.maximum(scores, 0) - t * scores + np.log1p(np.exp(-np.abs(scores)))
        return np.divide(np.sum(errors), batch_size(scores), out=out)

    def backward(self, dy: Array, scores: Array, t: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        dx = sigmoid(scores, out=out[0])
        dx -= class_weights(t, scores)
        dx *= dy / batch_size(scores)
        return dx, None


class HuberLoss(Layer):
    """L = (1/N) Σ_n Σ_k h(x_nk - t_nk), h(d) = ½ d² where |d| <= delta and else delta (|d| - ½ delta)

    x and t (N, K), or integer labels t (N,) for one-hot rows; L is a scalar. No gradient flows to t. The gradient is
    clip(x - t, -delta, delta) / N: as that of IdentityWithLoss for small errors, but no larger than delta / N, so a few
    wild targets do not decide (Huber 1964).
    """

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        if not delta > 0:
            raise ValueError(f"HuberLoss expects a delta above 0, got {delta}")
        self.delta = delta

    def forward(self, x: Array, t: Array, out: Array | None = None) -> Array:
        d = x - class_weights(t, x)
        clipped = np.clip(d, -self.delta, self.delta)
        return np.divide(np.sum(clipped * (d - 0.5 * clipped)), batch_size(x), out=out)

    def backward(self, dy: Array, x: Array, t: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        dx = np.subtract(x, class_weights(t, x), out=out[0])
        np.clip(dx, -self.delta, self.delta, out=dx)
        dx *= dy / batch_size(x)
        return dx, None

    def __repr__(self) -> str:
        return f"HuberLoss({self.delta})"


class IdentityWithLoss(Layer):
    """L = ½ (1/N) Σ_n Σ_k (x_nk - t_nk)², the mean squared error of regression, whose gradient is (x - t) / N

    x and t (N, K), or integer labels t (N,) for one-hot rows; L is a scalar. No gradient flows to t.
    """

    def forward(self, x: Array, t: Array, out: Array | None = None) -> Array:
        return np.positive(mean_squared_error(x, class_weights(t, x)), out=out)

    def backward(self, dy: Array, x: Array, t: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        dx = np.subtract(x, class_weights(t, x), out=out[0])
        dx *= dy / batch_size(x)
        return dx, None
