"""What an experiment varies: lists, ranges and the points drawn from them, and the names of runs."""

import argparse
import math
import subprocess
import sys

import numpy as np
import pytest

from dlscratch.arms import Range, arms, assigned, merged, points, run_name, varied

LR, DROPOUT, BATCH = varied("lr=log:1e-4..1"), varied("dropout=0..0.5"), varied("batch_size=16..19")


def values(range_, trials, seed=0):
    return [point[range_.name] for point in points([range_], trials, seed)]


def test_a_list_is_its_values_once_each():
    assert varied("optimizer=sgd,Adam,SGD") == [{"optimizer": "SGD"}, {"optimizer": "Adam"}]
    assert varied(" batch-size=20,50") == [{"batch_size": 20}, {"batch_size": 50}]
    assert assigned("init=0.010") == {"init": "0.01"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lr=log:1e-4..1", Range("lr", 0.0001, 1.0, log=True)),
        ("dropout=0...5", Range("dropout", 0.0, 0.5, log=False)),
        ("batch-size=log:16..256", Range("batch_size", 16, 256, log=True)),
        ("hidden=16..256", Range("hidden", 16, 256, log=False)),
        ("init=log:.001..1", Range("init", 0.001, 1.0, log=True)),
    ],
)
def test_a_range_is_two_numbers_with_dots_between(text, found):
    assert varied(text) == found


def test_dots_in_the_name_of_a_file_are_no_range():
    assert varied("dataset=../a,../b") == [{"dataset": "../a"}, {"dataset": "../b"}]
    assert varied("model=../own.py:make_net") == [{"model": "../own.py:make_net"}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lr", "expects a setting and its value, such as lr=0.1, got 'lr'"),
        ("seed=0..9", "seed is one for all runs: --seeds N gives N of them"),
        ("optimiser=0..1", "there is no setting 'optimiser'; the settings are dataset"),
        ("lr=1..0.1", "lr expects two numbers, the smaller one first, as in LOW..HIGH, got '1..0.1'"),
        ("lr=0.1..0.1", "the smaller one first"),
        ("dropout=log:0..0.5", "the smaller one first and above 0, as in LOW..HIGH, got 'log:0..0.5'"),
        ("hidden=8x8..9", "hidden expects two numbers"),
        ("init=he..1", "init expects two numbers"),
        ("optimizer=0..1", "the setting optimizer expects one of SGD"),
        ("batch_norm=0..1", "the setting batch_norm expects one of yes, no, got '0..1'"),
        ("lr=0..1", "the setting lr expects a number above 0, got '0'"),
        ("dropout=0..1", "the setting dropout expects a number from 0 up and below 1, got '1'"),
        ("batch_size=1.5..3", "the setting batch_size expects a whole number from 1 up, got '1.5'"),
        ("lr=1..", "the setting lr expects a number above 0, got ''"),
        ("lr=1..inf", "the setting lr expects a number above 0, got 'inf'"),
    ],
)
def test_what_is_no_list_and_no_range_is_told_in_one_sentence(text, sentence):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        varied(text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_range_is_walked_from_end_to_end():
    assert [LR.at(u) for u in (0, 0.25, 0.5, 0.75)] == [0.0001, 0.001, 0.01, 0.1]
    assert [DROPOUT.at(u) for u in (0, 0.5, 0.9)] == [0, 0.25, 0.45]
    assert [BATCH.at(u) for u in (0, 0.2499, 0.2501, 0.5001, 0.9999)] == [16, 16, 17, 18, 19]
    assert varied("hidden=8..16").at(0.5) == "12"
    assert varied("init=log:0.01..1").at(0.5) == "0.1"


@pytest.mark.parametrize("text", ["lr=log:0.00012345..0.98765", "lr=0.12345..0.98765", "examples=log:10..60000",
                                  "warm_up=0..7", "weight_decay=0..1e-5"])  # fmt: skip
def test_a_point_is_within_its_bounds_and_short(text):
    drawn = varied(text)
    for u in np.linspace(0, 1 - 2**-53, 1000):
        x = drawn.at(u)
        assert drawn.low <= x <= drawn.high
        assert x in (drawn.low, drawn.high) or isinstance(x, int) or x == float(f"{x:.3g}")


def test_numbers_of_a_range_are_equally_likely_and_ratios_of_a_log_range_are():
    four_sigma = 4 / math.sqrt(12 * 100)  # of the mean of 100 numbers between 0 and 1
    assert abs(np.mean(values(DROPOUT, 100)) / 0.5 - 1 / 2) < four_sigma
    assert abs(np.mean(np.log10(values(LR, 100))) / 4 + 1 / 2) < four_sigma


@pytest.mark.parametrize("seed", range(5))
def test_more_trials_add_points_and_another_range_adds_a_setting(seed):
    ten, four = points([LR, DROPOUT], 10, seed), points([LR, DROPOUT], 4, seed)
    assert ten[:4] == four
    assert [point["lr"] for point in ten] == values(LR, 10, seed)
    assert [point["lr"] for point in points([DROPOUT, LR], 10, seed)] == values(LR, 10, seed)


def test_points_depend_on_the_seed_and_the_setting_alone_and_stay_what_they_are():
    assert values(LR, 4) == [0.0178, 0.00188, 0.29, 0.00415]  # a search that was begun goes on with another version
    assert values(LR, 4) != values(LR, 4, seed=1)
    assert [x / 0.5 for x in values(DROPOUT, 4)] != [(4 + math.log10(x)) / 4 for x in values(LR, 4)]


@pytest.mark.parametrize("seed", range(20))
def test_no_point_comes_twice_and_all_are_found_in_the_end(seed):
    assert sorted(values(BATCH, 4, seed)) == [16, 17, 18, 19]
    assert values(BATCH, 4, seed)[:2] == values(BATCH, 2, seed)
    both = points([BATCH, varied("warm_up=0..2")], 12, seed)
    assert len({tuple(point.items()) for point in both}) == 12


def test_a_range_that_holds_fewer_points_is_told():
    with pytest.raises(ValueError, match="no 5 different points of batch_size, only 4 were found; widen the range, or"):
        points([BATCH], 5, 0)


def test_every_combination_meets_the_same_points():
    found = arms([], [varied("optimizer=SGD,Adam"), LR], trials=3, seed=7)
    assert found == [{"optimizer": name, **point} for name in ("SGD", "Adam") for point in points([LR], 3, 7)]


def test_arms_are_groups_times_lists_in_the_order_in_which_they_are_given():
    groups = [[{"optimizer": "SGD"}, {"lr": 0.1}], [{"optimizer": "Adam"}]]
    assert arms(groups, [varied("batch_size=20,50")]) == [
        {"optimizer": "SGD", "lr": 0.1, "batch_size": 20},
        {"optimizer": "SGD", "lr": 0.1, "batch_size": 50},
        {"optimizer": "Adam", "batch_size": 20},
        {"optimizer": "Adam", "batch_size": 50},
    ]
    assert arms([], []) == [{}]


@pytest.mark.parametrize(
    ("groups", "vary", "trials", "sentence"),
    [
        ([], ["lr=0.1", "lr=0.2"], None, "lr is set twice; give all of its values at once, as in --vary lr=A,B"),
        ([], ["lr=0.1", "lr=1..2"], 3, "lr is set twice"),
        ([], ["lr=1..2", "lr=3..4"], 3, "lr is set twice"),
        ([[{"lr": 0.1}, {"lr": 0.2}]], [], None, "lr is set twice"),
        ([], ["steps=1", "epochs=1..5"], 3, "steps and epochs both say how long to train; vary one of them"),
        ([], ["lr=1..2"], None, "lr is a range; --trials N says how many points to draw from it"),
        ([], ["lr=1,2"], 4, "--trials 4 draws from ranges, and there is none; give one, as in --vary lr=log:0.001..1"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(groups, vary, trials, sentence):
    with pytest.raises(ValueError, match=sentence):
        arms(groups, [varied(text) for text in vary], trials)


def test_a_run_is_named_after_what_is_special_about_it_as_a_folder_can_be():
    assert run_name({"lr": 1e-05, "model": "a/b.py:net"}, 3) == "lr=1e-05,model=a_b.py_net,seed=3"
    assert run_name({}, 0) == "seed=0"
    assert merged([{"a": 1}, {"b": 2}]) == {"a": 1, "b": 2}


def test_what_is_varied_is_read_before_numpy_is_loaded():
    script = "import sys; from dlscratch.arms import varied; varied('lr=log:1e-4..1'); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
