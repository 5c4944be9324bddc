"""Train a net with every combination of some settings, fairly, and compare how they learn.

For each seed all of them start from the same weights and see the same batches, unless it is the net, the initial
weights, the batches or the data that vary. The same command with the same --out goes on where it was interrupted, and
skips what is finished.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import re
import shlex
import sys
from itertools import product
from pathlib import Path

try:
    from dlscratch.command import (
        DATA,
        DONE,
        INTERRUPTED,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        number,
        run_command,
    )
    from dlscratch.folder import CONFIG
    from dlscratch.settings import Settings, add_options, given, parse_setting
except ModuleNotFoundError as error:
    sys.exit(f"experiment.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


ONE_FOR_ALL = {"seed": "--seeds N gives N of them", "threads": "--threads", "data_dir": "--data-dir",
               "checkpoint_every": "--checkpoint-every"}  # fmt: skip


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, DATA, INTERRUPTED)
    option = parser.add_argument
    option("--vary", type=varied, action="append", default=[], metavar="NAME=A,B", help="a setting and its values")
    option("--arm", type=assigned, action="append", nargs="+", default=[], metavar="NAME=A",
           help="settings that belong together, such as --arm optimizer=SGD lr=0.01 --arm optimizer=Adam")  # fmt: skip
    option("--seeds", type=number(int, least=1), default=1, metavar="N", help="runs of each, from --seed upwards (1)")
    option("--out", type=filled, metavar="DIR", help="the folder of the runs (a fresh one under runs/)")
    add_options(parser)
    return parser.parse_args()


def varied(text: str) -> list[dict]:
    """What `optimizer=SGD,Adam` means: {optimizer: SGD} and {optimizer: Adam}."""
    name, _, values = text.partition("=")
    settings = [assigned(f"{name}={value}") for value in values.split(",")] if "=" in text else [assigned(text)]
    return [each for i, each in enumerate(settings) if each not in settings[:i]]


def assigned(text: str) -> dict:
    """What `lr=0.1` means: {lr: 0.1}."""
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise argparse.ArgumentTypeError(f"expects a setting and its value, such as lr=0.1, got {text!r}")
    if name in ONE_FOR_ALL:
        raise argparse.ArgumentTypeError(f"{name} is one for all runs: {ONE_FOR_ALL[name]}")
    try:
        return {name: parse_setting(name, value)}
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main() -> int:
    options = parse_options()
    base = Settings(**given(options))
    arms = [merged(parts) for parts in product(map(merged, options.arm or [[]]), *options.vary)]
    limit_blas_threads(base.threads)  # for NumPy, which reads it when it is first imported: on the next lines
    with interrupted_later():
        import numpy as np
        import tqdm  # noqa: F401

        from dlscratch.compare import compare
        from dlscratch.recorder import make_folder

    np.seterr(all="ignore")  # numbers that overflow show in the loss, at which training stops
    folder = Path(options.out).expanduser() if options.out else make_folder(None, "experiment")
    seeds = range(base.seed, base.seed + options.seeds)
    planned = {run_name(folder, arm, seed): base.changed({**arm, "seed": seed}) for seed in seeds for arm in arms}
    if len(planned) < len(seeds) * len(arms):
        raise ValueError("two arms would share a folder; give each combination of settings once")
    try:
        learn(planned)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the same command, with --out {shlex.quote(str(folder))}, goes on from there"
        ) from None
    comparison = compare(planned)
    print(comparison)
    draw(comparison, folder)
    return DONE


def merged(parts) -> dict:
    """One dict of several, which set different things."""
    names = [name for part in parts for name in part]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is set twice; give all of its values at once, as in --vary {twice[0]}=A,B")
    if {"steps", "epochs"} <= set(names):
        raise ValueError("steps and epochs both say how long to train; vary one of them")
    return {name: value for part in parts for name, value in part.items()}


def run_name(folder: Path, arm: dict, seed: int) -> Path:
    """The folder of one run, named after what is special about it."""
    parts = [f"{name}={value}" for name, value in {**arm, "seed": seed}.items()]
    return folder / re.sub(r"[^\w.,=+-]", "_", ",".join(parts))


def learn(planned: dict[Path, Settings]) -> None:
    """Train what is not finished yet, one after the other."""
    from dlscratch.data import load_data
    from dlscratch.job import Job

    data = {}
    for settings in planned.values():
        wanted = settings.dataset, settings.examples, settings.validation
        if wanted not in data:
            data[wanted] = load_data(settings)
            if data[wanted].note:
                print(data[wanted].note, file=sys.stderr)
        Job(settings, data[wanted])  # what is wrong with the last of them is told before the first one trains
    for number, (folder, settings) in enumerate(planned.items(), start=1):
        job = Job(settings, data[settings.dataset, settings.examples, settings.validation])
        print(f"[{number}/{len(planned)}] {folder.name}: {record(folder, job)}", flush=True)


def record(folder: Path, job) -> str:
    """Train one run from where it stands, unless it has ended; how it went."""
    from tqdm import tqdm

    from dlscratch.training import Diverged

    run = begun(folder, job)
    if run and run.status == "diverged":
        return f"diverged before: {run.facts.get('reason')}"
    recorder = job.recorder(folder, run)
    if run and run.status == "finished" and job.step == job.steps:
        recorder.release()
        return "finished before"
    no_bar = None if sys.stderr else True  # None: no bar where stderr is no terminal
    try:
        with (
            interrupted_later() as interrupts,
            recorder,
            tqdm(total=job.steps, initial=job.step, unit=" steps", leave=False, disable=no_bar) as bar,
        ):
            for _ in job.record(recorder, interrupts):
                bar.update(job.step - bar.n)
    except Diverged as error:
        if interrupts:
            raise KeyboardInterrupt from error
        return f"diverged: {error}"
    return f"test accuracy {recorder.facts['test_accuracy']:.4f} in {job.seconds:.1f} s"


def begun(folder: Path, job):
    """The run that is in this folder already, perhaps with fewer steps; ValueError if it is another one."""
    from dlscratch.recorder import make_folder
    from dlscratch.runs import Run

    if not (folder / CONFIG).exists():
        make_folder(folder, "")
        return None
    try:
        Settings.read(folder / CONFIG).resumed(job.settings.as_config())
    except ValueError as error:
        raise ValueError(f"{folder}: {error}; --out names another folder for the runs") from None
    return Run.open(folder)


def draw(comparison, folder: Path) -> None:
    """The comparison as a picture and as a page, where the libraries for it are there."""
    for name in ("comparison.png", "comparison.html"):
        try:
            if name.endswith(".html"):
                from dlscratch.page import save_comparison_page as save
            else:
                from dlscratch.plot import save_comparison as save
            save(comparison, folder / name)
            print(f"drawn in {folder / name}")
        except Exception as error:  # whatever it is, the runs are worth more than their picture
            print(f"no {name}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    run_command(main)
