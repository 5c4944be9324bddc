"""Dropout: noise with the right mean while training, nothing at test time, and a stream of its own."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.layers import Dropout


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.9])
def test_the_share_of_zeros_is_the_ratio_and_the_mean_stays(ratio, rng):
    y = Dropout(ratio, rng=rng).forward(np.ones((100, 1000), np.float32))
    assert np.mean(y == 0) == pytest.approx(ratio, abs=0.005)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - ratio), rtol=1e-6)
    assert y.mean() == pytest.approx(1, abs=0.02)


def test_gradients_pass_where_numbers_passed(rng):
    x = 1 + rng.random((4, 5))
    y, (dx,) = gradients(Dropout(0.2, rng=rng), x, dy=np.full((4, 5), 8.0))
    np.testing.assert_allclose(dx, 8 * y / x)
    assert set(dx.ravel()) == {0, 10}


def test_each_forward_draws_anew_and_the_same_seed_draws_the_same():
    x = np.ones((10, 10))
    first, second = (Dropout(rng=np.random.default_rng(7)) for _ in range(2))
    y, again = first.forward(x), first.forward(x)
    assert not np.array_equal(y, again)
    np.testing.assert_array_equal(second.forward(x), y)


def test_neither_dtype_nor_memory_order_changes_what_is_drawn():
    x = np.ones((6, 5, 4, 3))
    inputs = x, x.astype(np.float32), np.asfortranarray(x)
    masks = [Dropout(rng=np.random.default_rng(7)).forward(array) != 0 for array in inputs]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


def test_the_mask_has_the_memory_order_of_the_input(rng):
    x = np.ones((3, 4, 5, 2), np.float32).transpose(3, 0, 1, 2)
    layer = Dropout(rng=rng)
    assert layer.forward(x).strides == x.strides
    assert layer.keep.strides == tuple(stride // 4 for stride in x.strides)


def test_at_test_time_nothing_is_dropped_nor_drawn(rng):
    x = rng.standard_normal((4, 5))
    state = rng.bit_generator.state
    np.testing.assert_array_equal(Dropout(0.5, rng=rng).predict(x), x)
    assert rng.bit_generator.state == state


@pytest.mark.parametrize("ratio", [-0.1, 1, 50, float("nan")])
def test_a_ratio_that_is_none_is_refused(ratio, rng):
    with pytest.raises(ValueError, match="Dropout expects a ratio from 0 up to, but not including, 1, got"):
        Dropout(ratio, rng=rng)


def test_dropout_prints_its_ratio(rng):
    assert str(Dropout(0.3, rng=rng)) == "Dropout(0.3)"
