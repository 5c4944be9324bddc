"""Numerical gradients, and whole networks compared with them. Layers are held to theirs in test_contract.py."""

import re

import numpy as np
import pytest
from wrong_layers import WrongSign

from dlscratch.gradient_check import TOLERANCE, GradientError, check_network, compare, numerical_gradient
from dlscratch.layers import Affine, Dropout
from dlscratch.models import Sequential, TwoLayerNet


def test_a_comparison_by_hand():
    x = np.array([1.0, 2.0, 3.0, 0.0])
    found = compare("x", lambda _: np.sum(np.abs(x**3)), x, np.array([3.0, 12.0, 28.0, 0.0]))
    np.testing.assert_allclose(found.slopes, [3, 12, 27, 0], atol=1e-8)
    assert list(found.wrong) == [False, False, True, False]
    assert found.error == pytest.approx(1 / 28)
    assert found.fault.startswith("[2]: backward gives 28, differences of forward give 27")
    assert found.fault.endswith("1 of 4 numbers are wrong")


def test_slopes_are_allowed_the_rounding_of_large_values():
    x = np.array([1.0])
    found = compare("x", lambda _: np.array([3e9, x[0], -3e9]), x, np.array([1.0]))  # (3e9 + 1) - 3e9 is rough
    assert found.error > TOLERANCE
    assert not found.fault


def test_slopes_at_a_kink_are_allowed_the_rounding_of_their_smaller_steps():
    x = np.array([0.0])
    found = compare("x", lambda _: np.array([3e9, abs(x[0]), -3e9]), x, np.array([1.0]))
    assert (found.kinks, found.wrong.any()) == (1, False)


def test_slopes_are_compared_in_float64_only():
    x = np.arange(3)
    with pytest.raises(ValueError, match="x is an array of int64; slopes are compared in float64"):
        compare("x", lambda _: np.sum(x), x, np.ones(3))


@pytest.mark.parametrize("samples", [0, -1])
def test_a_check_of_no_samples_is_no_pass(rng, samples):
    with pytest.raises(ValueError, match=f"expects samples from 1 up, or None for all numbers, got {samples}"):
        check_network(TwoLayerNet(6, 5, 3, rng=rng), rng.random((4, 6)), np.array([0, 2, 1, 1]), samples=samples)


def test_kinks_are_left_out_and_counted():
    x = np.array([0.0, 2.0])
    found = compare("x", lambda _: np.sum(np.abs(x)), x, np.array([0.5, 1.0]))
    assert (found.kinks, found.compared, found.fault) == (1, 1, "")
    assert str(found).startswith("x: relative error ")
    assert str(found).endswith(" over 1 numbers, 1 left out at kinks")
    assert compare("x", lambda _: np.sum(np.abs(x)), x, np.array([1.5, 1.0])).fault.startswith(
        "[0]: backward gives 1.5"
    )


def test_backprop_and_numerical_gradients_of_the_books_net_agree(rng):
    net = TwoLayerNet(784, 50, 10, rng=rng)
    x, t = rng.random((3, 784), np.float32), np.array([3, 1, 4])
    report = check_network(net, x, t)
    assert [checked.name for checked in report] == ["W1", "b1", "W2", "b2"]
    assert all(checked.error < 1e-7 and checked.compared for checked in report)
    assert net.params.dtype == np.float32


def test_a_whole_small_network_is_compared_number_by_number(rng):
    net = TwoLayerNet(6, 5, 3, rng=rng)
    report = check_network(net, rng.random((4, 6)), np.eye(3)[[0, 2, 1, 1]], samples=None)
    assert sum(checked.compared + checked.kinks for checked in report) == net.params.size
    assert all(re.fullmatch(r"[Wb][12]: relative error .* over \d+ numbers.*", repr(checked)) for checked in report)


def test_a_fault_deep_in_a_network_is_named_by_its_parameter(rng):
    net = Sequential(Affine(6, 5, rng=rng), WrongSign(), Affine(5, 3, rng=rng))
    with pytest.raises(GradientError, match=r"W1\[\d, \d\]: backward gives"):
        check_network(net, rng.random((4, 6)), np.array([0, 2, 1, 1]))


def test_layers_that_draw_random_numbers_draw_the_same_each_time(rng):
    net = Sequential(Affine(6, 5, rng=rng), Dropout(0.5, rng=rng), Affine(5, 3, rng=rng))
    assert all(checked.error < 1e-7 for checked in check_network(net, rng.random((4, 6)), np.array([0, 2, 1, 1])))


def test_a_numerical_gradient_costs_two_forward_passes_for_each_number():
    """79,520 of them for the 39,760 parameters of the book's net, where backpropagation costs about three."""
    calls = []
    numerical_gradient(lambda x: calls.append(1) or 0.0, np.zeros((5, 4)))
    assert len(calls) == 2 * 20


def test_numerical_gradient_restores_the_array_when_the_function_fails():
    x = np.array([1.0, 2.0])

    def fails(x):
        if x[1] > 2:
            raise ArithmeticError
        return x.sum()

    with pytest.raises(ArithmeticError):
        numerical_gradient(fails, x)
    np.testing.assert_array_equal(x, [1, 2])


def test_other_numbers_than_the_first_are_compared(rng):
    class LastRowWrong(Affine):
        def backward_params(self, dy, x, y):
            super().backward_params(dy, x, y)
            self.dW[-1] += 1

    net = Sequential(LastRowWrong(50, 20, rng=rng))
    with pytest.raises(GradientError, match=r"W1\[49, \d+\]"):
        check_network(net, rng.random((4, 50)), np.array([0, 2, 1, 1]))
