"""Whole trainings beside PyTorch's: the same first weights and the same batches of strokes."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from agreement import Comparison, distance, rounding
from torch import nn

from dataset.strokes import load_strokes
from dlscratch.layers import Affine, BatchNormalization, Convolution, Flatten, MaxPooling, ReLU, Reshape
from dlscratch.models import Sequential, TwoLayerNet
from dlscratch.optim import SGD, Momentum
from dlscratch.training import train

STEPS, BATCH_SIZE = 30, 50


def two_layer_nets(dtype):
    """A net of ours, and the same in PyTorch."""
    ours = TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0), dtype=dtype)
    return ours, nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))


def convolution_nets(dtype):
    """A net of ours, and the same in PyTorch."""
    given = {"rng": np.random.default_rng(0), "dtype": dtype}
    ours = Sequential(
        Reshape(1, 28, 28),
        Convolution(1, 8, 5, **given), BatchNormalization(8, dtype=dtype), MaxPooling(2), ReLU(),
        Convolution(8, 8, 3, pad=1, **given), BatchNormalization(8, dtype=dtype), MaxPooling(2), ReLU(),
        Flatten(), Affine(288, 10, **given),
    )  # fmt: skip
    theirs = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 8, 5), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(288, 10),
    )  # fmt: skip
    return ours, theirs


# The nets, our optimizer, and the settings that make it of PyTorch's SGD.
TRAININGS = {
    "two-layer net, `SGD`": (two_layer_nets, SGD, {}),
    "convolution net with `BatchNormalization`, `Momentum`": (convolution_nets, Momentum, {"momentum": 0.9}),
}


def training_comparisons() -> Iterator[Comparison]:
    """One for each training. The largest sums of a step, those of batch normalization, run over a whole batch."""
    allowed = partial(rounding, terms=STEPS * BATCH_SIZE * 784, exact=1e-9)
    for name, training in TRAININGS.items():
        yield Comparison(name, f"`nn.Sequential`, {STEPS} steps", partial(training_distances, *training), allowed)


def training_distances(make, kind, options, dtype) -> dict[str, float]:
    """Of the losses, step by step, and of the loss over the test images after the last."""
    net, reference = make(dtype)
    copy_params(net, reference)
    (x, t), (x_test, t_test) = load_strokes(train_size=STEPS * BATCH_SIZE, test_size=200)
    batches = list(zip(np.split(x.astype(dtype), STEPS), np.split(t, STEPS), strict=True))
    test = x_test.astype(dtype), t_test
    optimizer = kind(net.params, net.grads)
    its_optimizer = torch.optim.SGD(reference.parameters(), optimizer.lr, **options)
    steps = zip(train(net, batches, optimizer, STEPS), reference_losses(reference, batches, its_optimizer), strict=True)
    found = {f"step {number}": distance(*losses) for number, losses in enumerate(steps, start=1)}
    return found | {"test images": distance(net.evaluate(*test)[0], loss_of(reference.eval(), *test).item())}


def copy_params(net, reference) -> None:
    """Give PyTorch's net our dtype and our parameters."""
    reference.to(torch.tensor(net.params).dtype)
    for its, param in zip(reference.parameters(), net.named_params.values(), strict=True):
        its.data = torch.tensor(param.T if param.ndim == 2 else param)


def reference_losses(net, batches, optimizer):
    """The loss of each step as PyTorch trains."""
    for x, t in batches:
        optimizer.zero_grad()
        loss = loss_of(net, x, t)
        loss.backward()
        optimizer.step()
        yield loss.item()


def loss_of(net, x, t):
    return nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(t))
