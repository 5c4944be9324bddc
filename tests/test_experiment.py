"""Many runs in many hands: each ends in one outcome, whatever becomes of the worker, the run or the caller."""

import dataclasses
from concurrent.futures import BrokenExecutor, Executor, Future

import pytest
from user_nets import write_net

from dlscratch import experiment
from dlscratch.experiment import GRACE, TRIES, make_tasks, open_executor, run_all
from dlscratch.folder import STOP
from dlscratch.job import Job
from dlscratch.processes import Processes
from dlscratch.runs import Run
from dlscratch.settings import Settings
from dlscratch.work import Outcome, Task, work


@pytest.fixture
def settings(digits):
    return Settings(dataset=str(digits), hidden="8", steps=5, batch_size=20)


class Scripted(Executor):
    """An executor that answers at once, and leaves alone what it has no answer to: `answers` of a folder's name."""

    def __init__(self, **answers):
        self.answers = {name: list(each) for name, each in answers.items()}
        self.futures, self.ended = {}, None

    def submit(self, function, task):
        assert function is work
        future = self.futures[task.folder.name] = Future()
        match self.answers[task.folder.name]:
            case [Exception() as error, *_]:
                future.set_exception(error)
            case [Outcome() as outcome, *_]:
                future.set_result(outcome)
        self.answers[task.folder.name] = self.answers[task.folder.name][1:]
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.ended = {"wait": wait, "cancel_futures": cancel_futures}


def tasks_of(executor, tmp_path):
    return [Task(tmp_path / name, Settings(), tmp_path / STOP, {}, Settings()) for name in executor.answers]


DEATH = BrokenExecutor("its worker died")


def test_each_run_ends_in_one_outcome_and_one_whose_worker_dies_is_tried_again(tmp_path):
    good, bad = Outcome("finished", "", 0.9, 1.0), Outcome("failed", "no")
    executor = Scripted(a=[good], b=[DEATH, DEATH, bad], c=[DEATH, good], d=[DEATH] * 9)
    outcomes = {task.folder.name: outcome for task, outcome in run_all(tasks_of(executor, tmp_path), executor)}
    assert outcomes == {"a": good, "b": bad, "c": good, "d": Outcome("failed", f"its worker died, {TRIES} times")}
    assert len(executor.answers["d"]) == 9 - TRIES
    assert executor.ended is None
    assert not (tmp_path / STOP).exists()


def test_a_stop_file_of_an_earlier_sweep_stops_nothing(tmp_path):
    (tmp_path / STOP).touch()
    executor = Scripted(a=[Outcome("finished")], b=[])
    sweep = run_all(tasks_of(executor, tmp_path), executor)
    assert next(sweep)[1].status == "finished"
    assert not (tmp_path / STOP).exists()


def test_an_interruption_reaches_the_runs_through_the_file_and_gives_up_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "GRACE", 0.5)
    executor = Scripted(a=[Outcome("finished")], b=[], c=[], d=[DEATH])
    interrupts, seen = [], {}
    for task, outcome in run_all(tasks_of(executor, tmp_path), executor, interrupts):
        seen[task.folder.name] = outcome.status
        if not interrupts:
            assert not (tmp_path / STOP).exists()
            interrupts.append(2)
        else:
            assert (tmp_path / STOP).exists()
            executor.futures["c"].set_result(Outcome("interrupted")) if "c" not in seen else None
    assert seen == {"a": "finished", "d": "interrupted", "c": "interrupted"}  # and nobody knows of b
    assert executor.ended == {"wait": False, "cancel_futures": True}
    assert (tmp_path / STOP).exists()
    assert GRACE == 10


def test_a_future_that_its_executor_cancels_is_an_interrupted_run(tmp_path):
    executor = Scripted(a=[], b=[])
    tasks = tasks_of(executor, tmp_path)
    sweep = run_all(tasks, executor)
    original = executor.submit

    def submit(function, task):
        future = original(function, task)
        future.cancel()
        return future

    executor.submit = submit
    assert [outcome.status for _, outcome in sweep] == ["interrupted", "interrupted"]
    assert (tmp_path / STOP).exists()  # for those who are at work unseen


def test_a_task_is_complete_and_at_home_anywhere(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(settings.dataset)
    settings = settings.changed({"dataset": "data"})
    own = write_net(tmp_path / "own.py", "def make_net(rng, classes): return Sequential(Affine(36, classes, rng=rng))")
    settings = settings.changed({"hidden": None, "model": f"{own.name}:make_net", "epochs": 2, "data_dir": "home"})
    (task,) = make_tasks({tmp_path / "run": settings}, tmp_path / STOP).values()
    alone = Job(settings, experiment.load_data(settings)).settings
    assert task.settings == alone
    assert (task.settings.steps, task.settings.epochs, task.settings.lr) == (26, None, 0.1)
    assert task.sources == {"own.py": own.read_bytes()}
    assert (task.source.dataset, task.source.data_dir) == (str(tmp_path / "data"), str(tmp_path / "home"))
    monkeypatch.chdir("/")
    own.unlink()
    assert work(task).status == "finished"
    assert Run.open(task.folder).config["dataset"] == "data"


def test_each_kind_of_net_is_tried_once_whatever_its_seed_and_its_rates(settings, tmp_path, monkeypatch):
    made = []
    init = Job.__init__
    monkeypatch.setattr(Job, "__init__", lambda self, *args: made.append(args[0]) or init(self, *args))
    arms = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.1, "hidden": "9"}, {"optimizer": "Adam"}, {"dropout": 0.0},
            {"dropout": 0.5}, {"dropout": 0.1}]  # fmt: skip
    planned = {
        tmp_path / f"{i}-{seed}": settings.changed({**arm, "seed": seed})
        for seed in (0, 1, 2) for i, arm in enumerate(arms)
    }  # fmt: skip
    tasks = make_tasks(planned, tmp_path / STOP)
    assert len(made) == 5  # an open rate is another kind than a given one
    for folder, task in tasks.items():
        assert task.settings == Job(planned[folder], experiment.load_data(settings)).settings


def test_settings_that_a_net_does_not_take_are_told_for_every_value(settings, tmp_path):
    two_layer = settings.changed({"model": "two-layer"})
    planned = {tmp_path / "a": dataclasses.replace(two_layer, dropout=0.0),
               tmp_path / "b": dataclasses.replace(two_layer, dropout=0.5)}  # fmt: skip
    with pytest.raises(ValueError, match="--dropout means nothing to two-layer"):
        make_tasks(planned, tmp_path / STOP)


def test_an_executor_is_found_by_its_name():
    with open_executor("processes", 2) as executor:
        assert isinstance(executor, Processes)
        assert executor.submit(divmod, 7, 2).result(60) == (3, 1)
