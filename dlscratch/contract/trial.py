"""A layer under examination: called as the graph would call it, and what it returns is looked at before it is used.

Whatever goes wrong in a call becomes a Fault, a sentence with the place in the layer's own file.
"""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dlscratch.contract.fault import Fault, place
from dlscratch.contract.sameness import changed, copied
from dlscratch.functions import Array
from dlscratch.gradient_check import Comparison, compare, rewinder
from dlscratch.layers import Layer

Arrays = tuple[Array, ...]
Gradients = dict[str, Array]  # of parameters by their names, of inputs by "input" and their names
Out = Array | tuple[Array | None, ...] | None


class Trial:
    """A copy of `layer` in one dtype, with inputs in that dtype (integers stay what they are).

    Every call gets arrays of its own, and draws the same random numbers. `others` are inputs of the same shapes with
    different numbers. ValueError if forward takes fewer inputs, or more.
    """

    def __init__(self, layer: Layer, inputs: Sequence[npt.ArrayLike], dtype: npt.DTypeLike = np.float64) -> None:
        self.original = layer
        self.layer = layer.copy(dtype)
        vars(self.layer).update(copied(vars(self.layer)))
        arrays = [np.asarray(x) for x in inputs]
        self.xs: Arrays = tuple(np.array(x, x.dtype if x.dtype.kind in "biu" else dtype) for x in arrays)
        self.others: Arrays = tuple(map(other, self.xs))
        self.names = _input_names(layer, len(arrays))
        self.rewind = rewinder([self.layer])
        self.given: Arrays = ()  # the arrays of the last call

    @cached_property
    def y(self) -> Array:
        """The output for xs."""
        return self.forward(self.xs).copy()

    @cached_property
    def dy(self) -> Array:
        """A gradient of the output, drawn at random and nowhere near 0."""
        return _weights(self.y, seed=0)

    @cached_property
    def dy2(self) -> Array:
        """Another one."""
        return _weights(self.y, seed=1)

    @cached_property
    def left(self) -> tuple[str, ...]:
        """The names of what forward leaves on self and no one declares: neither remembered nor a buffer."""
        fresh = Trial(self.original, self.xs)
        before = copied(vars(fresh.layer))
        fresh.forward(self.others)
        fresh.forward(self.xs)
        declared = (*fresh.layer.remembers, *fresh.layer.buffer_names, "rng")
        return tuple(name for name in changed(before, vars(fresh.layer)) if name not in declared)

    @cached_property
    def found(self) -> Gradients:
        """The gradients that belong to dy at xs."""
        return self.run(self.xs, self.dy)

    def value(self, name: str) -> Array:
        """The array, a parameter or an input, that the gradient of this name belongs to."""
        inputs = {f"input {key}": x for key, x in zip(self.names, self.xs, strict=True)}
        return (self.layer.params | inputs)[name]

    def compare(self, name: str, gradient: Array) -> Comparison:
        """This gradient for dy beside the one that differences of forward give."""
        return compare(name, lambda _: self.dy * self.forward(self.xs), self.value(name), gradient)

    def run(self, xs: Arrays, dy: Array) -> Gradients:
        """The gradients for dy, after a forward pass of xs."""
        return self.gradients(dy, xs, self.forward(xs))

    def forward(self, xs: Arrays, out: Array | None = None) -> Array:
        """The output, an array of floats."""
        self.rewind()
        self.given = tuple(map(np.array, xs))
        return self._output("forward", self.call("forward", *self.given, out=out))

    def predict(self, xs: Arrays) -> Array:
        """The output at test time."""
        return self._output("predict", self.call("predict", *map(np.array, xs)))

    def gradients(self, dy: Array, xs: Arrays, y: Array) -> Gradients:
        """Copies of the gradients of all parameters, and of the inputs of floats that have one."""
        dparams = self.dparams(dy, xs, y)
        dxs = zip(self.names, self.backward(dy, xs, y), strict=True)
        return dparams | {f"input {name}": dx.copy() for name, dx in dxs if dx is not None}

    def dparams(self, dy: Array, xs: Arrays, y: Array) -> Gradients:
        """The gradients of the parameters, each written over NaN."""
        layer = self.layer
        for name, value in layer.params.items():
            setattr(layer, "d" + name, np.full_like(value, np.nan))
        if layer.param_names:
            self.call("backward_params", *map(np.array, (dy, *xs)), y=np.array(y))
        for name, grad in layer.grads.items():
            _check_shape("backward_params", name, f"d{name}", grad, layer.params[name])
        return {name: np.array(grad) for name, grad in layer.grads.items()}

    def backward(self, dy: Array, xs: Arrays, y: Array, out: Out = None) -> tuple[Array | None, ...]:
        """What backward returns, as a tuple, with None for integers, whose gradient a graph does not ask for."""
        floats = [x.dtype.kind == "f" for x in xs]
        if not any(floats):
            return (None,) * len(xs)
        self.given = tuple(map(np.array, (dy, *xs, y)))
        dxs = self._dxs(self.call("backward", *self.given[:-1], y=self.given[-1], out=self.out_of(out)))
        if all(dx is None for dx in dxs):
            names = ", ".join(self.names)
            raise Fault(f"backward returned None, no gradient of {names}", "does it end in `return dx`?")
        asked = [dx if differentiable else None for dx, differentiable in zip(dxs, floats, strict=True)]
        for name, x, dx in zip(self.names, xs, asked, strict=True):
            if dx is not None:
                _check_shape("backward", name, f"the gradient of {name}", dx, x)
        return tuple(dx if dx is None else _array("backward", dx) for dx in asked)

    def _dxs(self, returned: Any) -> Sequence[Any]:
        """A gradient for each input: a graph takes an array where there is one, and a tuple where there are several."""
        count, several = len(self.xs), isinstance(returned, tuple | list)
        if returned is None:
            return (None,) * count
        if count == 1:
            return (_array("backward", returned),)
        if not several or len(returned) != count:
            got = len(returned) if several else f"one {type(returned).__name__}"
            raise Fault(
                f"backward expects to return {count} gradients, of {', '.join(self.names)}; got {got}",
                "return one for each input of forward, in its order, and None for those that have none (labels)",
            )
        return returned

    def out_of(self, out: Out) -> Out:
        """`out` as backward takes it: for a layer of several inputs a tuple."""
        return (None,) * len(self.xs) if out is None and len(self.xs) > 1 else out

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the layer; an error in it is a Fault."""
        if not hasattr(self.layer, method):
            params = ", ".join(self.layer.param_names)
            why = f"{method} is missing" + (f", though there are parameters: {params}" if "param" in method else "")
            raise Fault(why, f"write `def {method}(...)`; the docstring of Layer says what it takes and returns")
        try:
            return getattr(self.layer, method)(*args, **kwargs)
        except Exception as error:
            kind = type(error).__name__
            raise Fault(f"{method} raises {kind}: {' '.join(str(error).split())}", place(error)) from error

    def _output(self, method: str, y: Any) -> Array:
        if y is None:
            raise Fault(f"{method} returned None", "does it end in `return y`?")
        y = _array(method, y)
        if y.dtype.kind != "f":
            raise Fault(
                f"{method} expects to return an array of floats, got one of {y.dtype}",
                "an array of floats comes from arithmetic on x; comparisons and floor division leave them",
            )
        return y


def _array(method: str, value: Any) -> Array:
    if isinstance(value, tuple | list):
        kind, what = type(value).__name__, "dx" if method == "backward" else "y"
        raise Fault(
            f"{method} returns a {kind} of {len(value)} where an array is expected",
            f"return the array itself, as `return {what}`, and not ({what},) or [{what}]",
        )
    return np.asarray(value)


def _weights(y: Array, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.choice([-1.0, 1.0], y.shape) * rng.uniform(0.5, 1.5, y.shape), y.dtype)


def other(x: Array) -> Array:
    """An array of the same shape, of numbers like these in other places."""
    turned = np.roll(x, 1)
    return turned if x.dtype.kind in "biu" else np.asarray(turned * x.dtype.type(0.9))


def _input_names(layer: Layer, count: int) -> list[str]:
    """What forward calls its `count` inputs; ValueError if it takes fewer, or more."""
    try:
        parameters = list(inspect.signature(layer.forward).parameters.values())
    except (AttributeError, TypeError, ValueError):  # there is no forward, or it is not Python's
        return [f"x{i}" for i in range(count)]
    taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name != "out"]
    names, needed = [p.name for p in taken], sum(p.default is p.empty for p in taken)
    several = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "")
    if count < needed or (count > len(names) and not several):
        raise ValueError(
            f"{layer} takes an input for each of {', '.join(names) or 'none'}, and got {count}; with "
            "scripts/check_layer.py, say --shape once for each input"
        )
    return names[:count] + [f"{several}{i}" for i in range(len(names), count)]


def _check_shape(method: str, name: str, what: str, grad: Any, value: Array) -> None:
    if np.shape(grad) != value.shape:
        raise Fault(
            f"{method}: {what} has the shape {np.shape(grad)}, but {name} has the shape {value.shape}",
            f"a gradient has one number for each number of {name}: sum over the axes along which forward repeated it"
            if np.ndim(grad) >= value.ndim
            else f"a gradient has one number for each number of {name}: {what} was summed or averaged over too much",
        )
