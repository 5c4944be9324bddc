"""Dask's workers as an executor: those of a scheduler that runs somewhere, or some that are started for the occasion.

The one room that imports distributed, which the extra `dask` brings.
"""

import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

try:
    from distributed import Client, LocalCluster, rpc
    from distributed.cfexecutor import ClientExecutor
    from distributed.utils import LoopRunner, silence_logging_cmgr
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("distributed is not installed; python -m pip install 'dlscratch[dask]'") from error

from dlscratch.command import BLAS_THREADS, blas_threads
from dlscratch.processes import be_deaf
from dlscratch.provenance import provenance

PATIENCE = 5.0  # seconds in which a scheduler answers, and in which nobody misses a worker


@contextmanager
def dask_executor(address: str | None, jobs: int) -> Iterator[Executor]:
    """The workers of the scheduler at `address`, or `jobs` processes of this machine with a scheduler of their own.

    It waits for the first worker; others may join at any time. ValueError if no scheduler answers, or if scheduler and
    workers have not what is installed here, or would take several runs into one process. ConnectionError, in place of
    the KeyboardInterrupt that then comes, if the scheduler is lost.
    """
    with silence_logging_cmgr(logging.CRITICAL), _client(address, jobs) as client:
        _wait_for_a_worker(client)
        _check(client)
        executor = _Executor(client, pure=False)
        try:
            yield executor
        except KeyboardInterrupt as stop:
            if client.status == "running":
                raise
            raise ConnectionError(f"the Dask scheduler at {client.scheduler.address} is gone: {stop}") from None
        finally:
            executor.shutdown(wait=False)


@contextmanager
def _client(address: str | None, jobs: int) -> Iterator[Client]:
    if address is not None:
        _check_address(address)
        with Client(address, timeout=PATIENCE) as client:
            yield client
        return
    no_page = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # any port, since 8787 may be in use
    quiet: dict[str, Any] = {"scheduler_kwargs": no_page, "silence_logs": logging.CRITICAL}
    with ThreadPoolExecutor(1, initializer=be_deaf) as thread:
        start = thread.submit(LocalCluster, n_workers=jobs, threads_per_worker=1, memory_limit=None, **quiet)
        cluster = start.result()
    with cluster, Client(cluster) as client:
        yield client


def _check_address(address: str) -> None:
    """ValueError unless a scheduler answers there. A Client waits for ever where something else listens."""

    async def ask() -> Any:
        async with rpc(address, timeout=PATIENCE) as peer:
            return await peer.identity()

    try:
        found = LoopRunner(asynchronous=False).run_sync(ask, callback_timeout=PATIENCE)["type"]
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).rstrip(".") or f"timed out after {PATIENCE:g} s"  # one of two clocks says nothing
        raise ValueError(f"no Dask scheduler answers at {address} ({reason}); start one: dask scheduler") from None
    if found != "Scheduler":
        raise ValueError(f"expects the address of a Dask scheduler, and {address} is that of a {found.lower()}")


def _wait_for_a_worker(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        warnings.warn(f"the runs wait for a worker; start one or more: {_command(client)}", stacklevel=4)
        client.wait_for_workers(1)


def _check(client: Client) -> None:
    """ValueError unless the scheduler, which reads what is submitted, and all workers are as the runs need them."""
    ours = _surroundings()
    theirs = {f"the worker {place}": found for place, found in client.run(_surroundings, on_error="return").items()}
    try:
        theirs["the scheduler"] = ours | client.run_on_scheduler(_versions)
    except ImportError as error:
        theirs["the scheduler"] = error
    for place, found in theirs.items():
        if isinstance(found, Exception):
            raise ValueError(f"{place} cannot import dlscratch; install it there, as it is here: {found}")
        command = "dask scheduler" if place == "the scheduler" else _command(client)
        for what, value in ours.items():
            if value not in (None, found[what]):
                raise ValueError(f"{place} has {what} {found[what]}, expected {value}; start it anew: {command}")
    _check_threads(client)


def _check_threads(client: Client) -> None:
    for place, threads in client.nthreads().items():
        if threads > 1:  # one would load a module of the other's user code that has the same name
            raise ValueError(
                f"the worker {place} takes {threads} tasks at a time into one process, expected 1; start several "
                f"instead: {_command(client)} --nworkers {threads}"
            )


def _surroundings() -> dict[str, str | None]:
    """What has to be the same everywhere, so that it does not matter where a run is trained."""
    return {**_versions(), BLAS_THREADS[0]: blas_threads()}


def _versions() -> dict[str, str | None]:
    return provenance()["versions"]


def _command(client: Client) -> str:
    """What starts a worker that is fit."""
    threads = f"{BLAS_THREADS[0]}={blas_threads() or 1}"
    return f"{threads} dask worker {client.scheduler.address} --nthreads 1"


class _Executor(ClientExecutor):  # type: ignore[misc]
    """Shuts down as executors of the standard library do."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=wait and not cancel_futures)
