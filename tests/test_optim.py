"""Optimizers: each formula by hand, and what all of them must do."""

import numpy as np
import pytest

from dlscratch.optim import OPTIMIZERS, SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop

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


BOWLS = {
    "round": lambda w: 2 * w,
    "narrow": lambda w: 2 * w * np.array([1.0, 20.0, 0.1]),
    "tilted": lambda w: np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]]) @ w,
}


@ALL
@pytest.mark.parametrize("bowl", BOWLS)
def test_every_optimizer_reaches_the_bottom_of_every_bowl(optimizer, bowl):
    lr = {SGD: 0.04, Momentum: 0.01, Nesterov: 0.01, AdaGrad: 0.5, RMSprop: 0.002, Adam: 0.02}[optimizer]
    params, grads = np.array([1.0, -0.5, 2.0]), np.zeros(3)
    steps = optimizer(params, grads, lr=lr)
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
        steps = optimizer(params, grads, weight_decay=0.01)
        for g in gradients:
            grads[...] = g
            steps.step()
        assert all(vector.dtype == dtype for vector in steps.state.values())
        results.append(params)
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6)


@ALL
def test_weight_decay_adds_its_share_to_the_gradient_where_the_mask_says(optimizer, rng):
    start, g, mask = rng.standard_normal(4), rng.standard_normal(4), np.array([1.0, 1, 0, 0])
    decayed, by_hand = start.copy(), start.copy()
    grads = g.copy()
    optimizer(decayed, grads, weight_decay=0.3 * mask).step()
    optimizer(by_hand, g + 0.3 * mask * start).step()
    np.testing.assert_allclose(decayed, by_hand, rtol=1e-12)
    np.testing.assert_array_equal(grads, g)


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
    with pytest.raises(ValueError, match=r"flat vectors of one length, got shapes \(3,\) and \(4,\)"):
        optimizer(np.ones(3), np.ones(4))


@pytest.mark.parametrize(
    ("kind", "option"),
    [(Momentum, "momentum"), (Nesterov, "momentum"), (RMSprop, "rho"), (Adam, "beta1"), (Adam, "beta2")],
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
        return optimizer(params, grads, weight_decay=0.01), params, grads

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
