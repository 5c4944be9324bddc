"""The plain functions of the field: activations, losses, accuracy.

Each is its formula on arrays, with classes along the last axis and a 1-D input being a batch of one. `out` means what
it means in NumPy, so the layers compute with these very functions in the memory of the graph.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BYTE = 1 / 255  # what an image as bytes, 0 to 255, is multiplied by to enter a net as 0 to 1


def identity_function(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """y = x, the output layer of regression."""
    return np.positive(_floats(x), out=out)


def step_function(x: npt.ArrayLike) -> Array:
    """y = 1 where x > 0, and 0 where x <= 0."""
    x = _floats(x)
    return np.heaviside(x, x.dtype.type(0))


def sigmoid(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """y = 1 / (1 + exp(-x)), right in both tails: exp may overflow to infinity, whose reciprocal is the 0 we want."""
    y = np.negative(_floats(x), out=out)
    with np.errstate(over="ignore"):
        y = np.exp(y, out=out)
    y = np.add(y, 1, out=out)
    return np.reciprocal(y, out=out)


def relu(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """y = max(x, 0), in [0, inf)."""
    return np.maximum(_floats(x), 0, out=out)


def softmax(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """y_k = exp(x_k) / Σ_j exp(x_j) along the last axis; the largest x of each row is subtracted first."""
    z = _shifted(x)
    np.exp(z, out=z)
    z /= z.sum(axis=0)
    return z.T if out is None else np.positive(z.T, out=out)


def log_softmax(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """y_k = x_k - log Σ_j exp(x_j) along the last axis: finite where log(softmax(x)) is not."""
    z = _shifted(x)
    z -= np.log(np.exp(z).sum(axis=0))
    return z.T if out is None else np.positive(z.T, out=out)


def mean_squared_error(y: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """½ Σ_k (y_k - t_k)², averaged over the batch; y and t (K,) or (N, K).

    The book's definition. The plain mean over all N·K numbers, which other libraries call MSE, is 2/K times this.
    """
    return np.divide(sum_squared_error(y, t), batch_size(y))


def sum_squared_error(y: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """½ Σ (y - t)² over the whole batch; y and t (K,) or (N, K)."""
    return np.multiply(np.sum(np.square(_difference(y, t))), 0.5)


def mean_absolute_error(y: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """Σ_k |y_k - t_k|, averaged over the batch; y and t (K,) or (N, K)."""
    return np.divide(np.sum(np.abs(_difference(y, t))), batch_size(y))


def cross_entropy_error(y: npt.ArrayLike, t: npt.ArrayLike, eps: float = 0.0) -> Array:
    """-Σ_k t_k log(y_k + eps), averaged over the batch.

    y: probabilities (K,) or (N, K), such as softmax gives; t: labels or a distribution, see `class_weights`.
    Exact without eps: infinite where a wanted class has probability 0. eps=1e-7 gives the digits that the book prints
    (and its faults: a perfect answer costs -1e-7, and no answer costs more than 16.1).
    """
    y = _floats(y)
    if np.any(y < 0):
        raise ValueError(
            f"cross_entropy_error expects probabilities, got {np.min(y):.6g}; "
            "apply softmax first, or give scores to SoftmaxWithLoss"
        )
    weights = class_weights(t, y)
    with np.errstate(divide="ignore"):
        log_y = np.log(np.where(weights != 0, y + eps, 1))  # 0 log 0 is 0
    return np.mean(np.sum(-weights * log_y, axis=-1))


def accuracy(y: npt.ArrayLike, t: npt.ArrayLike) -> float:
    """The share of rows of y (N, K) whose largest entry is the class that t names (see `class_weights`)."""
    y = _floats(y)
    hits = np.equal(np.argmax(y, axis=-1), np.argmax(class_weights(t, y), axis=-1))
    return float(np.mean(hits))


def batch_size(y: npt.ArrayLike) -> int:
    """N for an array (N, K), and 1 for an array (K,), which is a batch of one; N·T for (N, T, K)."""
    rows = _array(y)
    return int(rows.size // rows.shape[-1]) if rows.ndim > 1 else 1


def class_weights(t: npt.ArrayLike, y: Array) -> Array:
    """The target t as one weight for each class, an array of the shape of y.

    Shape and dtype decide: the shape of y means a distribution (one-hot or soft), used as it is; integers of one
    dimension less mean labels, which become one-hot rows. Anything else is a ValueError, and nothing is broadcast.
    """
    given = _array(t)
    if given.shape == y.shape:
        return given.astype(y.dtype, copy=False)
    if given.shape == y.shape[:-1] and given.dtype.kind in "iu":
        return _one_hot(given, y)
    raise ValueError(
        f"targets for an output of shape {y.shape} are a distribution of the same shape or integer labels of shape "
        f"{y.shape[:-1]}, got {given.dtype} of shape {given.shape}"
    )


def _one_hot(labels: Array, y: Array) -> Array:
    classes = y.shape[-1]
    one_hot = np.equal(np.arange(classes, like=labels).reshape(-1, *[1] * labels.ndim), labels.T).T
    if np.count_nonzero(one_hot) != labels.size:
        wrong = labels[(labels < 0) | (labels >= classes)]
        raise ValueError(f"labels for {classes} classes are 0 to {classes - 1}, got {wrong.ravel()[0]}")
    weights: Array = one_hot.astype(y.dtype)
    return weights


def _shifted(x: npt.ArrayLike) -> Array:
    """x less its largest entry along the last axis, with the axes in reverse order.

    So the classes come first, and NumPy reduces a few long rows twice as fast as many short ones: 2 % of a step.
    """
    z: Array = _floats(x).T.copy()
    z -= z.max(axis=0)
    return z


def _difference(y: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    y, t = _floats(y), _floats(t)
    if y.shape != t.shape:
        raise ValueError(f"output and target have the same shape, got {y.shape} and {t.shape}; nothing is broadcast")
    return np.subtract(y, t)


def _floats(x: npt.ArrayLike) -> Array:
    """Floats of any array type pass as they are; integers and lists become NumPy's float64."""
    floats: bool = hasattr(x, "dtype") and x.dtype.kind == "f"
    return x if floats else np.asarray(x, dtype=np.float64)  # type: ignore[return-value]


def _array(x: npt.ArrayLike) -> Any:
    return x if hasattr(x, "dtype") else np.asarray(x)
