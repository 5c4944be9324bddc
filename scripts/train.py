"""Train a net from scratch, and record how it learns.

Without options: 784-50-10 on MNIST, 10,000 steps of SGD with lr 0.1 on 100 random images each.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import shlex
import sys
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

try:
    from dlscratch.command import (
        DATA,
        DIVERGED,
        DONE,
        INTERRUPTED,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        option_value,
        run_command,
        uninterrupted,
    )
    from dlscratch.folder import CODE, CONFIG, FACTS, config_of
    from dlscratch.ranks import ALONE, Ranks
    from dlscratch.settings import Settings, add_options, given
except ModuleNotFoundError as error:
    sys.exit(f"train.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, DIVERGED, DATA, INTERRUPTED)
    add_options(parser)
    option, start = parser.add_argument, parser.add_mutually_exclusive_group()
    start.add_argument("--config", type=filled, metavar="FILE", help="a run to repeat: its folder, or its config.json")
    start.add_argument("--resume", type=filled, metavar="RUN", help="go on with the run in this folder")
    option("--out", type=filled, metavar="DIR", help="the run's folder, new or empty (a fresh one under runs/)")
    option("--distributed", choices=["mpi"], help="share each batch among the processes that mpiexec has started")
    option("--report", action="store_true", help="write a report of the run when it is finished")
    option("--dry-run", action="store_true", help="say what would be trained, and stop")
    option("--quiet", action="store_true", help="print the results only, and what is wrong")
    options = parser.parse_args()
    if options.resume and options.out:
        parser.error("a run is resumed in its own folder: leave out --out, or copy the folder first")
    return options


def read_settings(options: argparse.Namespace) -> Settings:
    """What the command line says, over what the other run's config.json says, over the defaults."""
    if options.resume:
        return Settings.read(config_of(options.resume)).resumed(given(options))
    if options.config:
        path = Path(options.config).expanduser()
        return Settings.read(path / CONFIG if path.is_dir() else path).repeated(given(options))
    return Settings().changed(given(options))


def copies_of(options: argparse.Namespace, settings: Settings) -> dict[str, str]:
    """The copies that a run keeps of the files that made its net, but for those that the command line asks for anew."""
    if options.resume:
        return settings.copies_in(Path(options.resume).expanduser() / CODE)
    path = Path(options.config or "").expanduser()
    folder = path if path.is_dir() else path.parent
    if not options.config or not (folder / FACTS).exists():  # which every run has
        return {}
    return {name: copy for name, copy in settings.copies_in(folder / CODE).items() if name not in given(options)}


def wanted_ranks() -> AbstractContextManager[Ranks]:
    """The processes that train together: this one alone, unless the command line asks for more.

    Asked for before all other options, so that what is wrong with those is told once.
    """
    if option_value("--distributed") != "mpi":
        return nullcontext(ALONE)
    from dlscratch.mpi import mpi_ranks

    return mpi_ranks()


def main() -> int:
    with wanted_ranks() as ranks:
        options = parse_options()
        job, old = prepare(options, ranks)
        return DONE if options.dry_run else train(options, job, old)


def prepare(options: argparse.Namespace, ranks: Ranks) -> tuple:
    """What is to be trained, and the run that it goes on with, if any. The first rank reads for all."""
    settings = ranks.from_first(lambda: read_settings(options))
    limit_blas_threads(settings.threads)  # for NumPy, which reads it when it is first imported: on the next lines
    with interrupted_later():
        import numpy as np

        if not options.quiet:  # it takes a tenth of the way to the first step
            import tqdm  # noqa: F401

        from dlscratch.data import load_data
        from dlscratch.job import Job
        from dlscratch.runs import Run

    np.seterr(all="ignore")  # numbers that overflow show in the loss, at which training stops
    old = ranks.from_first(lambda: Run.open(options.resume) if options.resume else None)
    data = ranks.from_first(lambda: load_data(settings))
    if data.note:
        print(data.note, file=sys.stderr)
    job = Job(settings, data, copies_of(options, settings), ranks)
    if not options.quiet:
        describe(job)
    return job, old


def train(options: argparse.Namespace, job, old) -> int:
    """Train, and say how well it went. The first rank writes for all."""
    from dlscratch.recorder import make_folder

    slug = f"{Path(job.data.name).resolve().name}-{job.settings.optimizer}"
    folder = old.folder if old else job.ranks.from_first(lambda: make_folder(options.out, slug))
    recorder = job.recorder(folder, old)
    if old:
        if old.status == "finished" and job.step == job.steps:
            more = "; a larger number of --steps trains on" if job.settings.schedule == "constant" else ""
            print(f"{folder} is finished{more}")
            recorder.release()
            return DONE
        note_changes(old.facts, recorder.facts)
    record(job, recorder, options.quiet)
    if not options.quiet:
        print(f"recorded in {folder}")
    accuracy = recorder.facts["test_accuracy"]
    print(f"test accuracy {accuracy:.4f}" + (" on strokes, not on MNIST" if job.data.note else ""))
    if options.report and not job.ranks.rank:
        report(job, folder)
    return DONE


def describe(job) -> None:
    """Say what is trained."""
    data, epochs = job.data, job.steps / job.steps_per_epoch
    print(f"{data.name}: {len(data.train[0]):,} training and {len(data.test[0]):,} test images")
    print(job.net)
    print(f"{job.optimizer}, {job.steps:,} steps of {job.settings.batch_size} images: {epochs:.4g} epochs")


def record(job, recorder, quiet: bool) -> None:
    """Train, and leave a run that can be gone on with, and its picture, whatever happens."""
    folder = recorder.folder
    try:
        with interrupted_later() as interrupts, recorder:
            learn(job, recorder, interrupts, quiet)
    except KeyboardInterrupt:
        resume = f"{command(job.ranks)} --resume {shlex.quote(str(folder))} goes on from there"
        then = f"{folder} is finished" if recorder.facts.get("status") == "finished" else resume
        raise KeyboardInterrupt(f"interrupted; {then}") from None
    finally:
        with uninterrupted():
            if not job.ranks.rank:
                draw(folder, quiet)


def command(ranks: Ranks) -> str:
    """How this program is started on so many ranks."""
    if ranks.size == 1:
        return shlex.join(["python", sys.argv[0]])
    return f"mpiexec -n {ranks.size} {shlex.join(['python', '-m', 'mpi4py', sys.argv[0], '--distributed', 'mpi'])}"


def learn(job, recorder, interrupts, quiet: bool) -> None:
    """Take the steps, and show how it goes unless that is not wanted."""
    evaluations = job.record(recorder, interrupts)
    if quiet:
        deque(evaluations, maxlen=0)
    else:
        show(job, evaluations)


def show(job, evaluations) -> None:
    """Show the evaluations as they come, and where the job stands."""
    from tqdm import tqdm

    columns = "train loss", "train acc", f"{job.data.watched_as} loss", f"{job.data.watched_as} acc"
    print("epoch    step  seconds" + "".join(f"{column:>12}" for column in columns))
    no_bar = None if sys.stderr else True  # None: no bar where stderr is no terminal
    with tqdm(total=job.steps, initial=job.step, unit=" steps", leave=False, disable=no_bar) as bar:
        for evaluation in evaluations:
            bar.update(job.step - bar.n)
            if evaluation:
                epoch, step, _, seconds, *figures = evaluation.values()
                tqdm.write(f"{epoch:5.4g} {step:7} {seconds:8.2f}" + "".join(f"{figure:12.4f}" for figure in figures))


def report(job, folder: Path) -> None:
    """The report of the finished run, as scripts/report.py writes it."""
    with interrupted_later():
        from dlscratch.report import examine
        from dlscratch.report_page import write_report
        from dlscratch.runs import Run

    print(f"report in {write_report(examine(Run.open(folder), job.net, *job.data.test), folder / 'report')}")


def note_changes(old, new) -> None:
    """Say what has changed under a run that is resumed, and may change its last digits."""
    for name in ("versions", "blas", "machine", "ranks"):
        if ({"ranks": 1} | old).get(name) != new[name]:
            print(f"note: the run began with {name} {old.get(name)}, now they are {new[name]}", file=sys.stderr)


def draw(folder: Path, quiet: bool) -> None:
    """The loss curves as a picture, if the library for it is there and anything was learned."""
    if not (folder / "steps.csv").exists():
        return
    try:
        from dlscratch.plot import save_curves
        from dlscratch.runs import Run

        save_curves(Run.open(folder), folder / "curves.png")
    except Exception as error:  # whatever it is (fonts, backends, a full disk), the run is worth more than its picture
        if not quiet:
            print(f"no picture: {' '.join(str(error).split())}")


if __name__ == "__main__":
    run_command(main)
