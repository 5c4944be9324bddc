"""What a layer promises in something larger: a graph with branches, two places at once, a net that is saved.

What the graph computes is compared with single calls of the layer, so a wrong gradient is no fault here.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dlscratch.contract.fault import Fault, NotAsked, quantity, say, selves
from dlscratch.contract.sameness import changed, close, copied
from dlscratch.contract.trial import Arrays, Gradients, Trial, other
from dlscratch.functions import Array
from dlscratch.graph import Graph, Variable
from dlscratch.layers import Layer
from dlscratch.layers.base import Pair
from dlscratch.network import Network


class Weighed(Layer):
    """y = s Σ w x, a loss for outputs x of any shape; no gradient flows to the weights w"""

    s: Array
    ds: Array

    def __init__(self) -> None:
        super().__init__(s=np.ones(()))

    def forward(self, x: Array, w: Array, out: Array | None = None) -> Array:
        return np.multiply(np.sum(w * x), self.s, out=out)

    def backward(self, dy: Array, x: Array, w: Array, y: Array, out: Pair = (None, None)) -> tuple[Array, None]:
        return np.multiply(w, dy * self.s, out=out[0]), None

    def backward_params(self, dy: Array, x: Array, w: Array, y: Array) -> None:
        np.multiply(dy, np.sum(w * x), out=self.ds)


def in_branch(trial: Trial) -> str:
    """With two readers of its output and, where shapes allow, a way around it, all gradients are the sums."""
    inputs = _leaves(trial.xs)
    around = len(trial.xs) == 1 and trial.xs[0].shape == trial.y.shape and inputs[0].requires_grad
    y = trial.layer(*inputs)
    y = inputs[0] + y if around else y
    graph = Graph(_weighed(y, trial.dy) + _weighed(y, trial.dy2))
    wanted = trial.run(trial.xs, trial.dy + trial.dy2)
    if around:
        key = f"input {trial.names[0]}"
        wanted[key] = wanted.get(key, 0) + trial.dy + trial.dy2
    _run_in_graph(trial, graph)
    advice = "is it sure of more than it is given? The same array holds other numbers in the next step"
    _compare(wanted, _found(trial, inputs), advice)
    return "x + layer(x), read twice" if around else "its output is read twice"


def used_twice(trial: Trial) -> str:
    """Used in two places of a graph, the gradients of its parameters add, and those of the inputs stay apart."""
    layer, dys = trial.layer, (trial.dy, trial.dy2)
    uses = [_leaves(trial.xs), _leaves(trial.others)]
    ys = [layer(*inputs) for inputs in uses]
    graph = Graph(_weighed(ys[0], dys[0]) + _weighed(ys[1], dys[1]))
    order = [node.output for node in graph.nodes]
    wanted: list[Gradients] = [{}, {}]
    trial.rewind()
    for i in sorted((0, 1), key=lambda i: order.index(ys[i])):  # as random numbers are drawn
        xs = tuple(variable.value for variable in uses[i])
        wanted[i] = trial.gradients(dys[i], xs, np.asarray(layer.forward(*map(np.array, xs))))
    for name in layer.param_names:
        wanted[0][name] = wanted[1][name] = wanted[0][name] + wanted[1][name]
    _run_in_graph(trial, graph)
    for want, inputs in zip(wanted, uses, strict=True):
        _compare(want, _found(trial, inputs), _shared(trial))
    return "the gradients of its parameters add" if layer.param_names else "each use has gradients of its own"


def saved(trial: Trial) -> str:
    """What a network saves is all that another one needs to predict the same."""
    layer = trial.layer
    if not layer.param_names and not layer.buffer_names and type(layer).predict is Layer.predict:
        raise NotAsked("it has neither parameters nor buffers")
    if not close(trial.predict(trial.xs), trial.predict(trial.xs)):
        raise NotAsked("predict gives other numbers each time")
    fresh, trained = (Trial(trial.original, trial.xs).layer for _ in range(2))
    net, twin = _network(trained, trial), _network(fresh, trial)
    start = copied(vars(trained) | {"network": None})
    net.loss_graph.forward()
    moved = [name for name in changed(start, vars(trained)) if name not in ("network", "rng", *trained.remembers)]
    net.params += 0.125
    with TemporaryDirectory() as folder:
        net.save(Path(folder) / "net.npz")
        twin.load(Path(folder) / "net.npz")
    ys = [layer.predict(*map(np.array, trial.xs)) for layer in (trained, fresh)]
    if not close(*ys):
        lost = tuple(name for name in moved if name not in trained.buffer_names)
        raise Fault(
            f"a net that is saved and loaded predicts something else: {selves(lost)} is lost",
            say("buffer_names", trained.buffer_names, lost)
            + ", and change such arrays in place (self.name[...] = ...)",
        )
    return f"{', '.join((*layer.param_names, *layer.buffer_names)) or 'nothing'} to save, and nothing is lost"


def _leaves(xs: Arrays) -> list[Variable]:
    return [Variable(value=x.copy(), requires_grad=x.dtype.kind == "f") for x in xs]


def _weighed(y: Variable, w: Array) -> Variable:
    return Weighed()(y, Variable(value=w, requires_grad=False))


def _network(layer: Layer, trial: Trial) -> Network:
    inputs, t = _leaves(trial.xs), Variable("t", trial.dy, requires_grad=False)
    scores = layer(*inputs)
    return Network(inputs[0], t, scores, Weighed()(scores, t))


def _run_in_graph(trial: Trial, graph: Graph) -> None:
    """Twice, the second time in the memory of the first, which held other numbers."""
    inputs = [leaf.value for leaf in graph.leaves if leaf.requires_grad]
    last = [x.copy() for x in inputs]
    for numbers in (map(other, last), last):
        for x, values in zip(inputs, numbers, strict=True):
            x[...] = values
        trial.rewind()
        graph.forward()
        for name, value in trial.layer.params.items():
            setattr(trial.layer, "d" + name, np.full_like(value, np.nan))
        graph.backward()


def _found(trial: Trial, inputs: list[Variable]) -> Gradients:
    dxs = {f"input {name}": variable.grad for name, variable in zip(trial.names, inputs, strict=True)}
    return trial.layer.grads | dxs


def _compare(wanted: Gradients, found: Gradients, advice: str) -> None:
    for name, gradient in wanted.items():
        if not close(found[name], gradient):
            raise Fault(f"the gradient of {quantity(name)} is not that of single calls", advice)


def _shared(trial: Trial) -> str:
    """Where to look if a second use spoils the first."""
    if trial.left:
        return f"remembers names what forward leaves on self for backward; it lacks {', '.join(map(repr, trial.left))}"
    return "does backward return an array that it keeps? The next call overwrites that: return a new one, or `out`"
