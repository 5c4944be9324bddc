"""An executor of local processes, each with a Python of its own. One that dies costs what it was at, and is replaced.

The pool of the standard library gives up all that it was given when one of its processes dies.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

GRACE = 10.0  # seconds for runs to be saved in, when the sweep is stopped, or the caller dies


class Processes(Executor):
    """`jobs` processes, started when they are first needed. What a function raises, its future raises.

    BrokenExecutor: the process died at it. The processes do not hear Ctrl-C, and end with this one, however it ends.
    """

    def __init__(self, jobs: int) -> None:
        self._threads = ThreadPoolExecutor(jobs, initializer=be_deaf)
        self._own = threading.local()
        self._workers: list[_Worker] = []
        self._killed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called in one of the processes, as soon as one is free."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what is running, and end the processes; without waiting, kill them."""
        self._killed = not wait
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.end(kill=not wait)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The end of the `with` block waits for what is running, but not after an error."""
        self.shutdown(wait=kind is None, cancel_futures=kind is not None)

    def _call(self, *call: Any) -> Any:
        worker: _Worker | None = getattr(self._own, "worker", None)  # each thread has one
        if worker is None or not worker.process.is_alive():
            worker = self._own.worker = _Worker()
            self._workers.append(worker)
            if self._killed:  # while it was being started
                worker.end(kill=True)
        return worker.call(*call)


class _Worker:
    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")  # what is forked shares NumPy, and with it the number of threads
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is noticed

    def call(self, *call: Any) -> Any:
        try:
            self.connection.send(call)
            result, error = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise BrokenExecutor(f"its worker died{_how(self.process.exitcode)}") from None
        if error is not None:
            raise error
        return result

    def end(self, *, kill: bool) -> None:
        if kill:
            self.process.kill()
        else:
            self.connection.close()
        self.process.join()


def _serve(connection: Connection) -> None:
    """Answer calls until the caller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after_caller, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            function, args, kwargs = connection.recv()
            answer: tuple[Any, Exception | None]
            try:
                answer = function(*args, **kwargs), None
            except Exception as error:
                answer = None, error
            connection.send(answer)


def _end_after_caller() -> None:
    """Whatever this process is at when its caller dies, and be it an endless step, it is not at it for long."""
    caller = multiprocessing.parent_process()
    assert caller
    caller.join()
    time.sleep(GRACE)
    os._exit(1)


def be_deaf() -> None:
    """Ctrl-C goes to all processes of a terminal; what a thread does not hear, the processes that it starts do not."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # or else it would start with the first of them, and open the ears again
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])


def _how(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f" with exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f" of {name}" + (" (killed, perhaps for lack of memory)" if name == "SIGKILL" else "")
