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
    from dlscratch.graph import Variable

Pair = tuple[Array | None, Array | None]  # `out` of a layer with two inputs


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
    beyond its arguments, forward (never predict) may keep on self; such a layer says `remembers = True`.
    """

    remembers = False
    param_names: tuple[str, ...] = ()
    network: object = None  # the Network that holds the parameters
    bound: frozenset[str] = frozenset()  # names of parameters and gradients that are views of the network's vectors

    forward: Callable[..., Array]
    backward: Callable[..., Any]
    backward_params: Callable[..., None]

    def __init__(self, **params: Array) -> None:
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
        vars(twin).update(network=None, bound=frozenset())
        for name, value in self.params.items():
            setattr(twin, name, value.astype(dtype or value.dtype))
            setattr(twin, "d" + name, np.zeros_like(getattr(twin, name)))
        return twin

    def predict(self, *xs: Array) -> Array:
        """The output at test time, which leaves alone what a layer remembers for its backward pass."""
        return (copy.copy(self) if self.remembers else self).forward(*xs)

    def __call__(self, *inputs: "Variable") -> "Variable":
        """Connect this layer to Variables of a graph; the result is the Variable of its output."""
        if not all(hasattr(variable, "connect") for variable in inputs):
            kinds = ", ".join(type(variable).__name__ for variable in inputs)
            raise TypeError(f"{self}(...) connects Variables, got {kinds}; arrays go through {self}.forward(...)")
        return inputs[0].connect(self, *inputs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
