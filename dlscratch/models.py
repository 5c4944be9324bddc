"""The named nets, each a few lines of layers."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dlscratch.graph import Variable
from dlscratch.initializers import Initializer, he
from dlscratch.layers import Affine, Layer, ReLU, SoftmaxWithLoss
from dlscratch.network import Network


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
        activation: type[Layer] = ReLU,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
        hidden = activation()(Affine(in_size, hidden_size, rng=rng, init=init, dtype=dtype)(x))
        scores = Affine(hidden_size, out_size, rng=rng, init=init, dtype=dtype)(hidden)
        super().__init__(x, t, scores, SoftmaxWithLoss()(scores, t))


class Sequential(Network):
    """Any layers in a chain, and a loss: `Sequential(Affine(784, 50, rng=rng), ReLU(), Affine(50, 10, rng=rng))`."""

    def __init__(self, *layers: Layer, loss: Layer | None = None) -> None:
        x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
        scores = x
        for layer in layers:
            scores = layer(scores)
        super().__init__(x, t, scores, (loss or SoftmaxWithLoss())(scores, t))


class MultiLayerNet(Sequential):
    """x -> Affine -> ReLU -> ... -> Affine -> scores    (book, chapter 6)

    sizes: of the input, of each hidden layer, of the output. With one hidden layer it is TwoLayerNet.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        rng: np.random.Generator,
        init: Initializer = he,
        activation: type[Layer] = ReLU,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        affines = [Affine(*pair, rng=rng, init=init, dtype=dtype) for pair in pairwise(sizes)]
        hidden = [layer for affine in affines[:-1] for layer in (affine, activation())]
        super().__init__(*hidden, affines[-1])
