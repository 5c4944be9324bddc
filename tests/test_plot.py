"""The pictures of a run and of a comparison."""

import subprocess
import sys

import numpy as np
import pytest
from comparable_runs import write_arms, write_groups, write_run

from dlscratch.drawing import View
from dlscratch.runs import Run


@pytest.fixture
def plot():
    return pytest.importorskip("dlscratch.plot", exc_type=ModuleNotFoundError)


@pytest.fixture
def compare():
    from dlscratch.compare import compare

    return compare


@pytest.fixture
def figure(plot, monkeypatch):
    """The figure that a comparison becomes, not saved, since that takes longest: its parts can be asked for."""
    kept = []

    def draw(comparison, **view):
        with monkeypatch.context() as patched:
            patched.setattr(plot, "_save", lambda figure, path: kept.append(figure))
            plot.save_comparison(comparison, "no.png", View(**view))
        return kept[-1]

    return draw


@pytest.fixture
def runs(tmp_path):
    return write_groups(tmp_path / "runs")


def test_a_run_becomes_a_picture(plot, tmp_path):
    plot.save_curves(Run.open(write_run(tmp_path / "run", validation=100)), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("ending", "magic"), [("SVG", b"<?xml"), ("pdf", b"%PDF")])
def test_a_comparison_becomes_a_picture_of_any_format(plot, compare, runs, tmp_path, ending, magic):
    plot.save_comparison(compare([runs]), tmp_path / f"comparison.{ending}")
    assert (tmp_path / f"comparison.{ending}").read_bytes().startswith(magic)


@pytest.mark.parametrize("axis", ["step", "seconds"])
def test_thick_lines_are_the_means_of_the_comparison(figure, compare, runs, axis):
    comparison = compare([runs])
    for axes, quantity in zip(figure(comparison, axis=axis, smoothing=0.5).axes, ("loss", "accuracy"), strict=True):
        assert axes.get_xlabel() == axis
        widths = [line.get_linewidth() for line in axes.lines]
        assert widths == sorted(widths)  # what was recorded, what is smoothed, and the means on top
        thick = [line for line in axes.lines if line.get_linewidth() > 1]
        for line, curve in zip(thick, comparison.curves(quantity, smoothing=0.5), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), curve.x[axis])
            np.testing.assert_array_equal(line.get_ydata(), curve.mean)
            assert line.get_linestyle() == ("-" if curve.split == "train" else "--")


def test_groups_differ_in_colour_and_marker(figure, compare, tmp_path):
    (axes,) = figure(compare(write_arms(tmp_path, 20)), quantity="loss").axes
    looks = {(line.get_color(), line.get_marker()) for line in axes.lines if line.get_marker() != "None"}
    assert len(looks) == 20


def test_of_many_groups_the_best_have_curves_and_all_a_point_for_each_setting(figure, compare, tmp_path):
    write_run(tmp_path / "early", [0.9], steps=1, lr=99.0, status="paused")
    drawn = figure(compare(write_arms(tmp_path, 29)))
    loss, accuracy, lr = drawn.axes
    assert len([line for line in accuracy.lines if line.get_marker() != "None"]) == 2 * 7
    assert "Curves: the best 7 of 30 groups." in loss.get_title(loc="left")
    whole, early = (points.get_offsets() for points in lr.collections)
    assert early.tolist() == [[99, pytest.approx(0.54)]]
    coloured = [[x for x, y in line.get_xydata()] for line in lr.lines]
    assert coloured == [[23.0 + i] for i in range(7)]
    assert whole[:, 0].tolist() == [22.0 - i for i in range(22)]
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[0] == "lr=29 (n=1)"
    assert labels[7:] == ["train", "test", "other groups", "with runs that ended early"]


def test_of_many_seeds_a_few_are_drawn_and_the_mean_is_that_of_all(figure, compare, tmp_path):
    for seed in range(102):
        write_run(tmp_path / str(seed), steps=1, seed=seed)
    comparison = compare(tmp_path)
    _, accuracy = drawn = figure(comparison).axes
    thin = [line for line in accuracy.lines if line.get_linewidth() < 1]
    assert len(thin) == 2 * 100
    assert "the first 100 of each group" in drawn[0].get_title(loc="left")
    assert [curve.n.tolist() for curve in comparison.curves("accuracy")] == [[102], [102]]


@pytest.mark.parametrize("log", [True, False])
def test_a_run_that_diverged_flattens_nothing_and_ends_with_a_cross(figure, compare, tmp_path, log):
    for seed in range(3):
        write_run(tmp_path / "runs" / f"good {seed}", seed=seed, steps=1000)
    write_run(tmp_path / "runs" / "bad", [*(2.0**k for k in range(60)), np.inf], lr=9, steps=1000, status="diverged")
    (axes,) = figure(compare([tmp_path / "runs"]), quantity="loss", log=log).axes
    low, high = axes.get_ylim()
    assert high < 100
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert crosses
    assert all(low <= y <= high for line in crosses for y in line.get_ydata())


def test_a_run_that_learned_nothing_but_did_not_diverge_is_in_the_picture(figure, compare, tmp_path):
    for seed in range(3):
        write_run(tmp_path / "runs" / f"good{seed}", seed=seed)
    write_run(tmp_path / "runs" / "stuck", [1.78] * 40, lr=9.0)  # an accuracy of 0.1, where the others reach 0.98
    _, accuracy = figure(compare([tmp_path / "runs"])).axes
    assert accuracy.get_ylim()[0] < 0.49 - 1e-9
    assert accuracy.get_ylim()[1] < 1.1


def test_warnings_stand_on_the_picture(figure, compare, tmp_path):
    write_run(tmp_path / "runs" / "a", lr=0.5)
    write_run(tmp_path / "runs" / "b", sha256="1" * 64)
    comparison = compare([tmp_path / "runs"])
    assert comparison.warnings
    told = figure(comparison).get_suptitle().replace("\n", " ")
    assert all(warning in told for warning in comparison.warnings)


def test_names_in_any_writing_are_drawn_without_a_word(plot, compare, tmp_path):
    names = ["学習", "훈련", "$x^$ $", "_hidden", "\U0001e900", "\udcff", "tab\tand\nline", "w" * 300]
    for i, name in enumerate(names):
        write_run(tmp_path / "runs" / str(i), dataset=name)
    plot.save_comparison(compare([tmp_path / "runs"]), tmp_path / "picture.png")  # a warning would be an error


def test_what_all_runs_share_is_the_title_whatever_it_holds(plot, figure, compare, tmp_path):
    comparison = compare([write_run(tmp_path / "run", dataset="$x^$ \udcff 学習 " + "w" * 300)])
    plot.save_comparison(comparison, tmp_path / "picture.png")
    assert "50 hidden" in figure(comparison).axes[0].get_title(loc="left")


def test_what_is_held_back_for_validation_is_not_called_test(figure, compare, tmp_path):
    write_run(tmp_path / "run", validation=100)
    labels = [text.get_text() for text in figure(compare([tmp_path / "run"])).legends[0].get_texts()]
    assert labels[1:] == ["train", "validation"]


def test_one_run_that_never_learned_is_a_picture_too(figure, compare, tmp_path):
    write_run(tmp_path / "run", [2.0], status="interrupted")
    assert len(figure(compare([tmp_path / "run"])).axes) == 2


def test_a_missing_library_names_the_extra_that_brings_it():
    script = "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None; import dlscratch.plot"
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert "matplotlib is not installed; python -m pip install 'dlscratch[plot]'" in done.stderr
