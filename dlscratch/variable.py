"""What a computation graph is made of: a Variable is an arrow of the drawing, a Node a circle on it.

A Node owns the arrays of one use of a layer: its output, the gradients that it passes on, what the layer remembers.
"""

from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np

from dlscratch.functions import Array
from dlscratch.layers import Add, Div, Layer, MatMul, Mul, Sub


class Variable:
    """A quantity: its value arrives going forward, its gradient going backward.

    `a + b`, `a - b`, `a * b`, `a / b` and `a @ b` connect Add, Sub, Mul, Div and MatMul, so the book's shop is
    `price = (apple * 2 + orange * 3) * tax`.
    With requires_grad=False (images, targets, constants) no gradient is computed for it, nor for what leads only to it.
    """

    def __init__(self, name: str = "", value: Any = None, *, requires_grad: bool = True) -> None:
        if not isinstance(name, str):
            raise TypeError(f'Variable expects a name and a value, as in Variable("x", 3.0), got {name!r}')
        self.name = name
        self.value = value
        self.grad: Any = None
        self.requires_grad = requires_grad
        self.node: Node | None = None  # the node whose output this is; None for what is fed from outside
        self._sum: Array | None = None

    def connect(self, layer: Layer, *inputs: "Variable") -> "Variable":
        """The output of one use of `layer` on `inputs`; `layer(*inputs)` is the way to say it."""
        return Node(layer, inputs).output

    def receive(self, grad: Any) -> None:
        """Take one reader's share of the gradient: the first is pointed at, further ones are summed in own memory."""
        if self.grad is None:
            self.grad = grad
        else:
            self.grad = np.add(self.grad, grad, out=self._sum)
            self._sum = self.grad if np.ndim(self.grad) else None

    def drop_buffers(self) -> None:
        """Forget the memory of the sum."""
        self._sum = None

    def __add__(self, other: Any) -> "Variable":
        return Add()(self, _as_variable(other))

    def __mul__(self, other: Any) -> "Variable":
        return Mul()(self, _as_variable(other))

    def __sub__(self, other: Any) -> "Variable":
        return Sub()(self, _as_variable(other))

    def __rsub__(self, other: Any) -> "Variable":
        return Sub()(_as_variable(other), self)

    def __truediv__(self, other: Any) -> "Variable":
        return Div()(self, _as_variable(other))

    def __rtruediv__(self, other: Any) -> "Variable":
        return Div()(_as_variable(other), self)

    def __matmul__(self, other: Any) -> "Variable":
        return MatMul()(self, _as_variable(other))

    def __rmatmul__(self, other: Any) -> "Variable":
        return MatMul()(_as_variable(other), self)

    def __neg__(self) -> "Variable":
        return self * -1

    __radd__ = __add__
    __rmul__ = __mul__
    __array_ufunc__ = None  # so that array * Variable is a Mul too, not an array of Variables

    def __repr__(self) -> str:
        return f"Variable({self.name or self.node})"


class Node:
    """One use of a layer, with the buffers of that use.

    An array is handed back to its layer as `out` only if that layer made it: not a view, not one of the inputs.
    """

    def __init__(self, layer: Layer, inputs: tuple[Variable, ...]) -> None:
        self.layer = layer
        self.inputs = inputs
        self.needs_dx = any(variable.requires_grad for variable in inputs)
        self.output = Variable(requires_grad=self.needs_dx or bool(layer.param_names))
        self.output.node = self
        self._remembered: dict[str, Any] = {}  # by the layer, of this use of it
        self._y: Array | None = None
        self.shares: tuple[Any, ...] = (None,) * len(inputs)  # of the inputs' gradients, in the last backward
        self._dxs: tuple[Array | None, ...] = (None,) * len(inputs)
        self._checked = False

    def drop_buffers(self) -> None:
        """Forget the arrays of the last run, so that the next one makes new ones."""
        self._y = None
        self._remembered = {}
        self._dxs = self.shares = (None,) * len(self.inputs)
        self._checked = False
        for variable in self.inputs:
            variable.drop_buffers()

    def forward(self) -> None:
        """Compute the value of the output from the values of the inputs."""
        xs = [variable.value for variable in self.inputs]
        if self.layer.remembers:
            self._recall()
        y: Any = self.layer.forward(*xs, out=self._y)
        if self.layer.remembers:
            own = vars(self.layer)
            self._remembered = {name: own[name] for name in self.layer.remembers if name in own}
        if y is None or y is not self._y:
            if not isinstance(y, int | float) and not hasattr(y, "shape"):
                returned = "None" if y is None else f"a {type(y).__name__}"
                raise ValueError(f"{self}.forward returned {returned}; it expects to return the array y")
            self._y = y if made_here(y, xs) else None
        self.output.value = y

    def backward(self, filled: set[Layer]) -> None:
        """Compute the gradients of the parameters, and each input's share of the gradient, from that of the output.

        The gradients of the parameters are added to those of the same layer's other uses, if it is among the `filled`.
        """
        dy, y = self.output.grad, self.output.value
        xs = [variable.value for variable in self.inputs]
        if self.layer.remembers:
            self._recall()
        if self.layer.param_names:
            others = {name: grad.copy() for name, grad in self.layer.grads.items()} if self.layer in filled else {}
            self.layer.backward_params(dy, *xs, y=y)
            for name, grad in others.items():
                setattr(self.layer, "d" + name, self.layer.grads[name] + grad)
            filled.add(self.layer)
        if not self.needs_dx:
            return
        single = len(xs) == 1
        dxs = self.layer.backward(dy, *xs, y=y, out=self._dxs[0] if single else self._dxs)
        dxs = (dxs,) if single else dxs
        if not self._checked:
            self._check_shapes(dxs, xs)
        if not all(map(is_, dxs, self._dxs)):
            self._dxs = tuple(dx if made_here(dx, [dy, y, *xs, *dxs[:i]]) else None for i, dx in enumerate(dxs))
        self.shares = dxs
        for variable, dx in zip(self.inputs, dxs, strict=True):
            if variable.requires_grad and dx is not None:
                variable.receive(dx)

    def _recall(self) -> None:
        """Let the layer remember this use of it, and no other, in this graph or elsewhere."""
        self.layer.forget()
        vars(self.layer).update(self._remembered)

    def _check_shapes(self, dxs: Any, xs: list[Any]) -> None:
        got = [None if dx is None else np.shape(dx) for dx in (() if dxs is None else dxs)]
        wanted = [np.shape(x) for x in xs]
        missing = not any(shape is not None for shape in got)
        if missing or len(got) != len(wanted) or any(a not in (None, b) for a, b in zip(got, wanted, strict=True)):
            raise ValueError(
                f"{self}.backward expects to return gradients of the shapes {wanted} of its inputs, got {got}"
            )
        self._checked = True

    def __repr__(self) -> str:
        return repr(self.layer)


def _as_variable(x: Any) -> Variable:
    if isinstance(x, np.generic):
        x = x.item()  # a Python number takes on the dtype of arrays, a NumPy one imposes its own
    return x if isinstance(x, Variable) else Variable(repr(x), x, requires_grad=False)


def made_here(array: Any, others: Sequence[Any]) -> bool:
    """Whether `array` is memory of its maker's own: no scalar, no view, and not one of the others."""
    return np.ndim(array) > 0 and getattr(array, "base", array) is None and all(array is not x for x in others)
