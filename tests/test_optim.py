"""Optimizers: each formula by hand, and what all of them must do."""

import tracemalloc

import numpy as np
import pytest
from duck_array import DuckArray

from dlscratch.optim import OPTIMIZERS, SGD, AdaGrad, Adam, AdamW, Lion, Momentum, Nesterov, RMSprop

ALL = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda kind: kind.__name__)


def trajectory(kind, grads, w=1.0, **options):
    """The parameter after each of the given gradients."""
    params, grad = np.array([w]), np.zeros(1)
    optimizer = kind(params, grad, **options)
    path = []
    for g in grads:
        grad[0] = g
        optimizer.step()
        path.append(params[0])
    return path


def test_sgd_by_hand():
    assert trajectory(SGD, [2.0, -1.0], lr=0.1) == pytest.approx([0.8, 0.9])


def test_momentum_by_hand():
    # v: -.2, then .9 (-.2) + .1 = -.08
    assert trajectory(Momentum, [2.0, -1.0], lr=0.1) == pytest.approx([0.8, 0.72])


def test_nesterov_by_hand():
    # v as above; w moves by .9 v - .1 g: -.18 - .2, then -.072 + .1
    assert trajectory(Nesterov, [2.0, -1.0], lr=0.1) == pytest.approx([0.62, 0.648])


def test_adagrad_by_hand():
    # h: 4, then 5
    assert trajectory(AdaGrad, [2.0, -1.0], lr=0.1) == pytest.approx([0.9, 0.9 + 0.1 / np.sqrt(5)])


def test_rmsprop_by_hand():
    # h: .04, then .99 * .04 + .01 = .0496
    expected = [1 - 0.1 * 2 / 0.2, 1 - 0.1 * 2 / 0.2 + 0.1 / np.sqrt(0.0496)]
    assert trajectory(RMSprop, [2.0, -1.0], lr=0.1, eps=0.0) == pytest.approx(expected)


def test_adam_by_hand():
    # the first step is lr in size, whatever the gradient; then m̂ = (.18 - .1) / .19, v̂ = (.003996 + .001) / .001999
    first = 1 - 0.1
    second = first - 0.1 * (0.08 / 0.19) / np.sqrt(0.004996 / 0.001999)
    assert trajectory(Adam, [2.0, -1.0], lr=0.1) == pytest.approx([first, second])


def test_adamw_by_hand():
    # Adam's steps by the gradients alone; before each, w loses .1 * .5 of itself
    first, second = (b - a for a, b in zip([1.0, 0.9], trajectory(Adam, [2.0, -1.0], lr=0.1), strict=True))
    expected = [0.95 + first, 0.95 * (0.95 + first) + second]
    assert trajectory(AdamW, [2.0, -1.0], lr=0.1, weight_decay=0.5) == pytest.approx(expected)


def test_lion_by_hand():
    # m before each step: 0, .02, .0098; the signs of .9 m + .1 g: of .2, .018 - .1, .00882
    assert trajectory(Lion, [2.0, -1.0, 0.0], lr=0.1) == pytest.approx([0.9, 1.0, 0.9])
    assert trajectory(Lion, [2.0, -0.1], lr=0.1) == pytest.approx([0.9, 0.8])  # .018 - .01: m outweighs g
    assert trajectory(Lion, [2.0, -0.2], lr=0.1) == pytest.approx([0.9, 1.0])  # .018 - .02: it does not
    assert trajectory(Lion, [2.0], lr=0.1, weight_decay=0.5) == pytest.approx([1 - 0.1 * (1 + 0.5)])


BOWLS = {
    "round": lambda w: 2 * w,
    "narrow": lambda w: 2 * w * np.array([1.0, 20.0, 0.1]),
    "tilted": lambda w: np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]]) @ w,
}


@ALL
@pytest.mark.parametrize("bowl", BOWLS)
def test_every_optimizer_reaches_the_bottom_of_every_bowl(optimizer, bowl):
    lr = {AdaGrad: 0.5, SGD: 0.04, Momentum: 0.01, Nesterov: 0.01, RMSprop: 0.002, Adam: 0.02, AdamW: 0.02, Lion: 0.001}
    params, grads = np.array([1.0, -0.5, 2.0]), np.zeros(3)
    steps = optimizer(params, grads, lr=lr[optimizer])
    for _ in range(3000):
        grads[...] = BOWLS[bowl](params)
        steps.step()
    np.testing.assert_allclose(params, 0, atol=5e-3)


@ALL
def test_a_step_changes_the_parameters_in_place_and_never_the_gradients(optimizer, rng):
    params, grads = rng.standard_normal(5), rng.standard_normal(5)
    before, old_grads = params.copy(), grads.copy()
    optimizer(params, grads).step()
    assert np.all(np.sign(params - before) == -np.sign(grads))
    np.testing.assert_array_equal(grads, old_grads)


@ALL
def test_float32_stays_float32_and_follows_float64(optimizer, rng):
    start, gradients = rng.standard_normal(5), rng.standard_normal((20, 5))
    results = []
    for dtype in (np.float32, np.float64):
        params, grads = start.astype(dtype), np.zeros(5, dtype)
        steps = optimizer(params, grads, weight_decay=0.01, clip=2.0)
        for g in gradients:
            grads[...] = g
            steps.step()
        assert all(vector.dtype == dtype for vector in steps.state.values())
        results.append(params)
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6)


@ALL
def test_weight_decay_adds_its_share_where_the_mask_says_to_the_gradient_or_to_the_step(optimizer, rng):
    start, g, mask = rng.standard_normal(4), rng.standard_normal(4), np.array([1.0, 1, 0, 0])
    share = 0.3 * mask * start
    decayed, grads = start.copy(), g.copy()
    optimizer(decayed, grads, lr=0.1, weight_decay=0.3 * mask).step()
    by_hand = start - 0.1 * share if optimizer.decoupled else start.copy()
    optimizer(by_hand, g if optimizer.decoupled else g + share, lr=0.1).step()
    np.testing.assert_allclose(decayed, by_hand, rtol=1e-12)
    np.testing.assert_array_equal(grads, g)


@ALL
def test_a_step_allocates_nothing(optimizer, rng):
    params, grads = rng.standard_normal((2, 100_000), dtype=np.float32)
    steps = optimizer(params, grads, weight_decay=0.01 * np.ones_like(params), clip=1.0)
    steps.step()
    tracemalloc.start()
    try:
        steps.step()
        assert tracemalloc.get_traced_memory()[1] < 4096
    finally:
        tracemalloc.stop()


@ALL
def test_vectors_of_another_array_type_move_as_numpys_do(optimizer, rng):
    params, grads, decay = rng.random((3, 5))
    ducks = DuckArray(params.copy()), DuckArray(grads), DuckArray(decay)
    for w, g, each in ((params, grads, decay), ducks):
        steps = optimizer(w, g, weight_decay=each, clip=0.1)
        steps.step()
        steps.step()
    np.testing.assert_array_equal(ducks[0].array, params)


# Clipping


def test_clipping_shortens_the_gradient_to_the_norm_by_hand():
    for clip, moved in ((1, [0.6, 0.8]), (4.999, [2.9994, 3.9992]), (5, [3, 4]), (None, [3, 4])):
        params = np.zeros(2)
        SGD(params, np.array([3.0, 4.0]), lr=1, clip=clip).step()
        np.testing.assert_allclose(-params, moved, rtol=1e-14)


@ALL
def test_a_clipped_gradient_moves_as_a_short_one_does_and_decay_comes_after(optimizer, rng):
    start, g = rng.standard_normal(4), rng.standard_normal(4)
    clipped, by_hand, grads = start.copy(), start.copy(), g.copy()
    several = [
        optimizer(clipped, grads, weight_decay=0.3, clip=0.01),
        optimizer(by_hand, g * 0.01 / np.linalg.norm(g), weight_decay=0.3),
    ]
    for _ in range(3):
        for steps in several:
            steps.step()
    np.testing.assert_allclose(clipped, by_hand, rtol=1e-12)
    np.testing.assert_array_equal(grads, g)


@ALL
def test_a_gradient_within_the_norm_is_not_changed_by_a_bit(optimizer, rng):
    start, g = rng.standard_normal((2, 4))
    free, bounded = start.copy(), start.copy()
    optimizer(free, g).step()
    optimizer(bounded, g, clip=100.0).step()
    np.testing.assert_array_equal(free, bounded)


@ALL
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_in_a_gradient_is_not_hidden_by_clipping(optimizer, wrong):
    params = np.ones(3)
    optimizer(params, np.array([1.0, wrong, 1.0]), clip=1.0).step()
    assert np.isnan(params[1])


def test_clipping_knows_norms_whose_squares_float32_does_not_hold():
    params = np.zeros(2, np.float32)
    SGD(params, np.array([3e30, 4e30], np.float32), lr=1, clip=1).step()
    np.testing.assert_allclose(params, [-0.6, -0.8], rtol=1e-6)


@ALL
def test_a_zero_gradient_leaves_the_start_alone(optimizer):
    params = np.array([1.0, -2.0])
    optimizer(params, np.zeros(2)).step()
    np.testing.assert_array_equal(params, [1, -2])


@ALL
def test_what_is_remembered_is_named_and_starts_at_zero(optimizer):
    state = optimizer(np.ones(3), np.ones(3)).state
    assert all(vector.shape == (3,) and not vector.any() for vector in state.values())


@ALL
def test_bad_settings_are_refused(optimizer):
    with pytest.raises(ValueError, match="lr expects a number above 0, got -1"):
        optimizer(np.ones(3), np.ones(3), lr=-1)
    with pytest.raises(ValueError, match="lr expects a number above 0, got nan"):
        optimizer(np.ones(3), np.ones(3), lr=float("nan"))
    with pytest.raises(ValueError, match="weight_decay expects a number from 0 up or one for each parameter, got -1"):
        optimizer(np.ones(3), np.ones(3), weight_decay=-1)
    for clip in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"clip expects a number above 0, or None .*, got {clip}"):
            optimizer(np.ones(3), np.ones(3), clip=clip)
    with pytest.raises(ValueError, match=r"flat vectors of one length, got shapes \(3,\) and \(4,\)"):
        optimizer(np.ones(3), np.ones(4))


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (Momentum, "momentum"),
        (Nesterov, "momentum"),
        (RMSprop, "rho"),
        (Adam, "beta1"),
        (Adam, "beta2"),
        (Lion, "beta1"),
        (Lion, "beta2"),
    ],
)
def test_decay_rates_are_fractions(kind, option):
    with pytest.raises(ValueError, match=f"{option} expects a number from 0 up to but not including 1, got 1"):
        kind(np.ones(3), np.ones(3), **{option: 1})


def test_eps_stands_beside_the_root_after_the_bias_is_taken_out():
    assert trajectory(Adam, [1e-3], lr=0.1, eps=1e-3)[0] == pytest.approx(1 - 0.1 / 2)
    assert trajectory(RMSprop, [1.0], lr=0.1, eps=0.1)[0] == pytest.approx(1 - 0.1 / 0.2)
    assert trajectory(AdaGrad, [1.0], lr=0.1, eps=1.0)[0] == pytest.approx(1 - 0.1 / 2)


def test_a_weight_decay_of_another_length_is_refused():
    with pytest.raises(ValueError, match="one for each parameter"):
        SGD(np.ones(3), np.ones(3), weight_decay=np.ones(2))
    with pytest.raises(ValueError, match="lr expects a number above 0, got inf"):
        SGD(np.ones(3), np.ones(3), lr=float("inf"))


@ALL
@pytest.mark.parametrize("taken", [0, 1, 7])
def test_an_optimizer_goes_on_from_the_state_of_another_to_the_last_bit(optimizer, taken, rng):
    start, gradients = rng.standard_normal(5).astype(np.float32), rng.standard_normal((12, 5)).astype(np.float32)

    def ready(params):
        grads = np.zeros_like(params)
        return optimizer(params, grads, weight_decay=0.01, clip=1.0), params, grads

    def take(steps, grads, some):
        for g in some:
            grads[...] = g
            steps.step()

    alone, params, grads = ready(start.copy())
    take(alone, grads, gradients[:taken])
    stopped_at, state = params.copy(), {name: vector.copy() for name, vector in alone.state.items()}
    take(alone, grads, gradients[taken:])

    restored, others, grads = ready(rng.standard_normal(5).astype(np.float32))
    take(restored, grads, gradients[:3])  # what it remembers of these is to be forgotten
    others[...] = stopped_at
    restored.restore(state, taken)
    take(restored, grads, gradients[taken:])
    np.testing.assert_array_equal(others, params)
    assert restored.steps_done == alone.steps_done == len(gradients)


def test_a_restored_optimizer_does_not_share_what_it_remembers():
    state = {"v": np.ones(3)}
    optimizer = Momentum(np.zeros(3), np.ones(3))
    optimizer.restore(state, 5)
    optimizer.step()
    np.testing.assert_array_equal(state["v"], 1)
