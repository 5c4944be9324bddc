"""Interrupt trainings at random moments, by Ctrl-C and by kill -9, resume them, and compare with one left alone.

    python tests/interruptions.py --count 200
    python tests/interruptions.py --count 10 --sweep 100
    python tests/interruptions.py --count 20 --search

A moment may lie anywhere in the life of the process: while libraries load, in a step, while a row or a checkpoint is
being written. After each one, every row that was on disk before is still there (of a resumed run: every row that its
checkpoint counts) and all rows equal those of the uninterrupted run; at the end tables (but for seconds) and
parameters are the same, byte for byte. With --sweep, one command trains so many runs, and its workers are killed.
With --search, a command that halves its arms is interrupted itself, and repeated.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from small_job import SCRIPTS, environment, write_digits
from system import workers_of

from dlscratch.checkpoint import Checkpoint
from dlscratch.folder import CHECKPOINT, CONFIG, read_json
from dlscratch.recorder import is_left_over
from dlscratch.runs import Run
from dlscratch.search import WINNER

TRAIN, EXPERIMENT = SCRIPTS / "train.py", SCRIPTS / "experiment.py"
STEPS, BATCH = 401, 30  # not a whole number of epochs, nor of what the samplers draw at once
SETTINGS = [
    (sampler, optimizer, every)
    for optimizer, every in zip(
        ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"), (1, 2, 5, 17, 40, 1000), strict=True
    )
    for sampler in ("choice", "shuffle")
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, metavar="N", help="interruptions (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for the moments (%(default)s)")
    parser.add_argument("--sweep", type=int, metavar="N", help="kill the workers of an experiment of N runs instead")
    parser.add_argument("--search", action="store_true", help="interrupt a search with successive halving instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.sweep:
            kills = kill_workers(Path(folder), options.sweep, options.count, options.seed)
            print(f"{kills} workers killed, and all {options.sweep} runs equal those that were left alone")
            return
        test = interrupt_search if options.search else torture
        seen = test(Path(folder), options.count, options.seed)
    for what, count in sorted(seen.items()):
        print(f"{count:5} {what}")
    print("what was resumed equals what was left alone")


def torture(folder: Path, count: int, seed: int = 0) -> dict[str, int]:
    """Interrupt `count` times; how often each moment was hit. AssertionError where a run is not as it should be."""
    rng, seen = random.Random(seed), {}
    write_digits(folder / "digits", train=1000, test=100)
    settings = SETTINGS[:]
    rng.shuffle(settings)
    for number, (sampler, optimizer, every) in enumerate(cycle(settings)):
        command = [
            sys.executable, TRAIN, "--dataset", folder / "digits", "--hidden", 20, "--steps", STEPS, "--quiet",
            "--batch-size", BATCH, "--sampler", sampler, "--optimizer", optimizer, "--checkpoint-every", every,
        ]  # fmt: skip
        reference, run = folder / f"reference-{number}", folder / f"run-{number}"
        began = time.perf_counter()
        finish([*command, "--out", reference], folder)
        took = time.perf_counter() - began
        alone = Run.open(reference)
        for _ in range(8):  # interruptions of one run, at most
            moment = interrupt(command, run, rng.uniform(0, took), rng.choice([signal.SIGINT, signal.SIGKILL]), alone)
            seen[moment] = seen.get(moment, 0) + 1
            count -= moment != "had finished"
            if count == 0 or moment == "had finished":
                break
        finish(again(command, run), folder)
        compare(Run.open(run), alone)
        if count == 0:
            return seen
    raise AssertionError


def kill_workers(folder: Path, runs: int, kills: int, seed: int = 0) -> int:
    """Train runs twice, and once kill random workers as they go; how many were killed."""
    rng, killed = random.Random(seed), 0
    write_digits(folder / "digits")
    command = [
        sys.executable, EXPERIMENT, "--dataset", folder / "digits", "--hidden", 8, "--batch-size", 1,
        "--steps", 2000, "--vary", "lr=0.1,0.2", "--seeds", runs // 2, "--jobs", 2,
    ]  # fmt: skip
    finish([*command, "--out", folder / "alone"], folder)
    process = start([*command, "--out", folder / "killed"], folder)
    while process.poll() is None:
        under_way = len(list((folder / "killed").glob("*/steps.csv")))
        workers = workers_of(process.pid)
        if killed < kills and workers and under_way > killed * runs // (kills + 1):
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
        time.sleep(0.05)
    said = process.communicate()
    assert (process.returncode, said[1], said[0].count(": accuracy ")) == (0, "", runs), said
    for run in (folder / "alone").glob("lr=*"):
        compare(Run.open(folder / "killed" / run.name), Run.open(run))
    return killed


def interrupt_search(folder: Path, count: int, seed: int = 0) -> dict[str, int]:
    """Interrupt a search `count` times; how often in which way. Its winner and all its nets are as if left alone."""
    rng, seen, alone = random.Random(seed), {}, folder / "alone"
    write_digits(folder / "digits")
    command = [
        sys.executable, EXPERIMENT, "--dataset", folder / "digits", "--hidden", 8, "--batch-size", 1, "--steps", 2700,
        "--vary", "lr=log:0.00001..0.01", "--trials", 9, "--halving", 3, "--seeds", 2, "--validation", 50, "--jobs", 2,
    ]  # fmt: skip
    began = time.perf_counter()
    finish([*command, "--out", alone], folder)
    took = time.perf_counter() - began
    for number in range(count):
        search = folder / f"search-{number // 5}"
        process = start([*command, "--out", search], folder)
        time.sleep(rng.uniform(0, took))
        kind = rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
        process.send_signal(kind)
        said = process.communicate()[1]  # the workers have it open, too: this waits for their end
        assert "Traceback" not in said or before_our_first_line(said, EXPERIMENT), said
        assert process.returncode in (0, 130, -kind) or "Traceback" in said, (process.returncode, said)
        how = kind.name if process.returncode else "had finished"
        seen[how] = seen.get(how, 0) + 1
        if number % 5 == 4 or number == count - 1:
            finish([*command, "--out", search], folder)
            assert judgement(search) == judgement(alone)
    return seen


def judgement(search: Path) -> tuple[dict, list[bytes]]:
    """The winner of a search, but for when it ended, and the nets of all runs."""
    nets = [path.read_bytes() for path in sorted(search.glob("*/model.npz"))]
    return read_json(search / WINNER) | {"ended": None}, nets


def interrupt(command, run: Path, delay: float, kind: signal.Signals, alone: Run) -> str:
    """Start or resume the run, interrupt it after `delay` seconds, and look at what is left of it."""
    resumed, kept = (run / CONFIG).exists(), saved_rows(run)
    process = start(again(command, run), run.parent)
    time.sleep(delay)
    before = kept if resumed else rows(run)  # to resume is to cut off what came after the checkpoint
    process.send_signal(kind)
    while True:
        try:
            said = process.communicate(timeout=5)[1]
            break
        except subprocess.TimeoutExpired:  # some library swallowed it while it was being loaded
            process.send_signal(kind)
    after = rows(run)
    assert "Traceback" not in said or before_our_first_line(said), said
    assert after[: len(before)] == before, "a row that was on disk is gone"
    if process.returncode == 0:
        assert Run.open(run).status == "finished"
        return "had finished"
    assert process.returncode in (130, -kind) or "Traceback" in said, (process.returncode, said)
    name = "Ctrl-C" if kind == signal.SIGINT else "kill -9"
    if not (run / CONFIG).exists():
        assert not run.exists() or all(map(is_left_over, run.iterdir()))
        return f"{name} before there was a run"
    left = Run.open(run)
    assert left.status in ("interrupted", "killed", "finished")
    for table, whole in ((left.steps, alone.steps), (left.epochs, alone.epochs)):
        for column in set(whole) - {"seconds"}:
            np.testing.assert_array_equal(table[column], whole[column][: len(table[column])])
    place = {0: "before the first step", STEPS: "after the last step"}.get(len(left.steps["step"]), "in training")
    return f"{name} {place}"


def before_our_first_line(said: str, script: Path = TRAIN) -> bool:
    """Whether Python was still on its way to the line of the script that settles what Ctrl-C does."""
    settled = script.read_text(encoding="utf-8").split("signal.SIG_DFL")[0].count("\n") + 1
    return all(int(line) <= settled for line in re.findall(rf'{script.name}", line (\d+)', said))


def again(command, run: Path):
    """The command that goes on with the run, or begins it."""
    resume = [sys.executable, TRAIN, "--quiet", "--resume", run]
    return resume if (run / CONFIG).exists() else [*command, "--out", run]


def finish(command, home: Path) -> None:
    process = start(command, home)
    said = process.communicate()[1]
    assert (process.returncode, said) == (0, ""), said


def start(command, home: Path) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(list(map(str, command)), env=environment(home), text=True, **pipes)


def saved_rows(run: Path) -> list[bytes]:
    """The lines of steps.csv that the checkpoint counts."""
    path = run / CHECKPOINT
    return rows(run)[: 1 + Checkpoint.load(path).facts["step"]] if path.exists() else []


def rows(run: Path) -> list[bytes]:
    """The whole lines of steps.csv."""
    path = run / "steps.csv"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def compare(run: Run, alone: Run) -> None:
    """The same tables but for seconds, which only grow, and the same parameters."""
    assert run.status == "finished"
    assert run.config == alone.config
    for name in ("steps", "epochs"):
        assert without_seconds(run.folder / f"{name}.csv") == without_seconds(alone.folder / f"{name}.csv"), name
        assert np.all(np.diff(getattr(run, name)["seconds"]) >= 0)
    assert (run.folder / "model.npz").read_bytes() == (alone.folder / "model.npz").read_bytes()
    assert not list(run.folder.glob(".*.part"))


def without_seconds(path: Path) -> list[list[str]]:
    table = [line.split(",") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    column = table[0].index("seconds")
    return [row[:column] + row[column + 1 :] for row in table]


if __name__ == "__main__":
    main()
