"""Compare runs: which learned better? Runs that differ only in seed form a group.

RUN is the folder of a run, or a folder that holds some, however deep. Prints a table; --out draws the curves. Of more
than 20 groups the best come first and are compared with, and only these are shown; --csv FILE holds all.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import os
import sys
from pathlib import Path

try:
    from dlscratch.command import (
        DONE,
        INTERRUPTED,
        PICTURES,
        ending_in,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        number,
        one_of,
        run_command,
    )
except ModuleNotFoundError as error:
    sys.exit(f"compare.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")

PAGE = ".html"


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, INTERRUPTED)
    option = parser.add_argument
    option("runs", nargs="+", type=filled, metavar="RUN", help="folders of runs, the first of them to compare with")
    option("--out", action="append", default=[], type=ending_in(*PICTURES, PAGE), metavar="FILE",
           help="draw the curves: .png, .svg, .pdf, or .html for an interactive page; may be repeated")  # fmt: skip
    option("--x", type=one_of("step", "epoch", "examples", "seconds"), metavar="AXIS",
           help="step, epoch, examples or seconds (step; epoch where batch sizes differ)")  # fmt: skip
    option("--quantity", type=one_of("loss", "accuracy"), metavar="NAME", help="loss or accuracy only (both)")
    option("--smooth", type=number(float, least=0), default=0.1, metavar="X",
           help="average the loss of the steps over X epochs; 0: as recorded (%(default)s)")  # fmt: skip
    option("--band", type=one_of("std", "sem", "minmax", "none"), default="std", metavar="NAME",
           help="around the mean of a group: std, sem, minmax or none (%(default)s)")  # fmt: skip
    scale = parser.add_mutually_exclusive_group().add_argument
    scale("--log", action="store_true", default=True, help="a logarithmic scale for the loss (default)")
    scale("--linear", dest="log", action="store_false", help="a linear scale for the loss")
    option("--csv", type=filled, metavar="FILE", help="write the figures as CSV; - prints them instead of the table")
    option("--markdown", type=filled, metavar="FILE", help="the same as a table in Markdown")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    limit_blas_threads(1)
    with interrupted_later():
        from dlscratch.compare import compare

    comparison = compare(options.runs)
    table = comparison.table()
    for warning in comparison.warnings:
        print(f"note: {warning}", file=sys.stderr)
    if "-" not in (options.csv, options.markdown):
        print(table.text(bold=may_be_bold()))
    for file, text in ((options.csv, comparison.csv), (options.markdown, table.markdown)):
        if file:
            write(file, text())
    for path in options.out:
        draw(comparison, path, options)
    return DONE


def may_be_bold() -> bool:
    """Whether standard output is a terminal that may show bold letters (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return bool(sys.stdout) and sys.stdout.isatty() and not plain


def write(file: str, text: str) -> None:
    """To a file, whole or not at all; - is standard output."""
    from dataset.files import replacing

    if file == "-":
        print(text, end="")
        return
    with replacing(file) as out:
        out.write(text.encode("utf-8"))


def draw(comparison, path: Path, options: argparse.Namespace) -> None:
    """A picture or a page, whichever the ending of the path asks for."""
    with interrupted_later():
        from dlscratch.drawing import View

        if path.suffix.lower() == PAGE:
            from dlscratch.page import save_comparison_page as save
        else:
            from dlscratch.plot import save_comparison as save
    save(comparison, path, View(options.x, options.quantity, options.smooth, options.band, options.log))
    print(f"drawn in {path}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
