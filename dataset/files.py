"""Where data files lie on this machine, and how a file is written: whole or not at all."""

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def cache_folder() -> Path:
    """Return this platform's folder for files that can be fetched again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "dlscratch" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/dlscratch"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlscratch"


def data_folders(data_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the folders to look into, in order: `data_dir`, $DLSCRATCH_DATA, the cache folder.

    Those that cannot be named, because whoever runs this has no home, are left out.
    """
    folders: list[Path] = []
    with suppress(RuntimeError):  # of Path.home() and, below, of expanduser()
        folders.append(cache_folder())
    for folder in (os.environ.get("DLSCRATCH_DATA"), data_dir):
        with suppress(RuntimeError):
            folders = [Path(folder).expanduser(), *folders] if folder else folders
    return list(dict.fromkeys(folders))


def can_be_written(folder: Path) -> bool:
    """Make `folder` if need be and try to make a file in it: permission bits alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a binary file that takes the place of `path` once the block has ended well.

    Until then it is a file of its own beside `path`, so a reader sees the old file or the new one, never half
    of one, and several writers do not meet. Whatever ends the block early (Ctrl-C too) removes it and leaves
    the old file. What the disk refuses (no such folder, no permission, no space) is an OSError that names
    `path`.
    """
    path = Path(path)
    temp = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temp.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temp.replace(path)
        _sync(path.parent)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
            temp.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temp)):
            error.filename = str(path)
        raise


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk too, so that a power cut does not undo a replacement; where one can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
