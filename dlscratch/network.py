"""A network: a graph from images and targets to a loss, and all of its parameters in one flat vector.

The layers hold views of that vector, so updating, saving and averaging parameters are each one operation on one array.
"""

import copy
from collections.abc import Iterator
from os import PathLike
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dlscratch.functions import BYTE, Array, accuracy, batch_size
from dlscratch.graph import Graph, Variable
from dlscratch.layers import Layer, Softmax, SoftmaxWithLoss
from dlscratch.npz import read_npz, write_npz
from dlscratch.variable import Node

CHUNK = 1 << 20  # numbers in the widest array of the rows evaluated at a time: 4 MB, which the processor's cache holds


class Network:
    """Built from four Variables: x (images), t (targets), scores (what `predict` returns) and loss (a batch mean).

    Images are floats or bytes: uint8 means 0 to 255, and enters the net as 0 to 1. Bytes are the faster way to train:
    a quarter of the memory to draw batches from, and 4 % less time for a step of the two-layer net.

    params, grads: the flat vectors of all parameters and their gradients. Each parameter also has a name, W1, b1, W2,
    b2, ... : its name in its layer and the number of that layer among those that have parameters.
    """

    def __init__(self, x: Variable, t: Variable, scores: Variable, loss: Variable) -> None:
        self.x, self.t, self.scores, self.loss_graph = x, t, scores, Graph(loss)
        self.scores_graph = Graph(scores)
        self._converted: Array | None = None
        self._shapes: list[tuple[int, ...]] = []
        self._takes_bytes = all(node.layer.takes_bytes for node in self.loss_graph.nodes if x in node.inputs)
        self._check()
        self._gather_params()

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which they run, the loss last; one that is used in several places comes once."""
        return list(dict.fromkeys(node.layer for node in self.loss_graph.nodes))

    @property
    def named_params(self) -> dict[str, Array]:
        """Views of `params` by name, each of the shape that its layer gave it."""
        return {name: getattr(layer, key) for name, layer, key in self._names()}

    @property
    def named_grads(self) -> dict[str, Array]:
        """Views of `grads` by the names of the parameters."""
        return {name: getattr(layer, "d" + key) for name, layer, key in self._names()}

    @property
    def named_buffers(self) -> dict[str, Array]:
        """What else is saved with the net, running averages, by names such as running_mean2."""
        return {f"{key}{number}": buffer for number, layer in self._owners() for key, buffer in layer.buffers.items()}

    @property
    def streams(self) -> list[np.random.Generator]:
        """The random streams that its layers draw from, each once."""
        return list({id(layer.rng): layer.rng for layer in self.layers if "rng" in vars(layer)}.values())

    @property
    def weight_mask(self) -> Array:
        """A vector beside `params`: 1 for weights, 0 for biases (whatever has one dimension). For weight decay."""
        return np.concatenate([np.full_like(p.ravel(), p.ndim > 1) for p in self.named_params.values()])

    def loss(self, x: Array, t: Array) -> float:
        """Go forward on one batch, x (N, ...) and t (labels, one-hot or soft); `backward` may follow."""
        self.x.value, self.t.value = self._as_input(x, out=self._converted), t
        if self.x.value is not x:
            self._converted = self.x.value
        return float(self.loss_graph.forward())

    def backward(self, weight: float = 1) -> None:
        """Fill `grads` with the gradient of the last loss, times `weight`."""
        self.loss_graph.backward(weight)

    def to_svg(self) -> str:
        """The graph as a picture, with the values and gradients of the last batch."""
        return self.loss_graph.to_svg(self._drawn_names)

    def to_dot(self) -> str:
        """The same as a program for Graphviz."""
        return self.loss_graph.to_dot(self._drawn_names)

    @property
    def _drawn_names(self) -> dict[Variable, str]:
        return {self.scores: "scores", self.loss_graph.output: "loss"}

    def try_out(self, x: Array, t: Array) -> None:
        """Take a copy of the net there and back on a few images, which leaves the net as it is.

        ValueError names the layer that a shape does not fit. From then on `print(net)` tells the shapes.
        """
        twin = self.copy()
        twin.loss(x, t)
        twin.backward()
        self._shapes = _shapes(twin.loss_graph.nodes)

    def predict(self, x: Array) -> Array:
        """The scores (N, K) of x (N, ...) at test time. May stand between loss and backward, which it cannot harm."""
        if np.ndim(x) < 2:
            raise ValueError(
                f"predict expects images x of shape (N, ...), got {np.shape(x)}; x[None] makes a batch of one"
            )
        chunks = self._chunks(x)
        return np.concatenate([self.scores_graph.predict({self.x: self._as_input(x[c])})[self.scores] for c in chunks])

    def accuracy(self, x: Array, t: Array) -> float:
        """The share of images whose highest score is their class."""
        return accuracy(self.predict(x), t)

    def evaluate(self, x: Array, t: Array) -> tuple[float, float]:
        """Mean loss and accuracy over all of x and t at test time, in one pass."""
        loss = hits = 0.0
        images: Array | None = None
        for rows in self._chunks(x, t):
            images = self._as_input(x[rows], out=images)  # new memory for each chunk would take 7 % more time
            values = self.loss_graph.predict({self.x: images, self.t: t[rows]})
            n = batch_size(values[self.scores])
            loss += n * float(values[self.loss_graph.output])
            hits += n * accuracy(values[self.scores], t[rows])
        return loss / len(x), hits / len(x)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the named parameters and buffers as .npz, whole or not at all; OSError where that is impossible."""
        write_npz(path, self.named_params | self.named_buffers)

    def load(self, path: str | PathLike[str]) -> None:
        """Read what `save` wrote; a file that does not fit is a ValueError and changes nothing."""
        own, saved = self.named_params | self.named_buffers, read_npz(path, "saved network")
        if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in saved.values()):
            raise ValueError(f"{path} is no saved network: it holds other things than finite floating point numbers")
        want, have = ({name: value.shape for name, value in params.items()} for params in (own, saved))
        if want != have:
            raise ValueError(f"{path} does not fit this network: it holds {_listing(have)}, expected {_listing(want)}")
        for name, value in saved.items():
            own[name][...] = value

    def copy(self, dtype: npt.DTypeLike | None = None) -> Self:
        """An independent network with the same parameters, in another dtype if one is given."""
        graph = self.loss_graph
        layers = {layer: layer.copy(dtype) for layer in self.layers}
        streams: dict[int, np.random.Generator] = {}  # layers that draw from one stream do so in the copy too
        for layer, twin in layers.items():
            if "rng" in vars(layer):
                twin.rng = streams.setdefault(id(layer.rng), twin.rng)
        twins = {leaf: Variable(leaf.name, leaf.value, requires_grad=leaf.requires_grad) for leaf in graph.leaves}
        for node in graph.nodes:
            twins[node.output] = layers[node.layer](*(twins[variable] for variable in node.inputs))
        net = copy.copy(self)
        Network.__init__(net, *(twins[variable] for variable in (self.x, self.t, self.scores, graph.output)))
        return net

    def _check(self) -> None:
        for name, variable in (("x", self.x), ("t", self.t), ("scores", self.scores)):
            if variable not in self.loss_graph.variables:
                raise ValueError(
                    f"a network's loss depends on its x, t and scores, but nothing leads from {name} to it"
                )
        last = self.scores.node.layer if self.scores.node else None
        if isinstance(last, Softmax) and any(isinstance(layer, SoftmaxWithLoss) for layer in self.layers):
            raise ValueError("SoftmaxWithLoss applies softmax to the scores itself; leave out the Softmax() before it")
        if not any(layer.param_names for layer in self.layers):
            raise ValueError("a network needs at least one layer with parameters")
        for layer in self.layers:
            if layer.network is not None:
                raise ValueError(f"{layer} belongs to another network already; make new layers for each network")

    def _gather_params(self) -> None:
        """Move all parameters into one vector and leave views of it in the layers."""
        values = self.named_params.values()
        self.params = np.empty_like(next(iter(values)), shape=(sum(value.size for value in values),))
        self.message = np.zeros_like(self.params, shape=(self.params.size + 2,))
        self.grads = self.message[:-2]  # behind them there is room for what is summed with them: see DataParallel
        start = 0
        for _, layer, key in self._names():
            shape, size = getattr(layer, key).shape, getattr(layer, key).size
            part = slice(start, start := start + size)
            layer.bind(key, self.params[part].reshape(shape), self.grads[part].reshape(shape))
        for layer in self.layers:
            layer.network = self if layer.param_names or layer.buffer_names or layer.remembers else None

    def _names(self) -> Iterator[tuple[str, Layer, str]]:
        for number, layer in self._owners():
            for key in layer.param_names:
                yield f"{key}{number}", layer, key

    def _owners(self) -> Iterator[tuple[int, Layer]]:
        return enumerate((layer for layer in self.layers if layer.param_names or layer.buffer_names), start=1)

    def _chunks(self, x: Array, t: Array | None = None) -> list[slice]:
        """The rows of x in chunks, of so many that their widest array has CHUNK numbers: the first row tells it."""
        if not len(x) or (t is not None and len(t) != len(x)):
            targets = "" if t is None else f" and {len(t)} targets"
            raise ValueError(f"expected one or more images, and a target for each, got {len(x)} images{targets}")
        if len(x) == 1:  # which would take twice the time
            return [slice(1)]
        values = self.scores_graph.predict({self.x: self._as_input(x[:1])})
        of_a_row = [self.x, *(node.output for node in self.scores_graph.nodes)]  # other leaves are no rows
        size = max(1, CHUNK // max(np.size(values[variable]) for variable in of_a_row))
        return [slice(start, start + size) for start in range(0, len(x), size)]

    def _as_input(self, x: Array, out: Array | None = None) -> Array:
        """x as its layers take it, in `out` where that has the right shape and anything is to be done."""
        x = x if hasattr(x, "dtype") else np.asarray(x)
        if x.dtype == self.params.dtype or (self._takes_bytes and x.dtype == np.uint8):
            return x
        if out is None or out.shape != x.shape or out.dtype != self.params.dtype:
            out = np.empty_like(x, dtype=self.params.dtype)
        np.copyto(out, x, casting="unsafe")
        if x.dtype == np.uint8:
            out *= BYTE  # after the copy: to convert and scale in one go takes 2 % more of a step
        return out

    def __repr__(self) -> str:
        """A line for each layer: the shape of what it puts out, if that is known, and the number of its parameters."""
        nodes = self.loss_graph.nodes
        known = self._shapes or (_shapes(nodes) if self.loss_graph.forward_done else [()] * len(nodes))
        shapes = ["x".join(map(str, shape)) for shape in known]
        names, sizes = (max(map(len, column)) for column in (map(repr, nodes), shapes))
        lines, seen = [], set()
        for node, shape in zip(nodes, shapes, strict=True):
            count = sum(param.size for param in node.layer.params.values())
            told = "shared" if node.layer in seen and count else f"{count:,}" if count else ""
            lines.append(f"  {node!r:{names}}  {shape:>{sizes}}  {told:>10}".rstrip())
            seen.add(node.layer)
        return "\n".join([f"{type(self).__name__} with {self.params.size:,} parameters", *lines])


def _shapes(nodes: list[Node]) -> list[tuple[int, ...]]:
    """Of what each puts out, without the batch."""
    return [np.shape(node.output.value)[1:] for node in nodes]


def _listing(shapes: dict[str, Any]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
