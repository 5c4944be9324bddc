"""Normalization: worked by hand, over the right axes, with running averages for test time."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.layers import Affine, BatchNormalization, LayerNormalization
from dlscratch.models import Sequential


def test_batch_normalization_by_hand():
    layer = BatchNormalization(2, momentum=0.75, eps=0.0, dtype=np.float64)
    layer.gamma[...], layer.beta[...] = [2, 1], [0, 5]
    x = np.array([[1.0, 0.0], [3.0, 4.0]])
    y, (dx,) = gradients(layer, x, dy=np.array([[1.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(y, [[-2, 4], [2, 6]])
    np.testing.assert_array_equal(layer.running_mean, [0.5, 0.5])  # of means 2 and 2
    np.testing.assert_array_equal(layer.running_var, [1.25, 2.75])  # of unbiased variances 2 and 8
    np.testing.assert_array_equal(layer.dgamma, [-1, 0])
    np.testing.assert_array_equal(layer.dbeta, [1, 0])
    np.testing.assert_array_equal(dx, 0)  # of two numbers normalization leaves only which one is larger


def test_layer_normalization_by_hand():
    layer = LayerNormalization(2, eps=0.0, dtype=np.float64)
    layer.gamma[...], layer.beta[...] = [2, 1], [0, 5]
    y, (dx,) = gradients(layer, np.array([[1.0, 3.0], [8.0, 0.0]]), dy=np.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_array_equal(y, [[-2, 6], [2, 4]])
    np.testing.assert_array_equal(layer.dgamma, [-1, -1])
    np.testing.assert_array_equal(layer.dbeta, [1, 1])
    np.testing.assert_array_equal(dx, 0)


def test_the_gradient_of_three_numbers_by_hand():
    x, dy = np.array([0.0, 3.0, 6.0]), np.array([6.0, 0.0, 0.0])
    expected = 5 / np.sqrt(6) * np.array([1.0, -2.0, 1.0])  # gamma / std (dy - mean(dy) - x_hat mean(dy x_hat))
    by_column = BatchNormalization(1, eps=0.0, dtype=np.float64)
    by_column.gamma[...] = 5
    _, (dx,) = gradients(by_column, x[:, None], dy=dy[:, None])
    np.testing.assert_allclose(dx[:, 0], expected)
    by_row = LayerNormalization(3, eps=0.0, dtype=np.float64)
    by_row.gamma[...] = 5
    _, (dx,) = gradients(by_row, x, dy=dy)
    np.testing.assert_allclose(dx, expected)
    np.testing.assert_allclose(by_row.dgamma, [-6 * 3 / np.sqrt(6), 0, 0])


@pytest.mark.parametrize("shape", [(50, 3), (10, 3, 4, 5)])
def test_each_feature_has_mean_0_and_variance_1_over_the_batch(shape, rng):
    x = (7 + 3 * rng.standard_normal(shape)).astype(np.float32)
    y = np.moveaxis(BatchNormalization(3).forward(x), 1, 0).reshape(3, -1)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-4)


def test_each_row_has_mean_0_and_variance_1_over_its_features(rng):
    y = LayerNormalization(40).forward(7 + 3 * rng.standard_normal((2, 5, 40)))
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=-1), 1, rtol=1e-4)


def test_a_channel_is_a_feature_whose_batch_has_every_pixel(rng):
    images, dy = rng.standard_normal((5, 2, 3, 4)), rng.standard_normal((5, 2, 3, 4))
    by_channel, by_feature = BatchNormalization(2, dtype=np.float64), BatchNormalization(2, dtype=np.float64)
    rows, dy_rows = (np.moveaxis(array, 1, -1).reshape(-1, 2) for array in (images, dy))
    y, (dx,) = gradients(by_channel, images, dy=dy)
    y_rows, (dx_rows,) = gradients(by_feature, rows, dy=dy_rows)
    for array, as_rows in ((y, y_rows), (dx, dx_rows)):
        np.testing.assert_allclose(np.moveaxis(array, 1, -1).reshape(-1, 2), as_rows, rtol=1e-12)
    for name, value in (by_channel.grads | by_channel.buffers).items():
        np.testing.assert_allclose(value, (by_feature.grads | by_feature.buffers)[name], rtol=1e-12)


@pytest.mark.parametrize("shape", [(50, 3), (10, 3, 4, 5)])
def test_at_test_time_running_averages_take_the_place_of_the_batch(shape, rng):
    layer = BatchNormalization(3, eps=0.0, dtype=np.float64)
    layer.gamma[...] = [1, -2, 3]
    x = rng.standard_normal(shape)
    for _ in range(400):  # 0.9**400 is nothing
        y = layer.forward(x)
    n = x.size // 3
    np.testing.assert_allclose(layer.predict(x), y * np.sqrt((n - 1) / n), rtol=1e-12)
    np.testing.assert_allclose(layer.predict(x[:1]), layer.predict(x)[:1])


def test_a_feature_that_never_changes_becomes_beta():
    for layer in (BatchNormalization(2), LayerNormalization(2)):
        layer.beta[...] = 3
        y, (dx,) = gradients(layer, np.full((4, 2), 1000, np.float32), dy=np.ones((4, 2), np.float32))
        np.testing.assert_allclose(y, 3)
        assert np.isfinite(dx).all()


def test_a_mean_far_above_the_deviation_costs_few_digits(rng):
    x = rng.standard_normal((1000, 2)) * 0.1
    exact = BatchNormalization(2, dtype=np.float64).forward(x)
    shifted = BatchNormalization(2).forward((x + 100).astype(np.float32))
    np.testing.assert_allclose(shifted, exact, atol=1e-3)  # mean(x²) - mean(x)² would be off by a tenth


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1), (0, 3)])
def test_a_batch_of_one_has_no_variance(shape):
    layer = BatchNormalization(3)
    with pytest.raises(
        ValueError, match=r"BatchNormalization\(3\) takes the variance of a batch of two or more, got x"
    ):
        layer.forward(np.zeros(shape))
    assert layer.predict(np.zeros(shape)).shape == shape
    assert layer.forward(np.zeros((1, 3, 2, 2))).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("shape", [(5, 4), (3,), (5, 4, 3, 3), (5, 3, 2)])
def test_batch_normalization_names_the_shape_it_wants(shape):
    for method in (BatchNormalization(3).forward, BatchNormalization(3).predict):
        with pytest.raises(ValueError, match=r"\(3\) expects x of shape \(N, 3\) or \(N, 3, H, W\), got \("):
            method(np.zeros(shape))


def test_layer_normalization_names_the_shape_it_wants():
    with pytest.raises(ValueError, match=r"LayerNormalization\(3\) expects x of shape \(N, 3\), got \(3, 5\)"):
        LayerNormalization(3).forward(np.zeros((3, 5)))


@pytest.mark.parametrize("layer", [BatchNormalization, LayerNormalization])
@pytest.mark.parametrize("size", [0, -1, 2.5, "3"])
def test_sizes_that_are_none_are_refused(layer, size):
    with pytest.raises(ValueError, match=f"{layer.__name__} expects a whole number from 1 up, got"):
        layer(size)


def test_a_net_learns_what_its_inputs_were_scaled_by(rng):
    net = Sequential(BatchNormalization(2), Affine(2, 3, rng=rng))
    x, t = (rng.standard_normal((64, 2)) * [1e3, 1e-1]).astype(np.float32), rng.integers(0, 3, 64)
    before = net.loss(x, t)
    for _ in range(50):
        net.loss(x, t)
        net.backward()
        net.params -= 0.5 * net.grads
    assert net.loss(x, t) < before
    assert net.evaluate(x, t)[0] == pytest.approx(net.loss(x, t), rel=0.05)
