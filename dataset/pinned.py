"""Files whose every bit was published: found in a folder or fetched, and used only if their SHA-256 holds.

A bad file is named and passed over; none is ever replaced but at the place to which we download or unpack.
"""

import errno
import hashlib
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dataset import DataError
from dataset.files import cache_folder, can_be_written, data_folders
from dataset.idx import read_idx, write_idx


@dataclass(frozen=True)
class PinnedFile:
    """A published file: its name without .gz, size and SHA-256 of the .gz, SHA-256 unpacked if known."""

    name: str
    size: int
    gz_sha256: str
    sha256: str | None = None

    def read(self, path: Path) -> NDArray[Any]:
        """Return the array in `path`; raise DataError if it is not this file, OSError if unreadable."""
        if self.sha256 is None and _sha256(path) != self.gz_sha256:
            raise DataError(
                f"{path} is damaged, unpacked or packed anew, and only the published {self.name}.gz can be "
                "verified (load_idx reads files that are not)"
            )
        return read_idx(path, sha256=self.sha256)


@dataclass(frozen=True)
class PinnedSet:
    """Published files and the folder URLs that have them.

    Different sets use the same file names; `name` and `torch_name` are the folders that keep them apart.
    """

    name: str
    torch_name: str
    mirrors: tuple[str, ...]
    files: tuple[PinnedFile, ...]

    def places(self, folders: Sequence[Path]) -> list[Path]:
        """Return where the files may lie within `folders`, in the order of looking."""
        return [folder / sub for folder in folders for sub in (self.name, f"{self.torch_name}/raw", "")]

    def urls(self, file: PinnedFile) -> list[str]:
        """Return where `file` can be fetched: from the mirrors in $DLSCRATCH_MIRROR first."""
        chosen = os.environ.get("DLSCRATCH_MIRROR", "").replace("{set}", self.name).split()
        return [f"{mirror.rstrip('/')}/{file.name}.gz" for mirror in (*chosen, *self.mirrors)]

    def digests(self) -> Iterator[str]:
        """Yield every SHA-256 by which a file of this set can be known."""
        for file in self.files:
            yield file.gz_sha256
            if file.sha256 is not None:
                yield file.sha256


def read_pinned(
    wanted: PinnedSet, *, others: Sequence[PinnedSet] = (), data_dir: str | os.PathLike[str] | None = None
) -> list[NDArray[Any]]:
    """Return the arrays of `wanted.files`, each from the first folder that holds it, else from a mirror.

    A file of one of the `others` is passed over in silence and never replaced. Raises DataError, with what to
    do, if a file cannot be had.
    """
    foreign = {digest for other in others for digest in other.digests()}
    folders = data_folders(data_dir)
    found: dict[PinnedFile, NDArray[Any]] = {}
    for file in wanted.files:
        array = _find(wanted, file, folders, foreign)
        if array is not None:
            found[file] = array
    missing = [file for file in wanted.files if file not in found]
    if missing:
        found |= _fetch(wanted, missing, folders, foreign)
    return [found[file] for file in wanted.files]


def _find(
    wanted: PinnedSet, file: PinnedFile, folders: Sequence[Path], foreign: Collection[str]
) -> NDArray[Any] | None:
    suffixes = ("", ".gz") if file.sha256 else (".gz", "")  # unpacked takes a fifth of the time, if verifiable
    for path in (place / (file.name + suffix) for suffix in suffixes for place in wanted.places(folders)):
        try:
            array = file.read(path)
            if file.sha256 and path.suffix == ".gz":
                _keep_unpacked(wanted, file, array, foreign)
            return array
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            fault = f"{path} cannot be read ({error.strerror})"
        except DataError as error:
            if _is_one_of(path, foreign):
                continue
            fault = str(error)
        warnings.warn(f"{fault}; it is passed over", stacklevel=5)  # the line that calls load_mnist
    return None


def _keep_unpacked(wanted: PinnedSet, file: PinnedFile, array: NDArray[Any], foreign: Collection[str]) -> None:
    """Write the array to the cache folder, from where it is read the next time; where that cannot be, no matter."""
    with suppress(OSError, RuntimeError):  # no room, no permission; no home
        path = cache_folder() / wanted.name / file.name
        if not _is_one_of(path, foreign):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_idx(path, array)


def _fetch(
    wanted: PinnedSet, missing: Sequence[PinnedFile], folders: Sequence[Path], foreign: Collection[str]
) -> dict[PinnedFile, NDArray[Any]]:
    if os.environ.get("DLSCRATCH_OFFLINE", "0") not in ("", "0"):
        raise DataError(
            f"{wanted.torch_name} lacks {_names(missing)}, which were looked for in "
            f"{', '.join(map(str, wanted.places(folders)))}; put them into one of these folders, or unset "
            "DLSCRATCH_OFFLINE to have them downloaded"
        )
    from dataset.download import download  # here, because its libraries are slow to import

    home = _download_folder(wanted, missing, folders, foreign)
    try:
        for file in missing:
            path = home / f"{file.name}.gz"
            download(path, wanted.urls(file), size=file.size, sha256=file.gz_sha256)
    except DataError as error:
        advice = f"put {_names(wanted.files)} into {home} yourself, or name a mirror in DLSCRATCH_MIRROR"
        raise DataError(f"{error}; {advice}") from error
    except OSError as error:
        advice = "make room for it, or name another folder in DLSCRATCH_DATA"
        raise DataError(f"{path} cannot be written ({error.strerror}); {advice}") from error
    finally:
        with suppress(OSError):  # which it is where anything came
            home.rmdir()
    return {file: file.read(home / f"{file.name}.gz") for file in missing}


def _download_folder(
    wanted: PinnedSet, missing: Sequence[PinnedFile], folders: Sequence[Path], foreign: Collection[str]
) -> Path:
    """Return the first folder of the set's own that can be written without the loss of another set's file."""
    homes = [folder / wanted.name for folder in folders]
    for home in homes:
        taken = any(_is_one_of(home / f"{file.name}.gz", foreign) for file in missing)
        if not taken and can_be_written(home):
            return home
    raise DataError(
        f"{wanted.torch_name} cannot be downloaded, because none of {', '.join(map(str, homes))} can be "
        "written; name a folder that can in DLSCRATCH_DATA"
    )


def _names(files: Sequence[PinnedFile]) -> str:
    return ", ".join(f"{file.name}.gz" for file in files)


def _is_one_of(path: Path, digests: Collection[str]) -> bool:
    with suppress(OSError):  # what is not there, or cannot be read, is not known to be anything
        return _sha256(path) in digests
    return False


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
