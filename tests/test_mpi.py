"""Real ranks, started by a real mpiexec: the curves of one process, one voice, one end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from extras import need
from small_job import SCRIPTS, environment
from user_nets import write_net

from dlscratch.checkpoint import Checkpoint
from dlscratch.folder import CHECKPOINT
from dlscratch.runs import Run

TRAIN = SCRIPTS / "train.py"
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
DEADLINE = 120  # seconds, for what would otherwise hang

OWN_NET = """
from pathlib import Path
import os
from mpi4py import MPI

rank = MPI.COMM_WORLD.rank
Path(f"pid-{rank}").write_text(str(os.getpid()))

class Fails(ReLU):
    steps = 0

    def forward(self, x, out=None):
        self.steps += 1
        if rank == 1 and self.steps == 5:
            raise ValueError("no luck today")
        return super().forward(x, out)

def fails(rng):
    return Sequential(Affine(36, 3, rng=rng), Fails())

def lasts(rng):
    return Sequential(Affine(36, 3, rng=rng))
"""


@pytest.fixture(scope="module")
def mpiexec():
    need("mpi4py", extra="mpi")
    assert MPIEXEC, "mpi4py is installed, but there is no mpiexec"
    return MPIEXEC, "-n"


@pytest.fixture
def command(mpiexec, digits):
    """The command that trains on so many ranks; on 0 without any."""

    def command(ranks, *options, runner=("-m", "mpi4py")):
        data = () if "--resume" in options else ("--dataset", digits)
        alone = sys.executable, TRAIN
        several = *mpiexec, ranks, sys.executable, *runner, TRAIN, "--distributed", "mpi"
        return [str(word) for word in (*(several if ranks else alone), *data, *options)]

    return command


@pytest.fixture
def start(tmp_path):
    def start(command, **changes):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path, **changes), text=True, **pipes)

    return start


def finish(process):
    """Exit code, and what was said."""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    return process.returncode, out, err


def wait_for(there, process):
    until = time.monotonic() + DEADLINE
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def steps_taken(folder):
    table = folder / "steps.csv"
    return table.read_bytes().count(b"\n") - 1 if table.exists() else 0


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_so_many_ranks_learn_as_one_process_does_and_speak_with_one_voice(ranks, command, start, tmp_path):
    options = "--steps", 30, "--batch-size", 7, "--sampler", "shuffle", "--optimizer", "Adam", "--dropout", 0.1
    options += "--model", "multi-layer", "--hidden", 8
    alone, told = (finish(start(command(n, *options, "--out", f"{n}")))[:2] for n in (0, ranks))
    assert alone[0] == told[0] == 0
    assert told[1].replace(f"in {ranks}\n", "in 0\n").splitlines()[-1] == alone[1].splitlines()[-1]
    assert len(told[1].splitlines()) == len(alone[1].splitlines())
    one, several = Run.open(tmp_path / "0"), Run.open(tmp_path / f"{ranks}")
    np.testing.assert_allclose(several.steps["loss"], one.steps["loss"], rtol=1e-5)
    np.testing.assert_allclose(several.epochs["test_loss"], one.epochs["test_loss"], rtol=1e-5)
    assert several.config == one.config
    assert (one.facts["ranks"], several.facts["ranks"]) == (1, ranks)


def test_ctrl_c_saves_the_step_and_another_number_of_ranks_goes_on(command, start, tmp_path):
    run, options = tmp_path / "run", ("--batch-size", 20, "--hidden", 8, "--quiet", "--validation", 100)
    process = start(command(2, *options, "--steps", 100_000, "--out", "run"))
    wait_for(lambda: steps_taken(run) > 20, process)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    resume = r"mpiexec -n 2 python -m mpi4py \S*train.py --distributed mpi --resume run goes on from there\n"
    assert re.search(rf"^train.py: interrupted; {resume}", err, re.MULTILINE), err
    assert (code, err.count("interrupted")) == (130, 1)
    left = Run.open(run)
    step = Checkpoint.load(run / CHECKPOINT).facts["step"]
    assert (left.status, len(left.steps["step"])) == ("interrupted", step)

    longer = step + 20
    code, out, err = finish(start(command(3, "--resume", "run", "--quiet", "--steps", longer)))
    assert (code, out[:14]) == (0, "test accuracy "), err
    assert err == "note: the run began with ranks 2, now they are 3\n"
    np.testing.assert_array_equal(Run.open(run).steps["step"], np.arange(1, longer + 1))


def test_a_rank_that_is_killed_ends_the_others(command, start, tmp_path):
    net = write_net(tmp_path / "net.py", OWN_NET)
    process = start(command(2, "--model", f"{net}:lasts", "--steps", 1_000_000, "--out", "run"))
    wait_for(lambda: steps_taken(tmp_path / "run") > 5, process)
    pids = [int((tmp_path / f"pid-{rank}").read_text()) for rank in (0, 1)]
    os.kill(pids[1], signal.SIGKILL)
    assert finish(process)[0] not in (0, None)
    assert Run.open(tmp_path / "run").status == "killed"  # the first rank holds its lock no longer


def test_a_rank_that_fails_alone_ends_the_job_with_its_sentence(command, start, tmp_path):
    net = write_net(tmp_path / "net.py", OWN_NET)
    options = "--model", f"{net}:fails", "--steps", 50, "--quiet"
    code, out, err = finish(start(command(2, *options, runner=())))  # without -m mpi4py it works as well
    assert (code, out) == (1, "")
    assert re.fullmatch(r"train.py: rank 1 of 2: net.py, line \d+: layer 2 of 3, Fails\(\), .*: no luck today\n", err)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["--hidden", "3x3", "--model", "two-layer"], 1, "two-layer has one number of hidden units"),
        (["--lr", "1e30", "--steps", "20"], 3, "the loss is"),
    ],
)
def test_what_is_wrong_on_all_ranks_is_told_once(options, code, sentence, command, start):
    got, _, err = finish(start(command(3, "--quiet", *options)))
    assert (got, err.count(sentence), err.count("train.py: ")) == (code, 1, 1), err


EXECUTOR = """
import sys
from dlscratch.command import run_command
from dlscratch.mpi import mpi_executor

def main():
    with mpi_executor() as executor:
        if executor:
            print(sorted(executor.map(pow, range(6), [2] * 6)))
            if "fail" in sys.argv:
                raise ValueError("no luck today")
    return 0

if __name__ == "__main__":
    run_command(main)
"""


def test_one_rank_hands_out_work_and_the_others_do_it(mpiexec, start, tmp_path):
    (tmp_path / "work.py").write_text(EXECUTOR, encoding="utf-8")
    program = [sys.executable, "-m", "mpi4py", "work.py"]
    assert finish(start([*mpiexec, "3", *program])) == (0, "[0, 1, 4, 9, 16, 25]\n", "")
    assert finish(start([*mpiexec, "2", *program, "fail"])) == (
        1, "[0, 1, 4, 9, 16, 25]\n", "work.py: no luck today\n",
    )  # fmt: skip
    code, _, err = finish(start(program))
    assert code == 1
    assert err == (
        "work.py: one rank plans the runs, and the others train: start at least two, by "
        "mpiexec -n 3 python -m mpi4py work.py\n"
    )


INTERRUPTED_AS_IT_LOADS = """
import os, signal

class MPI:
    class COMM_WORLD:
        rank, size = 0, 2

        def Abort(code):
            print(f"all end with {code}", flush=True)

os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_while_mpi_is_loaded_ends_all_ranks(start, tmp_path):
    (tmp_path / "mpi4py.py").write_text(INTERRUPTED_AS_IT_LOADS, encoding="utf-8")
    interrupted = start([sys.executable, str(TRAIN), "--distributed", "mpi"], PYTHONPATH=str(tmp_path))
    assert finish(interrupted) == (130, "all end with 130\n", "train.py: interrupted\n")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("ModuleNotFoundError('No module named mpi4py')", "No module named mpi4py"),
        ("RuntimeError('cannot load MPI library\\nno libmpi.so')", "cannot load MPI library no libmpi.so"),
    ],
    ids=["no mpi4py", "no library"],
)
def test_without_mpi_it_says_what_to_install(error, why, start, tmp_path):
    (tmp_path / "mpi4py.py").write_text(f"raise {error}", encoding="utf-8")
    missing = start([sys.executable, str(TRAIN), "--distributed", "mpi"], PYTHONPATH=str(tmp_path))
    said = f"train.py: MPI cannot be used: {why}; python -m pip install 'dlscratch[mpi]'\n"
    assert finish(missing) == (1, "", said)
