"""A run on disk: a folder that holds all there is to know about one training. Copied or moved, it stays a run.

    config.json      every setting, under the name of its option
    run.json         how it went: status, times, results, versions, the data and its checksum
    steps.csv        a row for each training step
    epochs.csv       a row for each evaluation, the first of them before training
    checkpoint.npz   all that it takes to go on from there
    model.npz        the named parameters of the net
    code/            the user's own files that made the net, if any did

`Run.open(folder)` reads one, `find_runs(folders)` all those below some folders; `dlscratch.recorder` writes them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from dlscratch.folder import CONFIG, FACTS, LOCK, config_of, read_json
from dlscratch.functions import Array
from dlscratch.lock import is_held

WATCHED = {"val": "validation", "test": "test"}  # what Run.held is called in pictures and tables


@dataclass(frozen=True)
class Run:
    """What lies in the folder of a run. Its tables are read when they are asked for; the short one is kept."""

    folder: Path
    config: dict[str, Any]  # the settings
    facts: dict[str, Any]  # how it went

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """The run in the folder `path`; ValueError if there is none or its files are damaged."""
        config = config_of(path)
        return cls(config.parent, read_json(config), read_json(config.parent / FACTS))

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name

    @property
    def status(self) -> str:
        """running, finished, paused, interrupted, diverged or failed; killed, if it ended without a word of its own."""
        status = str(self.facts.get("status"))
        return "killed" if status == "running" and not is_held(self.folder / LOCK) else status

    @property
    def held(self) -> str:
        """What it watched itself on, as epochs.csv says it: val (images held back for validation), or test."""
        return "val" if self.config.get("validation") else "test"

    @property
    def steps(self) -> dict[str, Array]:
        """The columns of steps.csv by name: step, epoch, examples, seconds, loss (of the batch, before the update), lr.

        Vectors of float64, without rows if the file is not there yet; ValueError if it is damaged. It is read anew each
        time: kept for a thousand runs, all steps would fill the memory.
        """
        return self._table("steps", ("step", "epoch", "examples", "seconds", "loss", "lr"))

    @cached_property
    def epochs(self) -> dict[str, Array]:
        """The columns of epochs.csv by name: epoch, step, examples, seconds, and loss and accuracy on whole sets.

        These are train_loss, train_acc, test_loss and test_acc, or val_ for test_ with images held back for validation.
        """
        figures = (f"{split}_{figure}" for split in ("train", self.held) for figure in ("loss", "acc"))
        return self._table("epochs", ("epoch", "step", "examples", "seconds", *figures))

    def _table(self, name: str, columns: tuple[str, ...]) -> dict[str, Array]:
        path = self.folder / f"{name}.csv"
        table = read_table(path) if path.exists() else {column: np.empty(0) for column in columns}
        if missing := [column for column in columns if column not in table] if table else []:
            raise ValueError(f"{path} is damaged: it has no column {', '.join(missing)}")
        return table or {column: np.empty(0) for column in columns}


def find_runs(paths: Iterable[str | PathLike[str]]) -> list[Run]:
    """The runs in these folders, which are runs or hold some, however deep; those of one folder as they began.

    None comes twice. ValueError if a folder holds none.
    """
    known: dict[Path, Run] = {}
    for path in map(Path, paths):
        found = sorted(c.parent for c in path.expanduser().rglob(CONFIG) if (c.parent / FACTS).exists())
        if not found:
            what = "holds no run" if path.expanduser().is_dir() else "is no folder"
            raise ValueError(f"{path} {what}; expected a folder of runs, or of one, with its {CONFIG} and {FACTS}")
        runs = [Run.open(folder) for folder in found]
        for run in sorted(runs, key=lambda run: str(run.facts.get("started"))):
            known.setdefault(run.folder.resolve(), run)
    return list(known.values())


def read_table(path: str | PathLike[str]) -> dict[str, Array]:
    """The columns of a .csv that a run wrote, by name, as float64 vectors; a row that is not yet whole is left out.

    A file without any whole line gives no columns; ValueError names the line that holds no numbers.
    """
    text = Path(path).read_bytes()
    header, *rows = text[: text.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines() or [""]
    names = header.split(",") if header else []
    try:
        table = np.loadtxt(rows, delimiter=",", ndmin=2, comments=None) if rows else np.empty((0, len(names)))
        if table.shape != (len(rows), len(names)):
            raise ValueError
    except ValueError:
        raise ValueError(f"{path} is damaged: {_first_fault(rows, len(names))}") from None
    return dict(zip(names, table.T.copy(), strict=True))


def _first_fault(rows: list[str], width: int) -> str:
    for number, row in enumerate(rows, start=2):
        try:
            whole = len([float(cell) for cell in row.split(",")]) == width
        except ValueError:
            whole = False
        if not whole:
            return f"line {number} is {row[:60]!r}, expected {width} numbers"
    return "it holds empty lines"
