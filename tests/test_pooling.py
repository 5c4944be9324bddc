"""Pooling: by hand, and squares that overlap or leave a rest."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.layers import AveragePooling, MaxPooling

X = np.array([[[[1.0, 2, 0, 4], [3, 0, 1, 1], [5, 5, 2, 0], [5, 5, 0, 3]]]])
DY = np.array([[[[1.0, 10], [100, 1000]]]])


def test_the_largest_of_a_square_receives_the_gradient_by_hand():
    y, (dx,) = gradients(MaxPooling(2), X, dy=DY)
    np.testing.assert_array_equal(y, [[[[3, 4], [5, 3]]]])
    np.testing.assert_array_equal(dx, [[[[0, 0, 0, 10], [1, 0, 0, 0], [100, 0, 0, 0], [0, 0, 0, 1000]]]])


def test_all_of_a_square_share_the_gradient_of_its_mean_by_hand():
    y, (dx,) = gradients(AveragePooling(2), X, dy=DY)
    np.testing.assert_array_equal(y, [[[[1.5, 1.5], [5, 1.25]]]])
    np.testing.assert_array_equal(dx, np.repeat(np.repeat(DY / 4, 2, axis=2), 2, axis=3))


def test_squares_that_overlap_add_their_gradients():
    x = np.array([[[[0.0, 9, 0, 1]]]]).repeat(2, axis=2)
    x[0, 0, 1] = -1
    y, (dx,) = gradients(MaxPooling(2, stride=1), x, dy=np.array([[[[1.0, 10, 100]]]]))
    np.testing.assert_array_equal(y, [[[[9, 9, 1]]]])
    np.testing.assert_array_equal(dx[0, 0, 0], [0, 11, 0, 100])


@pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
def test_what_no_whole_square_covers_is_left_out(kind):
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    y, (dx,) = gradients(kind(2), x, dy=np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(y, kind(2).forward(x[:, :, :4, :4]))
    assert not dx[:, :, 4].any()
    assert not dx[:, :, :, 4].any()
    assert dx.sum() == 4


@pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 1), (2, 3), (1, 1)])
def test_every_square_passes_on_what_it_receives(kind, size, stride, rng):
    x = rng.integers(0, 3, (3, 2, 7, 8)).astype(float)  # with many ties
    layer = kind(size, stride)
    dy = rng.standard_normal(layer.forward(x).shape)
    y, (dx,) = gradients(layer, x, dy=dy)
    assert y.shape[2:] == ((7 - size) // stride + 1, (8 - size) // stride + 1)
    assert dx.sum() == pytest.approx(dy.sum())


@pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
def test_wrong_shapes_and_sizes_are_told(kind):
    with pytest.raises(
        ValueError, match=r"Pooling\(3\) expects x of shape \(N, C, H, W\), H and W at least 3, got \(2"
    ):
        kind(3).forward(np.zeros((2, 1, 2, 5)))
    with pytest.raises(ValueError, match=r"Pooling\(2\) expects x of shape \(N, C, H, W\)"):
        kind(2).forward(np.zeros((2, 16)))
    with pytest.raises(ValueError, match="Pooling expects 2 whole numbers from 1 up, got 2, -1"):
        kind(2, stride=-1)
    with pytest.raises(ValueError, match="got 2, 0"):
        kind(2, stride=0)
    assert repr(kind(3, 2)) == f"{kind.__name__}(3, stride 2)"
