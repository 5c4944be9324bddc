"""Local processes as an executor: each call is answered or known to be lost, and nothing outlives its caller."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, CancelledError

import pytest
from system import linux_only, lives

from dlscratch.processes import Processes

PATIENCE = 60  # seconds, where hanging is the fault


def test_calls_are_answered_by_as_many_processes_as_asked_for():
    with Processes(2) as executor:
        first = [executor.submit(time.sleep, 0.2) for _ in range(2)]  # so that both are needed
        pids = {executor.submit(os.getpid).result(PATIENCE) for _ in range(4)}
        assert [future.result(PATIENCE) for future in first] == [None, None]
        pids |= {future.result(PATIENCE) for future in [executor.submit(os.getpid) for _ in range(20)]}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_what_a_function_raises_its_future_raises_and_the_process_lives_on():
    with Processes(1) as executor:
        pid = executor.submit(os.getpid).result(PATIENCE)
        with pytest.raises(ZeroDivisionError, match="division"):
            executor.submit(divmod, 1, 0).result(PATIENCE)
        assert executor.submit(divmod, 7, 2).result(PATIENCE) == (3, 1)
        assert executor.submit(int, "11", base=2).result(PATIENCE) == 3
        assert executor.submit(os.getpid).result(PATIENCE) == pid


@pytest.mark.parametrize(
    ("death", "told"), [((os.kill, 0, signal.SIGKILL), "of SIGKILL"), ((os._exit, 7), "with exit code 7")], ids=str
)
def test_a_process_that_dies_costs_its_own_call_and_is_replaced(death, told):
    with Processes(2) as executor:
        other = executor.submit(time.sleep, 1)
        pid = executor.submit(os.getpid).result(PATIENCE)
        function, *arguments = death
        arguments = [pid if argument == 0 else argument for argument in arguments]
        with pytest.raises(BrokenExecutor, match=f"its worker died {told}"):
            executor.submit(function, *arguments).result(PATIENCE)
        assert executor.submit(os.getpid).result(PATIENCE) != pid
        assert other.result(PATIENCE) is None


def test_an_idle_process_that_dies_costs_nothing():
    with Processes(1) as executor:
        pid = executor.submit(os.getpid).result(PATIENCE)
        os.kill(pid, signal.SIGKILL)
        executor._workers[0].process.join(PATIENCE)
        assert executor.submit(divmod, 7, 2).result(PATIENCE) == (3, 1)


def test_an_error_in_the_block_does_not_wait_for_what_is_running():
    futures = []

    def fail():
        with Processes(1) as executor:
            futures.extend(executor.submit(time.sleep, 1000) for _ in range(3))
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    for future in futures:
        with pytest.raises((BrokenExecutor, CancelledError)):
            future.result(PATIENCE)


CALLER = """
import os, sys, time
from dlscratch.processes import Processes
if __name__ == "__main__":
    executor = Processes(2)
    pids = set()
    while len(pids) < 2:
        pids |= {future.result() for future in [executor.submit(os.getpid) for _ in range(8)]}
    executor.submit(exec, "import time; from dlscratch import processes; processes.GRACE = 0.1; time.sleep(1000)")
    print(*pids, flush=True)
    time.sleep(1000)
"""


@linux_only
def test_processes_end_with_the_one_that_started_them_idle_or_not_and_do_not_hear_ctrl_c(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER, encoding="utf-8")
    with subprocess.Popen([sys.executable, tmp_path / "caller.py"], stdout=subprocess.PIPE, text=True) as caller:
        pids = [int(word) for word in caller.stdout.readline().split()]
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        assert all(map(lives, pids))
        caller.kill()
    until_gone(pids)


def until_gone(pids):
    deadline = time.monotonic() + PATIENCE
    while any(map(lives, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
