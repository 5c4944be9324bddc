"""scripts/benchmark.py: how it measures and what it writes; the figures themselves are nobody's test."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from concurrent.futures import Future
from contextlib import nullcontext

import benchmark
import numpy as np
import peers
import pytest
from measure import programs, timing
from measure.programs import Program, run, run_in_turns
from measure.results import Result, tables
from measure.steps import step_results
from measure.timing import Figures, Turn, allocated, compared, take_turns
from peers import job, sizes
from small_job import SCRIPTS, environment, write_digits

CANONICAL = Result("784-50-10, batch 100", "a step", "µs", 2, {
    "dlscratch": Figures(250e-6, 240e-6, 260.4e-6, 1.0, 3072, 1.0),
    "a peer": Figures(500e-6, 490e-6, 900e-6, 1.98, None, 0.5),
})  # fmt: skip
CONVNET = Result("simple-convnet, batch 100", "a step", "µs", 2, {"dlscratch": Figures(1e-2, 9e-3, 2e-2, 1.0, None, 1)})
JOB = Result("Whole job, 10,000 steps", "all", "s", 2, {
    "dlscratch": Figures(4.0, 3.9, 4.1, 1.0, 3 << 20, 1.0),
    "a third": Figures(40.0, 39.0, 41.0, 1.0, 1 << 30, 0.1),
})  # fmt: skip
PARTS = Result("Programs", "all", "s", 2, {"import NumPy": Figures(0.25, 0.24, 0.26, 1.0)})


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A small data set of 28x28 pixels."""
    return str(write_digits(tmp_path_factory.mktemp("images"), side=28))


def test_steps_and_whole_jobs_of_every_contender_are_told(images, tmp_path):
    steps = "--hidden", "16", "--batch-size", "10", "--rounds", "2", "--block", "0.001"
    jobs = "--programs", "1", "--steps", "3", "--dataset", images
    options = *steps, *jobs, "--threads", "2", "--peers", "products,textbook"
    command = [sys.executable, SCRIPTS / "benchmark.py", *options, "--json", "figures.json", "--markdown", "tables.md"]
    pipes = {"text": True, "capture_output": True, "check": False}
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), **pipes)
    assert (done.returncode, done.stderr) == (0, "")
    written = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert written["machine"]["versions"]["numpy"] == np.__version__
    results = written["results"]
    steps, jobs, parts = (result["rows"] for result in results)
    assert [result["title"] for result in results] == ["784-16-10, batch 10", "Whole job, 3 steps", "Programs"]
    assert [*steps] == ["dlscratch", "dlscratch, recorded", "textbook NumPy", "bare matrix products"]
    assert steps["dlscratch"]["ratio"] == 1
    assert 0 < steps["dlscratch"]["memory"] < 1 << 20
    assert [*jobs] == ["dlscratch", "textbook NumPy"]
    assert all(row["memory"] > 1 << 20 for row in jobs.values())
    assert "get dlscratch to its first step" in parts
    told = (tmp_path / "tables.md").read_text(encoding="utf-8")
    for name in [*steps, *jobs, *parts]:
        assert f"| {name} |" in told
        assert f"\n{name} " in done.stdout


def test_each_number_of_threads_is_set_before_a_process_of_its_own_starts(monkeypatch, capsys):
    done = []

    class Here(nullcontext):
        def __init__(self, jobs):
            super().__init__(self)
            done.append("process")

        def submit(self, function, *args):
            (future := Future()).set_result(function(*args))
            return future

    def results(options, threads, folder):
        done.append(f"{folder.name} on {threads}")
        return [CANONICAL._replace(threads=threads)]

    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--threads", "1", "2"])
    monkeypatch.setattr(benchmark, "Processes", Here)
    monkeypatch.setattr(benchmark, "limit_blas_threads", done.append)
    monkeypatch.setattr(benchmark, "step_results", results)
    monkeypatch.setattr(benchmark, "program_results", results)
    assert benchmark.main() == 0
    turn = ["process", "steps on {}", "programs on {}"]
    assert done == ["process", 1, *[each.format(1) for each in turn], 2, *[each.format(2) for each in turn]]
    assert capsys.readouterr().out.count("784-50-10, batch 100, 2 threads: a step") == 2


def few_turns(sizes, peers, dataset):
    return Namespace(sizes=sizes, peers=peers, rounds=2, block=0.001, dataset=dataset)


def test_a_convolution_net_is_left_to_those_who_know_it(images, tmp_path):
    size = sizes.Size("simple-convnet", 16, 10)
    options = few_turns([size], ["ours", "inline", "textbook", "products"], images)
    (result,) = step_results(options, 1, tmp_path)
    assert result.title == "simple-convnet, 16 hidden, batch 10"
    assert [*result.rows] == ["dlscratch", "dlscratch, recorded", "bare matrix products"]


def test_the_canonical_net_is_evaluated_too(images, tmp_path):
    options = few_turns(sizes.SIZES[:2], ["ours", "inline", "textbook"], images)
    canonical, evaluation, small = step_results(options, 1, tmp_path)
    assert [result.title for result in (canonical, small)] == ["784-50-10, batch 100", "784-50-10, batch 20"]
    assert evaluation.title == "Evaluation, 310 images"
    assert canonical.rows.keys() == small.rows.keys() > evaluation.rows.keys() == {"dlscratch", "textbook NumPy"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--peers", "ours,tensorflow"), "scikit_learn, textbook, inline, products, got 'tensorflow'"),
        (("--threads", "0"), "expects a whole number from 1 up, got '0'"),
        (("--picture", "bars.txt"), "expects a file that ends in .png, .svg, .pdf, got 'bars.txt'"),
        (("--json", "nowhere/figures.json"), "expects a file in a folder that is there, got 'nowhere/figures.json'"),
    ],
    ids=["peers", "threads", "picture", "json"],
)
def test_wrong_input_is_told_in_a_sentence(options, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    with pytest.raises(SystemExit) as end:
        benchmark.parse_options()
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(f"{sentence}\n")


def test_a_table_has_the_columns_in_which_anybody_has_a_figure():
    assert CANONICAL.table.text().splitlines() == [
        "784-50-10, batch 100, 2 threads: a step",
        "           µs, median  middle half  dlscratch / it  cores  memory",
        "dlscratch         250   240 to 260           1.000   1.00    3 KB",
        "a peer            500   490 to 900           0.500   1.98        ",
    ]
    assert PARTS.table.header == ("", "s, median", "middle half", "cores")
    assert PARTS.table.rows == (("import NumPy", "0.25", "0.24 to 0.26", "1.00"),)


def test_a_report_has_all_sizes_in_one_table():
    first, overview, *others = tables([CANONICAL, CONVNET, JOB, PARTS])
    assert (first, others) == (CANONICAL.table, [JOB.table, PARTS.table])
    assert overview.header == ("", "784-50-10, batch 100", "simple-convnet, batch 100")
    assert overview.rows == (("dlscratch", "250 (1.00)", "10000 (1.00)"), ("a peer", "500 (0.50)", ""))
    assert [*tables([CANONICAL])] == [CANONICAL.table]


def test_json_has_seconds_and_bytes():
    row = {"median": 250e-6, "low": 240e-6, "high": 260.4e-6, "cores": 1.0, "memory": 3072, "ratio": 1.0}
    assert json.loads(json.dumps(CANONICAL.as_json()))["rows"]["dlscratch"] == row


def test_a_picture_is_written_of_the_first_number_of_threads(tmp_path):
    pytest.importorskip("matplotlib")
    options = Namespace(json=None, markdown=None, picture=tmp_path / "bars.svg", threads=[2, 1])
    benchmark.write(options, "", {}, [CANONICAL, PARTS, CANONICAL._replace(threads=1, title="another"), JOB])
    picture = (tmp_path / "bars.svg").read_text(encoding="utf-8")
    found = [text for text in ("784-50-10", "Whole job", "import NumPy", "another") if f"<!-- {text}" in picture]
    assert found == ["784-50-10", "Whole job"]


def test_bars_are_as_long_as_their_figures_and_cut_off_at_four_times_ours(monkeypatch):
    plot, figures = pytest.importorskip("dlscratch.plot", exc_type=ModuleNotFoundError), []
    monkeypatch.setattr(plot, "_save", lambda figure, path: figures.append(figure))
    plot.save_bars({each.caption: each.bars for each in (CANONICAL, CONVNET, JOB)}, "no.png", marked="dlscratch")
    steps, convnet, job = figures[0].axes
    assert steps.get_title(loc="left") == "784-50-10\nbatch 100, µs"
    names = [label.get_text() for label in steps.get_yticklabels()]
    assert names == ["dlscratch", "a peer", "a third"]
    bars = {axes: {round(bar.get_y() + 0.35): bar for bar in axes.patches} for axes in (steps, convnet, job)}
    assert {row: bar.get_width() for row, bar in bars[steps].items()} == {0: 250e-6, 1: 500e-6}
    assert {row: bar.get_width() for row, bar in bars[job].items()} == {0: 4, 2: 16}
    assert [text.get_text() for text in job.texts] == ["4.00", "40.00"]
    assert len({bar.get_facecolor() for bar in bars[steps].values()}) == 2
    assert bars[convnet][0].get_facecolor() == bars[job][0].get_facecolor() != bars[job][2].get_facecolor()


def test_ratios_are_taken_turn_by_turn():
    turns = {
        "ours": [Turn(1.0, 1.0), Turn(2.0, 1.0, 5), Turn(30.0, 1.0, 4)],
        "theirs": [Turn(2.0, 1.9), Turn(5.0, 2.0), Turn(60.0, 1.2)],
    }
    figures = compared(turns, "ours")
    assert figures["theirs"] == Figures(5.0, 2.75, 46.25, 1.9, None, 0.5)
    assert (figures["ours"].ratio, figures["ours"].memory) == (1, 5)
    assert compared({"theirs": [Turn(3.0, 1.0)]}) == {"theirs": Figures(3.0, 3.0, 3.0, 1.0)}


def test_contenders_take_turns_of_equal_length_each_thing_counted(monkeypatch):
    now, order = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(timing.time, "process_time", lambda: 2 * now[0])

    def call(name, seconds, count):
        def work():
            now[0] += seconds
            order.append(name)
            return [0.0] * count

        return work

    turns = take_turns({"one": call("one", 1, 1), "many": call("many", 5, 10)}, rounds=2, seconds=10)
    assert turns == {"one": [Turn(1, 2)] * 2, "many": [Turn(0.5, 2)] * 2}
    assert order == ["one", "many"] + (timing.WARM_UP + 1) * (10 * ["one"] + 2 * ["many"])


def test_what_a_call_allocates_is_its_peak_and_not_what_it_keeps():
    kept = []

    def call():
        np.empty(1_000_000, np.uint8)
        kept.append(np.empty(1000, np.uint8))

    assert 1_000_000 <= allocated(call, times=3) < 1_010_000


def test_a_program_is_measured_from_its_start_to_its_end(tmp_path):
    program = Program(("-c", "import pathlib, time; time.sleep(0.05); pathlib.Path({out!r}).write_text({dataset!r})"))
    turn = run(program, {"out": str(tmp_path / "out"), "dataset": "strokes"}, os.environ)
    assert turn.seconds >= 0.05
    assert turn.memory > 1 << 20
    assert (tmp_path / "out").read_text(encoding="utf-8") == "strokes"


def test_no_program_draws(tmp_path):
    program = Program(("-c", "import matplotlib"))
    with pytest.raises(ValueError, match="exit code 1: ModuleNotFoundError"):
        run_in_turns({"dlscratch": program}, 1, tmp_path, {})


def test_a_program_that_fails_is_an_error_with_its_last_words():
    with pytest.raises(ValueError, match=r"exit code 1: KeyError: 'lost'"):
        run(Program(("-c", "{{}}['lost']")), {}, os.environ)


def test_programs_take_turns_too(tmp_path, monkeypatch):
    order = []

    def measured(program, gaps, environment):
        order.append(gaps["out"].name)
        return Turn(2.0, 1.0, 1024)

    monkeypatch.setattr(programs, "run", measured)
    both = {"this": Program(("-c", "pass")), "that": Program(("-c", "pass"))}
    assert run_in_turns(both, 2, tmp_path, {}) == dict.fromkeys(both, [Turn(2.0, 1.0, 1024)] * 2)
    assert order == ["this-0", "that-0", "this-1", "that-1"]


def test_the_whole_job_writes_each_loss_and_the_accuracies_of_each_epoch(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    sets = [(rng.integers(0, 256, (count, 784), np.uint8), rng.integers(0, 10, count)) for count in (400, 50)]
    monkeypatch.setattr(job, "load_dataset", lambda name, normalize: sets)
    job.main("textbook", "any", "10", str(tmp_path / "out"))
    rows = [row.split(",") for row in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == ["step", *map(str, range(1, 11)), "step", "0", "4", "8", "10"]
    assert all(0 < float(row[1]) < 20 for row in rows[1:11])


def test_a_peer_that_lacks_its_library_is_left_out_by_name(capsys, monkeypatch):
    monkeypatch.setitem(peers.NEEDS, "jax", ("no_such_library", "no-such-compiler"))
    assert [*benchmark.installed(["ours", "jax", "textbook"])] == ["ours", "textbook"]
    assert capsys.readouterr().out == "jax is left out: no_such_library and no-such-compiler not installed\n"
