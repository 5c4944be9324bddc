"""The list of all layers, each with inputs: every property test loops over it, so a new layer joins them here."""

from typing import Any, NamedTuple

import numpy as np

from dlscratch import layers
from dlscratch.compiled import compiler
from dlscratch.gradient_check import rewinder
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
    sparse = [Example(layers.SparseAffine(4, 3, rng=rng, dtype=dtype), (normal(5, 4),))] if compiler() else []
    return [
        *sparse,
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
        Example(layers.LeakyReLU(), (normal(5, 3),)),
        Example(layers.LeakyReLU(0.2), (normal(2, 3, 4),)),
        Example(layers.ELU(), (normal(5, 3),)),
        Example(layers.ELU(0.5), (normal(5, 3),)),
        Example(layers.GELU(), (normal(5, 3),)),
        Example(layers.SiLU(), (normal(5, 3),)),
        Example(layers.Softplus(), (normal(5, 3),)),
        Example(layers.Sub(), (normal(5, 3), normal(5, 3))),
        Example(layers.Sub(), (normal(), normal(5, 3))),
        Example(layers.Div(), (normal(5, 3), 2 + one_hot[:, :3])),
        Example(layers.Div(), (normal(5, 3), 2 + normal() ** 2)),
        Example(layers.Exp(), (normal(5, 3),)),
        Example(layers.Log(), (1 + one_hot,)),
        Example(layers.MatMul(), (normal(5, 3), normal(3, 4))),
        Example(layers.MatMul(), (normal(5, 2, 3), normal(5, 3, 4))),
        Example(layers.Sum(), (normal(5, 3),)),
        Example(layers.Sum(axis=1), (normal(5, 3),)),
        Example(layers.Sum(axis=(1, 3), keepdims=True), (normal(5, 2, 3, 2),)),
        Example(layers.Mean(), (normal(5, 3),)),
        Example(layers.Mean(axis=(2, 3)), (normal(5, 2, 3, 2),)),
        Example(layers.Concatenate(), (normal(5, 3), normal(5, 1), normal(5, 2))),
        Example(layers.Concatenate(axis=-1), (normal(5, 3, 2), normal(5, 3, 1))),
        Example(layers.Concatenate(), (normal(5, 3),)),
        Example(layers.Convolution(2, 3, 3, rng=rng, pad=1, dtype=dtype), (normal(4, 2, 3, 4),)),
        Example(layers.Convolution(1, 2, 2, rng=rng, stride=2, dtype=dtype), (normal(3, 1, 5, 4),)),
        Example(layers.MaxPooling(2), (normal(3, 2, 4, 4),)),
        Example(layers.MaxPooling(2, stride=1), (normal(3, 1, 3, 4),)),
        Example(layers.AveragePooling(2), (normal(3, 2, 4, 5),)),
        Example(layers.Flatten(), (normal(5, 2, 3),)),
        Example(layers.Reshape(2, 3), (normal(5, 6),)),
        Example(layers.BatchNormalization(3, dtype=dtype), (normal(5, 3),)),
        Example(layers.BatchNormalization(2, dtype=dtype), (normal(5, 2, 3, 2),)),
        Example(layers.LayerNormalization(4, dtype=dtype), (normal(5, 4),)),
        Example(layers.LayerNormalization(4, dtype=dtype), (normal(5, 3, 4),)),
        Example(layers.Dropout(rng=np.random.default_rng(2)), (normal(5, 3),)),
        Example(layers.Dropout(0.2, rng=np.random.default_rng(3)), (normal(5, 2, 3),)),
        Example(layers.SoftmaxWithLoss(smoothing=0.1), (normal(5, 4), np.array([2, 0, 3, 3, 1]))),
        Example(layers.SoftmaxWithLoss(smoothing=0.1), (normal(5, 4), 2 * soft)),
        Example(layers.SigmoidWithLoss(), (normal(5, 4), one_hot)),
        Example(layers.SigmoidWithLoss(), (normal(5, 4), np.eye(4, dtype=np.int64)[[2, 0, 3, 3, 1]])),
        Example(layers.HuberLoss(), (normal(5, 3), 2 * normal(5, 3))),
        Example(layers.HuberLoss(0.3), (normal(5, 3), normal(5, 3))),
    ]


def forward(layer: Layer, *inputs: Any, out: Any = None) -> Any:
    """y of a layer; where it draws random numbers, it is going to draw the same ones again."""
    rewind = rewinder([layer])
    y = layer.forward(*inputs, out=out)
    rewind()
    return y


def gradients(layer: Layer, *inputs: Any, dy: Any) -> tuple[Any, ...]:
    """y and dx of a layer, dx as a tuple also where there is one input; its parameters' gradients are filled."""
    y = forward(layer, *inputs)
    if layer.param_names:
        layer.backward_params(dy, *inputs, y=y)
    dx = layer.backward(dy, *inputs, y=y)
    return y, dx if isinstance(dx, tuple) else (dx,)
