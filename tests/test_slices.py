"""The final accuracy over each setting that was varied in numbers."""

import numpy as np
import pytest
from comparable_runs import write_arms, write_run

from dlscratch import slices
from dlscratch.compare import compare


def test_each_setting_in_numbers_is_a_slice_with_a_point_for_each_group(tmp_path):
    for i in range(25):
        optimizer, hidden = ("SGD", "Adam")[i % 2], None if i == 3 else str(10 + i)
        ended = {"status": "paused"} if i == 4 else {}
        settings = {"lr": 10.0 ** (i / 8), "hidden": hidden, "optimizer": optimizer, "batch_norm": i == 5}
        write_run(tmp_path / str(i), [i / 50], steps=1, **settings, **ended)
    comparison = compare(tmp_path)
    hidden, lr = sorted(slices.slices(comparison), key=lambda each: each.setting)
    assert (hidden.setting, hidden.log) == ("hidden", False)
    assert (lr.setting, lr.log) == ("lr", True)
    np.testing.assert_array_equal(lr.groups, np.arange(25))
    np.testing.assert_allclose(lr.x, [group.settings["lr"] for group in comparison.groups])
    np.testing.assert_allclose(lr.y, [row.final for row in comparison.rows()])
    assert [comparison.groups[i].settings["lr"] for i in lr.groups[~lr.whole]] == [10.0**0.5]
    accuracy = {row.group: row.final for row in comparison.rows()}
    assert hidden.y.tolist() == [accuracy[comparison.groups[i].name] for i in hidden.groups]
    assert sorted(hidden.x) == [10 + i for i in range(25) if i != 3]


def test_a_few_groups_have_their_curves_instead(tmp_path):
    assert slices.slices(compare(write_arms(tmp_path, 20))) == []


@pytest.mark.parametrize(
    ("low", "high", "draw", "log"),
    [(1e-4, 1, "geomspace", True), (0.01, 1, "geomspace", True), (1e-6, 0.5, "linspace", False),
     (16, 256, "geomspace", False), (0, 1, "linspace", False)],
)  # fmt: skip
def test_an_axis_is_logarithmic_where_a_setting_was_varied_over_decades(low, high, draw, log):
    x = getattr(np, draw)(low, high, 101)
    assert slices.Slice("lr", x, x, np.arange(101), x > 0).log is log


def test_of_too_many_groups_some_are_taken_from_the_best_to_the_worst(tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "SHOWN", 4)
    (lr,) = slices.slices(compare(write_arms(tmp_path, 40)))
    assert lr.groups.tolist() == [*range(20), 26, 39]
