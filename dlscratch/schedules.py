"""Learning-rate schedules: each is a formula for the share of the peak learning rate that a step of a training takes.

Steps are counted from 1 to `steps`, and nothing is remembered from one to the next: a training that goes on at any
step needs no more than its number. `train(..., lr=lambda step: 0.1 * cosine(step, steps))` follows one.
"""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(step: int, steps: int) -> float:
    """1 throughout."""
    _check(step, steps)
    return 1.0


def step_decay(step: int, steps: int, *, every: int | None = None, factor: float = 0.1) -> float:
    """factor^k after k times `every` steps; by default 1, 0.1 and 0.01 for a third of the steps each."""
    _check(step, steps)
    if every is not None and every < 1:
        raise ValueError(f"every expects a number of steps from 1 up, got {every}")
    return float(factor ** ((step - 1) // (every or math.ceil(steps / 3))))


def linear(step: int, steps: int) -> float:
    """1 - (step - 1) / steps: from 1 straight down to 1 / steps, and to 0 where the next step would be."""
    _check(step, steps)
    return 1 - (step - 1) / steps


def cosine(step: int, steps: int) -> float:
    """½ (1 + cos(π (step - 1) / steps)): half a wave from 1 down, to 0 where the next step would be.

    Loshchilov and Hutter 2017, without restarts.
    """
    _check(step, steps)
    return _half_wave(1, 0, (step - 1) / steps)


def one_cycle(step: int, steps: int, *, rise: float = 0.3, start: float = 1 / 25, end: float = 4e-6) -> float:
    """From `start` up to 1 at step rise · steps, and down to `end` at the last step, each by half a cosine wave.

    Smith 2018, in the form of fastai and PyTorch. Where rise · steps is no whole number, 1 lies between two steps.
    """
    _check(step, steps)
    if not 0 <= rise < 1:
        raise ValueError(f"rise expects a share from 0 up to but not including 1, got {rise}")
    peak = rise * steps
    if step < peak:
        return _half_wave(start, 1, (step - 1) / (peak - 1))
    return _half_wave(1, end, (step - peak) / (steps - peak))


def warm_up(step: int, first: int) -> float:
    """min(1, step / first): a factor for any schedule, which reaches 1 at step `first`; 1 throughout if that is 0."""
    return min(1.0, step / first) if first > 0 else 1.0


SCHEDULES = {"constant": constant, "step": step_decay, "linear": linear, "cosine": cosine, "one-cycle": one_cycle}


def named(text: str, steps: int, first: int = 0) -> Schedule:
    """The schedule that a command line means by a name in SCHEDULES, with a warm-up of the `first` steps."""
    formula = SCHEDULES.get(text.lower())
    if formula is None:
        raise ValueError(f"expects one of {', '.join(SCHEDULES)}, got {text!r}")
    if not 0 <= first <= steps:
        raise ValueError(f"a warm-up in a training of {steps} steps takes 0 to {steps} of them, got {first}")
    return lambda step: warm_up(step, first) * formula(step, steps)


def _half_wave(begin: float, end: float, progress: float) -> float:
    """From `begin` at progress 0 to `end` at progress 1, level at both."""
    return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2


def _check(step: int, steps: int) -> None:
    if not 1 <= step <= steps:
        raise ValueError(f"the steps of this schedule are 1 to {steps}, got {step}; give it the length of the training")
