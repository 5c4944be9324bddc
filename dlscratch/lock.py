"""A lock that ends with its process, however that ends: so a killed run is not taken for a running one."""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes], shared: bool) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes], shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def hold(path: Path) -> IO[bytes] | None:
    """The file at `path`, made if need be and locked until it is closed; None if another process holds it."""
    for _ in range(10):
        if file := _try(path.open("a+b", buffering=0), shared=False):
            return file
        time.sleep(0.02)  # perhaps somebody just looked whether it is held
    return None


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at `path`; a file that is not there, nobody holds."""
    try:
        file = _try(path.open("rb", buffering=0), shared=True)  # so that two who look do not take each other for it
    except (FileNotFoundError, NotADirectoryError):
        return False
    if file:
        file.close()
    return file is None


def _try(file: IO[bytes], *, shared: bool) -> IO[bytes] | None:
    with suppress(OSError):  # a file system that knows no locks: there, nobody holds any
        try:
            _lock(file, shared)
        except (BlockingIOError, PermissionError):  # Windows calls it so
            file.close()
            return None
    return file
