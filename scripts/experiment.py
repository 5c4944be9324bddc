"""Train a net with every combination of some settings, fairly, on all cores or a cluster, and compare how they learn.

For each seed all of them start from the same weights and see the same batches, unless it is the net, the initial
weights, the batches or the data that vary. The same command with the same --out goes on where it was interrupted, and
skips what is finished. With --validation the runs are compared on images held back, and the test set is opened once,
for the winner.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

try:
    from dlscratch.arms import arms, assigned, run_name, varied
    from dlscratch.command import (
        DATA,
        DONE,
        INTERRUPTED,
        accepted_by,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        number,
        option_value,
        run_command,
    )
    from dlscratch.folder import CONFIG, LOCK, STOP
    from dlscratch.mpi import mpi_executor
    from dlscratch.settings import Settings, add_options, given
except ModuleNotFoundError as error:
    sys.exit(f"experiment.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, DATA, INTERRUPTED)
    option = parser.add_argument
    option("--vary", type=varied, action="append", default=[], metavar="NAME=A,B",
           help="a setting and its values, or a range: lr=log:0.001..1, dropout=0..0.5")  # fmt: skip
    option("--arm", type=assigned, action="append", nargs="+", default=[], metavar="NAME=A",
           help="settings that belong together, such as --arm optimizer=SGD lr=0.01 --arm optimizer=Adam")  # fmt: skip
    option("--seeds", type=number(int, least=1), default=1, metavar="N", help="runs of each, from --seed upwards (1)")
    option("--trials", type=number(int, least=1), metavar="N", help="points to draw from the ranges")
    option("--halving", type=number(int, least=2), metavar="N",
           help="stop early what learns badly: of each round one in N goes on, with N times the steps")  # fmt: skip
    option("--jobs", type=number(int, least=1), metavar="N", help="runs at a time (the cores, by --threads)")
    option("--executor", type=accepted_by(executor), default="processes", metavar="NAME",
           help="who trains: processes, dask, dask:ADDRESS, mpi (processes)")  # fmt: skip
    option("--out", type=filled, metavar="DIR", help="the folder of the runs (a fresh one under runs/)")
    add_options(parser)
    return parser.parse_args()


def executor(text: str) -> str:
    """An executor's name, and for Dask perhaps the address of a scheduler."""
    name, colon, address = text.partition(":")
    if name not in ("processes", "dask", "mpi") or (colon and not (name == "dask" and address)):
        raise ValueError(f"expects processes, dask, dask:ADDRESS or mpi, got {text!r}")
    return text


def main() -> int:
    if option_value("--executor") == "mpi":  # before all other options: what is wrong with those is told once
        with mpi_executor() as workers:
            return experiment(workers) if workers else DONE
    return experiment()


def experiment(workers=None) -> int:
    """Read what is to be explored, and by whom, and explore it."""
    options = parse_options()
    base = Settings(**given(options))
    limit_blas_threads(base.threads)  # for NumPy, which reads it when it is first imported: on the next lines
    with interrupted_later():
        import numpy as np
        import tqdm  # noqa: F401

        from dlscratch.experiment import cores, open_executor

    np.seterr(all="ignore")  # numbers that overflow show in the loss, at which training stops
    jobs = options.jobs or max(1, cores() // base.threads)
    chosen = arms(options.arm, options.vary, options.trials, base.seed)
    with nullcontext(workers) if workers else open_executor(options.executor, jobs) as workers:
        return explore(options, base, chosen, workers)


def explore(options, base: Settings, chosen: list[dict], workers) -> int:
    """Train all arms with all seeds, each as far as it is worth it, and compare them."""
    from dlscratch.experiment import make_tasks
    from dlscratch.lock import hold
    from dlscratch.recorder import fresh_name
    from dlscratch.search import Candidate, check_rungs, check_validation, rungs

    folder = Path(options.out).expanduser() if options.out else fresh_name("experiment")
    seeds = range(base.seed, base.seed + options.seeds)
    planned = {folder / run_name(arm, seed): base.changed({**arm, "seed": seed}) for seed in seeds for arm in chosen}
    if len(planned) < len(seeds) * len(chosen):
        raise ValueError("two arms would share a folder; give each combination of settings once")
    same_images = not any({"dataset", "validation"} & set(arm) for arm in chosen)
    search = bool(options.trials or options.halving or (base.validation and same_images))
    if search:
        check_validation(planned.values())
    tasks = make_tasks(planned, folder / STOP, judged=not search)
    runs = [tuple(folder / run_name(arm, seed) for seed in seeds) for arm in chosen]
    candidates = [Candidate(arm, tasks[of[0]].settings.steps, of) for arm, of in zip(chosen, runs, strict=True)]
    rounds = rungs(len(candidates), options.halving)
    if search:
        check_rungs(candidates, rounds)
    for note in {task.note for task in tasks.values() if task.note}:
        print(note, file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    if not (lock := hold(folder / LOCK)):
        raise ValueError(f"another experiment is at work in {folder}; wait for its end, or name another folder")
    try:
        with lock:
            best, failed = climb(candidates, rounds, tasks, workers, search=search)
    except KeyboardInterrupt:
        same = f"the same command, with --out {shlex.quote(str(folder))}, goes on from there"
        raise KeyboardInterrupt(f"interrupted; {same}") from None
    show(folder, tasks, failed)
    if search:
        judge(best, len(candidates), tasks[best.folders[0]], folder)
    if failed:
        raise ValueError(f"{len(failed)} of {len(tasks)} runs failed; the same command tries them again")
    return DONE


def climb(candidates: list, rounds: list, tasks: dict, workers, *, search: bool) -> tuple:
    """Train all candidates in the first round, and those that are kept in the next; the best, and what failed."""
    from dlscratch.search import kept

    failed = {}
    for rung in rounds:
        if len(rounds) > 1:
            print(f"{len(candidates)} {'arms go' if len(candidates) > 1 else 'arm goes'} to {rung.goal}")
        runs = {run for each in candidates for run in each.folders}
        failed |= sweep([task._replace(share=rung.share) for run, task in tasks.items() if run in runs], workers)
        if search:
            candidates = kept(candidates, rung)
    return candidates[0], failed


def sweep(tasks: list, workers) -> dict:
    """Have all runs trained that are not yet, and show how far they are; those that failed."""
    from tqdm import tqdm

    from dlscratch.experiment import run_all
    from dlscratch.work import ended

    outcomes = {task.folder: outcome for task in tasks if (outcome := ended(task))}
    if outcomes:
        print(f"{len(outcomes)} of {len(tasks)} runs had ended before")
    no_bar = None if sys.stderr else True  # None: no bar where stderr is no terminal
    waiting = [task for task in tasks if task.folder not in outcomes]
    best = max((outcome.accuracy for outcome in outcomes.values() if outcome.accuracy >= 0), default=-1)  # no nan
    with (
        interrupted_later() as interrupts,
        tqdm(total=len(tasks), initial=len(outcomes), unit=" runs", leave=False, disable=no_bar) as bar,
    ):
        for task, outcome in run_all(waiting, workers, interrupts):
            outcomes[task.folder] = outcome
            if outcome.accuracy > best:
                best = outcome.accuracy
                bar.set_postfix_str(f"best {best:.4f} {task.folder.name}")
            if outcome.status != "interrupted":
                bar.update()
                bar.write(f"[{len(outcomes)}/{len(tasks)}] {task.folder.name}: {how(outcome)}")
    if len(outcomes) < len(tasks) or any(outcome.status == "interrupted" for outcome in outcomes.values()):
        raise KeyboardInterrupt
    return {folder: outcome for folder, outcome in outcomes.items() if outcome.status == "failed"}


def how(outcome) -> str:
    """How a run ended."""
    if outcome.status in ("finished", "paused"):
        return f"accuracy {outcome.accuracy:.4f} in {outcome.seconds:.1f} s"
    return f"{outcome.status}: {outcome.reason}"


def show(folder: Path, tasks: dict, failed: dict) -> None:
    """What failed, and the comparison of all others: as a table and, where the libraries for it are there, drawn."""
    from dlscratch.compare import compare

    for run, outcome in failed.items():
        print(f"{run.name} failed: {outcome.reason}", file=sys.stderr)
    if len(failed) == len(tasks):
        return
    comparison = compare(run for run in tasks if (run / CONFIG).exists())
    print(comparison)
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


def judge(best, compared: int, task, folder: Path) -> None:
    """Open the test set for the best arm."""
    from dlscratch.data import load_data
    from dlscratch.search import judged

    print(judged(best, compared, folder, lambda: load_data(task.settings).test))


if __name__ == "__main__":
    run_command(main)
