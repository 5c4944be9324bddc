"""What all commands share: kinds of options, and errors as one line and an exit code."""

import argparse
import errno
import os
import signal
import subprocess
import sys
import warnings

import pytest

from dataset import DataError
from dlscratch import command
from dlscratch.training import Diverged


@pytest.fixture(autouse=True)
def as_before():
    """What run_command settles for its whole process is put back."""
    names = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    handlers, formatwarning = {name: signal.getsignal(name) for name in names}, warnings.formatwarning
    yield
    for name, handler in handlers.items():
        signal.signal(name, handler)
    warnings.formatwarning = formatwarning


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("expected a, got b; do c"), 1, "expected a, got b; do c"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x/steps.csv"), 1, "runs/x/steps.csv: No space left"),
        (MemoryError("Unable to allocate 9 TiB"), 1, "not enough memory: Unable to allocate 9 TiB"),
        (Diverged("the loss is nan at step 3"), 3, "the loss is nan at step 3"),
        (DataError("no such data set"), 4, "no such data set"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("interrupted; all is well"), 130, "interrupted; all is well"),
        (ModuleNotFoundError("No module named 'dataset.load'", name="dataset.load"), 1, "another one of that name"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(error, code, line, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as stopped:
        command.run_command(main)
    assert stopped.value.code == code
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    def main():
        raise AttributeError("nothing a user could have done")

    with pytest.raises(AttributeError):
        command.run_command(main)


def test_a_reader_that_has_gone_is_no_traceback():
    script = (
        "from dlscratch.command import run_command\ndef main():\n    while True: print('x' * 10000)\nrun_command(main)"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("kind", "limits", "good", "bad"),
    [
        (int, {"least": 1}, {"1": 1, "10000": 10000}, ["0", "-1", "1.5", "x", ""]),
        (float, {"above": 0}, {"0.1": 0.1, "1e-9": 1e-9}, ["0", "-1", "nan", "inf", "x"]),
        (float, {"least": 0}, {"0": 0.0, "2": 2.0}, ["-0.1", "nan", "inf"]),
    ],
)
def test_numbers_are_finite_and_within_their_bounds(kind, limits, good, bad):
    parse = command.number(kind, **limits)
    assert {text: parse(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"expects a (whole )?number (above|from) .*got '{text}'"):
            parse(text)


def test_names_are_taken_in_any_case():
    parse = command.one_of("SGD", "Adam")
    assert [parse("sgd"), parse("ADAM")] == ["SGD", "Adam"]
    with pytest.raises(argparse.ArgumentTypeError, match="expects one of SGD, Adam, got 'lion'"):
        parse("lion")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("--out x --distributed mpi --lr", "mpi"), ("--distributed=mpi", "mpi"), ("--distr mpi", "mpi"),
        ("--distributed", None), ("--d 0.1", "0.1"), ("mpi", None), ("", None),
    ],
)  # fmt: skip
def test_one_option_can_be_asked_for_before_all_others(words, value, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", *words.split()])
    assert command.option_value("--distributed") == value


def test_threads_are_refused_once_numpy_is_there():
    import numpy  # noqa: F401

    with pytest.raises(RuntimeError, match="before NumPy is imported, and it is imported already"):
        command.limit_blas_threads(1)


def test_threads_reach_the_environment_before_numpy():
    script = (
        "import os; from dlscratch.command import *; limit_blas_threads(3); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "3"


def test_a_division_by_zero_is_a_bug_and_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        command.run_command(lambda: 1 // 0)


def test_what_is_printed_is_there_at_once_also_in_a_pipe():
    script = "import os; from dlscratch.command import run_command; run_command(lambda: print('one') or os._exit(0))"
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    assert subprocess.check_output([sys.executable, "-c", script], env=buffered, text=True) == "one\n"


def test_a_closed_stdout_is_no_traceback(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(SystemExit) as stopped:
        command.run_command(lambda: 0)
    assert stopped.value.code == 0


def test_a_warning_is_one_line():
    script = "import warnings; from dlscratch.command import run_command\n"
    script += "run_command(lambda: warnings.warn('a file is damaged') or 0)"
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert done.stderr == "note: a file is damaged\n"


@pytest.mark.parametrize(
    "error", [ImportError("half a library"), AttributeError("no _lock"), RuntimeError("finalizing")]
)
def test_a_failure_that_an_interruption_caused_is_an_interruption(error, capsys):
    def main():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None

    with pytest.raises(SystemExit) as stopped:
        command.run_command(main)
    assert stopped.value.code == 130
    assert capsys.readouterr().err.endswith(": interrupted\n")


def test_an_interruption_can_wait_for_the_end_of_a_block():
    done = []

    def main():
        with command.interrupted_later():
            signal.raise_signal(signal.SIGINT)
            done.append("block")
        done.append("beyond")

    with pytest.raises(SystemExit) as stopped:
        command.run_command(main)
    assert stopped.value.code == 130
    assert done == ["block"]


def test_an_interruption_can_be_ignored_while_something_is_saved():
    def main():
        with command.uninterrupted():
            signal.raise_signal(signal.SIGINT)
        return 0

    with pytest.raises(SystemExit) as stopped:
        command.run_command(main)
    assert stopped.value.code == 0


def stops(main):
    with pytest.raises(SystemExit) as stopped:
        command.run_command(main)
    return stopped.value.code


def test_a_block_can_see_that_it_is_asked_to_end(capsys):
    def main():
        with command.interrupted_later() as requests:
            assert requests == []
            signal.raise_signal(signal.SIGINT)
            assert requests == [signal.SIGINT]
            raise KeyboardInterrupt("all is saved")

    assert stops(main) == 130
    assert capsys.readouterr().err.endswith(": all is saved\n")


def test_the_second_request_does_not_wait():
    done = []

    def main():
        with command.interrupted_later():
            signal.raise_signal(signal.SIGINT)
            done.append("after the first")
            signal.raise_signal(signal.SIGINT)
            done.append("after the second")

    assert stops(main) == 130
    assert done == ["after the first"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals as POSIX has them")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_request_to_end_waits_for_the_end_of_a_block(name):
    done = []

    def main():
        with command.interrupted_later() as requests:
            signal.raise_signal(getattr(signal, name))
            done.extend(requests)
        done.append("beyond")

    assert stops(main) == 130
    assert done == [getattr(signal, name)]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals as POSIX has them")
def test_a_request_that_is_ignored_stays_ignored_as_nohup_has_it():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def main():
        with command.interrupted_later() as requests:
            signal.raise_signal(signal.SIGHUP)
            assert requests == []
        signal.raise_signal(signal.SIGHUP)
        return 0

    assert stops(main) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals as POSIX has them")
def test_who_asks_again_when_all_is_over_is_not_heard():
    """While Python itself comes to its end, an interruption would be a traceback."""
    script = """
import atexit, signal
from dlscratch.command import run_command
def main():
    signal.raise_signal(signal.SIGTERM)
for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    atexit.register(signal.raise_signal, name)
run_command(main)
"""
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, "-c: interrupted\n")


def test_after_a_block_requests_are_heard_as_before():
    with command.interrupted_later():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_a_block_goes_before_the_request_that_waits(capsys):
    def main():
        with command.interrupted_later():
            signal.raise_signal(signal.SIGINT)
            raise Diverged("the loss is nan")

    stops(main)
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
    assert capsys.readouterr().err.count("\n") == 1
