"""The computation graph: connected once, sorted once, then run forward and backward many times in the same memory.

The layers own the formulas and the parameters; the graph, through its nodes, owns every array that comes between.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlscratch.layers import Layer
from dlscratch.variable import Node, Variable

__all__ = ["Graph", "Variable"]


class Graph:
    """Everything that leads to `output`, sorted so that each node comes after those that it reads."""

    def __init__(self, output: Variable) -> None:
        self.output = output
        self.nodes = _sorted_nodes(output)
        self.variables = list(dict.fromkeys(v for n in self.nodes for v in (*n.inputs, n.output)))
        self.leaves = [variable for variable in self.variables if variable.node is None]
        self._signature: list[Any] = []
        self._one: Any = None
        self.forward_done = self.backward_done = False  # backward: of the last forward

    def forward(self) -> Any:
        """Compute and return the value of the output from those of the leaves; the next run overwrites it."""
        self.forward_done = self.backward_done = False
        signature = [_signature(leaf) for leaf in self.leaves]
        if signature != self._signature:
            self.drop_buffers()
            self._signature = signature
        try:
            for node in self.nodes:
                node.forward()
        except (ValueError, TypeError, AttributeError) as error:
            raise self._named(error, node, [variable.value for variable in node.inputs]) from error
        self.forward_done = True
        return self.output.value

    def backward(self, weight: float = 1) -> None:
        """Compute the gradient of `weight` times the output with respect to every variable and parameter."""
        if not self.forward_done:
            raise RuntimeError("backward() differentiates the last forward(), and there is none; call forward() first")
        for variable in self.variables:
            variable.grad = None
        if self._one is None:
            self._one = np.ones_like(self.output.value)
        self.output.grad = self._one if weight == 1 else self._one * weight
        filled: set[Layer] = set()
        try:
            for node in reversed(self.nodes):
                if node.output.grad is not None:
                    node.backward(filled)
        except (ValueError, TypeError, AttributeError) as error:
            raise self._named(error, node, None) from error
        self.backward_done = True

    def predict(self, values: Mapping[Variable, Any]) -> dict[Variable, Any]:
        """The values of all variables at test time, from those of the leaves; what training left stays as it is."""
        found = {leaf: leaf.value for leaf in self.leaves} | dict(values)
        try:
            for node in self.nodes:
                found[node.output] = node.layer.predict(*(found[variable] for variable in node.inputs))
        except (ValueError, TypeError, AttributeError) as error:
            raise self._named(error, node, [found[variable] for variable in node.inputs]) from error
        return found

    def drop_buffers(self) -> None:
        """Forget all arrays of the last run; the next one makes new ones."""
        self.forward_done, self.backward_done, self._signature, self._one = False, False, [], None
        for node in self.nodes:
            node.drop_buffers()

    def to_svg(self, names: Mapping[Variable, str] | None = None) -> str:
        """A picture of the graph with the values and gradients of its last run; `names`: of unnamed variables."""
        from dlscratch.graph_drawing.svg import to_svg

        return to_svg(self, names)

    def to_dot(self, names: Mapping[Variable, str] | None = None) -> str:
        """The same as a program for Graphviz."""
        from dlscratch.graph_drawing.dot import to_dot

        return to_dot(self, names)

    def _repr_svg_(self) -> str | None:
        from dlscratch.graph_drawing.svg import LARGEST

        return self.to_svg() if len(self.nodes) <= LARGEST else None

    def _named(self, error: Exception, node: Node, xs: list[Any] | None) -> Exception:
        """The error with the place of its layer in front, and the shapes that went forward unless it tells them."""
        kind = next(kind for kind in (ValueError, TypeError, AttributeError) if isinstance(error, kind))
        place = f"layer {self.nodes.index(node) + 1} of {len(self.nodes)}"
        if str(error).startswith(repr(node)):
            return kind(f"{place}: {error}")
        shapes = "" if xs is None else ", cannot take " + " and ".join(str(np.shape(x)) for x in xs)
        return kind(f"{place}, {node}{shapes}: {error}")


def _sorted_nodes(output: Variable) -> list[Node]:
    if output.node is None:
        raise ValueError(f"{output} is not connected to anything; a graph needs at least one layer")
    done: dict[Node, None] = {}
    stack = [output.node]
    while stack:
        waiting = [v.node for v in stack[-1].inputs if v.node is not None and v.node not in done]
        if waiting:
            stack.extend(waiting)
        else:
            done[stack.pop()] = None
    return list(done)


def _signature(leaf: Variable) -> Any:
    if leaf.value is None:
        raise ValueError(f"{leaf} has no value; set its .value before forward()")
    return getattr(leaf.value, "shape", ()), getattr(leaf.value, "dtype", type(leaf.value))
