"""Schedules: each formula by hand, what all of them must do, and what they are good for."""

import math
from itertools import pairwise

import numpy as np
import pytest

from dlscratch.optim import SGD
from dlscratch.schedules import SCHEDULES, constant, cosine, linear, named, one_cycle, step_decay, warm_up

ALL = pytest.mark.parametrize("name", SCHEDULES)
SMOOTH = pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "step"])
LENGTHS = [1, 2, 3, 4, 7, 10, 1000]


def course(formula, steps, **options):
    """The factor of each step."""
    return [formula(step, steps, **options) for step in range(1, steps + 1)]


def test_constant_by_hand():
    assert course(constant, 3) == [1, 1, 1]


def test_step_decay_by_hand():
    assert course(step_decay, 7) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])
    assert course(step_decay, 6) == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert course(step_decay, 5, every=2, factor=0.5) == [1, 1, 0.5, 0.5, 0.25]


def test_linear_by_hand():
    assert course(linear, 4) == [1, 0.75, 0.5, 0.25]


def test_cosine_by_hand():
    # cos of 0, 60, 120 degrees
    assert course(cosine, 3) == pytest.approx([1, 0.75, 0.25])
    assert cosine(3, 4) == pytest.approx(0.5)


def test_one_cycle_by_hand():
    # up from 0.2 until step 3 = 0.3 * 10, down from there in 7: halfway up at step 2, halfway down at 6.5
    factors = course(one_cycle, 10, start=0.2, end=0.1)
    assert [factors[step - 1] for step in (1, 2, 3, 10)] == pytest.approx([0.2, 0.6, 1, 0.1])
    assert (factors[5] + factors[6]) / 2 == pytest.approx(0.55)
    assert factors[4] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi * 2 / 7)) / 2)


def test_one_cycle_begins_at_a_25th_and_ends_at_a_10000th_of_that():
    assert course(one_cycle, 100)[::99] == pytest.approx([1 / 25, 1 / 250_000])


def test_warm_up_by_hand():
    assert [warm_up(step, 4) for step in range(1, 7)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [warm_up(step, 0) for step in (1, 2)] == [1, 1]


@ALL
@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_every_step_moves_and_none_by_more_than_the_peak(name, steps, share):
    schedule = named(name, steps, int(share * steps))
    assert all(0 < schedule(step) <= 1 for step in range(1, steps + 1))


@ALL
@pytest.mark.parametrize("steps", [7, 10, 1000])
def test_the_peak_is_reached_and_nothing_rises_after_it(name, steps):
    factors = course(SCHEDULES[name], steps)
    peak = factors.index(max(factors))
    assert factors[peak] > 0.98
    assert peak <= 0.3 * steps
    assert all(a <= b for a, b in pairwise(factors[: peak + 1]))
    assert all(a >= b for a, b in pairwise(factors[peak:]))


@SMOOTH
@pytest.mark.parametrize("steps", [10, 1000])
def test_smooth_schedules_do_not_jump(name, steps):
    # the steepest is half a cosine wave in 0.3 of the steps, less the one that it begins with
    steepest = math.pi / 2 / (0.3 * steps - 1)
    assert max(abs(a - b) for a, b in pairwise(course(SCHEDULES[name], steps))) <= steepest


@pytest.mark.parametrize(
    ("name", "end"), [("constant", 1), ("step", 0.01), ("linear", 0), ("cosine", 0), ("one-cycle", 0)]
)
def test_each_ends_where_it_is_to_end(name, end):
    assert SCHEDULES[name](10_000, 10_000) == pytest.approx(end, abs=1e-4)


@ALL
@pytest.mark.parametrize("step", [0, -1, 11])
def test_steps_outside_the_training_are_refused(name, step):
    with pytest.raises(ValueError, match=f"steps of this schedule are 1 to 10, got {step}"):
        SCHEDULES[name](step, 10)


@ALL
def test_a_name_gives_its_schedule_with_a_warm_up_of_the_first_steps(name):
    plain, warm = named(name.upper(), 20), named(name, 20, 10)
    assert [plain(step) for step in range(1, 21)] == course(SCHEDULES[name], 20)
    assert [warm(step) / plain(step) for step in (1, 5, 10, 20)] == pytest.approx([0.1, 0.5, 1, 1])


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="expects one of constant, step, linear, cosine, one-cycle, got 'cosines'"):
        named("cosines", 10)
    for first in (-1, 11):
        with pytest.raises(ValueError, match=f"a warm-up in a training of 10 steps takes 0 to 10 of them, got {first}"):
            named("cosine", 10, first)
    for every in (0, -1):
        with pytest.raises(ValueError, match=f"every expects a number of steps from 1 up, got {every}"):
            step_decay(1, 10, every=every)
    for rise in (-0.1, 1):
        with pytest.raises(ValueError, match=f"rise expects a share from 0 up to but not including 1, got {rise}"):
            one_cycle(1, 10, rise=rise)


@pytest.mark.parametrize("name", ["step", "linear", "cosine", "one-cycle"])
def test_where_gradients_are_noisy_a_falling_rate_ends_nearer_to_the_bottom(name, rng):
    noise = rng.standard_normal((300, 1000))

    def distance(schedule):
        params, grads = np.ones(1000), np.zeros(1000)
        optimizer = SGD(params, grads)
        for step, noise_now in enumerate(noise, start=1):
            grads[...] = params + noise_now
            optimizer.lr = 0.5 * schedule(step)
            optimizer.step()
        return np.sqrt(np.mean(params**2))

    assert distance(named(name, 300)) < 0.5 * distance(named("constant", 300))
