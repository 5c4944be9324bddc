"""A run is written down: settings and facts as JSON, rows one write each, checkpoints that replace each other.

Whatever ends a run, its rows are whole and so is its last checkpoint; `resume` goes on from there.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from dataset.files import replacing
from dlscratch.checkpoint import Checkpoint
from dlscratch.folder import CHECKPOINT, CODE, CONFIG, FACTS, LOCK, write_json
from dlscratch.functions import Array
from dlscratch.lock import hold
from dlscratch.runs import Run


class Recorder:
    """The run that is recorded in `folder`, with its settings and facts. Its `with` block notes how it began and ended.

    sources: the user's own files of code that made the net, by name; the run keeps them. Only one process at a time
    records a run: ValueError if another one does.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        facts: Mapping[str, Any],
        sources: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self.config = dict(config)
        self.sources = sources
        self.facts: dict[str, Any] = {"status": "running", "started": _now(), **facts}
        self._ends: dict[str, int] = {}  # of a run that is resumed: how many bytes of each table are kept
        self._tables: dict[str, FileIO] = {}
        self._lock = hold(folder / LOCK)
        if self._lock is None:
            raise ValueError(f"{folder} is being recorded by another process; wait for its end, or end it")

    def resume(self, run: Run) -> Checkpoint | None:
        """Go on with `run` from its last checkpoint, which is returned; None: from the beginning, since there is none.

        ValueError if the checkpoint or a table is damaged or missing. The `with` block then cuts the tables back to it.
        """
        path = self.folder / CHECKPOINT
        checkpoint = Checkpoint.load(path) if path.exists() else None
        if not checkpoint and (self.folder / "steps.csv").exists():  # which is begun after the first checkpoint
            raise ValueError(f"{self.folder} holds no {CHECKPOINT}: without it nothing can be resumed; start a new run")
        self._ends = {"steps": 0, "epochs": 0} | (checkpoint.facts["tables"] if checkpoint else {})
        for table, end in self._ends.items():
            self._check(table, end)
        before = run.facts.get("resumed")
        now = {"at": self.facts["started"], "step": checkpoint.facts["step"] if checkpoint else 0}
        self.facts["resumed"] = [*before, now] if isinstance(before, list) else [now]
        self.facts["started"] = run.facts.get("started")
        return checkpoint

    def append(self, table: str, row: Mapping[str, float]) -> None:
        """Append a row to <table>.csv, whose columns are those of the first row; OSError if it cannot be written."""
        file = self._tables.get(table)
        if file is None:
            file = self._tables[table] = (self.folder / f"{table}.csv").open("xb", buffering=0)
            _append_whole(file, ",".join(row))
        _append_whole(file, ",".join(map(str, row.values())))

    def checkpoint(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Replace checkpoint.npz, once all rows until now are on the disk itself; OSError if it cannot be written."""
        for file in self._tables.values():
            os.fsync(file.fileno())
        tables = {name: file.tell() for name, file in self._tables.items()}
        Checkpoint(dict(arrays), {**facts, "tables": tables}).save(self.folder / CHECKPOINT)

    def __enter__(self) -> Self:
        for left in self.folder.glob(".*.part"):  # of a process that was killed
            left.unlink()
        keep_code(self.folder, self.sources)
        write_json(self.folder / FACTS, self.facts)
        write_json(self.folder / CONFIG, self.config)  # last: with it the folder is a run
        for table, end in self._ends.items():
            self._cut(table, end)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        for file in self._tables.values():
            file.close()
        self.facts |= {"status": _status(kind), "ended": _now()}
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.facts["reason"] = str(error) or type(error).__name__
        try:
            write_json(self.folder / FACTS, self.facts)
        except OSError:
            if not error:  # the first error is the one to tell
                raise
        finally:
            self.release()

    def release(self) -> None:
        """Let others record the run, if its `with` block is not entered; the end of that block does it, too."""
        if self._lock:
            self._lock.close()

    def _check(self, table: str, end: int) -> None:
        """The first `end` bytes of a table are there, and end a line."""
        path = self.folder / f"{table}.csv"
        content = path.read_bytes()[:end] if end and path.exists() else b""
        if end and not (len(content) == end and content.endswith(b"\n")):
            raise ValueError(
                f"{path} is damaged: it lacks rows that the checkpoint knows of, so nothing can be resumed"
            )

    def _cut(self, table: str, end: int) -> None:
        path = self.folder / f"{table}.csv"
        if end:
            file = self._tables[table] = path.open("r+b", buffering=0)
            file.truncate(end)
            file.seek(end)
        else:
            path.unlink(missing_ok=True)


def make_folder(out: str | PathLike[str] | None, slug: str) -> Path:
    """Make the folder of a new run: `out`, which is new or empty, or a fresh one under runs/.

    What a process leaves that is killed before its run has a config.json counts as nothing. Fresh names are retried
    until mkdir finds one unused.
    """
    if out is not None:
        folder = Path(out).expanduser()
        if folder.exists() and not (folder.is_dir() and all(map(is_left_over, folder.iterdir()))):
            what = "not empty" if folder.is_dir() else "no folder"
            raise ValueError(f"{folder} is {what}, and a run wants a folder of its own; name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    Path("runs").mkdir(exist_ok=True)
    while True:
        folder = fresh_name(slug)
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def fresh_name(slug: str) -> Path:
    """A new folder under runs/, which is not made yet: the time, the slug and four random digits."""
    return Path("runs", f"{_stamp()}-{slug}-{secrets.token_hex(2)}")


def keep_code(folder: Path, sources: Mapping[str, bytes]) -> None:
    """Write the user's own files of code, by name, to where a run keeps its copies."""
    for name, content in sources.items():
        (folder / CODE).mkdir(exist_ok=True)
        with replacing(folder / CODE / name) as file:
            file.write(content)


def is_left_over(path: Path) -> bool:
    """Whether a file may be left by a process that was killed before its run had a config.json."""
    own_code = path.name == CODE and path.with_name(LOCK).exists()  # not what somebody else keeps under that name
    return path.name in (LOCK, FACTS) or own_code or path.suffix == ".part"


def _append_whole(file: FileIO, line: str) -> None:
    """A line is written whole or, where the disk is full, not at all."""
    rest = (line + "\n").encode()
    size = len(rest)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        end = file.tell() + len(rest) - size
        file.truncate(end)
        file.seek(end)
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
    return datetime.now(UTC).isoformat(timespec="milliseconds")
