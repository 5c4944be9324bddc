"""Every figure of the source material, and the right behaviour where the material is wrong."""

import numpy as np
import pytest

from dlscratch.functions import (
    accuracy,
    cross_entropy_error,
    identity_function,
    log_softmax,
    mean_absolute_error,
    mean_squared_error,
    relu,
    sigmoid,
    softmax,
    step_function,
    sum_squared_error,
)
from dlscratch.gradient_check import numerical_gradient

T = [0, 0, 1, 0, 0]
Y_GOOD = [0.01, 0.02, 0.9, 0.05, 0.02]
Y_BAD = [0.5, 0.1, 0.2, 0.2, 0.1]

T10 = np.eye(10)[2]
Y10_GOOD = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
Y10_BAD = np.array([0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0])


# Losses


def test_mean_squared_error_gives_the_printed_digits():
    assert mean_squared_error(Y_GOOD, T) == 0.006699999999999998
    assert mean_squared_error(Y_BAD, T) == 0.4750000000000001
    assert mean_squared_error(Y10_GOOD, T10) == pytest.approx(0.0975, abs=1e-15)
    assert mean_squared_error(Y10_BAD, T10) == pytest.approx(0.5975, abs=1e-15)


def test_mean_squared_error_averages_over_the_batch_and_sum_squared_error_does_not():
    y, t = np.array([Y_GOOD, Y_BAD]), np.array([T, T])
    assert mean_squared_error(y, t) == pytest.approx((0.0067 + 0.475) / 2)
    assert sum_squared_error(y, t) == pytest.approx(0.0067 + 0.475)
    assert sum_squared_error(Y_BAD, T) == mean_squared_error(Y_BAD, T)


def test_mean_absolute_error_sums_over_classes_and_averages_over_the_batch():
    assert mean_absolute_error(Y_GOOD, T) == pytest.approx(0.2)
    assert mean_absolute_error([Y_GOOD, Y_BAD], [T, T]) == pytest.approx((0.2 + 1.7) / 2)


@pytest.mark.parametrize("error", [mean_squared_error, sum_squared_error, mean_absolute_error])
def test_regression_losses_never_broadcast(error):
    with pytest.raises(ValueError, match=r"same shape, got \(3,\) and \(3, 1\)"):
        error(np.zeros(3), np.zeros((3, 1)))


def test_cross_entropy_with_eps_gives_the_printed_digits():
    assert cross_entropy_error(Y_GOOD, T, eps=1e-7) == pytest.approx(0.1053604045467214, abs=1e-16)
    assert cross_entropy_error(Y_BAD, T, eps=1e-7) == pytest.approx(1.6094374124342252, abs=1e-15)
    assert cross_entropy_error(Y10_GOOD, T10, eps=1e-7) == pytest.approx(0.510825457099338, abs=1e-15)
    assert cross_entropy_error(Y10_BAD, T10, eps=1e-7) == pytest.approx(2.302584092994546, abs=1e-15)


def test_cross_entropy_is_exact_without_eps():
    assert cross_entropy_error([0.2, 0.5, 0.3], [1, 0, 0]) == pytest.approx(1.6094379124341003, abs=1e-15)
    assert cross_entropy_error([0.8, 0.1, 0.1], [1, 0, 0]) == pytest.approx(0.2231435513142097, abs=1e-15)


def test_a_perfect_answer_costs_exactly_nothing_and_no_minus_zero():
    loss = cross_entropy_error([1, 0, 0], [1, 0, 0])
    assert loss == 0
    assert not np.signbit(loss)
    assert cross_entropy_error([1, 0, 0], [1, 0, 0], eps=1e-7) == pytest.approx(-1e-7)


def test_a_hopeless_answer_costs_infinity_without_eps_and_sixteen_with_it():
    assert cross_entropy_error([0.0, 1.0], [1, 0]) == np.inf
    assert cross_entropy_error([0.0, 1.0], [1, 0], eps=1e-7) == pytest.approx(16.11809565095832, abs=1e-14)


def test_labels_pick_the_probability_of_their_class():
    y = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    assert cross_entropy_error(y, np.array([0, 0])) == pytest.approx(1.4067053583800182, abs=1e-15)
    assert cross_entropy_error(y, np.array([2, 1])) == pytest.approx(0.7803238741323343, abs=1e-15)


def test_one_hot_rows_and_labels_give_the_same_loss_to_the_last_bit(rng):
    y = softmax(rng.standard_normal((50, 10)))
    t = rng.integers(0, 10, 50)
    assert cross_entropy_error(y, np.eye(10)[t]) == cross_entropy_error(y, t)
    assert cross_entropy_error(y, np.eye(10, dtype=int)[t], eps=1e-7) == cross_entropy_error(y, t, eps=1e-7)


def test_a_batch_repeated_has_the_same_loss(rng):
    y, t = softmax(rng.standard_normal((8, 10))), rng.integers(0, 10, 8)
    assert cross_entropy_error(np.tile(y, (5, 1)), np.tile(t, 5)) == pytest.approx(cross_entropy_error(y, t))


def test_soft_targets_are_used_as_a_distribution():
    expected = -(0.25 * np.log(0.5) + 0.75 * np.log(0.25))
    assert cross_entropy_error([0.5, 0.25, 0.25], [0.25, 0.75, 0.0]) == pytest.approx(expected)


def test_a_class_that_is_not_wanted_may_have_probability_zero():
    assert cross_entropy_error([[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]]) == pytest.approx(np.log(2))


def test_a_single_output_column_keeps_labels_and_rows_apart():
    y = np.ones((3, 1))
    assert cross_entropy_error(y, np.zeros(3, int)) == 0
    assert cross_entropy_error(y, np.ones((3, 1))) == 0


@pytest.mark.parametrize(
    ("t", "got"),
    [
        (np.zeros((2, 4)), r"float64 of shape \(2, 4\)"),
        (np.zeros((2, 1)), r"float64 of shape \(2, 1\)"),
        (np.zeros(2), r"float64 of shape \(2,\)"),
        (np.zeros(3, int), r"int64 of shape \(3,\)"),
        (np.zeros((1, 2, 3)), r"float64 of shape \(1, 2, 3\)"),
    ],
)
def test_targets_that_fit_neither_rule_are_refused_and_never_broadcast(t, got):
    with pytest.raises(ValueError, match="integer labels of shape .*got " + got):
        cross_entropy_error(np.full((2, 3), 1 / 3), t)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_is_named(label):
    with pytest.raises(ValueError, match=f"labels for 3 classes are 0 to 2, got {label}"):
        cross_entropy_error(np.full((2, 3), 1 / 3), np.array([0, label]))


def test_scores_instead_of_probabilities_are_refused():
    with pytest.raises(ValueError, match=r"expects probabilities, got -1; apply softmax"):
        cross_entropy_error([2.0, -1.0], [1, 0])


# Softmax and activations


def test_softmax_of_large_scores_gives_the_printed_digits():
    expected = [9.99954600e-01, 4.53978686e-05, 2.06106005e-09]
    np.testing.assert_allclose(softmax([1010, 1000, 990]), expected, rtol=1e-8)


def test_softmax_does_not_change_when_all_scores_are_shifted(rng):
    x = rng.standard_normal((4, 5))
    np.testing.assert_allclose(softmax(x + 1000), softmax(x), rtol=1e-10)
    np.testing.assert_allclose(softmax(x).sum(axis=1), 1)


def test_softmax_takes_the_maximum_of_each_row_by_itself():
    y = softmax(np.array([[0.0, 1.0], [5000.0, 5001.0]]))
    np.testing.assert_array_equal(y[0], y[1])


def test_softmax_keeps_the_index_of_the_largest_score(rng):
    x = rng.standard_normal((100, 10))
    np.testing.assert_array_equal(softmax(x).argmax(axis=1), x.argmax(axis=1))


def test_log_softmax_is_finite_where_softmax_is_zero():
    np.testing.assert_array_equal(log_softmax([1000, 0]), [0, -1000])


def test_sigmoid_is_right_in_both_tails_without_a_warning():
    assert sigmoid(0) == 0.5
    np.testing.assert_array_equal(sigmoid([-1000.0, 1000.0]), [0, 1])
    assert sigmoid(-40.0) == pytest.approx(np.exp(-40.0), rel=1e-12)
    x = np.linspace(-20, 20, 101)
    np.testing.assert_allclose(sigmoid(-x), 1 - sigmoid(x), atol=1e-16)


def test_relu_is_not_bounded_above():
    np.testing.assert_array_equal(relu([-2, 0, 3000]), [0, 0, 3000])


def test_step_function_is_one_only_above_zero():
    np.testing.assert_array_equal(step_function([-1, 0, 1e-300, 2]), [0, 0, 1, 1])


def test_identity_function_changes_nothing(rng):
    x = rng.standard_normal(3)
    np.testing.assert_array_equal(identity_function(x), x)


@pytest.mark.parametrize("function", [identity_function, relu, sigmoid, softmax, log_softmax])
def test_functions_fill_out_keep_float32_and_leave_their_input_alone(function, rng):
    x = rng.standard_normal((4, 5)).astype(np.float32)
    before, out = x.copy(), np.full_like(x, np.nan)
    assert function(x, out=out) is out
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, function(x))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("function", [identity_function, relu, sigmoid, softmax, log_softmax, step_function])
def test_small_unsigned_integers_do_not_wrap_around(function):
    np.testing.assert_array_equal(function(np.array([0, 1, 250], np.uint8)), function([0.0, 1.0, 250.0]))


# Accuracy and gradients


def test_accuracy_takes_labels_and_one_hot_rows():
    y = [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]
    assert accuracy(y, [1, 0, 0]) == pytest.approx(2 / 3)
    assert accuracy(y, [[0, 1], [1, 0], [1, 0]]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("x", [np.array([3.0, 4.0]), np.array([3, 4]), np.array([3, 4], np.float32), [3, 4]])
def test_numerical_gradient_of_a_bowl_whatever_the_dtype(x):
    np.testing.assert_allclose(numerical_gradient(lambda x: np.sum(np.square(x)), x), [6, 8], rtol=1e-9)
    np.testing.assert_array_equal(x, [3, 4])


def test_numerical_gradient_serves_functions_that_look_at_the_array_itself():
    w = np.array([3.0, 4.0])
    np.testing.assert_allclose(numerical_gradient(lambda _: np.sum(w**2), w), [6, 8], rtol=1e-9)


def test_accuracy_has_no_gradient_which_is_why_a_loss_is_needed(rng):
    x, t, w = rng.standard_normal((20, 3)), rng.integers(0, 4, 20), rng.standard_normal((3, 4))
    np.testing.assert_array_equal(numerical_gradient(lambda w: accuracy(x @ w, t), w), np.zeros((3, 4)))


def test_a_softmax_output_sums_to_one_in_every_dimension(rng):
    for shape in ((5,), (4, 5), (3, 4, 5)):
        x = rng.standard_normal(shape)
        np.testing.assert_allclose(softmax(x).sum(axis=-1), 1)
        np.testing.assert_allclose(np.log(softmax(x)), log_softmax(x))


def test_true_and_false_are_no_labels():
    with pytest.raises(ValueError, match=r"integer labels .* got bool"):
        cross_entropy_error([[0.5, 0.5]], np.array([True]))


def test_a_batch_of_sequences_averages_over_all_rows(rng):
    y, t = softmax(rng.standard_normal((2, 3, 4))), rng.integers(0, 4, (2, 3))
    assert cross_entropy_error(y, t) == pytest.approx(cross_entropy_error(y.reshape(6, 4), t.ravel()))
    assert mean_squared_error(y, 0 * y) == pytest.approx(mean_squared_error(y.reshape(6, 4), np.zeros((6, 4))))


def test_numerical_gradient_of_a_float32_array_that_the_function_looks_at_itself():
    w = np.array([3.0, 4.0], np.float32)
    np.testing.assert_allclose(numerical_gradient(lambda _: np.sum(w**2), w), [6, 8], rtol=1e-3)
    np.testing.assert_array_equal(w, [3, 4])


def test_numerical_gradient_takes_steps_that_fit_the_number():
    for x in (1e-3, 2.0, -1e9, 1e12):
        np.testing.assert_allclose(numerical_gradient(lambda x: x[0] ** 2, np.array([x])), [2 * x], rtol=1e-7)


def test_numerical_gradient_leaves_a_read_only_array_alone():
    x = np.array([3.0, 4.0])
    x.flags.writeable = False
    np.testing.assert_allclose(numerical_gradient(lambda x: np.sum(x**2), x), [6, 8])
