"""Arithmetic and shapes: each layer worked by hand, and what it refuses."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.graph import Graph, Variable
from dlscratch.layers import Add, Concatenate, Div, Exp, Flatten, Log, MatMul, Mean, Mul, Reshape, Sub, Sum


def test_the_multiply_node_swaps_its_inputs():
    y, dx = gradients(Mul(), np.float64(100), np.float64(2), dy=np.float64(1.1))
    assert y == 200
    np.testing.assert_allclose(dx, [2.2, 110])


def test_a_scalar_gets_the_sum_of_the_gradient():
    a, b, dy = np.array([1.0, 2.0]), np.array(3.0), np.array([10.0, 1.0])
    assert gradients(Mul(), a, b, dy=dy)[1][1] == 12
    assert gradients(Add(), b, a, dy=dy)[1][0] == 11


def test_differences_and_quotients_by_hand():
    a, b, dy = np.array([6.0, 1.0]), np.array([2.0, 4.0]), np.array([1.0, 8.0])
    y, (da, db) = gradients(Sub(), a, b, dy=dy)
    np.testing.assert_array_equal([y, da, db], [[4, -3], [1, 8], [-1, -8]])
    y, (da, db) = gradients(Div(), a, b, dy=dy)
    np.testing.assert_array_equal([y, da, db], [[3, 0.25], [0.5, 2], [-1.5, -0.5]])


def test_a_scalar_that_divides_gets_the_sum_of_the_gradient():
    _, (da, db) = gradients(Div(), np.array([6.0, 2.0]), np.array(2.0), dy=np.array([1.0, 4.0]))
    np.testing.assert_array_equal(da, [0.5, 2])
    assert db == -1.5 - 2


def test_exp_and_log_by_hand():
    y, (dx,) = gradients(Exp(), np.log([2.0, 3.0]), dy=np.array([1.0, 2.0]))
    np.testing.assert_allclose([y, dx], [[2, 3], [2, 6]])
    y, (dx,) = gradients(Log(), np.array([1.0, 4.0]), dy=np.array([3.0, 2.0]))
    np.testing.assert_allclose([y, dx], [[0, np.log(4)], [3, 0.5]])


def test_the_matrix_product_by_hand():
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 0.0], [1.0, 4.0]])
    y, (da, db) = gradients(MatMul(), a, b, dy=np.array([[1.0, 10.0]]))
    np.testing.assert_array_equal(y, [[5, 8]])
    np.testing.assert_array_equal(da, [[3, 41]])
    np.testing.assert_array_equal(db, [[1, 10], [2, 20]])


def test_a_stack_of_matrices_is_multiplied_one_by_one(rng):
    a, b, dy = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 3, 4)), rng.standard_normal((5, 2, 4))
    y, (da, db) = gradients(MatMul(), a, b, dy=dy)
    for i in range(5):
        yi, (dai, dbi) = gradients(MatMul(), a[i], b[i], dy=dy[i])
        for whole, part in ((y, yi), (da, dai), (db, dbi)):
            np.testing.assert_allclose(whole[i], part)


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("axis", "sums", "dy", "dx"),
    [
        (None, 15, np.array(2.0), [[2, 2, 2], [2, 2, 2]]),
        (0, [3, 5, 7], np.array([1.0, 2.0, 3.0]), [[1, 2, 3], [1, 2, 3]]),
        (1, [3, 12], np.array([1.0, 2.0]), [[1, 1, 1], [2, 2, 2]]),
        ((-1, 0), 15, np.array(2.0), [[2, 2, 2], [2, 2, 2]]),
    ],
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_and_means_by_hand(axis, sums, dy, dx, keepdims):
    shape = np.sum(X, axis=axis, keepdims=keepdims).shape
    y, (found,) = gradients(Sum(axis, keepdims), X, dy=dy.reshape(shape))
    np.testing.assert_array_equal(y, np.reshape(sums, shape))
    np.testing.assert_array_equal(found, dx)
    y, (found,) = gradients(Mean(axis, keepdims), X, dy=dy.reshape(shape))
    n = X.size // y.size
    np.testing.assert_allclose(y, np.reshape(sums, shape) / n)
    np.testing.assert_allclose(found, np.divide(dx, n))


def test_concatenated_arrays_get_their_own_parts_of_the_gradient():
    a, b, c = np.zeros((2, 1)), np.ones((2, 2)), np.full((2, 1), 2.0)
    y, dxs = gradients(Concatenate(), a, b, c, dy=np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]]))
    np.testing.assert_array_equal(y, [[0, 1, 1, 2], [0, 1, 1, 2]])
    for dx, expected in zip(dxs, ([[1], [5]], [[2, 3], [6, 7]], [[4], [8]]), strict=True):
        np.testing.assert_array_equal(dx, expected)


def test_an_array_concatenated_with_itself_gets_both_parts():
    x = Variable("x", np.array([[1.0, 2.0]]))
    weights = Variable("w", np.array([[1.0, 10.0, 100.0, 1000.0]]), requires_grad=False)
    graph = Graph(Sum()(Concatenate()(x, x) * weights))
    for _ in range(2):
        assert graph.forward() == 2 * 1000 + 100 + 20 + 1
        graph.backward()
        np.testing.assert_array_equal(x.grad, [[101, 1010]])


def test_flatten_and_reshape_undo_each_other_and_copy_nothing(rng):
    x = rng.standard_normal((5, 2, 3, 4))
    y, (dx,) = gradients(Flatten(), x, dy=rng.standard_normal((5, 24)))
    assert (y.shape, dx.shape) == ((5, 24), x.shape)
    back, (dy,) = gradients(Reshape(2, 3, 4), y, dy=dx)
    np.testing.assert_array_equal(back, x)
    assert all(np.shares_memory(x, view) for view in (y, back))
    assert np.shares_memory(dx, dy)


def test_flatten_makes_a_view_of_images_whose_batch_is_innermost(rng):
    x = rng.standard_normal((2, 3, 4, 5)).transpose(3, 0, 1, 2)
    y = Flatten().forward(x)
    assert np.shares_memory(x, y)
    np.testing.assert_array_equal(y, x.copy().reshape(5, 24))


@pytest.mark.parametrize("layer", [Flatten(), Reshape(3, 2)])
def test_an_empty_batch_keeps_its_width(layer):
    assert layer.forward(np.zeros((0, 2, 3))).shape[1:] in ((6,), (3, 2))


def test_reshape_names_what_it_wants():
    with pytest.raises(
        ValueError, match=r"Reshape\(1, 28, 28\) expects x with 784 numbers in each row, got \(9, 783\)"
    ):
        Reshape(1, 28, 28).forward(np.zeros((9, 783)))


@pytest.mark.parametrize("layer", [Add(), Sub(), Mul(), Div()])
def test_arithmetic_never_broadcasts_a_vector_against_a_column(layer):
    with pytest.raises(ValueError, match=r"expects two arrays of one shape, or a scalar, got \(3,\) and \(3, 1\)"):
        layer.forward(np.zeros(3), np.zeros((3, 1)))


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (3, 2)), ((4, 2, 3), (3, 2)), ((2, 3), (3,))])
def test_matrices_that_cannot_be_multiplied_are_named(shapes):
    with pytest.raises(ValueError, match=r"MatMul\(\) expects a of shape \(\.\.\., N, D\) and b \(\.\.\., D, M\), got"):
        MatMul().forward(*map(np.zeros, shapes))


@pytest.mark.parametrize("shapes", [((2, 3), (3, 3)), ((2, 3), (2, 3, 1))])
def test_arrays_that_cannot_be_concatenated_are_named(shapes):
    with pytest.raises(ValueError, match=r"Concatenate\(axis=1\) expects .* length of axis 1 only, got \(2, 3\), \("):
        Concatenate().forward(*map(np.zeros, shapes))


def test_layers_print_what_they_were_made_with():
    layers = Sum(), Mean(1, keepdims=True), Concatenate(-1), Reshape(1, 28, 28)
    assert ", ".join(map(str, layers)) == (
        "Sum(axis=None, keepdims=False), Mean(axis=1, keepdims=True), Concatenate(axis=-1), Reshape(1, 28, 28)"
    )


def test_the_mean_of_integers_has_a_gradient():
    _, (dx,) = gradients(Mean(), np.array([1, 2, 3, 4]), dy=1.0)
    np.testing.assert_array_equal(dx, 0.25)


def test_a_matrix_times_a_number_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"MatMul\(\) expects a of shape \(\.\.\., N, D\) .* got \(2, 3\) and \(\)"):
        MatMul().forward(np.zeros((2, 3)), 2)
