"""Read a person's own picture as grey levels: an image file by Pillow, or an array that NumPy saved.

The one module that imports Pillow, which the extra `plot` brings (matplotlib depends on it).
"""

import io
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset import DataError

MOST_PIXELS = 80_000_000  # of a picture that is unpacked, which a small file may claim to be
SCALES = 1, 255, 65535  # what white may be in an array
WHITE, BLACK = (255, 255, 255, 255), (0, 0, 0, 255)

Floats = NDArray[np.float32]


def read_picture(path: str | os.PathLike[str]) -> Floats:
    """The grey levels (H, W) of a picture, 0 black to 1 white.

    A file of any format that Pillow reads, turned as its camera was held; or a .npy of (H, W), with further axes of
    length 1 or flattened from a square, of numbers up to 1, 255 or 65535. Raises DataError if it is neither, OSError
    if it cannot be read, ModuleNotFoundError if it takes Pillow and that is not installed.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a picture")
    content = path.read_bytes()
    try:
        return _from_array(content) if content.startswith(b"\x93NUMPY") else _from_image(content)
    except ModuleNotFoundError:
        raise
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file makes decoders raise anything
        raise DataError(f"{path} is damaged ({error}); save it again") from error


def as_levels(array: NDArray[Any]) -> Floats:
    """Numbers from 0 to 1, 0 to 255 or 0 to 65535, told by the largest, as grey levels 0 to 1; else DataError."""
    if array.dtype.kind not in "biuf" or not array.size or not 0 <= array.min() <= array.max() <= SCALES[-1]:
        raise DataError("expected numbers from 0 to 1, 255 or 65535; bring them to such a range, with 0 for black")
    white = next(scale for scale in SCALES if array.max() <= scale)
    return np.divide(array, np.float32(white), dtype=np.float32)


def _from_array(content: bytes) -> Floats:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    levels = array.squeeze()
    side = math.isqrt(levels.size)
    if levels.ndim == 1 and side**2 == levels.size:
        levels = levels.reshape(side, side)
    if levels.ndim != 2:
        raise DataError(f"expected one grey picture (H, W), got an array {array.shape}; save one alone, in grey")
    return as_levels(levels)


def _from_image(content: bytes) -> Floats:
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Pillow is not installed; python -m pip install 'dlscratch[plot]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd headers; what Pillow warns of as too large is refused below
        try:
            image = Image.open(io.BytesIO(content))
        except Image.UnidentifiedImageError:
            raise DataError("this is no picture in a format known here; save it as PNG or JPEG") from None
        if image.width * image.height > MOST_PIXELS:
            raise DataError(
                f"{image.width} x {image.height} pixels are too many; make it smaller, or cut the digit out"
            )
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):  # 16 bits and more, which Pillow would cut off at 255
            return as_levels(np.asarray(image))
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            sheets = (Image.new("RGBA", image.size, colour) for colour in (WHITE, BLACK))
            on_white, on_black = (Image.alpha_composite(sheet, image).convert("L") for sheet in sheets)
            low, high = on_white.getextrema()
            image = on_white if low < high else on_black  # white ink would be lost on white
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)
