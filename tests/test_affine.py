"""Affine: worked by hand, its initial weights, and what it refuses."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.initializers import he, named, std, xavier
from dlscratch.layers import Affine


def test_affine_by_hand(rng):
    layer = Affine(2, 3, rng=rng, dtype=np.float64)
    layer.W[...] = [[1, 2, 3], [4, 5, 6]]
    layer.b[...] = [0.5, 0, -1]
    x, dy = np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    y, (dx,) = gradients(layer, x, dy=dy)
    np.testing.assert_array_equal(y, [[-2.5, -3, -4], [2.5, 4, 5]])
    np.testing.assert_array_equal(dx, [[7, 16], [2, 5]])
    np.testing.assert_array_equal(layer.dW, [[1, 2, 2], [-1, 0, -2]])
    np.testing.assert_array_equal(layer.db, [1, 1, 2])


def test_initializers_give_the_textbook_standard_deviations():
    assert he(200, 7) == 0.1
    assert xavier(120, 80) == 0.1
    assert std(0.01)(784, 50) == 0.01
    assert [named(name)(200, 0) for name in ("he", "Xavier", "0.5")] == [0.1, 0.1, 0.5]


@pytest.mark.parametrize("name", ["hee", "-1", "nan", "inf", ""])
def test_an_unknown_initializer_is_refused(name):
    with pytest.raises(ValueError, match=r"expects he, xavier or a standard deviation such as 0\.01, got"):
        named(name)


@pytest.mark.parametrize("init", [he, xavier, std(0.01)])
def test_affine_draws_its_weights_with_the_initializers_deviation(init, rng):
    layer = Affine(400, 300, rng=rng, init=init)
    assert layer.W.dtype == np.float32
    assert np.std(layer.W) == pytest.approx(init(400, 300), rel=0.02)
    assert not layer.b.any()


def test_the_same_seed_draws_the_same_weights():
    first, second = (Affine(3, 4, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.W, second.W)


@pytest.mark.parametrize("size", [(0, 3), (3, -1), (2.5, 3)])
def test_affine_refuses_sizes_that_are_none(size, rng):
    with pytest.raises(ValueError, match="Affine expects 2 whole numbers from 1 up, got"):
        Affine(*size, rng=rng)


def test_affine_names_the_shape_it_wants_and_the_one_it_got(rng):
    layer = Affine(784, 50, rng=rng)
    with pytest.raises(ValueError, match=r"Affine\(784 -> 50\) expects x of shape \(N, 784\), got \(100, 783\)"):
        layer.forward(np.zeros((100, 783)))
    with pytest.raises(ValueError, match=r"got \(100, 28, 28\); flatten the images first"):
        layer.forward(np.zeros((100, 28, 28)))


def test_numpy_integers_are_sizes_too(rng):
    assert repr(Affine(np.int64(3), np.int32(2), rng=rng)) == "Affine(3 -> 2)"
