"""One run of many in the hands of a worker: every way in which it can end, and from where it goes on."""

import subprocess
import sys

import numpy as np
import pytest

from dlscratch.command import BLAS_THREADS
from dlscratch.folder import LOCK, STOP
from dlscratch.lock import hold
from dlscratch.runs import Run
from dlscratch.settings import Settings
from dlscratch.work import LOOK_EVERY, Outcome, StopFile, Task, ended, work

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def task(digits, tmp_path):
    settings = Settings(dataset=str(digits), hidden="8", steps=30, batch_size=20, lr=0.1)
    return Task(tmp_path / "run", settings, tmp_path / STOP, {}, settings.source)


def test_a_run_is_trained_and_its_outcome_is_its_last_evaluation(task):
    outcome = work(task)
    run = Run.open(task.folder)
    assert outcome == Outcome("finished", "", run.epochs["test_acc"][-1], outcome.seconds)
    assert outcome.seconds == run.steps["seconds"][-1]
    assert run.facts["test_accuracy"] == outcome.accuracy > 0.5


def test_what_has_ended_is_known_by_its_folder_and_not_touched(task):
    assert ended(task) is None
    outcome = work(task)
    files = {path: path.read_bytes() for path in task.folder.iterdir()}
    assert ended(task) == outcome
    assert work(task) == outcome
    assert {path: path.read_bytes() for path in task.folder.iterdir()} == files
    longer = task._replace(settings=task.settings.changed({"steps": 40}))
    assert ended(longer) is None
    assert work(longer).status == "finished"
    assert len(Run.open(task.folder).steps["step"]) == 40


def test_a_run_pauses_after_its_share_and_goes_on_to_the_same_end(task, tmp_path):
    for share, steps in (((1, 9), 4), ((1, 3), 10)):
        outcome = work(task._replace(share=share))
        assert (outcome.status, outcome.reason) == ("paused", f"paused after step {steps} of 30")
        assert Run.open(task.folder).status == "paused"
        assert Run.open(task.folder).epochs["step"][-1] == steps
        assert ended(task._replace(share=share)) == outcome
        assert ended(task) is None
    assert work(task).status == "finished"
    assert ended(task._replace(share=(1, 9))).status == "finished"
    work(task._replace(folder=tmp_path / "alone"))
    one, alone = Run.open(task.folder), Run.open(tmp_path / "alone")
    assert (one.folder / "model.npz").read_bytes() == (alone.folder / "model.npz").read_bytes()
    assert set(one.epochs["step"]) == set(alone.epochs["step"]) | {4, 10}


def test_a_killed_run_counts_as_paused_only_once_it_is_beyond_its_share(task):
    """Its last row may be one that no checkpoint knows of, and is cut off when the run goes on."""
    work(task._replace(share=(1, 3)))
    facts = task.folder / "run.json"
    facts.write_text(facts.read_text(encoding="utf-8").replace('"paused"', '"running"'), encoding="utf-8")
    assert Run.open(task.folder).status == "killed"
    assert ended(task._replace(share=(1, 3))) is None
    assert ended(task._replace(share=(1, 9))).status == "paused"
    assert work(task._replace(share=(1, 3))).status == "paused"
    assert ended(task._replace(share=(1, 3))).status == "paused"


def test_the_test_set_stays_closed_where_the_run_is_not_judged(task):
    settings = task.settings.changed({"validation": 50})
    task = task._replace(settings=settings, source=settings.source, judged=False)
    outcome = work(task)
    run = Run.open(task.folder)
    assert outcome.accuracy == run.epochs["val_acc"][-1]
    assert not {"test_accuracy", "test_loss"} & set(run.facts)


def test_a_run_that_diverges_or_fails_says_why(task):
    outcome = work(task._replace(settings=task.settings.changed({"lr": 1e30})))
    assert (outcome.status, outcome.reason[:11]) == ("diverged", "the loss is")
    assert ended(task).status == "diverged"
    elsewhere = task._replace(folder=task.stop.parent / "file" / "run")
    elsewhere.folder.parent.write_text("", encoding="utf-8")
    outcome = work(elsewhere)
    assert (outcome.status, outcome.reason) == ("failed", f"{elsewhere.folder}: Not a directory")
    nowhere = task._replace(folder=task.stop.parent / "b", source=Settings(dataset="no/where"))
    assert "no/where" in work(nowhere).reason


def test_a_mistake_of_the_program_is_told_with_its_kind(task, monkeypatch):
    monkeypatch.setattr("dlscratch.job.Job.record", lambda *_, **__: [][1])
    assert work(task) == Outcome("failed", "IndexError: list index out of range")


def test_a_stop_file_interrupts_what_runs_and_keeps_what_waits_from_beginning(task, monkeypatch):
    task.stop.touch()
    assert work(task) == Outcome("interrupted")
    assert not task.folder.exists()
    looks = iter([False, False, True])  # before it begins, after a step, and after another one
    monkeypatch.setattr("dlscratch.work.LOOK_EVERY", -1.0)
    monkeypatch.setattr("pathlib.Path.exists", lambda path, real=task.stop.__class__.exists: (
        next(looks) if path == task.stop else real(path)
    ))  # fmt: skip
    assert work(task).status == "interrupted"
    monkeypatch.undo()
    run = Run.open(task.folder)
    assert (run.status, list(run.steps["step"])) == ("interrupted", [1, 2])
    task.stop.unlink()
    assert work(task).status == "finished"
    np.testing.assert_array_equal(Run.open(task.folder).steps["step"], np.arange(1, 31))


def test_a_run_is_taken_up_once_the_worker_before_has_let_it_go(task, monkeypatch):
    task.folder.mkdir()
    before = hold(task.folder / LOCK)
    monkeypatch.setattr("time.sleep", lambda seconds: seconds == LOOK_EVERY and before.close())
    assert work(task).status == "finished"


def test_a_worker_that_does_not_let_go_of_a_run_costs_this_run(task, monkeypatch):
    monkeypatch.setattr("dlscratch.work.PATIENCE", 0.0)
    task.folder.mkdir()
    with hold(task.folder / LOCK):
        outcome = work(task)
    assert outcome.status == "failed"
    assert "is being recorded by another process; wait for its end" in outcome.reason


def test_code_of_the_users_goes_with_the_task_also_where_a_worker_was_killed_before_its_run_began(task, monkeypatch):
    code = b"from dlscratch.models import Sequential\nfrom dlscratch.layers import Affine\nfrom beside import N\n"
    code += b"def make_net(rng): return Sequential(Affine(N, 3, rng=rng))\n"
    settings = task.settings.changed({"model": "gone/own.py:make_net", "hidden": None})
    task = task._replace(settings=settings, sources={"own.py": code, "beside.py": b"N = 36\n"})
    with monkeypatch.context() as patch:
        patch.setattr("dlscratch.job.Job.__init__", lambda *_: [][1])
        assert work(task).reason == "IndexError: list index out of range"
    assert work(task).status == "finished"
    assert (task.folder / "code" / "own.py").read_bytes() == code


def test_the_file_is_looked_for_now_and_then_only(tmp_path):
    stop = StopFile(tmp_path / STOP)
    assert not stop
    (tmp_path / STOP).touch()
    assert not stop
    stop.next_look = 0
    assert stop
    (tmp_path / STOP).unlink()
    assert stop  # for good


def test_a_process_that_has_numpy_with_other_threads_is_no_place_to_work_in(task, monkeypatch):
    for name in BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match="has loaded NumPy without OPENBLAS_NUM_THREADS=1, which the runs ask for"):
        work(task)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert work(task).status == "finished"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # which counts for more
    with pytest.raises(RuntimeError, match="has loaded NumPy"):
        work(task)


def test_threads_are_set_before_numpy_is_loaded():
    script = """
import os, sys
from dlscratch.work import _pin_blas_threads
assert "numpy" not in sys.modules
_pin_blas_threads(3)
print(os.environ["OPENBLAS_NUM_THREADS"])
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "3\n"
