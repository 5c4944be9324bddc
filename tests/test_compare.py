"""Runs side by side: which belong together, what they are called, what is unfair about them, and all their figures."""

import cProfile
import csv
import json
import pstats
import tracemalloc

import numpy as np
import pytest
from comparable_runs import write_arms, write_run

from dlscratch.compare import compare
from dlscratch.curves import smooth
from dlscratch.drawing import described
from dlscratch.runs import Run
from dlscratch.scores import MOST, rank


@pytest.fixture
def folder(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"a{seed}", seed=seed)
        write_run(tmp_path / f"b{seed}", seed=seed, optimizer="Adam", lr=0.001, data_dir=f"somewhere{seed}")
    return tmp_path


def losses(count=40, first=1.0):
    return [first / (1 + step) for step in range(count)]


def test_runs_that_differ_only_in_seed_are_a_group_labelled_by_what_differs(folder):
    comparison = compare(folder)
    assert [group.label for group in comparison.groups] == [
        "optimizer=SGD lr=0.1 (n=3)",
        "optimizer=Adam lr=0.001 (n=3)",
    ]
    assert [run.config["seed"] for run in comparison.groups[1].runs] == [0, 1, 2]
    assert comparison.groups[1].settings == {"optimizer": "Adam", "lr": 0.001}
    assert comparison.differing == ("optimizer", "lr")
    assert comparison.warnings == ()


def test_groups_come_in_the_order_in_which_they_are_named_and_no_run_comes_twice(folder):
    comparison = compare([folder / "b1", Run.open(folder / "a0"), folder])
    assert [group.settings["optimizer"] for group in comparison.groups] == ["Adam", "SGD"]
    assert [len(group.runs) for group in comparison.groups] == [3, 3]
    assert len(compare(folder / "a0").groups[0].runs) == 1


def test_a_single_group_is_called_by_its_data_set(tmp_path):
    write_run(tmp_path / "a", seed=4)
    assert compare(tmp_path).groups[0].label == "mnist (n=1)"


def test_epochs_are_the_axis_where_batch_sizes_differ(tmp_path, folder):
    assert compare(folder).axis == "step"
    write_run(tmp_path / "c", batch_size=10)
    assert compare(folder).axis == "epoch"


# Figures


def test_the_table_by_hand(tmp_path):
    # test accuracy is 0.99 - loss / 2 at the losses of steps 0, 10, 20, 30
    for seed, values in enumerate([(0.9, 0.06, 0.2, 0.1), (0.9, 0.5, 0.04, 0.08)]):
        write_run(tmp_path / f"a{seed}", np.repeat(values, 10).tolist(), seed=seed)
        write_run(tmp_path / f"b{seed}", np.repeat(np.divide(values, 2), 10).tolist(), seed=seed, lr=0.2)
    first, second = compare(tmp_path).rows()
    assert (first.group, first.n, first.pairs) == ("lr=0.1", 2, 2)
    assert (first.final, first.final_std) == pytest.approx((0.945, 0.01 / 2**0.5))
    assert (first.best, first.best_std) == pytest.approx((0.965, 0.005 * 2**0.5))
    assert first.best_epoch == 1.5
    assert (first.loss, first.loss_std) == pytest.approx((0.09, 0.01 * 2**0.5))
    assert first.seconds == pytest.approx(0.3)
    assert (first.to_95, first.reached_95) == (1.5, 2)
    assert (first.to_97, first.reached_97) == (2, 1)
    assert (first.difference, first.difference_sem) == (0, 0)
    assert second.difference == pytest.approx(0.0225)
    assert second.difference_sem == pytest.approx(0.0025)  # half of |0.025 - 0.020|
    assert compare(tmp_path).table().rows[0] == (
        "lr=0.1", "2", "94.50±0.71", "96.50±0.71", "1.5", "0.0900", "0.3", "1.5", "2.0 (1/2)", "",
    )  # fmt: skip
    assert compare(tmp_path).table().rows[1][-1] == "+2.25±0.25"


def test_differences_are_taken_over_shared_seeds_only(tmp_path):
    for seed in (0, 1, 2):
        write_run(tmp_path / f"a{seed}", losses(first=1 + seed), seed=seed)
    for seed in (2, 3):
        write_run(tmp_path / f"b{seed}", losses(first=2 + seed), seed=seed, lr=0.2)
    comparison = compare(tmp_path)
    assert comparison.rows()[1].pairs == 1
    assert comparison.rows()[1].difference == pytest.approx(-1 / 31 / 2)
    assert np.isnan(comparison.rows()[1].difference_sem)
    assert any("different seeds" in warning for warning in comparison.warnings)


def test_what_was_never_reached_and_what_is_no_number_is_left_open(tmp_path):
    write_run(tmp_path / "a", [1.0] * 40)
    comparison = compare(tmp_path)
    assert comparison.table().rows[0][7:] == ("-", "-", "")
    row = next(csv.DictReader(comparison.csv().splitlines()))
    assert (row["to_95"], row["final_std"], row["final"], row["n"]) == ("", "", repr(0.5 - 0.01), "1")


def test_csv_table_and_curves_hold_the_same_numbers(folder):
    comparison = compare(folder)
    rows = list(csv.DictReader(comparison.csv().splitlines()))
    for row, cells, curve in zip(rows, comparison.table().rows, list(comparison.curves("accuracy"))[1::2], strict=True):
        assert float(row["final"]) == curve.mean[-1]
        assert cells[2].startswith(f"{100 * float(row['final']):.2f}")
        assert curve.high[-1] - curve.mean[-1] == pytest.approx(float(row["final_std"]))


def test_best_values_stand_out(folder):
    table = compare(folder).table()
    assert {j for _, j in table.best} == {2, 3, 5}


# Curves


def test_curves_are_means_of_smoothed_runs_over_every_axis(folder):
    train, test, *_ = compare(folder).curves("loss", smoothing=0.5)
    assert (train.split, test.split, train.group) == ("train", "test", 0)
    single = train.singles[1]
    raw = single.run.steps["loss"]
    np.testing.assert_array_equal(single.raw, raw)
    np.testing.assert_array_equal(single.y, smooth(raw, 5))  # half of an epoch of ten steps
    np.testing.assert_allclose(train.mean, np.mean([each.y for each in train.singles], axis=0))
    for axis in ("step", "epoch", "examples", "seconds"):
        np.testing.assert_allclose(train.x[axis], single.run.steps[axis])
        np.testing.assert_allclose(test.x[axis], single.run.epochs[axis])
    np.testing.assert_array_equal(test.singles[1].y, single.run.epochs["test_loss"])


def test_what_is_held_back_for_validation_counts_as_test(tmp_path):
    write_run(tmp_path / "a", validation=100)
    _, test = compare(tmp_path).curves("accuracy")
    np.testing.assert_array_equal(test.mean, Run.open(tmp_path / "a").epochs["val_acc"])


def test_a_run_that_ended_early_counts_as_far_as_it_goes(tmp_path):
    write_run(tmp_path / "a0", losses(40), seed=0)
    write_run(tmp_path / "a1", losses(15), seed=1, status="diverged")
    train, _ = compare(tmp_path).curves("loss")
    assert (train.n[0], train.n[14], train.n[15], train.n[-1]) == (2, 2, 1, 1)
    assert [single.diverged for single in train.singles] == [False, True]
    assert train.mean[-1] == train.singles[0].y[-1]
    with pytest.raises(ValueError, match="expected loss or accuracy, got 'speed'"):
        compare(tmp_path).curves("speed")


# What is unfair


@pytest.mark.parametrize(
    ("other", "warning"),
    [
        ({"dataset": "kmnist", "sha256": "1" * 64}, "different data (mnist 00000000, kmnist 11111111)"),
        ({"sha256": "1" * 64}, "different data (mnist 00000000, mnist 11111111)"),
        ({"hidden": "100"}, "nets have different sizes (hidden 50, 100)"),
        ({"status": "diverged", "lr": 0.2}, "diverged, and counted as far as they went: b at step 30"),
        ({"status": "running", "lr": 0.2}, "killed, and counted as far as they went: b at step 30"),
        ({"seed": 1, "lr": 0.2}, "different seeds"),
        ({}, "repeat others, seed and all, and so are no further evidence, but count in n: b"),
    ],
)
def test_what_is_unfair_is_said(tmp_path, other, warning):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", **other)
    (said,) = compare(tmp_path).warnings
    assert warning in said
    assert str(compare(tmp_path)).startswith(f"note: {said}")


def test_strokes_that_stood_in_for_mnist_are_no_mnist(tmp_path):
    write_run(tmp_path / "a", dataset="strokes")
    facts = json.loads((tmp_path / "a" / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "a" / "run.json").write_text(json.dumps(facts | {"note": "no MNIST"}), encoding="utf-8")
    assert compare(tmp_path).warnings == ("learned from strokes, since MNIST could not be had: a",)


def test_a_run_without_rows_is_left_out_and_alone_it_is_refused(tmp_path):
    write_run(tmp_path / "empty")
    (tmp_path / "empty" / "epochs.csv").unlink()
    with pytest.raises(ValueError, match="none of 1 runs has been evaluated yet"):
        compare(tmp_path)
    write_run(tmp_path / "full")
    comparison = compare(tmp_path)
    assert comparison.warnings == ("empty has no rows yet and is left out",)
    assert comparison.groups[0].label == "mnist (n=1)"


def test_of_many_names_only_a_few_are_told(tmp_path):
    for seed in range(20):
        write_run(tmp_path / f"a{seed:02}", seed=seed, status="failed")
    assert compare(tmp_path).warnings == (
        "failed, and counted as far as they went: a00 at step 30, a01 at step 30, a02 at step 30 and 17 more",
    )


def test_many_runs_without_rows_are_told_in_one_sentence(tmp_path):
    for i in range(5):
        (write_run(tmp_path / f"empty{i}") / "epochs.csv").unlink()
    write_run(tmp_path / "full")
    assert compare(tmp_path).warnings == ("empty0, empty1, empty2 and 2 more have no rows yet and are left out",)


def test_seconds_never_run_backwards_where_a_slow_run_ends_early(tmp_path):
    write_run(tmp_path / "a0", losses(40), seed=0)
    slow = write_run(tmp_path / "a1", losses(15), seed=1, status="interrupted") / "steps.csv"
    header, *rows = slow.read_text(encoding="utf-8").splitlines()
    cells = [row.split(",") for row in rows]
    slower = [",".join([*row[:3], str(10 * float(row[3])), *row[4:]]) for row in cells]
    slow.write_text("\n".join([header, *slower]) + "\n", encoding="utf-8")
    seconds = next(compare(tmp_path).curves("loss")).x["seconds"]
    np.testing.assert_allclose(seconds[:15], 0.055 * np.arange(1, 16))  # the mean of 0.01 and 0.1 a step
    np.testing.assert_allclose(np.diff(seconds[14:]), 0.01)


def test_a_run_that_has_not_made_a_step_takes_no_part_in_the_loss_of_steps(tmp_path):
    write_run(tmp_path / "a0", seed=0)
    (write_run(tmp_path / "a1", [1.0], seed=1, status="interrupted") / "steps.csv").unlink()
    train, _ = compare(tmp_path).curves("loss")
    assert set(train.n.tolist()) == {1}
    np.testing.assert_array_equal(train.mean, train.singles[0].y)


@pytest.mark.parametrize("end", [np.inf, np.nan])
def test_a_loss_that_is_no_number_is_never_the_best_and_never_dropped(tmp_path, end):
    write_run(tmp_path / "a", [*[1.0] * 10, end], status="diverged")
    write_run(tmp_path / "a1", [*[1.0] * 10, end], seed=1, status="diverged")
    write_run(tmp_path / "b", lr=0.2)
    write_run(tmp_path / "b1", lr=0.2, seed=1)
    table = compare(tmp_path).table()
    assert table.rows[0][0] == "lr=0.1 (2 diverged)"
    assert table.rows[0][1] == "2"
    assert (1, 5) in table.best
    assert (0, 5) not in table.best


def test_equal_figures_are_equally_best(tmp_path):
    for name, lr in (("a", 0.1), ("b", 0.2)):
        write_run(tmp_path / name, lr=lr)
    assert {i for i, _ in compare(tmp_path).table().best} == {0, 1}


def test_images_held_back_for_validation_are_named_so_and_not_mixed_in_silence(tmp_path):
    write_run(tmp_path / "a", validation=100)
    comparison = compare(tmp_path)
    assert comparison.table().about.startswith("validation accuracy")
    assert comparison.rows()[0].watched == "validation"
    write_run(tmp_path / "b")
    assert any("(validation 100, 0)" in warning for warning in compare(tmp_path).warnings)


def test_labels_tell_learning_rates_apart_to_the_last_digit(tmp_path):
    write_run(tmp_path / "a", lr=0.12345678)
    write_run(tmp_path / "b", lr=0.12345679)
    assert [group.label for group in compare(tmp_path).groups] == ["lr=0.12345678 (n=1)", "lr=0.12345679 (n=1)"]


@pytest.mark.parametrize(("changes", "groups"), [({"hidden": [50]}, 2), ({"hidden": {"a": 1}}, 2), ({}, 1)])
def test_the_order_and_kind_of_settings_break_nothing(tmp_path, changes, groups):
    write_run(tmp_path / "a")
    config = write_run(tmp_path / "b", seed=1) / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8")) | changes
    config.write_text(json.dumps(dict(reversed(settings.items()))), encoding="utf-8")
    assert len(compare(tmp_path).groups) == groups


def test_a_seed_that_is_none_is_told(tmp_path):
    config = write_run(tmp_path / "a") / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"seed": 0', '"seed": "x"'), encoding="utf-8")
    with pytest.raises(ValueError, match="expected a whole number as seed, got 'x'"):
        compare(tmp_path)


def test_in_a_notebook_names_and_warnings_are_text(tmp_path):
    write_run(tmp_path / "<b>", lr=0.2, status="diverged")
    shown = compare(tmp_path)._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown


def test_the_widest_figures_fit_a_terminal(tmp_path):
    for lr, first in ((0.1, 0.02), (0.2, 1e300)):
        for seed in range(10):
            losses = [0.0] * 11 if seed % 2 else [first] * 11
            write_run(tmp_path / f"{lr}-{seed}", losses, seed=seed, lr=lr, optimizer="Nesterov" * 9)
    assert max(map(len, str(compare(tmp_path).table()).splitlines())) <= 100


def test_the_checksum_tells_data_apart_and_not_its_name(tmp_path):
    for i, (dataset, sha256) in enumerate([("a", "1"), ("moved/a", "1"), ("a", "2"), ("fashion", "3")]):
        write_run(tmp_path / f"run{i}", dataset=dataset, sha256=sha256 * 64, seed=i)
    same = compare([tmp_path / "run0", tmp_path / "run1"])
    assert (len(same.groups), same.warnings) == (1, ())
    labels = [group.label for group in compare(tmp_path).groups]
    assert labels == [
        "dataset=a data=11111111 (n=2)",
        "dataset=a data=22222222 (n=1)",
        "dataset=fashion data=33333333 (n=1)",
    ]


NET = {"model": "my_net.py:make_net", "hidden": None, "activation": None, "batch_norm": None, "dropout": None}


def labels(folder):
    return [group.label for group in compare(folder).groups]


def test_the_checksum_tells_code_apart_and_not_where_it_lay(tmp_path):
    for i, (path, text) in enumerate([("", "1"), ("/home/me/", "1"), ("C:\\me\\", "1"), ("", "2")]):
        write_run(
            tmp_path / f"run{i}", code={"my_net.py": text * 64}, seed=i, **NET | {"model": f"{path}my_net.py:make_net"}
        )
    assert labels(tmp_path) == ["code=my_net.py@11111111 (n=3)", "code=my_net.py@22222222 (n=1)"]
    write_run(tmp_path / "run4", seed=4)
    assert labels(tmp_path) == [
        "model=my_net.py:make_net code=my_net.py@11111111 (n=3)",
        "model=my_net.py:make_net code=my_net.py@22222222 (n=1)",
        "model=multi-layer code=- (n=1)",
    ]  # fmt: skip


def test_a_file_beside_is_code_too(tmp_path):
    for i in range(2):
        write_run(tmp_path / f"run{i}", code={"my_net.py": "1" * 64, "blocks.py": str(i) * 64}, **NET)
    assert labels(tmp_path)[1] == "code=blocks.py@11111111+my_net.py@11111111 (n=1)"


def test_code_goes_unsaid_where_the_names_of_nets_tell_them_apart(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", model="two-layer", batch_norm=None, dropout=None)
    write_run(tmp_path / "c", code={"my_net.py": "1" * 64}, **NET)
    write_run(tmp_path / "d", code={"my_net.py": "1" * 64}, **NET | {"model": "x/my_net.py:other"})
    assert labels(tmp_path) == [f"model={model} (n=1)" for model in ("multi-layer", "two-layer", "my_net.py:make_net",
                                                                      "my_net.py:other")]  # fmt: skip
    assert not compare(tmp_path).warnings
    write_run(tmp_path / "e", model="simple-convnet", hidden="100", batch_norm=None, dropout=None)
    assert labels(tmp_path)[0] == "model=multi-layer hidden=50 (n=1)"
    assert labels(tmp_path)[2] == "model=my_net.py:make_net hidden=- (n=1)"
    assert "(hidden 50, 100)" in compare(tmp_path).warnings[0]


def test_what_a_net_does_not_have_is_not_said_of_it():
    config = {"dataset": "mnist", "model": "my_net.py:make_net", "hidden": None, "optimizer": "SGD", "lr": 0.1}
    assert described(config) == "mnist, my_net.py:make_net, SGD, lr 0.1"


def test_an_activation_of_the_users_is_told_by_its_name(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", activation="/home/me/swish.py:Swish", code={"swish.py": "1" * 64})
    assert labels(tmp_path) == ["activation=ReLU (n=1)", "activation=swish.py:Swish (n=1)"]


def test_damaged_facts_about_code_are_no_code(tmp_path):
    for i, code in enumerate([None, 3, [1]]):
        folder = write_run(tmp_path / f"run{i}", seed=i)
        facts = json.loads((folder / "run.json").read_bytes())
        (folder / "run.json").write_text(json.dumps(facts | {"code": code}), encoding="utf-8")
    assert labels(tmp_path) == ["mnist (n=3)"]


def test_a_run_from_before_there_were_other_nets_belongs_to_those_of_the_same_settings(tmp_path):
    write_run(tmp_path / "new")
    config = json.loads((write_run(tmp_path / "early", seed=1) / "config.json").read_bytes())
    for later in ("model", "batch_norm", "dropout", "label_smoothing", "schedule", "warm_up", "clip", "sparse"):
        del config[later]
    (tmp_path / "early" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert labels(tmp_path) == ["mnist (n=2)"]
    write_run(tmp_path / "clipped", clip=0.5)
    assert labels(tmp_path) == ["clip=0.5 (n=1)", "clip=0 (n=2)"]


def test_figures_of_different_validation_images_are_warned_of(tmp_path):
    write_run(tmp_path / "a", validation=100)
    write_run(tmp_path / "b", validation=1000)
    assert "(validation 100, 1000)" in compare(tmp_path).warnings[0]


# Runs that a search stopped early


@pytest.fixture
def search(tmp_path):
    """The better a run seems where it stands, the earlier it was stopped."""
    write_run(tmp_path / "a finished", [0.9] * 40, lr=0.1)
    write_run(tmp_path / "b paused at 20", [0.7] * 21, lr=0.2, status="paused")
    write_run(tmp_path / "c paused at 20", [0.5] * 21, lr=0.3, status="paused")
    write_run(tmp_path / "d paused at 10", [0.3] * 11, lr=0.4, status="paused")
    write_run(tmp_path / "e diverged", [0.1] * 31, lr=0.5, status="diverged")
    return tmp_path


def test_that_runs_were_stopped_early_is_told_in_one_line(search):
    told, *others = compare(search).warnings
    assert told == "3 of 5 runs were stopped early, and counted as far as they went: 2 at step 20, 1 at step 10"
    assert others == ["diverged, and counted as far as they went: e diverged at step 30"]


def test_what_was_stopped_early_is_neither_the_best_nor_compared_with_what_went_on(search):
    table = compare(search).table()
    assert [row[0] for row in table.rows] == [
        "lr=0.1", "lr=0.2 (to step 20)", "lr=0.3 (to step 20)", "lr=0.4 (to step 10)",
        "lr=0.5 (1 diverged)",
    ]  # fmt: skip
    assert [row[-1] for row in table.rows] == ["", "-", "-", "-", "+40.00"]
    assert {i for i, _ in table.best} == {4}
    (search / "e diverged" / "epochs.csv").unlink()
    assert {i for i, _ in compare(search).table().best} == {0}


def test_what_was_stopped_at_the_same_step_is_compared(search):
    rows = compare(search / name for name in ("b paused at 20", "c paused at 20", "d paused at 10")).rows()
    assert [row.pairs for row in rows] == [1, 1, 0]
    assert rows[1].difference == pytest.approx(0.1)
    assert [(row.paused, row.step) for row in rows] == [(1, 20), (1, 20), (1, 10)]


def test_of_a_group_that_is_stopped_in_part_the_runs_are_counted(search):
    write_run(search / "f", [0.7] * 21, lr=0.1, seed=1, status="paused")
    assert compare(search).table().rows[0][0] == "lr=0.1 (1 paused)"


def test_those_are_ahead_that_went_further_and_then_those_that_know_more(search):
    write_run(search / "f finished", [0.8] * 40, lr=0.6)
    write_run(search / "g interrupted", [0.2] * 31, lr=0.7, status="interrupted")
    names = [group.runs[0].name[0] for group in sorted(compare(search).groups, key=rank)]
    assert names == ["f", "a", "g", "c", "b", "d", "e"]


def test_a_group_stands_where_the_least_of_its_runs_does(search):
    write_run(search / "f", [0.1] * 40, lr=0.5, seed=1)
    assert rank(compare(search).groups[4])[0] == 0


# A thousand runs


def test_of_many_groups_the_best_come_first_and_the_csv_has_all(tmp_path):
    comparison = compare(write_arms(tmp_path, 30))  # each better than the one before
    assert [group.settings["lr"] for group in comparison.groups] == [1 + i for i in reversed(range(30))]
    table = comparison.table()
    assert len(table.rows) == MOST
    assert table.about.startswith("the best 20 of 30 groups; ")
    assert table.text().splitlines()[-1] == "... and 10 more groups, all of them in the CSV (compare.py --csv)"
    rows = list(csv.DictReader(comparison.csv().splitlines()))
    assert [float(row["lr"]) for row in rows] == [1 + i for i in reversed(range(30))]
    assert [float(row["difference"]) <= 0 for row in rows] == [True] * 30


def test_as_many_groups_as_a_table_holds_stay_in_their_order(tmp_path):
    comparison = compare(write_arms(tmp_path, MOST))
    assert [group.settings["lr"] for group in comparison.groups] == [1 + i for i in range(MOST)]
    assert comparison.table().below == ""


def calls(folder):
    """How many functions are called to find the runs in a folder, to compare them, and to tell it."""
    with cProfile.Profile() as profile:
        comparison = compare(folder)
        _ = comparison.table(), comparison.csv(), comparison.warnings
    return pstats.Stats(profile).total_calls


def test_twice_the_runs_are_twice_the_work(tmp_path):
    few, many = calls(write_arms(tmp_path / "few", 50)), calls(write_arms(tmp_path / "many", 100))
    assert many < 2.1 * few


def test_of_the_steps_of_many_runs_one_group_at_a_time_is_in_memory(tmp_path):
    for lr in range(12):
        write_run(tmp_path / str(lr), [1.0] * 1000, steps=1000, lr=1.0 + lr)
    comparison = compare(tmp_path)
    tracemalloc.start()
    held = sum(each.mean.nbytes for each in comparison.curves("loss", smoothing=0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * held / 2  # half of the six columns of all runs
