"""Is a backward pass right? It is compared with differences of the forward pass, in float64, number by number.

A check that finds a fault raises a GradientError that names layer, parameter and index; one that finds none returns
what it measured. Kinks, where no derivative exists (ReLU at 0), are told apart from faults, left out and counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlscratch.functions import Array
from dlscratch.layers import Layer
from dlscratch.network import Network

TOLERANCE = 1e-7  # of the largest gradient in the array, or of SMALL where all are smaller than that
SMALL = 1e-2
STEP = 6e-6  # about the cube root of float64's precision, where rounding and curvature together spoil least

Index = tuple[int, ...]
Function = Callable[[Array], Any]


class GradientError(AssertionError):
    """A backward pass that does not belong to its forward pass."""


@dataclass(frozen=True)
class Checked:
    """A gradient found right: its largest relative error, how many numbers were compared, how many left out."""

    name: str
    error: float
    compared: int
    kinks: int

    def __str__(self) -> str:
        kinks = f", {self.kinks} left out at kinks" if self.kinks else ""
        return f"{self.name}: relative error {self.error:.1e} over {self.compared} numbers{kinks}"


def numerical_gradient(f: Function, x: npt.ArrayLike) -> Array:
    """df/dx_i = (f(x + h e_i) - f(x - h e_i)) / 2h for a scalar function f, as float64 whatever the dtype of x.

    f is called with x in float64. Where x holds floats it is also changed in place, one number at a time, and restored:
    so an f that looks at x itself and not at its argument (the book's `lambda W: net.loss(x, t)`) works too. h is about
    the cube root of the precision of x; for full precision take a float64 net, `net.copy(np.float64)`.
    """
    values = np.asarray(x)
    if values.dtype.kind != "f" or not values.flags.writeable:
        values = np.array(x, dtype=np.float64)
    step = STEP if values.dtype == np.float64 else float(np.finfo(values.dtype).eps) ** (1 / 3)
    gradient = np.empty(values.shape)
    for index in np.ndindex(values.shape):
        gradient[index] = _slope(lambda v: f(v.astype(np.float64, copy=False)), values, index, -step, step)
    return gradient


def check_layer(layer: Layer, *inputs: npt.ArrayLike) -> list[Checked]:
    """Check the gradients of every input of floats and every parameter of `layer`, on a float64 copy of it.

    The output is weighed with random dy. Inputs, dy and output are read-only, and everything is computed a second time
    into buffers full of NaN, which must change nothing. Integers (labels) and inputs whose gradient is None are not
    differentiated.
    """
    layer = layer.copy(np.float64)
    values = [_in_float64_unless_integers(x) for x in inputs]
    xs = [_read_only(x) for x in values]
    y = _forward_twice(layer, xs)
    rng = np.random.default_rng(0)
    dy = _read_only(rng.choice([-1.0, 1.0], y.shape) * rng.uniform(0.5, 1.5, y.shape))
    dxs = _backward_twice(layer, dy, xs, y)

    def weighed(_: Array) -> Any:
        return np.sum(dy * layer.forward(*xs))

    gradients: list[tuple[str, Array, Array | None]]
    gradients = [(f"{layer}.{name}", value, layer.grads[name]) for name, value in layer.params.items()]
    gradients += [(f"{layer} input {i}", x, dx) for i, (x, dx) in enumerate(zip(values, dxs, strict=True))]
    floats = [(name, x, dx) for name, x, dx in gradients if dx is not None and x.dtype.kind == "f" and x.size]
    if not floats:
        raise ValueError(f"check_layer expects inputs of floats, some numbers at least, to check {layer} at")
    return [_compare(name, weighed, x, dx) for name, x, dx in floats]


def check_network(net: Network, x: Array, t: Array, *, samples: int | None = 100) -> list[Checked]:
    """Check the gradient of the loss at (x, t) with respect to each parameter, on a float64 copy of the network.

    Of each parameter at most `samples` numbers, drawn at random, are compared; None compares all.
    """
    net = net.copy(np.float64)
    net.loss(x, t)
    net.backward()
    rng = np.random.default_rng(0)
    return [
        _compare(name, lambda _: net.loss(x, t), value, net.named_grads[name].copy(), _sample(value, samples, rng))
        for name, value in net.named_params.items()
    ]


def _compare(name: str, f: Function, x: Array, gradient: Array, indices: list[Index] | None = None) -> Checked:
    """Compare `gradient` with the slopes of f, which looks at x, at these indices of x (all, if None)."""
    if gradient.shape != x.shape:
        raise GradientError(f"{name}: the gradient has the shape of its array {x.shape}, got {gradient.shape}")
    indices = list(np.ndindex(x.shape)) if indices is None else indices
    slopes = np.array([_slope(f, x, index, -STEP, STEP) for index in indices])
    given = np.array([gradient[index] for index in indices])
    scale = max(np.max(np.abs(array[np.isfinite(array)]), initial=SMALL) for array in (slopes, gradient))
    errors = np.abs(given - slopes) / scale
    suspects = [i for i in np.argsort(-errors) if not errors[i] <= TOLERANCE]
    wrong = [i for i in suspects if not _at_kink(f, x, indices[i], given[i], TOLERANCE * scale)]
    if wrong:
        worst = wrong[0]
        at = f"[{', '.join(map(str, indices[worst]))}]"
        raise GradientError(
            f"{name}{at}: backward gives {given[worst]:.9g}, differences of forward give {slopes[worst]:.9g} "
            f"(relative error {errors[worst]:.1e}); {len(wrong)} of {len(indices)} numbers are wrong"
        )
    if len(suspects) == len(indices):
        raise GradientError(f"{name}: all {len(indices)} numbers lie at kinks; check at other inputs")
    return Checked(name, float(np.delete(errors, suspects).max()), len(indices) - len(suspects), len(suspects))


def _at_kink(f: Function, x: Array, index: Index, given: float, slack: float) -> bool:
    """Whether the slopes to the left and right differ with `given` between them, which is all one can ask there."""
    left, right = _slope(f, x, index, -STEP / 10, 0), _slope(f, x, index, 0, STEP / 10)
    return min(left, right) - slack <= given <= max(left, right) + slack


def _slope(f: Function, x: Array, index: Index, start: float, stop: float) -> float:
    """The slope of f between x_i + start and x_i + stop, which are in units of x_i where that is more than 1."""
    old = x[index].copy()
    unit = max(1.0, abs(float(old)))
    ends = []
    try:
        for offset in (start, stop):
            x[index] = old + offset * unit
            ends.append((float(x[index]), float(f(x))))
    finally:
        x[index] = old
    (low, lower), (high, upper) = ends
    return (upper - lower) / (high - low)


def _forward_twice(layer: Layer, xs: list[Array]) -> Array:
    y = np.asarray(_call(layer, "forward", *xs))
    again = _call(layer, "forward", *xs, out=np.full_like(y, np.nan))
    _check_same(f"{layer}.forward", y, again)
    return _read_only(y)


def _backward_twice(layer: Layer, dy: Array, xs: list[Array], y: Array) -> tuple[Array | None, ...]:
    single = len(xs) == 1
    for grad in layer.grads.values():
        grad[...] = np.nan  # so that it must be filled, not added to
    if layer.param_names:
        _call(layer, "backward_params", dy, *xs, y=y)
    dxs = _call(layer, "backward", dy, *xs, y=y)
    dxs = (dxs,) if single else dxs
    if not isinstance(dxs, tuple) or len(dxs) != len(xs) or all(dx is None for dx in dxs):
        raise GradientError(f"{layer}.backward expects to return {len(xs)} gradients, one for each input, got {dxs}")
    buffers = tuple(None if dx is None else np.full_like(dx, np.nan) for dx in dxs)
    again = _call(layer, "backward", dy, *xs, y=y, out=buffers[0] if single else buffers)
    for i, (dx, second) in enumerate(zip(dxs, (again,) if single else again, strict=True)):
        _check_same(f"{layer}.backward, input {i}", dx, second)
    return dxs


def _call(layer: Layer, method: str, *args: Array, **kwargs: Any) -> Any:
    try:
        return getattr(layer, method)(*args, **kwargs)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise GradientError(f"{layer}.{method} writes into one of its arguments, which are only to be read") from error


def _check_same(name: str, first: Array | None, second: Array | None) -> None:
    if first is not None and not np.allclose(first, np.asarray(second), rtol=1e-12, atol=0, equal_nan=True):
        raise GradientError(f"{name}: the result is another one when `out` is given; fill `out`, whatever it holds")


def _in_float64_unless_integers(x: npt.ArrayLike) -> Array:
    x = np.asarray(x)
    return x.copy() if x.dtype.kind in "biu" else x.astype(np.float64)


def _read_only(x: Array) -> Array:
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view


def _sample(x: Array, samples: int | None, rng: np.random.Generator) -> list[Index]:
    """At most `samples` of the indices of x."""
    chosen = np.arange(x.size) if samples is None or samples >= x.size else rng.choice(x.size, samples, replace=False)
    return [tuple(int(i) for i in np.unravel_index(flat, x.shape)) for flat in chosen]
