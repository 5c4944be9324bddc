"""Optimizers: each is its formula on two flat vectors, the parameters w and the gradients g.

`SGD(net.params, net.grads, lr=0.1)`, then `step()` after each backward pass. A step allocates nothing: each formula is
written as in-place operations with one vector of scratch memory. `lr` may be set anew before each step: see schedules.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypedDict, Unpack

import numpy as np

from dlscratch.functions import Array


class Options(TypedDict, total=False):
    """What every optimizer can be given by name, besides the numbers in its formula: see Optimizer."""

    weight_decay: float | Array
    clip: float | None


class Optimizer(ABC):
    """The base of all optimizers; a subclass gives `update()` and names in `state_names` the vectors it remembers.

    clip c, if not None, shortens a longer gradient first: g ← g min(1, c / ‖g‖), the norm of all gradients together
    (Pascanu et al. 2013). `grads` stay as backward left them, and what is not finite in them makes w not finite.
    weight_decay λ then adds λ w to the gradient (L2 regularisation): a number, or a vector with one number for each
    parameter; `1e-4 * net.weight_mask` leaves the biases out. Optimizers with `decoupled` weight decay leave g as it
    is: w ← w - η λ w before the update (Loshchilov and Hutter 2019).
    """

    state_names: tuple[str, ...] = ()
    decoupled = False

    def __init__(
        self, params: Array, grads: Array, lr: float, weight_decay: float | Array = 0.0, clip: float | None = None
    ) -> None:
        if params.ndim != 1 or params.shape != grads.shape:
            raise ValueError(
                f"params and grads are two flat vectors of one length, got shapes {params.shape} and {grads.shape}"
            )
        if not 0 < lr < math.inf:
            raise ValueError(f"lr expects a number above 0, got {lr}")
        if np.shape(weight_decay) not in ((), params.shape) or not np.all(np.greater_equal(weight_decay, 0)):
            raise ValueError(f"weight_decay expects a number from 0 up or one for each parameter, got {weight_decay}")
        if clip is not None and not 0 < clip < math.inf:
            raise ValueError(f"clip expects a number above 0, or None for gradients of any length, got {clip}")
        self.lr, self.clip = lr, clip
        self._weight_decay = weight_decay
        self._decays = bool(np.any(weight_decay))
        self.w = params
        self.g = self.grads = grads
        self._changed_g = np.empty_like(grads)  # g where it is not grads; memory only once it is written
        self.scratch = np.empty_like(params)
        self.steps_done = 0
        for name in self.state_names:
            setattr(self, name, np.zeros_like(params))

    @property
    def state(self) -> dict[str, Array]:
        """The vectors remembered from step to step, by name."""
        return {name: getattr(self, name) for name in self.state_names}

    def restore(self, state: Mapping[str, Array], steps_done: int) -> None:
        """Go on from another optimizer's `state` after so many steps."""
        for name, vector in self.state.items():
            vector[...] = state[name]
        self.steps_done = steps_done

    def step(self) -> None:
        """Move the parameters once, in place, by the gradients as they are now."""
        self.steps_done += 1
        self.g = self.grads
        if self.clip is not None and (norm := _norm(self.g)) > self.clip:
            self.g = np.multiply(self.g, self.clip / norm, out=self._changed_g)
        if self._decays:
            self._decay()
        self.update()

    def _decay(self) -> None:
        np.multiply(self.w, self._weight_decay, out=self.scratch)
        if self.decoupled:
            self.scratch *= self.lr
            self.w -= self.scratch
        else:
            self.g = np.add(self.g, self.scratch, out=self._changed_g)

    @abstractmethod
    def update(self) -> None:
        """The formula: change self.w by self.g."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.lr})"


class SGD(Optimizer):
    """w ← w - η g    (stochastic gradient descent; book, chapter 6.1.2)"""

    def __init__(self, params: Array, grads: Array, *, lr: float = 0.1, **options: Unpack[Options]) -> None:
        super().__init__(params, grads, lr, **options)

    def update(self) -> None:
        np.multiply(self.g, self.lr, out=self.scratch)
        self.w -= self.scratch


class Momentum(Optimizer):
    """v ← α v - η g,  w ← w + v    (Polyak 1964; book, chapter 6.1.4)"""

    state_names = ("v",)
    v: Array

    def __init__(
        self, params: Array, grads: Array, *, lr: float = 0.01, momentum: float = 0.9, **options: Unpack[Options]
    ) -> None:
        super().__init__(params, grads, lr, **options)
        self.momentum = _fraction("momentum", momentum)

    def update(self) -> None:
        np.multiply(self.g, self.lr, out=self.scratch)
        self.v *= self.momentum
        self.v -= self.scratch
        self.w += self.v


class Nesterov(Momentum):
    """v ← α v - η g,  w ← w + α v - η g    (Nesterov 1983, in the form of Bengio et al. 2013)"""

    def update(self) -> None:
        np.multiply(self.g, self.lr, out=self.scratch)
        self.v *= self.momentum
        self.v -= self.scratch
        self.w -= self.scratch
        np.multiply(self.v, self.momentum, out=self.scratch)
        self.w += self.scratch


class AdaGrad(Optimizer):
    """h ← h + g²,  w ← w - η g / (√h + ε)    (Duchi et al. 2011; book, chapter 6.1.5)"""

    state_names = ("h",)
    h: Array

    def __init__(
        self, params: Array, grads: Array, *, lr: float = 0.01, eps: float = 1e-10, **options: Unpack[Options]
    ) -> None:
        super().__init__(params, grads, lr, **options)
        self.eps = eps

    def update(self) -> None:
        np.square(self.g, out=self.scratch)
        self.h += self.scratch
        _descend(self.w, self.lr, self.g, self.h, self.eps, self.scratch)


class RMSprop(Optimizer):
    """h ← ρ h + (1 - ρ) g²,  w ← w - η g / (√h + ε)    (Tieleman and Hinton 2012)"""

    state_names = ("h",)
    h: Array

    def __init__(
        self,
        params: Array,
        grads: Array,
        *,
        lr: float = 0.001,
        rho: float = 0.99,
        eps: float = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, grads, lr, **options)
        self.rho = _fraction("rho", rho)
        self.eps = eps

    def update(self) -> None:
        np.square(self.g, out=self.scratch)
        _move_average(self.h, self.scratch, 1 - self.rho)
        _descend(self.w, self.lr, self.g, self.h, self.eps, self.scratch)


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  w ← w - η m̂ / (√v̂ + ε)    (Kingma and Ba 2015)

    m̂ = m / (1 - β₁ⁿ) and v̂ = v / (1 - β₂ⁿ) after n steps take out the bias of averages that start at 0.
    """

    state_names = ("m", "v")
    m: Array
    v: Array

    def __init__(
        self,
        params: Array,
        grads: Array,
        *,
        lr: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, grads, lr, **options)
        self.beta1 = _fraction("beta1", beta1)
        self.beta2 = _fraction("beta2", beta2)
        self.eps = eps

    def update(self) -> None:
        bias1, bias2 = 1 - self.beta1**self.steps_done, 1 - self.beta2**self.steps_done
        np.positive(self.g, out=self.scratch)
        _move_average(self.m, self.scratch, 1 - self.beta1)
        np.square(self.g, out=self.scratch)
        _move_average(self.v, self.scratch, 1 - self.beta2)
        # √v̂ = √v / √bias2, so that the formula of AdaGrad serves with η and ε scaled by √bias2
        root = bias2**0.5
        _descend(self.w, self.lr * root / bias1, self.m, self.v, self.eps * root, self.scratch)


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← w - η (m̂ / (√v̂ + ε) + λ w)    (Loshchilov and Hutter 2019)"""

    decoupled = True


class Lion(Optimizer):
    """w ← w - η (sign(β₁ m + (1 - β₁) g) + λ w),  m ← β₂ m + (1 - β₂) g    (Chen et al. 2023)

    Every parameter moves by η in each step, so η is a third to a tenth of Adam's.
    """

    decoupled = True
    state_names = ("m",)
    m: Array

    def __init__(
        self,
        params: Array,
        grads: Array,
        *,
        lr: float = 0.0003,
        beta1: float = 0.9,
        beta2: float = 0.99,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, grads, lr, **options)
        self.beta1 = _fraction("beta1", beta1)
        self.beta2 = _fraction("beta2", beta2)
        self._direction = np.empty_like(params)  # since np.sign takes ten times as long in place

    def update(self) -> None:
        np.subtract(self.m, self.g, out=self._direction)
        self._direction *= self.beta1
        self._direction += self.g
        np.sign(self._direction, out=self.scratch)
        self.scratch *= self.lr
        self.w -= self.scratch
        np.positive(self.g, out=self.scratch)
        _move_average(self.m, self.scratch, 1 - self.beta2)


OPTIMIZERS = (SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW, Lion)


def _move_average(average: Array, x: Array, share: float) -> None:
    """average ← average + share (x - average); x is overwritten."""
    x -= average
    x *= share
    average += x


def _descend(w: Array, lr: float, g: Array, h: Array, eps: float, scratch: Array) -> None:
    """w ← w - lr g / (√h + eps)."""
    np.sqrt(h, out=scratch)
    scratch += eps
    np.divide(g, scratch, out=scratch)
    scratch *= lr
    w -= scratch


def _norm(g: Array) -> float:
    """√Σ g²."""
    with np.errstate(over="ignore"):
        square = float(np.dot(g, g))
    if math.isinf(square):  # float32 holds no square of a norm above 2e19
        square = float(np.einsum("i,i->", g, g, dtype=np.float64))
    return math.sqrt(square)


def _fraction(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name} expects a number from 0 up to but not including 1, got {value}")
    return value
