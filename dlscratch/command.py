"""What every command in scripts/ shares: threads, kinds of options, and errors told in one line with an exit code.

NumPy is not imported here, so that `--help` answers at once and the number of threads can still be set.
"""

import argparse
import codecs
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

T = TypeVar("T")

DONE, ERROR, USAGE, DIVERGED, DATA, INTERRUPTED = 0, 1, 2, 3, 4, 130

TOLD = (ValueError, ArithmeticError, OSError, MemoryError, ImportError)  # what the input or the machine can cause

PLAIN = {"±": "+-", "Δ": "diff", "µ": "u"}  # for terminals that know ASCII only

PICTURES = ".png", ".svg", ".pdf"  # what plot.py can draw

BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)


def new_parser(about: str | None, *codes: int) -> argparse.ArgumentParser:
    """A parser of options whose help says what the program is about, and which exit codes it has besides 0, 1 and 2."""
    names = {
        DONE: "done",
        ERROR: "error",
        USAGE: "usage",
        DIVERGED: "diverged",
        DATA: "data",
        INTERRUPTED: "interrupted",
    }
    told = ", ".join(f"{code} {names[code]}" for code in (DONE, ERROR, USAGE, *codes))
    form = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=about, formatter_class=form, epilog=f"exit codes: {told}")


def option_value(name: str) -> str | None:
    """What the command line says to one option, before any other one is read and may be found wrong."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(name, dest="value", nargs="?")
    value: str | None = parser.parse_known_args()[0].value
    return value


def limit_blas_threads(count: int) -> None:
    """Let matrix products use `count` threads. BLAS reads this once, when NumPy is first imported."""
    if "numpy" in sys.modules:
        raise RuntimeError("the number of BLAS threads is set before NumPy is imported, and it is imported already")
    for name in BLAS_THREADS:
        os.environ[name] = str(count)


def blas_threads() -> str | None:
    """The number of threads that the surroundings ask of BLAS, if they do."""
    return next((os.environ[name] for name in BLAS_THREADS if name in os.environ), None)


def run_command(main: Callable[[], int]) -> NoReturn:
    """Leave the program with main's exit code; what is wrong for its user is one line on stderr, never a traceback.

    Ctrl-C, and a polite request to end (SIGTERM, SIGHUP), raise KeyboardInterrupt in main.
    """
    warnings.formatwarning = lambda message, *_, **__: f"note: {message}\n"
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if stream:  # a name that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="plain", line_buffering=True)  # type: ignore[union-attr]
    requests: list[int] = []

    def interrupt(request: int, _: object) -> NoReturn:
        requests.append(request)
        raise KeyboardInterrupt

    for request in _requests():
        signal.signal(request, interrupt)
    try:
        code = main()
        _ignore_requests()  # nothing is left to interrupt
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        code = ERROR
    except KeyboardInterrupt as stop:
        _ignore_requests()
        code = _tell(str(stop) or "interrupted", INTERRUPTED)
    except Exception as error:
        if requests:  # some code, cut off, turns the interruption into a failure of its own
            code = _tell("interrupted", INTERRUPTED)
        elif isinstance(error, TOLD) and not isinstance(error, ZeroDivisionError):
            code = _tell(sentence(error), exit_code(error))
        else:  # nobody's input, but a bug of ours
            raise
    sys.exit(code)


@contextmanager
def interrupted_later() -> Iterator[list[int]]:
    """Ctrl-C, and other requests to end, wait for the end of this block; a second one does not.

    Such a block loads libraries, which may swallow an interruption or break; or it takes training steps, and watches
    the list that it is given, which then holds the request.
    """
    requests: list[int] = []
    old = {request: signal.getsignal(request) for request in _requests()}

    def wait(request: int, frame: FrameType | None) -> None:
        requests.append(request)
        act = old[signal.Signals(request)]
        if len(requests) > 1 and callable(act):
            act(request, frame)

    for request in old:
        signal.signal(request, wait)
    try:
        yield requests
    finally:
        for request, act in old.items():
            signal.signal(request, act)
    if requests:
        signal.raise_signal(requests[0])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C, and other requests to end, are ignored here, so that what is being saved is saved."""
    old = {request: signal.signal(request, signal.SIG_IGN) for request in _requests()}
    try:
        yield
    finally:
        for request, act in old.items():
            signal.signal(request, act)


def number(
    kind: type[int] | type[float],
    *,
    least: float = -math.inf,
    above: float | None = None,
    below: float = math.inf,
) -> Callable[[str], int | float]:
    """An argparse type: a finite number of this kind, above one bound or at least the other, and below a third."""
    wanted = "a whole number" if kind is int else "a number"
    wanted += f" above {above}" if above is not None else f" from {least} up"
    wanted += f" and below {below}" if below < math.inf else ""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        large_enough = value > above if above is not None else value >= least
        if not (large_enough and value < below):
            raise argparse.ArgumentTypeError(f"expects {wanted}, got {text!r}")
        return value

    return parse


def one_of(*names: str) -> Callable[[str], str]:
    """An argparse type: one of these names, in upper or lower case."""

    def parse(text: str) -> str:
        for name in names:
            if text.lower() == name.lower():
                return name
        raise argparse.ArgumentTypeError(f"expects one of {', '.join(names)}, got {text!r}")

    return parse


def filled(text: str) -> str:
    """An argparse type: any text but none."""
    if not text:
        raise argparse.ArgumentTypeError("expects a name, got ''")
    return text


def ending_in(*endings: str) -> Callable[[str], Path]:
    """An argparse type: a path to write to, whose ending tells what."""

    def parse(text: str) -> Path:
        if Path(text).suffix.lower() not in endings:
            raise argparse.ArgumentTypeError(f"expects a file that ends in {', '.join(endings)}, got {text!r}")
        return Path(text)

    return parse


def accepted_by(read: Callable[[str], T]) -> Callable[[str], T]:
    """An argparse type: what `read` makes of a text; the sentence of its ValueError is told."""

    def parse(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _requests() -> list[signal.Signals]:
    """The signals by which a program is asked to end, but for those that are ignored, as nohup has it."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP is not known everywhere
    known = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return [request for request in known if signal.getsignal(request) is not signal.SIG_IGN]


def _ignore_requests() -> None:
    for request in _requests():
        signal.signal(request, signal.SIG_IGN)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What is written for characters that the terminal's encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(c, c.encode("ascii", "backslashreplace").decode()) for c in lacking), error.end


def _tell(sentence: str, code: int) -> int:
    print(f"{sys.argv[0].rpartition(os.sep)[2]}: {sentence}", file=sys.stderr)
    return code


def sentence(error: Exception) -> str:
    """What is told of an error."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "dataset":
        return (
            f"{error}; this is not the dataset package of dlscratch but another one of that name: "
            "use a virtual environment without it (make train creates one)"
        )
    return str(error)


def exit_code(error: BaseException) -> int:
    """What the program ends with that is left by this error."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else bool(error.code)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, ImportError):
        return ERROR
    from dataset import DataError
    from dlscratch.training import Diverged

    if isinstance(error, DataError):
        return DATA
    return DIVERGED if isinstance(error, Diverged) else ERROR
