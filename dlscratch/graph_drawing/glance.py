"""A number or an array at a glance: in a line or two, or as a small grey picture."""

import math
import struct
import zlib
from typing import Any, Literal

import numpy as np

from dlscratch.functions import Array

SMALLEST_IMAGE, LARGEST = 8, 64  # pixels along a side


def number(x: float) -> str:
    """Six digits, and no noise of rounding: 220.00000000000003 is 220."""
    return _typeset(str(x) if isinstance(x, int) else f"{x + 0:.6g}")  # + 0: no minus before 0


def shape(value: Any) -> str:
    """As Python writes it: (100, 784)."""
    return str(np.shape(value))


def summary(value: Any) -> tuple[str, ...]:
    """A number as it is; of an array its shape, and its mean and spread, or its first numbers if they are whole."""
    if np.ndim(value) == 0 or not np.size(value):
        return (spread(value) or shape(value),)
    value = _as_array(value)
    if value.dtype.kind not in "iub":
        return shape(value), spread(value)
    first = value[(0,) * (value.ndim - 1)][:5].tolist()
    return shape(value), ", ".join(map(number, first)) + (", …" if len(first) < value.size else "")


def spread(value: Any) -> str:
    """Mean ± standard deviation of an array, the number itself of a scalar, and nothing of nothing."""
    if value is None or not np.size(value):
        return ""
    if np.ndim(value) == 0:
        return number(value if isinstance(value, int) else float(value))
    strange = np.size(value) - int(np.sum(np.isfinite(value)))
    if strange:
        return f"{strange:,} not finite"
    mean, deviation = float(np.mean(value, dtype=float)), float(np.std(value, dtype=float))
    if not deviation:
        return f"all {number(mean)}"
    decimals = 1 - math.floor(math.log10(deviation))
    style = f".{max(decimals, 0)}f" if -4 < decimals < 6 else ".1e"
    middle = f"{mean:{style}}"
    return _typeset(f"{middle if float(middle) else 0} ± {deviation:{style}}")


def picture(value: Any, images: Literal["rows", "columns"] | None = None) -> Array | None:
    """Grey levels (H, W) of the first small matrix in `value`; None where there is nothing to see.

    images: what to take for images (H²,) where that can be, of which the first is shown then: the rows of an input,
    or the columns of weights that are laid on it. 0 is mid-grey where there are negative numbers.
    """
    if np.ndim(value) < 2 or not np.size(value) or not np.all(np.isfinite(value)):
        return None
    value = _as_array(value)
    image = value[(0,) * (value.ndim - 2)]
    pixels = image[:, 0] if images == "columns" else image[0]
    side = math.isqrt(len(pixels))
    if images and value.ndim == 2 and side**2 == len(pixels) and side >= SMALLEST_IMAGE:
        image = pixels.reshape(side, side)
    low, high = float(np.min(image)), float(np.max(image))
    if low < 0:
        low, high = -max(-low, high), max(-low, high)
    if low == high or not 1 < min(image.shape) <= max(image.shape) <= LARGEST:
        return None
    return np.rint((image - low) * (255 / (high - low))).astype(np.uint8)


def png(levels: Array) -> bytes:
    """The PNG file of grey levels, uint8 (H, W); not compressed, and so the same bytes with every zlib."""
    height, width = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _as_array(value: Any) -> Any:
    """A list as an array of NumPy's; arrays, of whatever kind, stay what they are."""
    return value if hasattr(value, "dtype") else np.asarray(value)


def _typeset(text: str) -> str:
    """1.5e-05 as 1.5e−5, and the sign for minus."""
    for exponent in ("e-0", "e+0", "e+"):
        text = text.replace(exponent, exponent.rstrip("+0"))
    return text.replace("-", "−")
