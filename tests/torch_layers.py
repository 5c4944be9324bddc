"""Each layer beside PyTorch's, on the examples that the property tests have, too."""

from collections.abc import Iterator

import numpy as np
import torch
from agreement import Comparison, distance, rounding
from layer_examples import Example, gradients, layer_examples
from torch.nn import functional

from dlscratch import layers

# What PyTorch calls a layer, and how it is called: with our layer for its settings, the inputs, and parameters and
# buffers by their names.
COUNTERPARTS = {
    layers.Add: ("add", lambda _, a, b: torch.add(a, b)),
    layers.Affine: ("functional.linear", lambda _, x, W, b: functional.linear(x, W.T, b)),
    layers.AveragePooling: ("functional.avg_pool2d", lambda own, x: functional.avg_pool2d(x, own.size, own.stride)),
    layers.BatchNormalization: (
        "functional.batch_norm",
        lambda own, x, gamma, beta, running_mean, running_var: functional.batch_norm(
            x, running_mean, running_var, gamma, beta, training=True, momentum=1 - own.momentum, eps=own.eps
        ),
    ),
    layers.Concatenate: ("cat", lambda own, *xs: torch.cat(xs, own.axis)),
    layers.Convolution: ("functional.conv2d", lambda own, x, W, b: functional.conv2d(x, W, b, own.stride, own.pad)),
    layers.Div: ("div", lambda _, a, b: torch.div(a, b)),
    layers.ELU: ("functional.elu", lambda own, x: functional.elu(x, own.alpha)),
    layers.Exp: ("exp", lambda _, x: torch.exp(x)),
    layers.Flatten: ("flatten", lambda _, x: torch.flatten(x, 1)),
    layers.GELU: ('functional.gelu(approximate="tanh")', lambda _, x: functional.gelu(x, approximate="tanh")),
    layers.HuberLoss: (
        'functional.huber_loss(reduction="sum") / N',
        lambda own, x, t: functional.huber_loss(x, t, reduction="sum", delta=own.delta) / len(x),
    ),
    layers.Identity: ("nn.Identity", lambda _, x: torch.nn.Identity()(x)),
    layers.IdentityWithLoss: (
        'functional.mse_loss(reduction="sum") / 2N',
        lambda _, x, t: functional.mse_loss(x, t, reduction="sum") / (2 * len(x)),
    ),
    layers.LayerNormalization: (
        "functional.layer_norm",
        lambda own, x, gamma, beta: functional.layer_norm(x, gamma.shape, gamma, beta, own.eps),
    ),
    layers.LeakyReLU: ("functional.leaky_relu", lambda own, x: functional.leaky_relu(x, own.slope)),
    layers.Log: ("log", lambda _, x: torch.log(x)),
    layers.MatMul: ("matmul", lambda _, a, b: torch.matmul(a, b)),
    layers.MaxPooling: ("functional.max_pool2d", lambda own, x: functional.max_pool2d(x, own.size, own.stride)),
    layers.Mean: ("mean", lambda own, x: torch.mean(x, own.axis, own.keepdims)),
    layers.Mul: ("mul", lambda _, a, b: torch.mul(a, b)),
    layers.ReLU: ("functional.relu", lambda _, x: functional.relu(x)),
    layers.Reshape: ("reshape", lambda own, x: torch.reshape(x, (len(x), *own.shape))),
    layers.SiLU: ("functional.silu", lambda _, x: functional.silu(x)),
    layers.Sigmoid: ("sigmoid", lambda _, x: torch.sigmoid(x)),
    layers.SigmoidWithLoss: (
        'functional.binary_cross_entropy_with_logits(reduction="sum") / N',
        lambda _, x, t: functional.binary_cross_entropy_with_logits(x, t.to(x.dtype), reduction="sum") / len(x),
    ),
    layers.Softmax: ("softmax", lambda _, x: torch.softmax(x, -1)),
    layers.SoftmaxWithLoss: (
        "functional.cross_entropy",
        lambda own, x, t: functional.cross_entropy(x, t, label_smoothing=own.smoothing),
    ),
    layers.Softplus: ("functional.softplus", lambda _, x: functional.softplus(x)),
    layers.Sub: ("sub", lambda _, a, b: torch.sub(a, b)),
    layers.Sum: ("sum", lambda own, x: torch.sum(x, own.axis, own.keepdims)),
    layers.Tanh: ("tanh", lambda _, x: torch.tanh(x)),
}

# Where test time differs from training.
AT_TEST_TIME = {
    layers.BatchNormalization: lambda own, x, gamma, beta, running_mean, running_var: functional.batch_norm(
        x, running_mean, running_var, gamma, beta, eps=own.eps
    ),
    layers.SoftmaxWithLoss: lambda _, x, t: functional.cross_entropy(x, t),
}


def layer_comparisons() -> Iterator[Comparison]:
    """One for each kind of layer."""
    for kind, (called, _) in COUNTERPARTS.items():

        def distances(dtype: type, kind: type = kind) -> dict[str, float]:
            examples = [example for example in layer_examples(dtype) if type(example.layer) is kind]
            return {f"{each}: {what}": far for each in examples for what, far in example_distances(each).items()}

        yield Comparison(f"`{kind.__name__}`", f"`{called}`", distances, lambda dtype: rounding(dtype, 100))


def example_distances(example: Example) -> dict[str, float]:
    """How far the output, each gradient, each buffer and the output at test time are from PyTorch's, by name."""
    layer, inputs = example
    _, forward = COUNTERPARTS[type(layer)]
    xs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    params = {name: torch.tensor(param, requires_grad=True) for name, param in layer.params.items()}
    buffers = {name: torch.tensor(buffer) for name, buffer in layer.buffers.items()}
    reference = forward(layer, *xs, **params, **buffers)
    # positive: where a sum comes to next to nothing, its rounding says nothing either
    dy = np.asarray(np.random.default_rng(0).uniform(0.5, 1.5, reference.shape), inputs[0].dtype)
    reference.backward(torch.tensor(dy))
    y, dxs = gradients(layer, *inputs, dy=dy)
    at_test_time = AT_TEST_TIME.get(type(layer), forward)(layer, *xs, **params, **buffers)
    found = {"y": distance(y, reference), "y at test time": distance(layer.predict(*inputs), at_test_time)}
    found |= {f"dx of input {i}": distance(dx, xs[i].grad) for i, dx in enumerate(dxs) if dx is not None}
    found |= {f"d{name}": distance(grad, params[name].grad) for name, grad in layer.grads.items()}
    return found | {name: distance(buffer, buffers[name]) for name, buffer in layer.buffers.items()}
