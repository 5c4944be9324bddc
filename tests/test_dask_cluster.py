"""Sweeps on Dask: real schedulers and workers, one of which dies; and what is told where they are not fit."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, wait
from contextlib import nullcontext

import pytest
from clusters import DEADLINE, cluster, wait_until
from extras import need
from interruptions import without_seconds
from small_job import SCRIPTS, environment
from user_nets import write_net

from dlscratch.checkpoint import Checkpoint
from dlscratch.command import BLAS_THREADS
from dlscratch.folder import CHECKPOINT, STOP
from dlscratch.runs import find_runs
from dlscratch.settings import Settings

KILLS = """
import os, signal
from pathlib import Path

class Kills(ReLU):
    steps = 0

    def forward(self, x, out=None):
        self.steps += 1
        mark = Path({mark!r})
        if self.steps == 12 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x, out)

def make_net(rng, noise, classes):
    return Sequential(Affine(36, 8, rng=rng), Dropout(0.2, rng=noise), Kills(), Affine(8, classes, rng=rng))
"""


@pytest.fixture(scope="module")
def dask_cluster():
    need("distributed", extra="dask")
    from dlscratch import dask_cluster

    return dask_cluster


@pytest.fixture(scope="module")
def address(dask_cluster, tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture
def command(digits):
    small = ["--dataset", digits, "--batch-size", 20, "--hidden", 8, "--vary", "lr=0.1,0.2,0.3", "--out", "runs"]
    return lambda *options: list(map(str, [sys.executable, SCRIPTS / "experiment.py", *small, *options]))


def test_runs_on_a_cluster_equal_those_of_one_process_though_a_worker_is_killed(
    dask_cluster, address, digits, tmp_path
):
    from dlscratch.experiment import make_tasks, run_all
    from dlscratch.work import work

    (tmp_path / "killed").touch()
    own = write_net(tmp_path / "own.py", KILLS.format(mark=str(tmp_path / "killed")))
    base = Settings(dataset=str(digits), model=f"{own}:make_net", steps=30, batch_size=20, checkpoint_every=5)
    seeds = range(4)
    alone = make_tasks({tmp_path / f"alone-{seed}": base.changed({"seed": seed}) for seed in seeds}, tmp_path / STOP)
    assert {work(task).status for task in alone.values()} == {"finished"}
    (tmp_path / "killed").unlink()
    tasks = make_tasks({tmp_path / f"there-{seed}": base.changed({"seed": seed}) for seed in seeds}, tmp_path / STOP)
    assert not (tmp_path / "killed").exists()
    with dask_cluster.dask_executor(address, 1) as executor:
        outcomes = {task.folder: outcome for task, outcome in run_all(tasks.values(), executor)}
        assert executor.submit(os.getpid).result(DEADLINE) != os.getpid()
    assert (tmp_path / "killed").exists()
    assert [outcome.status for outcome in outcomes.values()] == ["finished"] * len(seeds)
    for here, there in zip(alone, tasks, strict=True):
        for name in ("steps.csv", "epochs.csv"):
            assert without_seconds(there / name) == without_seconds(here / name)
        assert (there / "model.npz").read_bytes() == (here / "model.npz").read_bytes()


def test_futures_behave_as_those_of_the_standard_library(dask_cluster, address):
    seen = []
    with dask_cluster.dask_executor(address, 1) as executor:
        good, bad = executor.submit(pow, 2, 3), executor.submit(int, "two")
        assert isinstance(good, Future)
        good.add_done_callback(seen.append)
        wait([good, bad], DEADLINE)
        assert (good.result(), str(bad.exception())) == (8, "invalid literal for int() with base 10: 'two'")
        assert seen == [good]
        twice = [executor.submit(os.urandom, 8) for _ in range(2)]
        assert twice[0].result(DEADLINE) != twice[1].result(DEADLINE)
        late = executor.submit(time.sleep, 0.1)
        assert late.cancel()
        assert late.cancelled()
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(pow, 2, 3)


def test_the_address_of_a_worker_is_told_from_that_of_a_scheduler(dask_cluster, address):
    from distributed import Client

    with Client(address) as client:
        (worker, *_) = client.nthreads()
    with pytest.raises(ValueError, match=f"expects the address of a Dask scheduler, and {worker} is that of a worker"):
        enter(dask_cluster, worker)


def enter(dask_cluster, address):
    with dask_cluster.dask_executor(address, 1):
        raise AssertionError


@pytest.mark.parametrize("address", ["here", "tcp://127.0.0.1:port", "udp://127.0.0.1:8786", "tls://127.0.0.1:8786"])
def test_what_is_no_address_is_told(dask_cluster, address):
    with pytest.raises(ValueError, match=rf"no Dask scheduler answers at {address} \(.*\); start one: dask scheduler"):
        enter(dask_cluster, address)


def test_something_else_that_listens_there_is_not_waited_for(dask_cluster, monkeypatch):
    monkeypatch.setattr(dask_cluster, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ValueError, match=rf"no Dask scheduler answers at {address} \(timed out after .*\)"):
            enter(dask_cluster, address)


class Asked:
    """A client of two workers which answer in a certain way."""

    def __init__(self, here, worker=None, scheduler=None, threads=1):
        self.workers = {
            "tcp://a:1": here,
            "tcp://b:2": worker if isinstance(worker, Exception) else here | (worker or {}),
        }
        self.answer, self.threads = scheduler, threads
        self.here, self.scheduler = here, type("Scheduler", (), {"address": "tcp://s:8786"})

    def run(self, function, on_error):
        return self.workers

    def run_on_scheduler(self, function):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.here | (self.answer or {})

    def nthreads(self):
        return {"tcp://a:1": 1, "tcp://b:2": self.threads}


WORKER = "OPENBLAS_NUM_THREADS=1 dask worker tcp://s:8786 --nthreads 1"
LACKS = ModuleNotFoundError("No module named 'dlscratch'")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"worker": LACKS}, "the worker tcp://b:2 cannot import dlscratch; install it there, as it is here: No module"),
        ({"scheduler": LACKS}, "the scheduler cannot import dlscratch; install it there, as it is here: No module"),
        ({"worker": {"numpy": "1.0"}}, f"the worker tcp://b:2 has numpy 1.0, expected NUMPY; start it anew: {WORKER}"),
        ({"scheduler": {"python": "2"}}, "the scheduler has python 2, expected PYTHON; start it anew: dask scheduler"),
        ({"worker": {"OPENBLAS_NUM_THREADS": None}}, "the worker tcp://b:2 has OPENBLAS_NUM_THREADS None, expected 1"),
        ({"threads": 4}, f"the worker tcp://b:2 takes 4 tasks at a time into one process, expected 1; start several "
                         f"instead: {WORKER} --nworkers 4"),
    ],
    ids=["worker lacks", "scheduler lacks", "worker's numpy", "scheduler's python", "BLAS", "threads"],
)  # fmt: skip
def test_who_is_not_fit_is_told_before_a_run_is_lost(dask_cluster, wrong, told):
    here = dask_cluster._surroundings()
    assert here["OPENBLAS_NUM_THREADS"] == "1"
    dask_cluster._check(Asked(here))
    told = told.replace("NUMPY", here["numpy"]).replace("PYTHON", here["python"])
    with pytest.raises(ValueError, match="^" + re.escape(told)):
        dask_cluster._check(Asked(here, **wrong))


def test_a_caller_who_has_not_chosen_a_number_of_threads_takes_workers_with_any(dask_cluster, monkeypatch):
    there = dask_cluster._surroundings()
    for name in BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)
    dask_cluster._check(Asked(there))


def test_a_cluster_without_workers_is_waited_for_and_one_says_so(dask_cluster):
    asked = []

    class Empty(Asked):
        def wait_for_workers(self, count, timeout=None):
            asked.append((count, timeout))
            if timeout:
                raise TimeoutError

    told = re.escape(f"the runs wait for a worker; start one or more: {WORKER}")
    with pytest.warns(UserWarning, match=f"^{told}$"):
        dask_cluster._wait_for_a_worker(Empty({}))
    assert asked == [(1, dask_cluster.PATIENCE), (1, None)]


@pytest.mark.parametrize("status", ["running", "closed"])
def test_a_sweep_that_ends_since_its_scheduler_is_gone_says_so(dask_cluster, monkeypatch, status):
    client = Asked(dask_cluster._surroundings())
    client.status, client.wait_for_workers, client.cancel = status, lambda *_, **__: None, list
    monkeypatch.setattr(dask_cluster, "_client", lambda *_: nullcontext(client))
    kind, told = {
        "running": (KeyboardInterrupt, "interrupted; again"),
        "closed": (ConnectionError, "the Dask scheduler at tcp://s:8786 is gone: interrupted; again"),
    }[status]
    with pytest.raises(kind, match=f"^{told}$"), dask_cluster.dask_executor(None, 1):
        raise KeyboardInterrupt("interrupted; again")


def test_a_sweep_by_command_line_goes_on_with_what_is_missing(command, address, tmp_path):
    line = command("--steps", 30, "--executor", f"dask:{address}")
    for said in ("[3/3]", "3 of 3 runs had ended before"):
        done = subprocess.run(
            line, cwd=tmp_path, env=environment(tmp_path), text=True, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout
    assert [run.status for run in find_runs([tmp_path / "runs"])] == ["finished"] * 3


def test_ctrl_c_in_a_terminal_saves_what_local_workers_are_at_and_leaves_none_of_them(dask_cluster, command, tmp_path):
    line = command("--steps", 10**6, "--executor", "dask", "--jobs", 2)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(line, cwd=tmp_path, env=environment(tmp_path), start_new_session=True, **pipes)
    wait_until(lambda: len(list(tmp_path.glob("runs/*/checkpoint.npz"))) == 2 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    out, err = process.communicate(timeout=DEADLINE)
    same = "the same command, with --out runs, goes on from there"
    assert (process.returncode, err) == (130, f"experiment.py: interrupted; {same}\n"), out
    runs = find_runs([tmp_path / "runs"])
    assert [run.status for run in runs] == ["interrupted"] * 2
    for run in runs:
        assert Checkpoint.load(run.folder / CHECKPOINT).facts["step"] == run.steps["step"][-1] >= 1
    wait_until(lambda: not alive(process.pid))


def alive(group):
    """The processes of a group that have not ended."""
    import psutil  # Dask brings it

    return [each for each in psutil.process_iter(["status"])
            if each.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(each.pid) == group]  # fmt: skip


def test_without_the_library_the_extra_is_named(command, tmp_path):
    surroundings = environment(tmp_path)
    (tmp_path / "hidden" / "distributed.py").write_text("raise ModuleNotFoundError", encoding="utf-8")
    line = command("--executor", "dask")
    done = subprocess.run(line, cwd=tmp_path, env=surroundings, text=True, capture_output=True, check=False)
    told = "experiment.py: distributed is not installed; python -m pip install 'dlscratch[dask]'\n"
    assert (done.returncode, done.stderr) == (1, told)
