"""One job, done by this project and by its peers: each file is one of them, or a floor that nobody gets below.

The job: draw a batch, go forward and backward, update by SGD without momentum, and read the loss, which is that of the
batch before the update. The function `peers(problem, rows=None)` of each file returns its ways to do that, by name.
They draw batches as their users would; with `rows` they take those, and so the tests hold them all to the same losses.
"""

import importlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from dlscratch.compiled import compiler

# Each file, and the libraries and programs that it needs besides ours.
NEEDS = {
    "ours": (),
    "ours_sparse": ("cc",),
    "pytorch": ("torch",),
    "pytorch_compiled": ("torch", "c++"),
    "jax": ("jax",),
    "scikit_learn": ("sklearn",),
    "textbook": (),
    "inline": (),
    "products": (),
}

Rows = Iterator[Any]  # the row numbers of each batch, arrays (batch_size,)
Pair = tuple[Any, Any]  # images as bytes (N, D), labels (N,)


class Problem(NamedTuple):
    """What is to be learned, and from where it starts."""

    train: Pair
    test: Pair
    params: Mapping[str, Any]  # the first ones, by our names and in our shapes
    model: str = "two-layer"
    batch_size: int = 100
    lr: float = 0.1
    many: int = 500  # steps in a call, where a peer takes more than one
    folder: Path | None = None  # an empty one to record in, for those who do

    @property
    def hidden(self) -> int:
        """The number of hidden units: of the rows of the last weights."""
        return len(list(self.params.values())[-2])


class Peer(NamedTuple):
    """One way to do the job, ready to run."""

    step: Callable[[], Sequence[float]]  # takes one step, or several, and returns their losses
    accuracies: Callable[[], tuple[float, float]] | None = None  # of the net as it is now, on all of train and of test


def missing(name: str) -> list[str]:
    """What one of NEEDS needs and does not find."""
    return [need for need in NEEDS[name] if not (compiler() if need == "cc" else find_spec(need) or shutil.which(need))]


def ways(name: str, problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Those of one of NEEDS; none where it does not know the model."""
    found: dict[str, Peer] = importlib.import_module(f"peers.{name}").peers(problem, rows)
    return found
