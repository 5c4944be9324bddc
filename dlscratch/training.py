"""The training loop, as a generator: the body of the caller's `for` is the callback, `break` is early stopping.

for step, loss in enumerate(train(net, batches, optimizer, steps=10_000), start=1):
    ...
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol, Self

import numpy as np

from dlscratch.functions import Array


class Streams(NamedTuple):
    """One random stream for each purpose, so that to change what one of them is used for leaves the others alone.

    The same seed gives the same initial weights and the same batches to every optimizer: their curves are comparable.
    """

    weights: np.random.Generator
    batches: np.random.Generator
    noise: np.random.Generator

    @classmethod
    def from_seed(cls, seed: int) -> Self:
        """Three independent streams, spawned from one seed."""
        return cls(*(np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)))


class Trainable(Protocol):
    """What the loop needs of a network."""

    def loss(self, x: Array, t: Array) -> float: ...
    def backward(self) -> None: ...


class Steppable(Protocol):
    """What the loop needs of an optimizer."""

    lr: float

    def step(self) -> None: ...


class Diverged(ArithmeticError):
    """The loss is no longer a finite number: the net has nothing left to learn from."""

    run_status = "diverged"

    def __init__(self, what: str, remedy: str = "a smaller learning rate may help") -> None:
        super().__init__(f"{what}; {remedy}")


def train(
    net: Trainable,
    batches: Iterable[tuple[Array, Array]],
    optimizer: Steppable,
    steps: int,
    *,
    start: int = 0,
    lr: Callable[[int], float] | None = None,
) -> Iterator[float]:
    """Take `steps` training steps, fewer if the batches end; yield the loss of each: of its batch, before the update.

    lr: the learning rate of step n, counted from 1, such as `lambda n: 0.1 * cosine(n, steps)`; None leaves it to the
    optimizer. `start` steps were taken before, by a run that this one goes on with. Raises Diverged at the first loss
    that is not finite, with the parameters as they were before that step.
    """
    for step, (x, t) in enumerate(islice(batches, max(0, steps - start)), start=start + 1):
        loss = net.loss(x, t)
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss} at step {step}")
        net.backward()
        if lr:
            optimizer.lr = lr(step)
        optimizer.step()
        yield loss
