"""What a trained net does with images, in numbers: what it confuses, where it is most wrong, and what its layers do.

`examine` gathers them in a Report; `report_text` and `report_page` show it. No number of a report is made elsewhere.
"""

import math
from dataclasses import dataclass

import numpy as np

from dlscratch.functions import Array, log_softmax
from dlscratch.network import Network
from dlscratch.runs import Run

SAMPLE = 1000  # images on which layers and gradients are looked at
OUTPUTS = 10_000_000  # numbers that layers put out for them, or there are fewer: with more a deep net takes gigabytes


@dataclass(frozen=True)
class LayerStatistics:
    """What one use of a layer puts out on a batch, and the gradient that comes back to it."""

    layer: str
    mean: float
    std: float
    zeros: float  # the share of outputs that are exactly 0
    dead: int  # units whose output is 0 for every image
    units: int
    gradient: float  # mean over the images of ‖∂L_n/∂y_n‖, L_n the loss of image n and y_n the layer's output for it
    counts: Array  # histogram of the outputs other than 0
    edges: Array


@dataclass(frozen=True)
class ParamStatistics:
    """One parameter, and the gradient of the mean loss over a batch with respect to it."""

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    norm: float
    gradient: float  # ‖∂L/∂W‖, L the mean loss


@dataclass(frozen=True)
class Report:
    """All numbers of one run's net on images x (N, D) with labels t (N,); p (N, K) are the probabilities it gives."""

    run: Run
    x: Array
    t: Array
    p: Array
    loss: float
    confusion: Array
    mistakes: Array  # indices of the wrong answers, the most confident first
    weights: Array | None
    layers: tuple[LayerStatistics, ...]
    params: tuple[ParamStatistics, ...]
    sample: int  # the first images, on which layers and params were looked at

    @property
    def accuracy(self) -> float:
        """The share of images whose highest score is their class."""
        return 1 - len(self.mistakes) / len(self.t)

    @property
    def mistaken(self) -> tuple[Array, Array]:
        """Beside `mistakes`: the class of each image, and the class that it was taken for."""
        return self.t[self.mistakes], self.p[self.mistakes].argmax(axis=1)


def examine(run: Run, net: Network, x: Array, t: Array) -> Report:
    """The report on `net` (of `run`) with images x (N, D) and integer labels t (N,); the net stays as it is.

    ValueError where the net's scores are not finite or the labels are not 0 to K - 1.
    """
    with np.errstate(all="ignore"):  # what overflows is told in one sentence
        scores = net.predict(x)
    if not np.isfinite(scores).all():
        raise ValueError(f"the net of {run.folder} gives scores that are not finite: its training diverged")
    log_p = log_softmax(scores.astype(np.float64))
    p = np.exp(log_p)
    counts = confusion(t, p.argmax(axis=1), p.shape[1])
    sample = sample_size(net, x, t)
    layers, params = statistics(net, x[:sample], t[:sample])
    return Report(
        run, x, t, p,
        loss=-float(log_p[np.arange(len(t)), t].mean()), confusion=counts, mistakes=most_confident_mistakes(p, t),
        weights=first_weights(net), layers=layers, params=params, sample=sample,
    )  # fmt: skip


def confusion(t: Array, predicted: Array, classes: int) -> Array:
    """C (K, K), where C_ij counts the images of class i that were taken for class j; labels t and predicted (N,)."""
    for labels in (t, predicted):
        if labels.shape != np.shape(t) or labels.ndim != 1 or np.any((labels < 0) | (labels >= classes)):
            raise ValueError(
                f"confusion expects two vectors of labels from 0 to {classes - 1}, got {labels.shape} "
                f"with {labels.min(initial=0)} to {labels.max(initial=0)}"
            )
    return np.bincount(t.astype(np.intp) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def precision(counts: Array) -> Array:
    """C_jj / Σ_i C_ij (K,): of the images taken for j, the share that is j. 0/0, where none was taken for j, is nan."""
    return _share(np.diagonal(counts), counts.sum(axis=0))


def recall(counts: Array) -> Array:
    """C_ii / Σ_j C_ij (K,): of the images of class i, the share that was recognised. 0/0, without any, is nan."""
    return _share(np.diagonal(counts), counts.sum(axis=1))


def most_confident_mistakes(p: Array, t: Array) -> Array:
    """Indices of the rows of p (N, K) whose largest entry is not at t (N,), the largest first; ties by index."""
    wrong = np.flatnonzero(p.argmax(axis=1) != t)
    return wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")]


def as_images(rows: Array) -> Array | None:
    """Rows (N, D) as images (N, √D, √D); None where D is no square number."""
    size = math.isqrt(rows[0].size)
    return rows.reshape(len(rows), size, size) if size**2 == rows[0].size else None


def first_weights(net: Network) -> Array | None:
    """What leads from the image to each unit or filter of the first layer with weights, as images (M, H, W).

    None where it makes none: D is no square, or the image has several channels.
    """
    image = {net.x}
    for node in net.loss_graph.nodes:
        W = getattr(node.layer, "W", None)
        if image.isdisjoint(node.inputs):
            continue
        if W is None:
            image.add(node.output)
        elif W.ndim == 2:
            return as_images(W.T)
        else:
            return W[:, 0] if W.ndim == 4 and W.shape[1] == 1 else None
    return None


def sample_size(net: Network, x: Array, t: Array) -> int:
    """How many of the images x statistics are taken of: SAMPLE, or fewer if the layers put out more than OUTPUTS."""
    twin = net.copy()
    twin.loss(x[:2], t[:2])
    outputs = sum(node.output.value[0].size for node in twin.scores_graph.nodes)
    return min(SAMPLE, len(x), max(2, OUTPUTS // outputs))


def statistics(net: Network, x: Array, t: Array) -> tuple[tuple[LayerStatistics, ...], tuple[ParamStatistics, ...]]:
    """What each layer puts out for the images x and each parameter is, with the gradients that a step would see.

    Layer by layer, as Glorot and Bengio 2010 look at a net; in float64, on a copy of it.
    """
    twin = net.copy(np.float64)
    twin.loss(x, t)
    twin.backward()
    nodes = [node for node in twin.scores_graph.nodes if node.output.grad is not None]  # which mere images have not
    layers = (_of_layer(repr(node), node.output.value, node.output.grad) for node in nodes)
    grads = twin.named_grads
    params = (
        ParamStatistics(name, w.shape, float(w.mean()), float(w.std()), _norm(w), _norm(grads[name]))
        for name, w in twin.named_params.items()
    )
    return tuple(layers), tuple(params)


def _of_layer(name: str, y: Array, dy: Array) -> LayerStatistics:
    alive = y != 0
    # the loss is a mean over N images, so its gradient at one of them is 1/N of that image's own
    gradient = float(np.linalg.norm(dy.reshape(len(dy), -1), axis=1).mean()) * len(dy)
    counts, edges = np.histogram(y[alive], bins=60)
    return LayerStatistics(
        name, float(y.mean()), float(y.std()), zeros=1 - float(alive.mean()),
        dead=int(np.count_nonzero(~alive.any(axis=0))), units=y[0].size,
        gradient=gradient, counts=counts, edges=edges,
    )  # fmt: skip


def _norm(w: Array) -> float:
    return float(np.linalg.norm(w.ravel()))


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
