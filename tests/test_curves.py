"""Curves as numbers: what smoothing, averaging and thinning may and may not do to them."""

import numpy as np
import pytest

from dlscratch.curves import mean_and_band, robust_range, smooth, thin


def test_smoothing_by_hand():
    decay = np.exp(-1 / 2)
    expected = [4, (4 * decay + 1) / (decay + 1), (4 * decay**2 + 1 * decay + 7) / (decay**2 + decay + 1)]
    np.testing.assert_allclose(smooth(np.array([4.0, 1.0, 7.0]), 2), expected, rtol=1e-14)


@pytest.mark.parametrize("width", [0, 0.1, 1, 60, 1e9])
def test_a_constant_stays_that_constant_to_the_last_bit(width):
    np.testing.assert_array_equal(smooth(np.full(1000, 0.1 + 0.2), width), np.full(1000, 0.1 + 0.2))


@pytest.mark.parametrize("width", [0, 0.5, 60])
def test_no_value_depends_on_later_ones(rng, width):
    y = rng.random(500)
    whole = smooth(y, width)
    for k in (1, 2, 60, 499):
        np.testing.assert_array_equal(smooth(y[:k], width), whole[:k])


def test_the_start_is_not_pulled_to_zero_and_width_0_changes_nothing(rng):
    y = 5 + rng.random(100)
    assert smooth(y, 50)[0] == y[0]
    assert smooth(y, 50).min() > 5
    np.testing.assert_array_equal(smooth(y, 0), y)
    assert not np.shares_memory(smooth(y, 0), y)


def test_a_step_is_followed_in_about_width_points():
    y = np.r_[np.zeros(1000), np.ones(1000)]
    assert smooth(y, 50)[1000 + 50 - 1] == pytest.approx(1 - 1 / np.e, abs=1e-3)


RUNS = [np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0]), np.array([5.0, 9.0, 5.0])]


@pytest.mark.parametrize(
    ("band", "low", "high"),
    [
        ("std", [1, 5 - 13**0.5, 4 - 2**0.5], [5, 5 + 13**0.5, 4 + 2**0.5]),
        ("sem", [3 - 2 / 3**0.5, 5 - (13 / 3) ** 0.5, 3], [3 + 2 / 3**0.5, 5 + (13 / 3) ** 0.5, 5]),
        ("minmax", [1, 2, 3], [5, 9, 5]),
    ],
)
def test_mean_and_band_by_hand_where_one_run_ended_early(band, low, high):
    mean, lower, upper, n = mean_and_band(RUNS, band)
    np.testing.assert_allclose(mean, [3, 5, 4])
    np.testing.assert_allclose(lower, low)
    np.testing.assert_allclose(upper, high)
    np.testing.assert_array_equal(n, [3, 3, 2])


def test_there_is_no_band_around_one_run_nor_where_none_is_wanted():
    assert mean_and_band(RUNS[:1], "std")[1:3] == (None, None)
    assert mean_and_band(RUNS, "none")[1:3] == (None, None)
    with pytest.raises(ValueError, match="expected a band of std, sem, minmax or none, got 'iqr'"):
        mean_and_band(RUNS, "iqr")


@pytest.mark.parametrize("extremes", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 500, 501, 9_999])
def test_thinning_keeps_order_and_both_ends(rng, count, extremes):
    rows = thin(rng.random(count), 500, extremes=extremes)
    assert len(rows) <= 502
    assert np.all(np.diff(rows) > 0)
    assert count == 0 or (rows[0], rows[-1]) == (0, count - 1)


def test_thinning_loses_no_spike_where_extremes_are_wanted(rng):
    y = rng.random(10_000)
    y[7_777], y[3_210] = 9, -9
    assert {7_777, 3_210} <= set(thin(y, 100, extremes=True).tolist())


def test_a_run_that_strays_does_not_flatten_the_others():
    good = [np.linspace(2.3, 0.1 * k, 100) for k in (1, 2)]
    wild = np.r_[2.3, np.geomspace(3, 1e30, 20), np.nan]
    alone = robust_range(good)
    assert robust_range([*good, wild]) == pytest.approx(alone)
    assert robust_range([good[0], wild])[1] < 3
    assert alone[0] < 0.1
    assert alone[1] > 2.2


def test_nothing_and_constants_have_a_range_too():
    assert robust_range([]) == (0, 1)
    assert robust_range([np.array([np.nan])]) == (0, 1)
    low, high = robust_range([np.full(5, 3.0)])
    assert low < 3 < high


def test_curves_far_from_each_other_are_all_in_the_range():
    low, high = robust_range([np.linspace(0, 1, 50), np.linspace(3, 3.1, 50), np.linspace(5, 6, 50)])
    assert low < 0
    assert high > 5.98


@pytest.mark.parametrize("band", ["std", "sem", "minmax"])
def test_where_one_run_is_left_there_is_no_band(band):
    mean, low, high, n = mean_and_band([np.arange(4.0), np.arange(2.0)], band)
    np.testing.assert_array_equal(mean, np.arange(4.0))
    np.testing.assert_array_equal(n, [2, 2, 1, 1])
    np.testing.assert_array_equal(np.isnan(low), n == 1)
    np.testing.assert_array_equal(np.isnan(high), n == 1)


@pytest.mark.parametrize("end", [np.inf, np.nan])
def test_a_loss_that_is_no_number_is_averaged_without_a_warning(end):
    mean, low, high, _ = mean_and_band([np.array([1.0, end]), np.array([3.0, end])], "std")
    assert mean[0] == 2
    assert not np.isfinite(mean[1])
    assert np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("points", [4, 5, 100])
def test_no_more_points_are_kept_than_asked_for(rng, points):
    assert len(thin(rng.random(1000), points, extremes=True)) <= points
