"""What a layer is: a formula (`forward`) and its derivative (`backward`), and parameters if it has any.

A layer is given its inputs and its output again when it goes backward, so it hardly ever keeps an array, and all of its
methods can be called by hand, on arrays of any type. Where results live is the graph's business, told through `out`.
"""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from dlscratch.functions import Array

if TYPE_CHECKING:  # the arrow points the other way: the graph knows the layers
    from dlscratch.variable import Variable

Pair = tuple[Array | None, Array | None]  # `out` of a layer with two inputs


class Batch:
    """Which rows of the batch a layer is given: all of them. In `dlscratch.parallel` each process has a part."""

    rows = slice(None)  # of the whole batch, those that are here

    def shape(self, x: Array) -> tuple[int, ...]:
        """The shape that x would have with the rows of the whole batch."""
        return x.shape

    def sum(self, array: Array) -> Array:
        """This array, which was summed over the rows that are here, summed over all."""
        return array


class Layer:
    """The base of all layers. To write one, subclass it and give

    forward(*xs, out=None) -> y
        `out` as in NumPy: None allocates, an array is filled; the result is returned either way.
    backward(dy, *xs, y, out=None) -> dx
        the gradient of each input from the gradient dy of the output; for several inputs `out` and the result are
        tuples, with None where no gradient exists.
    backward_params(dy, *xs, y)
        only with parameters: fill self.dW, self.db, ... It runs just before `backward`.
    predict(*xs) -> y
        only where test time differs from training.

    Arguments are read, never written. Parameters are handed to `super().__init__(W=..., b=...)`. What backward needs
    beyond its arguments, forward (never predict) may keep on self, under names that the class lists in `remembers`.
    Arrays of floats that are no parameters but belong to the net, and are saved with it, are listed in `buffer_names`
    and changed in place. A layer that draws random numbers is given its generator, and keeps it as `self.rng`.

    Where several processes share each batch, a layer that looks at other rows, draws or averages has to know of it: it
    computes with `self.batch`, and the class says `shares_batch = True`. Without that it is refused there.
    """

    remembers: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()
    param_names: tuple[str, ...] = ()
    mixes_batch = False  # whether a row of the output depends on other rows of the input, as in BatchNormalization
    takes_bytes = False  # whether images as bytes are given to it as they are, and not as floats from 0 to 1
    shares_batch = False  # whether it computes with `batch` where other rows matter, or what they draw
    batch = Batch()
    rng: np.random.Generator
    network: object = None  # the Network that holds the parameters
    bound: frozenset[str] = frozenset()  # names of parameters and gradients that are views of the network's vectors

    forward: Callable[..., Array]
    backward: Callable[..., Any]
    backward_params: Callable[..., None]

    def __init__(self, **params: Array) -> None:
        if wrong := [name for name, value in params.items() if not hasattr(value, "dtype")]:
            raise TypeError(f"{type(self).__name__} expects arrays as parameters, got {wrong[0]}={params[wrong[0]]!r}")
        self.param_names = tuple(params)
        for name, value in params.items():
            setattr(self, name, value)
            setattr(self, "d" + name, np.zeros_like(value))

    @property
    def params(self) -> dict[str, Array]:
        """The parameters by name: W, b, ..."""
        return {name: getattr(self, name) for name in self.param_names}

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients of the parameters, by the parameters' names."""
        return {name: getattr(self, "d" + name) for name in self.param_names}

    @property
    def buffers(self) -> dict[str, Array]:
        """What is saved with the parameters, by name: running averages."""
        return {name: getattr(self, name) for name in self.buffer_names}

    def bind(self, name: str, param: Array, grad: Array) -> None:
        """Move a parameter into memory of a network: into the views `param` and `grad` of its vectors."""
        param[...] = getattr(self, name)
        vars(self).update({name: param, "d" + name: grad, "bound": self.bound | {name, "d" + name}})

    def __setattr__(self, name: str, value: Any) -> None:
        """`self.dW = ...` and `layer.W = ...` fill the memory of the network, where there is one, and stay in it."""
        if name in self.bound:
            getattr(self, name)[...] = value
        else:
            super().__setattr__(name, value)

    def copy(self, dtype: npt.DTypeLike | None = None) -> Self:
        """A layer of its own with the same parameters, in another dtype if one is given, and in no network."""
        twin = copy.copy(self)
        twin.forget()
        vars(twin).update(network=None, bound=frozenset())
        vars(twin).pop("batch", None)
        if "rng" in vars(self):
            twin.rng = copy.deepcopy(self.rng)
        for name, value in self.buffers.items():
            setattr(twin, name, value.astype(dtype or value.dtype))
        for name, value in self.params.items():
            setattr(twin, name, value.astype(dtype or value.dtype))
            setattr(twin, "d" + name, np.zeros_like(getattr(twin, name)))
        return twin

    def predict(self, *xs: Any, **options: Any) -> Array:
        """The output at test time, of these rows only; what a layer remembers for its backward pass is left alone."""
        if not self.remembers and not self.shares_batch:
            return self.forward(*xs, **options)
        twin = copy.copy(self)
        twin.forget()
        vars(twin).pop("batch", None)
        return twin.forward(*xs, **options)

    def forget(self) -> None:
        """Keep nothing of the last use."""
        for name in self.remembers:
            vars(self).pop(name, None)

    def __call__(self, *inputs: "Variable") -> "Variable":
        """Connect this layer to Variables of a graph; the result is the Variable of its output."""
        if not all(hasattr(variable, "connect") for variable in inputs):
            kinds = ", ".join(type(variable).__name__ for variable in inputs)
            raise TypeError(f"{self}(...) connects Variables, got {kinds}; arrays go through {self}.forward(...)")
        return inputs[0].connect(self, *inputs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def check_sizes(layer: Layer, *sizes: object) -> None:
    """ValueError unless these arguments of a layer's constructor are whole numbers from 1 up."""
    if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        given = ", ".join(map(str, sizes))
        wanted = f"{len(sizes)} whole numbers" if len(sizes) > 1 else "a whole number"
        raise ValueError(f"{type(layer).__name__} expects {wanted} from 1 up, got {given}")
