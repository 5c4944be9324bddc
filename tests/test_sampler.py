"""Mini-batches: which rows are drawn, how often, and in which memory."""

import json
import tracemalloc
from itertools import islice

import numpy as np
import pytest

from dlscratch.sampler import BLOCK, random_batches, shuffled_batches, steps_per_epoch

X, T = np.arange(40.0).reshape(20, 2), np.arange(20)
BOTH = pytest.mark.parametrize("sampler", [random_batches, shuffled_batches])


def rows(batches, count):
    return [t.copy() for _, t in islice(batches, count)]


@BOTH
def test_row_i_of_images_and_targets_comes_from_the_same_index(sampler, rng):
    for x, t in islice(sampler(X, T, 7, rng=rng), 10):
        np.testing.assert_array_equal(x, X[t])


@BOTH
def test_the_same_seed_draws_the_same_batches_and_another_seed_others(sampler):
    first, again, other = (rows(sampler(X, T, 5, rng=np.random.default_rng(s)), 8) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(np.array(first) != np.array(other))


@BOTH
def test_batches_reuse_their_arrays_and_keep_dtype_and_shape(sampler, rng):
    images = np.zeros((20, 1, 4, 4), np.uint8)
    batches = sampler(images, np.eye(20, dtype=np.float32), 10, rng=rng)
    x, t = next(batches)
    assert (x.shape, x.dtype, t.shape, t.dtype) == ((10, 1, 4, 4), np.uint8, (10, 20), np.float32)
    again, _ = next(batches)
    assert np.shares_memory(x, again)


def test_random_choice_is_numpys_choice_with_replacement():
    drawn = rows(random_batches(X, T, 10, rng=np.random.default_rng(4)), 3)
    rng = np.random.default_rng(4)
    np.testing.assert_array_equal(drawn, [rng.choice(20, 10) for _ in range(3)])


def test_an_epoch_of_random_choice_meets_63_percent_of_the_rows(rng):
    t = np.arange(60000)
    seen = np.unique(rows(random_batches(t, t, 100, rng=rng), 600))
    assert seen.min() >= 0
    assert seen.max() < 60000
    assert len(seen) / 60000 == pytest.approx(1 - np.exp(-1), abs=0.01)


def test_shuffled_batches_meet_every_row_once_an_epoch_in_a_new_order(rng):
    batches = shuffled_batches(X, T, 6, rng=rng)
    epochs = [np.concatenate(rows(batches, 4)) for _ in range(3)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), T)
    assert not np.array_equal(epochs[0], epochs[1])
    assert [len(t) for t in rows(batches, 4)] == [6, 6, 6, 2]


def test_a_batch_larger_than_the_data_is_the_whole_data_when_shuffled(rng):
    assert [len(t) for t in rows(shuffled_batches(X, T, 100, rng=rng), 2)] == [20, 20]


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps"), [(60000, 100, 600), (60000, 128, 469), (5, 10, 1), (10, 5, 2)]
)
def test_an_epoch_is_a_whole_number_of_steps(examples, batch_size, steps):
    assert steps_per_epoch(examples, batch_size) == steps


@BOTH
def test_bad_input_is_refused_before_the_first_batch(sampler, rng):
    with pytest.raises(ValueError, match="got 20 images and 19 targets"):
        sampler(X, T[:-1], 5, rng=rng)
    with pytest.raises(ValueError, match="got 0 images and 0 targets"):
        sampler(X[:0], T[:0], 5, rng=rng)
    for batch_size in (0, -5, 2.5):
        with pytest.raises(ValueError, match=f"batch_size expects a whole number from 1 up, got {batch_size}"):
            sampler(X, T, batch_size, rng=rng)


@BOTH
def test_a_batch_allocates_little_even_where_an_epoch_begins(sampler, rng):
    x, t = np.zeros((60_000, 4), np.uint8), np.arange(60_000)
    batches = sampler(x, t, 100, rng=rng)
    next(batches)
    tracemalloc.start()
    try:
        for _ in range(1300):
            next(batches)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_shuffled_orders_do_not_depend_on_the_order_before():
    first = np.concatenate(rows(shuffled_batches(X, T, 7, rng=np.random.default_rng(3)), 6))[20:40]
    rng = np.random.default_rng(3)
    rng.shuffle(np.arange(20))
    np.testing.assert_array_equal(first, np.concatenate(rows(shuffled_batches(X, T, 7, rng=rng), 3)))


@BOTH
@pytest.mark.parametrize("taken", [0, 1, 3, BLOCK - 1, BLOCK, BLOCK + 1, 50])  # 3 batches are an epoch of 20 rows
def test_batches_go_on_from_a_state_as_if_nothing_had_happened(sampler, taken):
    batches = sampler(X, T, 7, rng=np.random.default_rng(5))
    rows(batches, taken)
    state = json.loads(json.dumps(batches.state))
    following = rows(batches, 2 * BLOCK + 1)
    other = sampler(X, T, 7, rng=np.random.default_rng(6))
    rows(other, 4)
    other.restore(state)
    restored = rows(other, 2 * BLOCK + 1)
    assert all(np.array_equal(*pair) for pair in zip(restored, following, strict=True))
    assert other.state == batches.state


@BOTH
def test_a_state_stays_as_it_was_when_more_batches_are_drawn(sampler, rng):
    batches = sampler(X, T, 7, rng=rng)
    next(batches)
    state = batches.state
    before = json.dumps(state)
    rows(batches, 40)
    assert json.dumps(state) == before != json.dumps(batches.state)


@BOTH
def test_the_rows_that_were_drawn_are_counted(sampler, rng):
    batches = sampler(X, T, 7, rng=rng)
    for count in np.cumsum([len(t) for t in rows(sampler(X, T, 7, rng=rng), 10)]):
        next(batches)
        assert batches.examples == count


@BOTH
def test_parts_of_each_batch_make_up_the_whole_and_draw_the_same(sampler):
    whole = sampler(X, T, 7, rng=np.random.default_rng(5))
    first = sampler(X, T, 7, rng=np.random.default_rng(5), part=lambda n: slice(n // 3))
    second = sampler(X, T, 7, rng=np.random.default_rng(5), part=lambda n: slice(n // 3, n))
    for (x, t), *parts in islice(zip(whole, first, second, strict=True), 40):
        assert len(parts[0][0]) == len(t) // 3
        np.testing.assert_array_equal(x, np.concatenate([part[0] for part in parts]))
        np.testing.assert_array_equal(t, np.concatenate([part[1] for part in parts]))
        assert whole.state == first.state == second.state
