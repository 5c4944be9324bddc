"""A run on disk: a folder that holds all there is to know about one training.

    config.json   every setting, under the name of its option
    run.json      how it went: status, times, results, versions
    steps.csv     a row for each training step
    epochs.csv    a row for each evaluation, the first of them before training
    model.npz     the named parameters of the net

Rows are appended with a single write each, so that whatever ends a run leaves all of its rows whole.
"""

import csv
import json
import platform
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from dataset.files import replacing
from dlscratch import __version__
from dlscratch.functions import Array


class Run:
    """A run that is being recorded in `folder`, which is empty. Use it in a `with` block, which notes how it ended."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {
            "status": "running",
            "started": _now(),
            "versions": {"dlscratch": __version__, "numpy": np.__version__, "python": platform.python_version()},
        }
        self._tables: dict[str, FileIO] = {}
        _write_json(folder / "config.json", config)
        _write_json(folder / "run.json", self.facts)

    def append(self, table: str, row: Mapping[str, float]) -> None:
        """Append a row to <table>.csv, whose columns are those of the first row; OSError if it cannot be written."""
        file = self._tables.get(table)
        if file is None:
            file = self._tables[table] = (self.folder / f"{table}.csv").open("xb", buffering=0)
            _append_whole(file, ",".join(row))
        _append_whole(file, ",".join(map(str, row.values())))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        for file in self._tables.values():
            file.close()
        self.facts |= {"status": _status(kind), "ended": _now()}
        if error is not None:
            self.facts["reason"] = str(error) or type(error).__name__
        with suppress(*[OSError] if error else []):  # the first error is the one to tell
            _write_json(self.folder / "run.json", self.facts)


def make_folder(out: str | PathLike[str] | None, slug: str) -> Path:
    """Make the folder of a new run: `out`, which is new or empty, or a fresh one under runs/.

    Fresh names hold the time, the slug and four random digits, and are retried until mkdir finds one unused.
    """
    if out is not None:
        folder = Path(out).expanduser()
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            what = "not empty" if folder.is_dir() else "no folder"
            raise ValueError(f"{folder} is {what}, and a run wants a folder of its own; name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    Path("runs").mkdir(exist_ok=True)
    while True:
        folder = Path("runs", f"{_stamp()}-{slug}-{secrets.token_hex(2)}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def read_table(path: str | PathLike[str]) -> dict[str, Array]:
    """The columns of a .csv that a run wrote, by name, as float64 vectors; a row that was torn is left out."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    whole = [row for row in rows if len(row) == len(header)]
    return {name: np.array([float(row[i]) for row in whole]) for i, name in enumerate(header)}


def _append_whole(file: FileIO, line: str) -> None:
    """A line is written whole or, where the disk is full, not at all."""
    end, rest = file.tell(), f"{line}\n".encode()
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        file.truncate(end)
        error.filename = file.name
        raise


def _status(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "finished"
    if issubclass(kind, KeyboardInterrupt):
        return "interrupted"
    return getattr(kind, "run_status", "failed")


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as file:
        file.write((json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
