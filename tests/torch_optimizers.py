"""Optimizers, clipping and schedules beside PyTorch's, over 100 steps."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from agreement import Comparison, distance, rounding
from torch import nn, optim
from torch.optim import lr_scheduler

from dlscratch.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop
from dlscratch.schedules import SCHEDULES, warm_up

STEPS = 100

# What PyTorch has in place of ours, and its settings where they are no defaults.
OPTIMIZERS = {
    SGD: (optim.SGD, {}),
    Momentum: (optim.SGD, {"momentum": 0.9}),
    Nesterov: (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    AdaGrad: (optim.Adagrad, {}),
    RMSprop: (optim.RMSprop, {}),
    Adam: (optim.Adam, {}),
    AdamW: (optim.AdamW, {}),
}
SCHEDULERS = {
    "constant": (lr_scheduler.ConstantLR, {"factor": 1.0}),
    "step": (lr_scheduler.StepLR, {"step_size": -(-STEPS // 3)}),
    "linear": (lr_scheduler.LinearLR, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": STEPS}),
    "cosine": (lr_scheduler.CosineAnnealingLR, {"T_max": STEPS}),
    "one-cycle": (lr_scheduler.OneCycleLR, {"max_lr": 1.0, "total_steps": STEPS, "cycle_momentum": False}),
    "warm-up": (lr_scheduler.LinearLR, {"start_factor": 1 / STEPS, "total_iters": STEPS - 1}),
}


def optimizer_comparisons() -> Iterator[Comparison]:
    """One for each optimizer, one for clipping, one for each schedule."""
    allowed = partial(rounding, terms=STEPS)
    for kind, (counterpart, options) in OPTIMIZERS.items():
        yield Comparison(f"`{kind.__name__}`", _call(counterpart, options), partial(optimizer_distances, kind), allowed)
    yield Comparison("`clip`", "`nn.utils.clip_grad_norm_`", clipping_distances, partial(allowed, exact=1e-6))
    for name, (counterpart, options) in SCHEDULERS.items():
        called = _call(counterpart, options)
        yield Comparison(f"`{name}`", called, partial(schedule_distances, name), allowed, dtypes=(np.float64,))


def optimizer_distances(kind, dtype) -> dict[str, float]:
    """Of one optimizer, without weight decay and with it."""
    plain, decayed = (_farthest(kind, dtype, weight_decay=decay) for decay in (0.0, 0.01))
    return {"without weight decay": plain, "with weight decay": decayed}


def clipping_distances(dtype) -> dict[str, float]:
    """Where gradients are clipped, and weights decay in one way and in the other."""
    return {kind.__name__: _farthest(kind, dtype, weight_decay=0.01, clip=1.0) for kind in (SGD, AdamW)}


def _farthest(kind, dtype, weight_decay: float, clip: float | None = None) -> float:
    """How far the parameters ever are from PyTorch's on their way down a bowl, by gradients with noise."""
    rng = np.random.default_rng(0)
    slopes, params = np.geomspace(0.1, 10, 20, dtype=dtype), rng.standard_normal(20).astype(dtype)
    grads, weights = np.zeros_like(params), torch.tensor(params, requires_grad=True)
    ours = kind(params, grads, weight_decay=weight_decay, clip=clip)
    counterpart, options = OPTIMIZERS[kind]
    theirs = counterpart([weights], lr=ours.lr, weight_decay=weight_decay, **options)
    farthest = 0.0
    for noise in rng.standard_normal((STEPS, 20)).astype(dtype):
        grads[...] = slopes * params + noise
        weights.grad = torch.tensor(slopes * weights.detach().numpy() + noise)
        if clip:
            nn.utils.clip_grad_norm_([weights], clip)
        ours.step()
        theirs.step()
        farthest = max(farthest, distance(params, weights))
    return farthest


def schedule_distances(name: str, _) -> dict[str, float]:
    """Of the learning rates."""
    formula = {**SCHEDULES, "warm-up": warm_up}[name]
    kind, options = SCHEDULERS[name]
    optimizer = optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler, theirs = kind(optimizer, **options), []
    for _ in range(STEPS):
        theirs += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    ours = [formula(step, STEPS) for step in range(1, STEPS + 1)]
    return {"learning rates": distance(np.array(ours), np.array(theirs))}


def _call(counterpart: type, options: dict[str, Any]) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"`{counterpart.__name__}({settings})`"
