"""Named arrays in a .npz file, which is written whole or not at all, and read with suspicion."""

import zipfile
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np

from dataset.files import replacing
from dlscratch.functions import Array

# what reading a damaged .npz raises, found by damaging some thousands of them
DAMAGES = (
    ValueError, EOFError, KeyError, OSError, RuntimeError, AttributeError, MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def write_npz(path: str | PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write the arrays; an OSError that names `path` where that is impossible, and then the old file stays."""
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_npz(path: str | PathLike[str], what: str) -> dict[str, Array]:
    """The arrays by name; ValueError if the file is damaged or no `what` at all, FileNotFoundError if there is none."""
    with Path(path).open("rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is not whole")
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except DAMAGES as error:
            raise ValueError(f"{path} is no {what}, or a damaged one ({error}); expected a .npz file") from error
