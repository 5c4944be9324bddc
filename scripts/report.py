"""Report on one run: what its net confuses, where it is most wrong, and what its layers do with test images.

Prints the report, and writes it as a page with pictures.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import sys

try:
    from dlscratch.command import (
        DATA,
        DONE,
        INTERRUPTED,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        run_command,
    )
except ModuleNotFoundError as error:
    sys.exit(f"report.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, DATA, INTERRUPTED)
    option = parser.add_argument
    option("run", type=filled, metavar="RUN", help="the folder of a run")
    option("--out", type=filled, metavar="DIR", help="where report.html and its pictures go (RUN/report)")
    option("--text", action="store_true", help="print the report, and write nothing")
    option("--data-dir", type=filled, metavar="DIR", help="where the data files are, if they have moved")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    limit_blas_threads(1)
    with interrupted_later():
        from dlscratch.data import check_data, load_data
        from dlscratch.report import examine
        from dlscratch.report_text import as_text
        from dlscratch.runs import Run
        from dlscratch.saved_net import load_net
        from dlscratch.settings import Settings

    run = Run.open(options.run)
    net = load_net(run)
    settings = Settings.from_config(run.config)
    data = load_data(settings.changed({"data_dir": options.data_dir} if options.data_dir else {}))
    check_data(run, data)
    report = examine(run, net, *data.test)
    print(as_text(report))
    if not options.text:
        with interrupted_later():
            from dlscratch.report_page import write_report  # needs libraries that the text does without
        print(f"\npage: {write_report(report, options.out or run.folder / 'report')}")
    return DONE


if __name__ == "__main__":
    run_command(main)
