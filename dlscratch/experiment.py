"""Many runs: checked together, handed to an executor one task each, and taken back as they end.

Which executor is the only difference between a laptop and a cluster. Results travel through the folders of the runs.
"""

import functools
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from dlscratch.data import check_data, load_data
from dlscratch.folder import CONFIG
from dlscratch.job import Job
from dlscratch.processes import GRACE, Processes
from dlscratch.runs import Run
from dlscratch.saved_net import check_code
from dlscratch.settings import Settings
from dlscratch.work import Outcome, Task, work

TRIES = 3  # for a run whose worker dies: it goes on from its last checkpoint


def make_tasks(planned: Mapping[Path, Settings], stop: Path, *, judged: bool = True) -> dict[Path, Task]:
    """A task for each run, by its folder; ValueError, DataError or OSError if one of them cannot be trained.

    Each kind of net is built and taken there and back once, here, before anything is trained; and what lies in the
    folders already is looked at, whether it is the same run. stop, judged: see `Task`.
    """
    load, kinds, tasks = functools.cache(load_data), {}, {}
    for folder, settings in planned.items():
        data = load(settings.source)
        if (key := _key(settings)) not in kinds:
            kinds[key] = Job(settings, data)
        kind = kinds[key]
        chosen = {name: value for name, value in kind.settings.as_config().items() if getattr(settings, name) is None}
        complete = replace(settings, **chosen | {"epochs": None})  # where epochs were given, the steps are chosen
        if (folder / CONFIG).exists():
            _check_same(Run.open(folder), complete, kind)
        sources = {path.name: text for path, text in kind.sources.items()}
        source = _absolute(complete.source)
        tasks[folder] = Task(folder.absolute(), complete, stop.absolute(), sources, source, data.note, judged=judged)
    return tasks


def _key(settings: Settings) -> tuple[object, ...]:
    """What decides whether a net can be built and trained: all settings but the seed; of a rate, whether it is 0."""
    config = {name: value for name, value in settings.as_config().items() if name != "seed"}
    return tuple(bool(value) if isinstance(value, float) else value for value in config.values())


def _absolute(source: Settings) -> Settings:
    """The same data, as it is called in any folder."""
    home = str(Path(source.data_dir).expanduser().absolute()) if source.data_dir else None
    own = str(Path(source.dataset).absolute()) if source.dataset and Path(source.dataset).is_dir() else None
    return replace(source, data_dir=home, dataset=own or source.dataset)


def _check_same(run: Run, settings: Settings, kind: Job) -> None:
    try:
        Settings.from_config(run.config).resumed(settings.as_config())
    except ValueError as error:
        raise ValueError(f"{run.folder}: {error}; --out names another folder for the runs") from None
    check_data(run, kind.data)
    check_code(run, kind.sources)


def run_all(tasks: Iterable[Task], executor: Executor, interrupts: Sized = ()) -> Iterator[tuple[Task, Outcome]]:
    """Have each task worked on, and yield it with its outcome as soon as there is one.

    A run whose worker dies is handed out again, from its last checkpoint, twice at most. As soon as `interrupts` holds
    anything, the runs are told to stop, and what does not end within GRACE seconds is left alone, or killed where the
    executor can do that.
    """
    tasks = list(tasks)
    stops = {task.stop for task in tasks}
    desk, given_up = _Desk(executor), math.inf
    for stop in stops:
        stop.unlink(missing_ok=True)
    try:
        for task in tasks:
            desk.hand_out(task)
        while desk.waiting and time.monotonic() < given_up:
            if interrupts and given_up == math.inf:
                given_up = time.monotonic() + GRACE
                for stop in stops:
                    stop.touch()
            yield from desk.take_back(again=not interrupts)
    finally:
        for stop in stops:
            if desk.waiting or desk.lost:
                stop.touch()  # for those that may be still at work
            else:
                stop.unlink(missing_ok=True)
        if desk.waiting or desk.lost:
            executor.shutdown(wait=False, cancel_futures=True)


class _Desk:
    """Where tasks are handed out to workers, and their outcomes handed in."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.waiting: dict[Future[Outcome], tuple[Task, int]] = {}
        self.lost = False  # whether the executor has lost workers that may be alive
        self._ended: SimpleQueue[Future[Outcome]] = SimpleQueue()

    def hand_out(self, task: Task, tries: int = 1) -> None:
        future = self.executor.submit(work, task)
        self.waiting[future] = task, tries
        future.add_done_callback(self._ended.put)

    def take_back(self, *, again: bool) -> Iterator[tuple[Task, Outcome]]:
        """Wait a moment for an outcome; if there is none since the worker died, hand the task out `again`."""
        try:
            future = self._ended.get(timeout=0.2)
        except Empty:
            return
        task, tries = self.waiting.pop(future)
        if future.cancelled():
            self.lost = True
            yield task, Outcome("interrupted")
        elif not (error := future.exception()):
            yield task, future.result()
        elif not again:
            yield task, Outcome("interrupted")
        elif tries < TRIES:
            self.hand_out(task, tries + 1)
        else:
            yield task, Outcome("failed", f"{error}, {tries} times")


def open_executor(kind: str, jobs: int) -> AbstractContextManager[Executor]:
    """What gives the executor that is asked for: `processes`, `dask`, or `dask:ADDRESS`; MPI's is `mpi.mpi_executor`.

    `jobs` workers on this machine, where the executor is not at home elsewhere. ValueError or ImportError if it cannot
    be had.
    """
    name, _, address = kind.partition(":")
    if name == "dask":
        from dlscratch.dask_cluster import dask_executor

        return dask_executor(address or None, jobs)
    return Processes(jobs)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
