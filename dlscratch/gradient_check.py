"""Is a gradient right? It is compared with differences of its function, in float64, number by number.

Kinks, where no derivative exists (ReLU at 0), are told apart from faults, left out and counted. A whole network is
checked here; a layer is held to its whole contract in contract/.
"""

from collections.abc import Callable, Iterable
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
ROUNDING = float(np.finfo(float).eps) / STEP  # of a slope, for each unit of its function

Index = tuple[int, ...]
Function = Callable[[Array], Any]  # to a number, or to an array that stands for its sum


class GradientError(AssertionError):
    """A backward pass that does not belong to its forward pass."""


@dataclass(frozen=True, repr=False)  # in a line, also at a prompt
class Comparison:
    """A gradient beside the slopes of its function: arrays with one number for each of `indices`.

    errors are relative to the largest number of the whole gradient. Where one is too large, the number lies either
    `at_kink` or is `wrong`.
    """

    name: str
    indices: list[Index]
    given: Array
    slopes: Array
    errors: Array
    wrong: Array
    at_kink: Array

    @property
    def error(self) -> float:
        """The largest relative error, kinks left out."""
        return float(self.errors[~self.at_kink].max(initial=0.0))

    @property
    def kinks(self) -> int:
        """How many numbers were left out."""
        return int(self.at_kink.sum())

    @property
    def compared(self) -> int:
        """How many were not."""
        return len(self.indices) - self.kinks

    @property
    def fault(self) -> str:
        """What is wrong, and where it is worst, to be read after a name; empty if nothing is."""
        total = len(self.indices)
        if not total:
            return ": there are no numbers to compare"
        if not self.wrong.any():
            return "" if self.compared else f": all {total} numbers lie at kinks; check at other inputs"
        worst = int(np.argmax(np.where(self.wrong, np.nan_to_num(self.errors, nan=np.inf), -1)))
        return (
            f"[{', '.join(map(str, self.indices[worst]))}]: backward gives {self.given[worst]:.9g}, differences of "
            f"forward give {self.slopes[worst]:.9g} (relative error {self.errors[worst]:.1e}); "
            f"{self.wrong.sum()} of {total} numbers are wrong"
        )

    @property
    def figures(self) -> str:
        """What was measured."""
        kinks = f", {self.kinks} left out at kinks" if self.kinks else ""
        return f"relative error {self.error:.1e} over {self.compared} numbers{kinks}"

    def __repr__(self) -> str:
        return f"{self.name}: {self.figures}"


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


def compare(name: str, f: Function, x: Array, gradient: Array, indices: list[Index] | None = None) -> Comparison:
    """Compare `gradient` with the slopes of f, which looks at x, at these indices of x (all, if None).

    ValueError unless x is of float64, the only kind in which differences tell enough.
    """
    if x.dtype != np.float64:
        raise ValueError(f"{name} is an array of {x.dtype}; slopes are compared in float64")
    indices = list(np.ndindex(x.shape)) if indices is None else indices
    slopes = np.array([_slope(f, x, index, -STEP, STEP) for index in indices])
    given = np.array([gradient[index] for index in indices])
    scale = max(np.max(np.abs(array[np.isfinite(array)]), initial=SMALL) for array in (slopes, gradient))
    rounding = ROUNDING * float(np.sum(np.abs(f(x))))
    errors = np.abs(given - slopes) / scale
    wrong, at_kink = ~(errors <= TOLERANCE + rounding / scale), np.zeros(len(indices), bool)
    for i in np.flatnonzero(wrong):
        at_kink[i] = _at_kink(f, x, indices[i], given[i], TOLERANCE * scale + 20 * rounding)
    return Comparison(name, indices, given, slopes, errors, wrong & ~at_kink, at_kink)


def check_network(net: Network, x: Array, t: Array, *, samples: int | None = 100) -> list[Comparison]:
    """Check the gradient of the loss at (x, t) with respect to each parameter, on a float64 copy of the network.

    Of each parameter at most `samples` numbers, drawn at random, are compared; None compares all. A GradientError names
    the first parameter whose gradient is wrong, and where. Layers that draw random numbers draw the same each time.
    ValueError unless samples is at least 1.
    """
    if samples is not None and samples < 1:
        raise ValueError(f"check_network expects samples from 1 up, or None for all numbers, got {samples}")
    net = net.copy(np.float64)
    rewind = rewinder(net.layers)

    def loss(_: Any) -> float:
        rewind()
        return net.loss(x, t)

    loss(x)
    net.backward()
    rng = np.random.default_rng(0)
    comparisons = []
    for name, value in net.named_params.items():
        gradient, indices = net.named_grads[name].copy(), _sample(value, samples, rng)
        comparisons.append(compare(name, loss, value, gradient, indices))
        if fault := comparisons[-1].fault:
            raise GradientError(name + fault)
    return comparisons


def rewinder(layers: Iterable[Layer]) -> Callable[[], None]:
    """A function that sets the random streams of these layers back to where they are now."""
    streams = [
        layer.rng.bit_generator for layer in layers if isinstance(getattr(layer, "rng", None), np.random.Generator)
    ]
    states = [stream.state for stream in streams]

    def rewind() -> None:
        for stream, state in zip(streams, states, strict=True):
            stream.state = state

    return rewind


def _at_kink(f: Function, x: Array, index: Index, given: float, slack: float) -> bool:
    """Whether the slopes to the left and right differ with `given` between them, which is all one can ask there.

    Their steps are a twentieth of what is taken elsewhere, so rounding counts for twenty times as much.
    """
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
            ends.append((float(x[index]), float(np.sum(f(x)))))
    finally:
        x[index] = old
    (low, lower), (high, upper) = ends
    return (upper - lower) / (high - low)


def _sample(x: Array, samples: int | None, rng: np.random.Generator) -> list[Index]:
    """At most `samples` of the indices of x."""
    chosen = np.arange(x.size) if samples is None or samples >= x.size else rng.choice(x.size, samples, replace=False)
    return [tuple(int(i) for i in np.unravel_index(flat, x.shape)) for flat in chosen]
