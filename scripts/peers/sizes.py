"""The nets and batches that steps are timed for."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from peers import Pair, Problem

HIDDEN = {"two-layer": 50, "simple-convnet": 100, "deep-convnet": 50}  # units, unless others are asked for


class Size(NamedTuple):
    """Of a net and its batch."""

    model: str = "two-layer"
    hidden: int = 50
    batch_size: int = 100

    def __str__(self) -> str:
        net = f"784-{self.hidden}-10" if self.model == "two-layer" else f"{self.model}, {self.hidden} hidden"
        return f"{net}, batch {self.batch_size}"


SIZES = (
    Size(), Size(batch_size=20), Size(batch_size=500), Size(hidden=256), Size(hidden=800), Size("simple-convnet", 100),
)  # fmt: skip


def new_problem(size: Size, sets: Sequence[Pair], folder: Path) -> Problem:
    """To learn from these images, from the first weights of a net; calls of many steps are as long for all sizes."""
    from peers.ours import first_params  # here: who only asks for sizes has yet to set the number of its threads

    model, hidden, batch_size = size
    many = max(1, 500 * 50 * 100 // (hidden * batch_size))
    return Problem(*sets, first_params(model, hidden), model, batch_size, many=many, folder=folder)
