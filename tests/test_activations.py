"""Activations: each worked by hand, and right far out in both tails."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.layers import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh


def test_relu_by_hand_with_derivative_zero_at_zero():
    y, (dx,) = gradients(ReLU(), np.array([-1.0, 0.0, 2.0]), dy=np.array([5.0, 5.0, 5.0]))
    np.testing.assert_array_equal(y, [0, 0, 2])
    np.testing.assert_array_equal(dx, [0, 0, 5])


def test_sigmoid_and_tanh_by_hand():
    y, (dx,) = gradients(Sigmoid(), np.array([0.0, np.log(3)]), dy=np.array([1.0, 2.0]))
    np.testing.assert_allclose(y, [0.5, 0.75])
    np.testing.assert_allclose(dx, [0.25, 0.375])
    y, (dx,) = gradients(Tanh(), np.array([0.0, np.arctanh(0.5)]), dy=np.array([1.0, 2.0]))
    np.testing.assert_allclose(y, [0, 0.5])
    np.testing.assert_allclose(dx, [1, 1.5])


def test_softmax_layer_by_hand():
    y, (dx,) = gradients(Softmax(), np.log([[1.0, 3.0]]), dy=np.array([[4.0, 0.0]]))
    np.testing.assert_allclose(y, [[0.25, 0.75]])
    np.testing.assert_allclose(dx, [[0.75, -0.75]])


def test_leaky_relu_by_hand_with_the_slope_as_derivative_at_zero():
    y, (dx,) = gradients(LeakyReLU(0.25), np.array([-4.0, 0.0, 2.0]), dy=np.array([8.0, 8.0, 8.0]))
    np.testing.assert_array_equal(y, [-1, 0, 2])
    np.testing.assert_array_equal(dx, [2, 2, 8])


def test_elu_by_hand():
    y, (dx,) = gradients(ELU(2.0), np.array([-np.log(4), 3.0]), dy=np.array([10.0, 10.0]))
    np.testing.assert_allclose(y, [-1.5, 3])
    np.testing.assert_allclose(dx, [5, 10])


def test_gelu_is_its_tanh_form():
    x = np.array([-3.0, -1.0, 0.0, 0.5, 2.0])
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    y, (dx,) = gradients(GELU(), x, dy=np.ones(5))
    np.testing.assert_allclose(y, x / 2 * (1 + np.tanh(u)))
    np.testing.assert_allclose(y, [-0.00363739, -0.15880801, 0, 0.34571401, 1.9545977], rtol=1e-6)
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    np.testing.assert_allclose(dx, (1 + np.tanh(u)) / 2 + x / 2 * (1 - np.tanh(u) ** 2) * du)


def test_silu_and_softplus_by_hand():
    x, dy = np.array([0.0, np.log(3)]), np.array([2.0, 16.0])
    y, (dx,) = gradients(SiLU(), x, dy=dy)
    np.testing.assert_allclose(y, [0, 0.75 * np.log(3)])
    np.testing.assert_allclose(dx, [1, 12 + 3 * np.log(3)])
    y, (dx,) = gradients(Softplus(), x, dy=dy)
    np.testing.assert_allclose(y, np.log([2, 4]))
    np.testing.assert_allclose(dx, [1, 12])


@pytest.mark.parametrize(
    ("layer", "left", "slope_left"),
    [
        (ReLU(), 0, 0),
        (Sigmoid(), 0, 0),
        (Tanh(), -1, 0),
        (LeakyReLU(0.5), -5e3, 0.5),
        (ELU(0.5), -0.5, 0),
        (GELU(), 0, 0),
        (SiLU(), 0, 0),
        (Softplus(), 0, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_tails_are_the_exact_limits(layer, left, slope_left, dtype):
    y, (dx,) = gradients(layer, np.array([-1e4, 1e4], dtype), dy=np.ones(2, dtype))
    bounded = isinstance(layer, Sigmoid | Tanh)
    np.testing.assert_array_equal(y, np.array([left, 1 if bounded else 1e4], dtype))
    np.testing.assert_array_equal(dx, np.array([slope_left, 0 if bounded else 1], dtype))


@pytest.mark.parametrize(("layer", "power"), [(ELU(), 0), (SiLU(), 1), (Softplus(), 0)], ids=str)
def test_a_small_gradient_far_to_the_left_is_not_rounded_away(layer, power):
    x = np.array([-30.0], np.float32)
    _, (dx,) = gradients(layer, x, dy=np.ones(1, np.float32))
    expected = np.exp(-30.0) * (1 - 30.0) ** power
    np.testing.assert_allclose(dx, expected, rtol=1e-5)


def test_activations_print_what_they_were_made_with():
    assert [str(layer) for layer in (LeakyReLU(0.1), ELU(), GELU())] == ["LeakyReLU(0.1)", "ELU(1.0)", "GELU()"]
