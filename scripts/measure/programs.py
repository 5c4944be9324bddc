"""What no step tells: whole programs, from the start of a process to its end, in seconds and in memory.

They are started by a process without NumPy, since to the system a program takes at least the memory of its parent.
"""

import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dataset.files import data_folders
from measure.results import OURS, Result
from measure.timing import Turn, compared

SCRIPTS = Path(__file__).parents[1]

LOAD = "from dataset.load import load_dataset; load_dataset({dataset!r}, normalize=False)"

FIRST_STEP = """
from dlscratch.data import load_data
from dlscratch.job import Job
from dlscratch.settings import Settings
from dlscratch.training import train
settings = Settings(dataset={dataset!r})
job = Job(settings, load_data(settings))
next(train(job.net, job.batches, job.optimizer, 1))
"""


class Program(NamedTuple):
    """What Python is given, with gaps for the data set, the steps, the threads and a file or folder to write."""

    arguments: tuple[str, ...]
    peer: str = "ours"  # of peers.NEEDS
    cold: bool = False  # whether files of data sets are read from the disk, and not from the system's memory


def ours(*more: str, peer: str = "ours") -> Program:
    """Our whole job."""
    gaps = "--dataset", "{dataset}", "--steps", "{steps}", "--threads", "{threads}", "--out", "{out}"
    return Program(("train.py", "--quiet", *gaps, *more), peer)


def theirs(peer: str) -> Program:
    """The whole job of a peer."""
    return Program(("-m", "peers.job", peer, "{dataset}", "{steps}", "{out}"), peer)


PARTS = {
    "start Python": Program(("-c", "pass")),
    "import NumPy": Program(("-c", "import numpy")),
    "import dlscratch": Program(("-c", "import dlscratch.job")),
    "import PyTorch": Program(("-c", "import torch"), "pytorch"),
    "import JAX": Program(("-c", "import jax.numpy"), "jax"),
    "import scikit-learn": Program(("-c", "import sklearn.neural_network"), "scikit_learn"),
    "load the data set from the disk": Program(("-c", LOAD), cold=True),
    "load the data set": Program(("-c", LOAD)),
    "get dlscratch to its first step": Program(("-c", FIRST_STEP)),
}

JOBS = {
    "dlscratch": ours(),
    "dlscratch, sparse": ours("--sparse", "yes", peer="ours_sparse"),
    "PyTorch eager, index_select": theirs("pytorch"),
    "PyTorch, torch.compile": theirs("pytorch_compiled"),
    "JAX, jitted scan": theirs("jax"),
    "scikit-learn, by epochs": theirs("scikit_learn"),
    "textbook NumPy": theirs("textbook"),
}


def program_results(options: Namespace, threads: int, folder: Path) -> Iterator[Result]:
    """Of whole jobs, and of parts of ours; they write into this folder, which is made."""
    if not options.programs:
        return
    folder.mkdir(parents=True)
    own = Path(options.dataset)  # a folder of one's own, which programs would look for in theirs
    dataset = str(own.absolute()) if own.is_dir() else options.dataset
    gaps = {"dataset": dataset, "steps": options.steps, "threads": threads}
    about = "from the start of a process to its end; memory: the most that it takes"
    for title, programs, ours in ((f"Whole job, {options.steps:,} steps", JOBS, OURS), ("Programs", PARTS, None)):
        wanted = {name: program for name, program in programs.items() if program.peer in options.peers}
        yield Result(title, about, "s", threads, compared(run_in_turns(wanted, options.programs, folder, gaps), ours))


def run_in_turns(
    programs: Mapping[str, Program], rounds: int, folder: Path, gaps: Mapping[str, object]
) -> dict[str, list[Turn]]:
    """What each of them takes in each round. Nobody draws: ours would, if it found matplotlib."""
    (folder / "matplotlib.py").write_text("raise ModuleNotFoundError\n", encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    turns: dict[str, list[Turn]] = {name: [] for name in programs}
    for number in range(rounds):
        for name, program in programs.items():
            turns[name].append(run(program, {**gaps, "out": folder / f"{name}-{number}"}, environment))
    return turns


def run(program: Program, gaps: Mapping[str, object], environment: Mapping[str, str]) -> Turn:
    """Run it to its end; ValueError, with its last words, unless that is a good one."""
    if program.cold:
        forget_files()
    command = [sys.executable, *(argument.format(**gaps) for argument in program.arguments)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=SCRIPTS, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            _, status, used = os.wait4(process.pid, 0)  # which tells the memory of this one alone
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            last = errors.read().splitlines()[-1:]
            raise ValueError(f"{' '.join(command)} ended with exit code {process.returncode}: {''.join(last)}")
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Turn(seconds, (used.ru_utime + used.ru_stime) / seconds, memory)


def forget_files() -> None:
    """Ask the system to drop what it remembers of the files of data sets, as far as it is ours to ask."""
    for folder in data_folders():
        for path in folder.rglob("*ubyte*"):
            with suppress(OSError, AttributeError), path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
