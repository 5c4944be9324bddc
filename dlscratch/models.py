"""The named nets, each a few lines of layers."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from dlscratch.graph import Variable
from dlscratch.initializers import Initializer, he
from dlscratch.layers import (
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    Flatten,
    Layer,
    LayerNormalization,
    MaxPooling,
    ReLU,
    Reshape,
    SoftmaxWithLoss,
    SparseAffine,
)
from dlscratch.network import Network

Activation = Callable[[], Layer]


class TwoLayerNet(Network):
    """x -> Affine -> ReLU -> Affine -> scores, trained with SoftmaxWithLoss    (book, chapter 5.7.2)"""

    def __init__(
        self,
        in_size: int,
        hidden_size: int,
        out_size: int,
        *,
        rng: np.random.Generator,
        init: Initializer = he,
        activation: Activation = ReLU,
        sparse: bool = False,
        loss: Layer | None = None,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
        first = SparseAffine if sparse else Affine
        hidden = activation()(first(in_size, hidden_size, rng=rng, init=init, dtype=dtype)(x))
        scores = Affine(hidden_size, out_size, rng=rng, init=init, dtype=dtype)(hidden)
        super().__init__(x, t, scores, (loss or SoftmaxWithLoss())(scores, t))


class Sequential(Network):
    """Any layers in a chain, and a loss: `Sequential(Affine(784, 50, rng=rng), ReLU(), Affine(50, 10, rng=rng))`."""

    def __init__(self, *layers: Layer, loss: Layer | None = None) -> None:
        x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
        scores = x
        for layer in layers:
            _check_layer(layer)
            scores = layer(scores)
        super().__init__(x, t, scores, (loss or SoftmaxWithLoss())(scores, t))


class MultiLayerNet(Sequential):
    """x -> Affine -> (BatchNormalization) -> ReLU -> (Dropout) -> ... -> Affine -> scores    (book, chapter 6)

    sizes: of the input, of each hidden layer, of the output. With one hidden layer, and without the layers in brackets,
    it is TwoLayerNet. A dropout ratio above 0 wants `noise`, the generator of what is dropped.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        rng: np.random.Generator,
        init: Initializer = he,
        activation: Activation = ReLU,
        batch_norm: bool = False,
        dropout: float = 0.0,
        noise: np.random.Generator | None = None,
        sparse: bool = False,
        loss: Layer | None = None,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        hidden: list[Layer] = []
        for pair in pairwise(sizes[:-1]):
            affine = SparseAffine if sparse and not hidden else Affine
            hidden.append(affine(*pair, rng=rng, init=init, dtype=dtype))
            hidden += [BatchNormalization(pair[1], dtype=dtype)] * batch_norm
            hidden += [activation(), *_dropout(dropout, noise)]
        super().__init__(*hidden, Affine(*sizes[-2:], rng=rng, init=init, dtype=dtype), loss=loss)


class SimpleConvNet(Sequential):
    """x -> Convolution -> MaxPooling -> ReLU -> Affine -> ReLU -> Affine -> scores    (book, chapter 7.5)

    Rows of pixels enter, and become images of `in_shape` (C, H, W). The book has ReLU before the pooling, which takes
    four times the work for the same numbers: what is largest in a square is so after ReLU, too.
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        hidden_size: int,
        out_size: int,
        *,
        rng: np.random.Generator,
        filters: int = 30,
        size: int = 5,
        init: Initializer = he,
        activation: Activation = ReLU,
        loss: Layer | None = None,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        channels, *sides = in_shape
        pooled = [(side - size + 1) // 2 for side in sides]
        affine = partial(Affine, rng=rng, init=init, dtype=dtype)
        super().__init__(
            Reshape(*in_shape),
            Convolution(channels, filters, size, rng=rng, init=init, dtype=dtype), MaxPooling(2), activation(),
            Flatten(),
            affine(filters * pooled[0] * pooled[1], hidden_size), activation(),
            affine(hidden_size, out_size),
            loss=loss,
        )  # fmt: skip


class DeepConvNet(Sequential):
    """Three times Convolution -> ReLU -> Convolution -> MaxPooling -> ReLU, then Affine -> ReLU -> Dropout -> Affine ->
    Dropout -> scores    (book, chapter 8.1)

    Rows of pixels enter, and become images of `in_shape` (C, H, W). Filters are 3 x 3; each of the three times has its
    own number of them. With batch_norm, a BatchNormalization follows each Convolution and the first Affine.
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        hidden_size: int,
        out_size: int,
        *,
        rng: np.random.Generator,
        noise: np.random.Generator | None = None,
        filters: tuple[int, int, int] = (16, 32, 64),
        init: Initializer = he,
        activation: Activation = ReLU,
        batch_norm: bool = False,
        dropout: float = 0.5,
        loss: Layer | None = None,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        def normalized(layer: Layer, size: int) -> list[Layer]:
            return [layer, BatchNormalization(size, dtype=dtype)] if batch_norm else [layer]

        if min(in_shape[1:]) < 4:
            raise ValueError(f"DeepConvNet expects images of at least 4 x 4 pixels, got {in_shape}")
        convolution = partial(Convolution, rng=rng, init=init, dtype=dtype)
        affine = partial(Affine, rng=rng, init=init, dtype=dtype)
        channels, *sides = in_shape
        layers: list[Layer] = [Reshape(*in_shape)]
        for count, pad in zip(filters, (1, 2, 1), strict=True):
            layers += [*normalized(convolution(channels, count, 3, pad=1), count), activation()]
            layers += [*normalized(convolution(count, count, 3, pad=pad), count), MaxPooling(2), activation()]
            channels, sides = count, [(side + 2 * pad - 2) // 2 for side in sides]
        layers += [Flatten(), *normalized(affine(channels * sides[0] * sides[1], hidden_size), hidden_size)]
        layers += [activation(), *_dropout(dropout, noise), affine(hidden_size, out_size), *_dropout(dropout, noise)]
        super().__init__(*layers, loss=loss)


class ResidualMLP(Network):
    """h = ReLU(Affine(x)), then several times h + Affine(ReLU(LayerNormalization(h))), then Affine -> scores

    After He et al. 2016 ("Identity mappings"): what a block adds is all that it has to learn.
    """

    def __init__(
        self,
        in_size: int,
        width: int,
        blocks: int,
        out_size: int,
        *,
        rng: np.random.Generator,
        noise: np.random.Generator | None = None,
        init: Initializer = he,
        activation: Activation = ReLU,
        dropout: float = 0.0,
        sparse: bool = False,
        loss: Layer | None = None,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        affine = partial(Affine, rng=rng, init=init, dtype=dtype)
        first = SparseAffine if sparse else Affine
        x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
        h = activation()(first(in_size, width, rng=rng, init=init, dtype=dtype)(x))
        for _ in range(blocks):
            branch = h
            for layer in (LayerNormalization(width, dtype=dtype), activation(), *_dropout(dropout, noise)):
                branch = layer(branch)
            h = h + affine(width, width)(branch)
        scores = affine(width, out_size)(h)
        super().__init__(x, t, scores, (loss or SoftmaxWithLoss())(scores, t))


def _dropout(ratio: float, noise: np.random.Generator | None) -> list[Layer]:
    if not ratio:
        return []
    if noise is None:
        raise ValueError("dropout draws random numbers; give their generator, as in noise=np.random.default_rng(1)")
    return [Dropout(ratio, rng=noise)]


def _check_layer(layer: Any) -> None:
    """TypeError unless this can stand in a chain."""
    if not isinstance(layer, Layer):
        hint = "write Sequential(*layers)" if isinstance(layer, list | tuple) else "did you forget its ()?"
        raise TypeError(f"Sequential expects layers, got {layer!r}; {hint}")
    if type(layer).__name__.endswith("Loss"):
        raise TypeError(f"Sequential expects the loss apart from the layers; leave {layer} out, or write loss={layer}")
