"""What is said of a broken promise: what was seen, and where to look for the reason."""

import traceback
from collections.abc import Iterable
from pathlib import Path

import numpy as np

NUMPY = str(Path(np.__file__).parent)


class Fault(Exception):
    """A broken promise: what was seen, and where to look for the reason."""

    def __init__(self, detail: str, advice: str = "") -> None:
        super().__init__(detail, advice)
        self.detail, self.advice = detail, advice


class NotAsked(Exception):
    """A promise that does not concern this layer, and why."""


def place(error: Exception) -> str:
    """The last line of the layer's that the error passed: past NumPy, whose lines tell nothing."""
    frames = [f for f in traceback.extract_tb(error.__traceback__)[1:] if not f.filename.startswith(NUMPY)]
    if not frames:
        return "are there as many inputs as it takes, with the names and the order that Layer describes?"
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line}"


def quantity(name: str) -> str:
    """What the formula calls the array that a gradient of this name belongs to."""
    return name.removeprefix("input ")


def say(kind: str, declared: tuple[str, ...], new: tuple[str, ...]) -> str:
    """Advice to list these names under `remembers` or `buffer_names`, beside those that are there."""
    return f"say {kind} = {(*declared, *new)}" if new else f"keep it on self, and list its name in {kind}"


def selves(names: Iterable[str]) -> str:
    """These attributes of a layer, for a sentence."""
    return " and ".join(f"self.{name}" for name in names) or "something that is not on self"
