"""What a worker does with one run of many: train it from where it stands, and say how that went.

NumPy is not imported before the number of BLAS threads is set, which it reads when it is first imported.
"""

import functools
import multiprocessing
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dlscratch.command import BLAS_THREADS, TOLD, blas_threads, limit_blas_threads, sentence
from dlscratch.folder import CODE, CONFIG, LOCK
from dlscratch.lock import is_held
from dlscratch.settings import Settings

if TYPE_CHECKING:  # it imports NumPy
    from dlscratch.data import Data

LOOK_EVERY = 0.2  # seconds between two looks at whether the sweep is to stop
PATIENCE = 15.0  # seconds for a worker to end whose caller was killed, before another one takes up its run


class Task(NamedTuple):
    """One run. Its paths are absolute: a worker may be at home in another folder, and on another machine."""

    folder: Path
    settings: Settings  # complete: what the program chooses is filled in
    stop: Path  # once this file is there, runs are saved and interrupted
    sources: dict[str, bytes]  # the user's own files of code, by name, as they were when the sweep began
    source: Settings  # what says where the data is
    note: str = ""  # why the data is not what was wanted
    share: tuple[int, int] = (1, 1)  # of its steps, after which it pauses
    judged: bool = True  # whether the test set is opened at the end


class Outcome(NamedTuple):
    """How a run ended: finished, paused, diverged, failed or interrupted, and why.

    accuracy: of the last evaluation, on what it watches itself on. seconds: of training, all in all.
    """

    status: str
    reason: str = ""
    accuracy: float = float("nan")
    seconds: float = 0.0


def work(task: Task) -> Outcome:
    """Train a run up to its share, from where it stands; what goes wrong in it costs this run only.

    RuntimeError if this process is no place to work in.
    """
    _pin_blas_threads(task.settings.threads)
    import numpy as np

    stop = StopFile(task.stop)
    with np.errstate(all="ignore"), warnings.catch_warnings():  # numbers that overflow show in the loss
        warnings.simplefilter("ignore")
        try:
            _await_predecessor(task.folder / LOCK, stop)
            return Outcome("interrupted") if stop else ended(task) or _train(task, stop)
        except Exception as error:
            known = isinstance(error, TOLD) and str(error)
            return Outcome("failed", sentence(error) if known else f"{type(error).__name__}: {error}")


def ended(task: Task) -> Outcome | None:
    """How the run ended that the task asks for, if it did before."""
    from dlscratch.job import steps_in
    from dlscratch.runs import Run

    if not (task.folder / CONFIG).exists():
        return None
    run, steps = Run.open(task.folder), task.settings.steps or 0
    status, taken, target = run.status, max([0, *run.epochs["step"][-1:]]), steps_in(task.share, steps)
    if status not in ("finished", "diverged"):
        saved = status in ("paused", "interrupted")  # a killed run may have lost its last row, or not
        if task.share == (1, 1) or not (taken > target or (saved and taken == target)):
            return None
        status = "paused"
    elif status == "finished" and run.config["steps"] != steps:
        return None  # it is to be longer now
    last = {name: float(column[-1]) if len(column) else float("nan") for name, column in run.epochs.items()}
    return Outcome(status, str(run.facts.get("reason", "")), last[f"{run.held}_acc"], last["seconds"])


def _train(task: Task, stop: "StopFile") -> Outcome:
    from dlscratch.job import Job, Paused
    from dlscratch.recorder import keep_code, make_folder
    from dlscratch.runs import Run
    from dlscratch.training import Diverged

    data = _data(task.source)._replace(name=str(task.settings.dataset), note=task.note)
    run = Run.open(task.folder) if (task.folder / CONFIG).exists() else None
    if not run:
        make_folder(task.folder, "")
        (task.folder / LOCK).touch()  # so that the code, if we are killed now, is known as a left-over
        keep_code(task.folder, task.sources)
    job = Job(task.settings, data, task.settings.copies_in(task.folder / CODE))
    recorder, accuracy = job.recorder(task.folder, run), float("nan")
    status, reason = "finished", ""
    try:
        with recorder:
            for evaluation in job.record(recorder, stop, share=task.share, judged=task.judged):
                if evaluation:
                    accuracy = evaluation[f"{data.watched_as}_acc"]
    except (Paused, Diverged) as end:
        status, reason = end.run_status, str(end)
    except KeyboardInterrupt:
        status = "interrupted"
    return Outcome(status, reason, accuracy, job.seconds)


def _await_predecessor(lock: Path, stop: "StopFile") -> None:
    """Give whoever had the run before the time to notice that its caller is gone."""
    given_up = time.monotonic() + PATIENCE
    while is_held(lock) and not stop and time.monotonic() < given_up:
        time.sleep(LOOK_EVERY)


@functools.lru_cache(maxsize=4)
def _data(settings: Settings) -> "Data":
    from dlscratch.data import load_data

    return load_data(settings)


class StopFile:
    """Holds something, as far as `bool` can tell, once the file is there, or the process that started this one gone."""

    def __init__(self, path: Path) -> None:
        self.path, self.stopped, self.next_look = path, False, 0.0
        self.parent = multiprocessing.parent_process()

    def __len__(self) -> int:
        if not self.stopped and (now := time.monotonic()) >= self.next_look:
            self.next_look = now + LOOK_EVERY
            self.stopped = self.path.exists() or (self.parent is not None and not self.parent.is_alive())
        return self.stopped


def _pin_blas_threads(count: int) -> None:
    if "numpy" not in sys.modules:
        limit_blas_threads(count)
    elif blas_threads() != str(count):
        raise RuntimeError(
            f"this worker has loaded NumPy without {BLAS_THREADS[0]}={count}, which the runs ask for (--threads); "
            "start the workers with it"
        )
