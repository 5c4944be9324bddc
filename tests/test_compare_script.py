"""scripts/compare.py as a person meets it."""

import os
import subprocess
import sys

import pytest
from comparable_runs import write_run
from small_job import SCRIPTS

from dlscratch.compare import compare
from dlscratch.lock import hold


@pytest.fixture
def folder(tmp_path):
    for seed in range(2):
        write_run(tmp_path / "runs" / f"a{seed}", seed=seed)
        write_run(tmp_path / "runs" / f"b{seed}", seed=seed, optimizer="Adam", lr=0.001)
    return tmp_path


def script(folder, *options, **environment):
    command = [sys.executable, SCRIPTS / "compare.py", *map(str, options)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )  # fmt: skip


def test_the_table_is_printed_and_nothing_is_written(folder):
    done = script(folder, "runs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == str(compare(folder / "runs").table()) + "\n"
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert [path.name for path in folder.iterdir()] == ["runs"]


def test_csv_and_markdown_go_to_files_or_to_standard_output(folder):
    comparison = compare(folder / "runs")
    assert script(folder, "runs", "--csv", "-").stdout == comparison.csv()
    done = script(folder, "runs", "--csv", "a.csv", "--markdown", "a.md")
    assert done.stdout.startswith("Comparison")
    assert (folder / "a.csv").read_text(encoding="utf-8") == comparison.csv()
    assert (folder / "a.md").read_text(encoding="utf-8") == comparison.table().markdown()


def test_warnings_are_seen_beside_the_table(folder):
    write_run(folder / "runs" / "c", hidden="100")
    done = script(folder, "runs")
    assert done.returncode == 0
    assert "note: the nets have different sizes" in done.stderr


def test_the_ending_tells_what_is_drawn(folder):
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    view = "--x", "seconds", "--quantity", "loss", "--linear"
    done = script(folder, "runs", "--out", "a.png", "--out", "a.html", *view)
    assert (done.returncode, done.stderr) == (0, "drawn in a.png\ndrawn in a.html\n")
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<script" in (folder / "a.html").read_text(encoding="utf-8")


def test_a_run_that_is_still_running_is_told_from_one_that_was_killed(folder):
    for name in ("a1", "b1"):
        path = folder / "runs" / name / "run.json"
        path.write_text(path.read_text(encoding="utf-8").replace("finished", "running"), encoding="utf-8")
    with hold(folder / "runs" / "a1" / ".lock"):  # by this process; the script is another one
        done = script(folder, "runs")
    assert done.returncode == 0
    assert "running, and counted as far as they went: a1 at step 30" in done.stderr
    assert "killed, and counted as far as they went: b1 at step 30" in done.stderr


def test_a_missing_library_names_the_extra_and_the_table_is_there_all_the_same(folder):
    (folder / "matplotlib.py").write_text("raise ModuleNotFoundError", encoding="utf-8")
    done = script(folder, "runs", "--out", "a.png", PYTHONPATH=str(folder))
    assert (done.returncode, done.stderr) == (
        1, "compare.py: matplotlib is not installed; python -m pip install 'dlscratch[plot]'\n",
    )  # fmt: skip
    assert done.stdout.startswith("Comparison")


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ([], 2, "the following arguments are required: RUN"),
        (["runs", "--out", "a.txt"], 2, "expects a file that ends in .png, .svg, .pdf, .html, got 'a.txt'"),
        (["runs", "--x", "time"], 2, "expects one of step, epoch, examples, seconds, got 'time'"),
        (["runs", "--smooth", "-1"], 2, "expects a number from 0"),
        (["nowhere"], 1, "compare.py: nowhere is no folder; expected a folder of runs"),
        ([""], 2, "expects a name"),
        (["runs", "--csv", "nowhere/a.csv"], 1, "compare.py: nowhere/a.csv: No such file or directory\n"),
    ],
)
def test_wrong_input_is_one_sentence(folder, options, code, sentence):
    done = script(folder, *options)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("config.json", "{", "config.json is damaged: it is no JSON"),
        ("run.json", "[]", "run.json is damaged: expected names and values in braces, got a list"),
        ("epochs.csv", "epoch,step\n1,x\n", "epochs.csv is damaged: line 2 is '1,x', expected 2 numbers"),
        ("steps.csv", "step\n1\n", "steps.csv is damaged: it has no column epoch"),
    ],
)
def test_a_damaged_run_is_named(folder, file, content, sentence):
    facts = folder / "runs" / "a1" / "run.json"  # of one that ended early, all is looked at
    facts.write_text(facts.read_text(encoding="utf-8").replace("finished", "interrupted"), encoding="utf-8")
    (folder / "runs" / "a1" / file).write_text(content, encoding="utf-8")
    done = script(folder, "runs")
    assert done.returncode == 1
    assert done.stderr.startswith("compare.py: runs/a1/" + sentence)
    assert done.stderr.count("\n") == 1
