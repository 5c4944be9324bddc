"""Real Dask clusters, started by command line: a scheduler and its workers, none of which outlives its block."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from small_job import environment

DEADLINE = 120  # seconds, for what would otherwise hang


@contextmanager
def cluster(home, workers=2):
    """The address of a scheduler that has so many workers, which are at home in `home`."""
    place = home / "scheduler.json"
    surroundings = environment(home, OPENBLAS_NUM_THREADS="1")
    started = []

    def start(command, *options):
        line = [sys.executable, "-m", f"distributed.cli.dask_{command}", "--no-dashboard", *options]
        with (home / f"{command}-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(line, cwd=home, env=surroundings, stdout=log, stderr=log, start_new_session=True)
        started.append(process)

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0",
              "--scheduler-file", str(place))  # fmt: skip
        wait_until(place.exists)
        for _ in range(workers):
            start("worker", "--scheduler-file", str(place), "--nthreads", "1")
        logs = [home / f"worker-{number}.log" for number in range(1, 1 + workers)]
        wait_until(lambda: all("Registered to" in log.read_text(encoding="utf-8") for log in logs))
        yield json.loads(place.read_text(encoding="utf-8"))["address"]
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()


def wait_until(true):
    """Wait until `true()` is; AssertionError if that takes all too long."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
