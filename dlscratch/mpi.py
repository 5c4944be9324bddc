"""MPI: the ranks of a training, and an executor for many runs. The one room that imports mpi4py.

    mpiexec -n 4 python -m mpi4py scripts/train.py --distributed mpi

What goes wrong on a rank ends all of them within seconds, and is told once. mpi4py is not imported before it is
needed, and NumPy not at all, so that the number of BLAS threads can still be set.
"""

import atexit
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import TextIOWrapper
from typing import TYPE_CHECKING, TypeVar

from dlscratch.command import DIVERGED, INTERRUPTED, TOLD, exit_code, interrupted_later, sentence, uninterrupted
from dlscratch.ranks import Ranks

if TYPE_CHECKING:
    from mpi4py import MPI

    from dlscratch.functions import Array

T = TypeVar("T")

PATIENCE = 5.0  # seconds for the first rank to tell an error, before another one does
AGREED_PATIENCE = 600.0  # the same for what ends a training on all ranks in the same step: the first one saves it


class MpiRanks:
    """The processes that mpiexec has started."""

    def __init__(self, comm: "MPI.Comm") -> None:
        self.comm, self.rank, self.size = comm, comm.rank, comm.size

    def sum(self, array: "Array") -> None:
        """One Allreduce."""
        from mpi4py import MPI

        self.comm.Allreduce(MPI.IN_PLACE, array)

    def from_first(self, make: Callable[[], T]) -> T:
        """One broadcast."""
        return self.comm.bcast(None if self.rank else make())


@contextmanager
def mpi_ranks() -> Iterator[Ranks]:
    """The ranks of a training, for as long as this block lasts."""
    with _one_job() as world:
        yield MpiRanks(world)


@contextmanager
def mpi_executor() -> Iterator[Executor | None]:
    """On the first rank the other ones as an executor; on these None, once they have done all the work that there was.

    They do not hear Ctrl-C: what they work on is stopped by other means. ValueError if there is one rank only.
    """
    with _one_job() as world:
        if world.size == 1:
            raise ValueError(
                "one rank plans the runs, and the others train: start at least two, by "
                f"mpiexec -n 3 python -m mpi4py {shlex.join(sys.argv)}"
            )
        from mpi4py.futures import MPICommExecutor

        with uninterrupted() if world.rank else nullcontext(), MPICommExecutor(world) as executor:
            yield executor


@contextmanager
def _one_job() -> Iterator["MPI.Comm"]:
    """What goes wrong on one rank ends all of them, with its exit code; what goes wrong on all is told by the first."""
    comm = None
    try:
        with interrupted_later():
            comm = _world()
        with _in_the_background() if comm.rank else _line_by_line():
            yield comm
    except BaseException as error:
        if not comm:  # nobody waits for us yet
            raise
        code = exit_code(error)
        if code and comm.rank:
            _leave_it_to_the_first(code)
        if code:
            atexit.register(_abort, comm, code)  # once the error is told
        if comm.rank and isinstance(error, TOLD):
            raise ValueError(f"rank {comm.rank} of {comm.size}: {sentence(error)}") from error
        raise


def _world() -> "MPI.Comm":
    """All ranks; ImportError if there are none to be had."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI library, which only now is looked for
        reason = " ".join(str(error).split())
        raise ImportError(f"MPI cannot be used: {reason}; python -m pip install 'dlscratch[mpi]'") from error
    return MPI.COMM_WORLD


@contextmanager
def _line_by_line() -> Iterator[None]:
    """What is printed is seen at once, though mpiexec reads it through a pipe."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    yield


@contextmanager
def _in_the_background() -> Iterator[None]:
    """Nothing is printed, and Ctrl-C is left to the first rank, unless a training watches for it."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        interrupted_later(),
    ):
        yield


def _leave_it_to_the_first(code: int) -> None:
    """Wait for the first rank to end us: it may have met the same error, and have something to save."""
    with uninterrupted():
        time.sleep(AGREED_PATIENCE if code in (DIVERGED, INTERRUPTED) else PATIENCE)


def _abort(comm: "MPI.Comm", code: int) -> None:
    """End all ranks at once, wherever they are."""
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    time.sleep(0.2)  # mpiexec may lose what was written just before
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI adds a line that says less
    comm.Abort(code)
