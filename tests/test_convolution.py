"""Convolution: by hand, against its definition as a sum, and in every order of memory."""

from itertools import product

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.layers import Convolution
from dlscratch.layers.convolution import batch_innermost


def by_definition(x, W, b, stride, pad):
    """The formula of the docstring, number by number."""
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    K = W.shape[-1]
    places = [range(0, n - K + 1, stride) for n in padded.shape[2:]]
    y = np.empty((len(x), len(W), *map(len, places)))
    for (i, row), (j, column) in product(*map(enumerate, places)):
        seen = padded[:, :, row : row + K, column : column + K]
        y[:, :, i, j] = np.tensordot(seen, W, ([1, 2, 3], [1, 2, 3])) + b
    return y


def in_order(x, axes):
    """x with its axes in this order in memory, outermost first."""
    return x.transpose(axes).copy().transpose(np.argsort(axes))


# in, out, size, stride, pad, rows, columns
KINDS = [
    (1, 1, 1, 1, 0, 1, 1),
    (1, 2, 3, 1, 0, 6, 7),
    (3, 4, 3, 1, 1, 5, 6),
    (2, 3, 5, 2, 2, 9, 8),
    (2, 3, 2, 3, 1, 7, 9),  # rows at the end that no filter sees
    (2, 2, 3, 2, 0, 8, 7),
    (1, 1, 3, 1, 2, 3, 3),
]


def test_a_filter_slides_over_an_image_by_hand(rng):
    layer = Convolution(1, 1, 2, rng=rng, dtype=np.float64)
    layer.W[...] = [[[[1, 2], [3, 4]]]]
    layer.b[...] = 10
    x, dy = np.array([[[[1.0, 0, 2], [0, 3, 0], [1, 0, 0]]]]), np.array([[[[1.0, 0], [0, 2]]]])
    y, (dx,) = gradients(layer, x, dy=dy)
    np.testing.assert_array_equal(y, [[[[23, 23], [19, 13]]]])
    np.testing.assert_array_equal(dx, [[[[1, 2, 0], [3, 6, 4], [0, 6, 8]]]])
    np.testing.assert_array_equal(layer.dW, [[[[1 + 6, 0], [0, 3]]]])
    np.testing.assert_array_equal(layer.db, [3])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("n", [1, 4])
def test_forward_is_the_sum_of_the_definition(kind, n, rng):
    channels, filters, size, stride, pad, *sides = kind
    layer = Convolution(channels, filters, size, rng=rng, stride=stride, pad=pad, dtype=np.float64)
    layer.b[...] = rng.standard_normal(filters)
    x = rng.standard_normal((n, channels, *sides))
    expected = by_definition(x, layer.W, layer.b, stride, pad)
    np.testing.assert_allclose(layer.forward(x), expected, atol=1e-13)
    np.testing.assert_allclose(layer.predict(x), expected, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_gradients_are_those_of_a_linear_map(kind, rng):
    """For a linear map, Σ dy y(x) = Σ dx x, and likewise for W, whatever dy and x are."""
    channels, filters, size, stride, pad, *sides = kind
    layer = Convolution(channels, filters, size, rng=rng, stride=stride, pad=pad, dtype=np.float64)
    x = rng.standard_normal((3, channels, *sides))
    dy = rng.standard_normal(layer.forward(x).shape)
    y, (dx,) = gradients(layer, x, dy=dy)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), abs=1e-12)
    assert np.vdot(layer.dW, layer.W) == pytest.approx(np.vdot(dy, y), abs=1e-12)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (1, 2, 3, 0), (0, 2, 3, 1), (3, 1, 0, 2)])
def test_any_order_of_memory_gives_the_same_numbers(axes, rng):
    layer = Convolution(2, 3, 3, rng=rng, pad=1, dtype=np.float64)
    x = rng.standard_normal((4, 2, 5, 6))
    dy = rng.standard_normal((4, 3, 5, 6))
    y, (dx,) = gradients(layer, x, dy=dy)
    dW = layer.dW.copy()
    other_y, (other_dx,) = gradients(layer, in_order(x, axes), dy=in_order(dy, axes))
    np.testing.assert_allclose(other_y, y, atol=1e-13)
    np.testing.assert_allclose(other_dx, dx, atol=1e-13)
    np.testing.assert_allclose(layer.dW, dW, atol=1e-13)
    out = in_order(np.full_like(y, np.nan), axes)
    assert layer.forward(x, out=out) is out
    np.testing.assert_allclose(out, y, atol=1e-13)


def test_what_comes_out_has_the_batch_innermost_and_is_no_view(rng):
    y = Convolution(2, 3, 3, rng=rng).forward(np.ones((4, 2, 5, 6), np.float32))
    assert y.base is None
    assert y.strides[0] == y.itemsize
    assert batch_innermost(y) is y


def test_memory_is_used_again_from_step_to_step(rng):
    layer = Convolution(2, 3, 3, rng=rng, pad=1)
    x = rng.standard_normal((4, 2, 5, 6), np.float32)
    layer.forward(x)
    columns = layer.columns
    layer.forward(x)
    assert layer.columns is columns
    layer.forward(x[:2])  # the last batch of an epoch
    assert layer.columns.shape[-1] == 2


def test_images_of_another_width_with_as_many_places_leave_nothing_in_the_margin(rng):
    layer = Convolution(1, 2, 3, rng=rng, stride=2, pad=1, dtype=np.float64)
    for width in (6, 5, 6):
        x = rng.standard_normal((2, 1, 5, width))
        np.testing.assert_allclose(layer.forward(x), layer.copy().forward(x), rtol=1e-12)


def test_an_empty_batch_goes_through(rng):
    layer = Convolution(1, 2, 3, rng=rng)
    y, (dx,) = gradients(layer, np.zeros((0, 1, 5, 5), np.float32), dy=np.zeros((0, 2, 3, 3), np.float32))
    assert (y.shape, dx.shape) == ((0, 2, 3, 3), (0, 1, 5, 5))
    assert not layer.dW.any()


def test_prediction_leaves_what_is_remembered(rng):
    layer = Convolution(1, 2, 3, rng=rng, pad=1, dtype=np.float64)
    x, dy = rng.standard_normal((3, 1, 4, 4)), rng.standard_normal((3, 2, 4, 4))
    gradients(layer, x, dy=dy)
    dW = layer.dW.copy()
    y = layer.forward(x)
    layer.predict(x + 1)
    layer.backward_params(dy, x, y)
    np.testing.assert_array_equal(layer.dW, dW)


def test_the_weights_have_the_initializers_deviation(rng):
    layer = Convolution(30, 50, 5, rng=rng)
    assert np.std(layer.W) == pytest.approx((2 / (30 * 25)) ** 0.5, rel=0.02)
    assert not layer.b.any()
    assert repr(layer) == "Convolution(30 -> 50, 5x5)"
    assert repr(Convolution(1, 2, 3, rng=rng, stride=2, pad=1)) == "Convolution(1 -> 2, 3x3, stride 2, pad 1)"


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((5, 12), r"got \(5, 12\); make images of flat rows with Reshape first"),
        ((5, 3, 4, 4), r"got \(5, 3, 4, 4\)"),
        ((5, 2, 2, 9), r"H and W at least 3, got \(5, 2, 2, 9\)"),
    ],
)
def test_a_wrong_shape_is_told_with_the_right_one(shape, told, rng):
    layer = Convolution(2, 4, 3, rng=rng)
    for method in (layer.forward, layer.predict):
        with pytest.raises(ValueError, match=rf"Convolution\(2 -> 4, 3x3\) expects x of shape \(N, 2, H, W\).*{told}"):
            method(np.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        ((0, 1, 3), {}, "4 whole numbers from 1 up, got 0, 1, 3, 1"),
        ((1, 1, 3), {"stride": 0}, "4 whole numbers from 1 up, got 1, 1, 3, 0"),
        ((1, 1, 3), {"pad": 3}, "a pad from 0 up and less than its size 3, got 3"),
        ((1, 1, 3), {"pad": -1}, "a pad from 0 up and less than its size 3, got -1"),
    ],
)
def test_wrong_sizes_are_refused(arguments, options, told, rng):
    with pytest.raises(ValueError, match=f"Convolution expects {told}"):
        Convolution(*arguments, rng=rng, **options)
