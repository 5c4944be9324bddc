"""Time our training step and our whole job beside those of PyTorch, JAX, scikit-learn and plain NumPy.

All take turns within one run, on as many threads as each other. Who takes part, and how, is told in scripts/peers/;
what is not installed is left out: python -m pip install 'dlscratch[bench]'.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from measure.programs import program_results
from measure.results import OURS, STEP, Result, tables
from measure.steps import step_results
from peers import NEEDS, missing
from peers.sizes import HIDDEN, SIZES, Size

from dlscratch.command import (
    DATA,
    DONE,
    INTERRUPTED,
    PICTURES,
    accepted_by,
    ending_in,
    filled,
    limit_blas_threads,
    new_parser,
    number,
    run_command,
)
from dlscratch.processes import Processes


def main() -> int:
    options = parse_options()
    options.peers = [*installed(options.peers)]
    with Processes(1) as process:
        told, facts = process.submit(prepare, options).result()
    print(f"{told}\n")
    results = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        for threads in options.threads:
            limit_blas_threads(threads)  # of the processes that are started here; this one does without NumPy
            folder = Path(name, str(threads))
            with Processes(1) as process:
                results += process.submit(shown, step_results, options, threads, folder / "steps").result()
            results += shown(program_results, options, threads, folder / "programs")
    write(options, told, facts, results)
    return DONE


def parse_options() -> argparse.Namespace:
    count = number(int, least=1)
    parser = new_parser(__doc__, DATA, INTERRUPTED)
    option = parser.add_argument
    option("--model", choices=HIDDEN, help=f"one net only: {', '.join(HIDDEN)}", metavar="NET")
    option("--hidden", type=count, metavar="N", help="one net only, with so many hidden units (the net's own)")
    option("--batch-size", type=count, metavar="N", help="one net only, with so many images in a step (100)")
    option("--peers", type=accepted_by(peer_names), default=[*NEEDS], metavar="A,B", help=f"of {', '.join(NEEDS)}")
    option("--threads", nargs="+", type=count, default=[1], metavar="N", help="of each; 1 2: on one, then on two (1)")
    option("--rounds", type=count, default=15, metavar="N", help="turns of each (%(default)s)")
    option("--block", type=number(float, above=0), default=0.03, metavar="S", help="seconds in a turn (%(default)s)")
    option("--programs", type=number(int, least=0), metavar="N", help="turns of whole programs (2; 0 for one net only)")
    option("--dataset", type=filled, default="mnist", metavar="SET", help="what is learned: 28x28 pixels (%(default)s)")
    option("--steps", type=count, default=10_000, metavar="N", help="steps of a whole job (%(default)s)")
    option("--json", type=Path, metavar="FILE", help="write the figures there, too")
    option("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    option("--picture", type=ending_in(*PICTURES), metavar="FILE", help="draw the times: .png, .svg or .pdf")
    options = parser.parse_args()
    model, one = options.model or "two-layer", options.model or options.hidden or options.batch_size
    options.sizes = [Size(model, options.hidden or HIDDEN[model], options.batch_size or 100)] if one else SIZES
    options.programs = (0 if one else 2) if options.programs is None else options.programs
    for file in filter(None, (options.json, options.markdown, options.picture)):
        if not file.name or not file.parent.is_dir():  # which would be missed too late
            parser.error(f"expects a file in a folder that is there, got {str(file)!r}")
    if options.programs and not hasattr(os, "wait4"):
        parser.error("whole programs can be measured on Linux and macOS only: leave them out by --programs 0")
    return options


def peer_names(text: str) -> list[str]:
    """What an option holds: `jax,pytorch`. Ours comes first, asked for or not."""
    names = text.split(",")
    if wrong := [name for name in names if name not in NEEDS]:
        raise ValueError(f"expects some of {', '.join(NEEDS)}, got {wrong[0]!r}")
    return [name for name in NEEDS if name in names or name == "ours"]


def installed(names: Iterable[str]) -> Iterator[str]:
    """Those whose libraries are there; the others are told."""
    for name in names:
        if lacks := missing(name):
            print(f"{name} is left out: {' and '.join(lacks)} not installed")
        else:
            yield name


def prepare(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """What is measured on; ModuleNotFoundError, before anything is measured, if no picture could be drawn of it."""
    from measure.machine import machine, sentence

    if options.picture:
        import dlscratch.plot  # noqa: F401
    facts = machine()
    return sentence(facts), facts


def shown(measure: Callable[..., Iterable[Result]], *asked: Any) -> list[Result]:
    """All that is measured, each printed as soon as it is there."""
    results = []
    for result in measure(*asked):
        print(f"{result.table}\n", flush=True)
        results.append(result)
    return results


def write(options: argparse.Namespace, told: str, facts: Mapping[str, Any], results: list[Result]) -> None:
    """The files that are asked for."""
    if options.json:
        content = {"machine": facts, "rounds": options.rounds, "results": [result.as_json() for result in results]}
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.markdown:
        written = (f"**{table.title}**: {table.about}\n\n{table.markdown()}" for table in tables(results))
        options.markdown.write_text("\n".join([told + "\n", *written]), encoding="utf-8")
    if options.picture:
        from dlscratch.plot import save_bars

        first = [result for result in results if result.threads == options.threads[0] and OURS in result.rows]
        first.sort(key=lambda result: result.unit != STEP)  # those of steps side by side
        save_bars({result.caption: result.bars for result in first}, options.picture, marked=OURS)


if __name__ == "__main__":
    run_command(main)
