"""Read and write IDX files, the format of MNIST: a type, the dimensions, then the numbers, big-endian.

A header is only a claim: it is weighed against the size of the file before any memory is taken for it.
The format is told at the foot of http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataset import DataError
from dataset.files import replacing

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
MOST_DEFLATED = 1032  # bytes that one packed byte can stand for (https://zlib.net/zlib_tech.html)
CHUNK = 1 << 18  # bytes read and hashed at a time: they stay in the processor's cache


def read_idx(path: str | os.PathLike[str], *, sha256: str | None = None) -> NDArray[Any]:
    """Return the array in an IDX file, plain or packed by gzip (told by its first bytes, whatever its name).

    The array has the shape of the header and this machine's byte order. With `sha256` (hex digits) the
    unpacked bytes, header included, must have that SHA-256. Raises DataError if anything is not as it should
    be, OSError if the file cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would be waited for, without end
        raise DataError(f"{path} is no regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        try:
            if not packed:
                return _read(file, size, sha256)
            with gzip.open(file) as unpacking:
                return _read(unpacking, size * MOST_DEFLATED, sha256)
        except (DataError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} is damaged or no IDX file: {error}") from error


def _read(stream: io.BufferedIOBase, limit: int, sha256: str | None) -> NDArray[Any]:
    """Read one array from a stream that cannot hold more than `limit` bytes."""
    header, dtype, shape = _read_header(stream)
    claimed = len(header) + math.prod(shape) * dtype.itemsize
    if claimed > limit:
        raise DataError(f"its header claims {claimed} bytes, the file can hold {limit} at most")
    try:
        array = np.empty(shape, dtype)
    except (ValueError, MemoryError) as error:  # more dimensions or numbers than NumPy can hold
        raise DataError(f"its header claims the shape {shape}: {error}") from error

    digest = hashlib.sha256(header)
    left = array.reshape(-1).view(np.uint8).data
    while left:
        count = stream.readinto(left[:CHUNK])
        if not count:
            raise DataError(f"it ends {len(left)} bytes before the end of its {claimed}")
        digest.update(left[:count])
        left = left[count:]
    if stream.read(1):  # at the end of a packed file this also compares gzip's checksum
        raise DataError(f"it goes on after the {claimed} bytes that its header claims")
    if sha256 not in (None, digest.hexdigest()):
        raise DataError(f"the SHA-256 of its unpacked bytes is {digest.hexdigest()}, expected {sha256}")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: io.BufferedIOBase) -> tuple[bytes, np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise DataError(f"it should begin with 00 00 and a type ({bytes(TYPES).hex(' ')}), got {magic!r}")
    lengths = stream.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise DataError(f"it ends within the lengths of its {magic[3]} dimensions")
    return magic + lengths, np.dtype(">" + TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", lengths)


def write_idx(path: str | os.PathLike[str], array: ArrayLike) -> None:
    """Write an array as an IDX file, packed by gzip if the name ends in .gz; equal arrays give equal bytes.

    IDX knows uint8, int8, int16, int32, float32 and float64: any other type is a DataError, never a cast.
    """
    array = np.asarray(array)
    codes = {name: code for code, name in TYPES.items()}
    name = array.dtype.str[1:]
    if name not in codes or any(length >= 1 << 32 for length in array.shape):
        raise DataError(f"IDX holds {', '.join(codes)} (type and bytes), got {array.dtype} {array.shape}")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, codes[name], array.ndim, *array.shape)
    content = np.ascontiguousarray(array, dtype=">" + name).data
    with replacing(path) as file:
        if Path(path).suffix != ".gz":
            file.write(header)
            file.write(content)
            return
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packing:
            packing.write(header)
            packing.write(content)
