"""The list of all layers, each with inputs: every property test loops over it, so a new layer joins them here."""

from typing import Any, NamedTuple

import numpy as np

from dlscratch import layers
from dlscratch.layers import Layer


class Example(NamedTuple):
    layer: Layer
    inputs: tuple[Any, ...]

    def __str__(self) -> str:
        shapes = ", ".join(f"{x.dtype}{x.shape}" for x in self.inputs)
        return f"{self.layer} on {shapes}"


def layer_examples(dtype: type = np.float64) -> list[Example]:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> Any:
        return np.asarray(rng.standard_normal(shape), dtype)

    one_hot = np.eye(4, dtype=dtype)[[2, 0, 3, 3, 1]]
    soft = np.asarray(rng.dirichlet(np.ones(4), 5), dtype)
    return [
        Example(layers.Affine(3, 4, rng=rng, dtype=dtype), (normal(5, 3),)),
        Example(layers.Affine(1, 1, rng=rng, dtype=dtype), (normal(1, 1),)),
        Example(layers.ReLU(), (normal(5, 3),)),
        Example(layers.ReLU(), (normal(2, 3, 4),)),
        Example(layers.Sigmoid(), (normal(5, 3),)),
        Example(layers.Tanh(), (normal(5, 3),)),
        Example(layers.Identity(), (normal(5, 3),)),
        Example(layers.Softmax(), (normal(5, 4),)),
        Example(layers.Add(), (normal(5, 3), normal(5, 3))),
        Example(layers.Add(), (normal(5, 3), normal())),
        Example(layers.Mul(), (normal(5, 3), normal(5, 3))),
        Example(layers.Mul(), (normal(), normal(5, 3))),
        Example(layers.Mul(), (normal(), normal())),
        Example(layers.SoftmaxWithLoss(), (normal(5, 4), one_hot)),
        Example(layers.SoftmaxWithLoss(), (normal(5, 4), soft)),
        Example(layers.SoftmaxWithLoss(), (normal(5, 4), 2 * soft)),
        Example(layers.SoftmaxWithLoss(), (normal(5, 4), np.array([2, 0, 3, 3, 1]))),
        Example(layers.SoftmaxWithLoss(), (normal(4), np.array(2))),
        Example(layers.IdentityWithLoss(), (normal(5, 3), normal(5, 3))),
    ]


def gradients(layer: Layer, *inputs: Any, dy: Any) -> tuple[Any, ...]:
    """y and dx of a layer, dx as a tuple also where there is one input; its parameters' gradients are filled."""
    y = layer.forward(*inputs)
    if layer.param_names:
        layer.backward_params(dy, *inputs, y=y)
    dx = layer.backward(dy, *inputs, y=y)
    return y, dx if isinstance(dx, tuple) else (dx,)
