"""scripts/report.py as a person meets it: what it prints and writes, and what it says where nothing can be reported."""

import json
import shutil
import subprocess
import sys

import pytest
from small_job import SCRIPTS, environment, write_digits


def call(script, *arguments, home, **kwargs):
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *map(str, arguments)], text=True, capture_output=True, check=False,
        cwd=home, env=environment(home, **kwargs),
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run, and the digits from which it learned."""
    home = tmp_path_factory.mktemp("home")
    options = "--dataset", write_digits(home / "digits"), "--steps", 60, "--hidden", 8, "--out", "trained", "--quiet"
    done = call("train.py", *options, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    return home


@pytest.fixture
def run(home, tmp_path):
    return shutil.copytree(home / "trained", tmp_path / "run")


@pytest.fixture
def report(home):
    return lambda *arguments, **kwargs: call("report.py", *arguments, home=home, **kwargs)


def test_the_text_agrees_with_the_run_and_writes_nothing(report, run):
    before = sorted(run.iterdir())
    done = report(run, "--text", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    accuracy = json.loads((run / "run.json").read_text(encoding="utf-8"))["test_accuracy"]
    assert f"test accuracy {accuracy:.4f}" in done.stdout
    assert "\nClasses: " in done.stdout
    assert sorted(run.iterdir()) == before


def test_the_page_lies_in_the_folder_of_the_run(report, run):
    pytest.importorskip("matplotlib")
    done = report(run, pictures=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"\npage: {run / 'report' / 'report.html'}\n")
    assert (run / "report" / "confusion.png").exists()


def test_without_the_library_the_text_is_printed_all_the_same(report, run):
    done = report(run)
    assert done.returncode == 1
    assert "\nClasses: " in done.stdout
    assert done.stderr == "report.py: matplotlib is not installed; python -m pip install 'dlscratch[plot]'\n"


def lose_net(run):
    (run / "model.npz").unlink()


def damage_net(run):
    (run / "model.npz").write_bytes((run / "model.npz").read_bytes()[:200])


def lose_data(run):
    change(run / "config.json", dataset=str(run / "gone"))


def change_data(run):
    change(run / "config.json", dataset=str(write_digits(run / "others", test=61)))


def change(path, **settings):
    path.write_text(json.dumps(json.loads(path.read_bytes()) | settings), encoding="utf-8")


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (lose_net, 1, "run holds no model.npz"),
        (damage_net, 1, "model.npz is no saved network"),
        (lose_data, 4, "gone"),
        (change_data, 1, "learned from other data"),
        (shutil.rmtree, 1, "run is no folder"),
    ],
)
def test_what_is_missing_or_damaged_is_told_in_one_line(report, run, fault, code, sentence):
    fault(run)
    done = report(run, "--text")
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("report.py: ")


def test_data_is_looked_for_where_it_is_said_to_be(report, run):
    change(run / "config.json", dataset="mnist")
    done = report(run, "--text", "--data-dir", run / "elsewhere")
    assert done.returncode == 4
    assert str(run / "elsewhere") in done.stderr
