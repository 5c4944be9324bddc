"""What a drawn graph shows, in words and numbers: its places, and arrows with a value and a gradient each.

How that looks is another matter: svg.py makes SVG of it, dot.py makes DOT.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from dlscratch.functions import Array
from dlscratch.graph import Graph, Variable
from dlscratch.graph_drawing.glance import number, picture, shape, spread, summary
from dlscratch.layers import Flatten, Layer, Reshape
from dlscratch.variable import Node

SYMBOLS = {"Add": "+", "Sub": "−", "Mul": "×", "Div": "÷", "MatMul": "@", "Exp": "exp", "Log": "log"}
LONGEST, LONGEST_DETAILS = 30, 45  # characters of a name, and of what a layer says of itself

Names = Mapping[Variable, str]
Kind = Literal["parameter", "buffer"]


class Tensor(NamedTuple):
    """A parameter or a buffer, at the layer that owns it."""

    kind: Kind
    name: str
    value: tuple[str, ...]  # lines: shape, and mean ± spread
    grad: str
    picture: Array | None


class Place(NamedTuple):
    """Where arrows begin and end."""

    kind: Literal["input", "operation", "layer", "branch", "output"]
    title: str = ""
    details: str = ""
    inputs: int = 0
    ordered: bool = False  # a - b is not b - a, and the names of the inputs do not tell
    tensors: tuple[Tensor, ...] = ()
    picture: Array | None = None


class Arrow(NamedTuple):
    """From one place to another, by their numbers; what it carries to the right, and back to the left."""

    start: int
    end: int
    name: str
    value: tuple[str, ...]
    grad: str


class Sketch(NamedTuple):
    """An arrow leads from a place to one of a higher number; the last place is where the graph ends."""

    places: list[Place]
    arrows: list[Arrow]


def sketch(graph: Graph, names: Names | None = None) -> Sketch:
    """What there is to draw of `graph`: values after forward(), and gradients after backward().

    names: of variables that have none of their own. A variable with several readers ends in a branch, from which an
    arrow leads to each of them; that carries the reader's share of the gradient, and the one to the branch their sum.
    """
    return _Sketcher(graph, names or {}).sketch()


class _Sketcher:
    def __init__(self, graph: Graph, names: Names) -> None:
        self.graph, self.names = graph, names
        self.readers = Counter(variable for node in graph.nodes for variable in node.inputs)
        self.places: list[Place] = []
        self.arrows: list[Arrow] = []
        self.source: dict[Variable, int] = {}  # the place from which a variable's readers have it
        self.seen: set[Layer] = set()

    def sketch(self) -> Sketch:
        for node in self.graph.nodes:
            for leaf in dict.fromkeys(node.inputs):
                if leaf not in self.source:
                    self._add(leaf, self._input(leaf))
            for variable, share in zip(node.inputs, node.shares, strict=True):
                if self.readers[variable] > 1:
                    self._point(variable, share)
                else:
                    self._point(variable, variable.grad, self._name(variable))
            self._add(node.output, self._operation(node))
        self._point(self.graph.output, self.graph.output.grad)
        self.places.append(Place("output", self._name(self.graph.output)))
        return Sketch(self.places, self.arrows)

    def _add(self, variable: Variable, place: Place) -> None:
        """A place where a variable comes from, and a branch behind it where it has several readers."""
        self.source[variable] = len(self.places)
        self.places.append(place)
        if self.readers[variable] > 1:
            self._point(variable, variable.grad, self._name(variable))
            self.source[variable] = len(self.places)
            self.places.append(Place("branch"))

    def _point(self, variable: Variable, grad: Any, name: str = "") -> None:
        """An arrow from a variable to the place that comes next."""
        value = () if not self.graph.forward_done or _is_number(variable) else summary(variable.value)
        known = self.graph.backward_done and variable.requires_grad
        name = name if variable.node else ""  # an input has its name on its place
        self.arrows.append(Arrow(self.source[variable], len(self.places), name, value, spread(grad) if known else ""))

    def _name(self, variable: Variable) -> str:
        return _short(self.names.get(variable, "") or variable.name)

    def _input(self, leaf: Variable) -> Place:
        if _is_constant(leaf):
            return Place("input", number(leaf.value) if _is_number(leaf) else "constant")
        shown = picture(leaf.value, images="rows") if self.graph.forward_done else None
        return Place("input", self._name(leaf) or "input", picture=shown)

    def _operation(self, node: Node) -> Place:
        layer, kind, inputs = node.layer, type(node.layer).__name__, len(node.inputs)
        if kind in SYMBOLS and not layer.param_names:
            return Place("operation", SYMBOLS[kind], inputs=inputs, ordered=kind not in ("Add", "Mul"))
        inside = repr(layer).removeprefix(kind + "(").removesuffix(")") if repr(layer).startswith(kind + "(") else ""
        tensors = tuple(self._tensors(layer, "columns" if _reads_input(node) else None))
        self.seen.add(layer)
        ordered = sum(variable.node is not None for variable in node.inputs) > 1
        return Place(
            "layer", _short(kind), _short(inside.replace("->", "→"), LONGEST_DETAILS), inputs, ordered, tensors
        )

    def _tensors(self, layer: Layer, images: Literal["columns"] | None) -> Iterator[Tensor]:
        net: Any = layer.network
        named = {id(a): name for name, a in (net.named_params | net.named_buffers).items()} if net else {}
        ran, back = self.graph.forward_done, self.graph.backward_done
        for key, value in (layer.params | layer.buffers).items():
            name, grad = named.get(id(value), key), layer.grads.get(key)
            kind: Kind = "buffer" if grad is None else "parameter"
            if layer in self.seen:
                yield Tensor(kind, name, ("shared",), "", None)
            else:
                lines = summary(value) if ran else (shape(value),)
                image = picture(value, images) if ran else None
                yield Tensor(kind, name, lines, spread(grad) if back and grad is not None else "", image)


def _reads_input(node: Node) -> bool:
    """Whether an input of the graph enters the node as it is, but perhaps for its shape."""
    before = node.inputs[0].node
    return before is None or (isinstance(before.layer, Flatten | Reshape) and _reads_input(before))


def _is_constant(leaf: Variable) -> bool:
    """Whether a number or an array was written into the formula, as in 2 * x."""
    return not leaf.requires_grad and leaf.name == repr(leaf.value)


def _is_number(variable: Variable) -> bool:
    """Whether it is a constant that its place shows already."""
    return variable.node is None and np.ndim(variable.value) == 0 and _is_constant(variable)


def _short(words: str, longest: int = LONGEST) -> str:
    """In one line, and without the control characters that no XML may hold."""
    line = "".join(letter if letter.isprintable() else " " for letter in words)
    return line if len(line) <= longest else line[: longest - 1] + "…"
