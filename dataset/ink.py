"""Find the digit in a picture, and set it as those of MNIST are, so that a net can read a person's own.

Ink is what is narrow and stands out from the paper around it, all of it darker or all of it lighter. What is found is
brought to 20 x 20 pixels and placed by its centre of mass (LeCun et al. 1998).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dataset import DataError
from dataset.strokes import BOX, SIDE, place

SMALLEST = 8  # pixels along a side of a picture, and in its largest blot of ink
WORK = 200  # pixels along the longer side, at most, when ink is looked for
NEAR, WIDEST = 0.15, 0.17  # of the longer side: how far a blur reaches; half the width that no stroke has
NOISE = 3  # standard deviations of the noise that no paper reaches
FAINTEST = 0.04  # contrast of ink, where that of black on white is 1
SPECK, ENOUGH = 0.05, 0.01  # sizes of blots, measured by the largest: dirt, and a digit beside the edge of a table
BROKEN = 0.1  # of all ink: no blot of a digit, into however many pieces its strokes fall, is so small
SKIRT = 2  # pixels of soft edge around a stroke

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]


def as_digit(grey: Floats, *, light_ink: bool | None = None) -> NDArray[np.uint8]:
    """The digit in a picture (H, W) of grey levels, 0 black to 1 white, as an image (28, 28) like those of MNIST.

    light_ink: is the ink lighter than the paper? None: that is found out. Shade, noise, specks and what lies along the
    border of the picture are left out. DataError if there is no ink, or the picture is too small.
    """
    small = _resized(grey, WORK)
    if min(small.shape) < SMALLEST:
        height, width = grey.shape
        raise DataError(f"{width} x {height} pixels are too few, or too narrow; expected a digit with paper around it")
    if light_ink is None:
        light_ink = _has_light_ink(small)
    dark_on_light = 1 - grey if light_ink else grey
    ink, box = _find(dark_on_light)
    ink, box = _find(dark_on_light[_around(box, ink.shape, grey.shape)])  # a small digit, from near by
    digit = _resized(ink[box], BOX, enlarge=True)
    boxed = np.zeros((1, BOX, BOX), np.float32)
    top, left = ((BOX - length) // 2 for length in digit.shape)
    boxed[0, top : top + digit.shape[0], left : left + digit.shape[1]] = digit / digit.max()
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    place(boxed, image)
    return image[0]


def _has_light_ink(grey: Floats) -> bool:
    """Ink is the smaller part: does what is lighter than its surroundings differ more from them, or what is darker?"""
    across, along = (_gaussians(length, NEAR * max(grey.shape)) for length in grey.shape)
    away = grey - across @ grey @ along.T
    return bool(((away - np.median(away)) ** 3).sum() > 0)


def _gaussians(length: int, reach: float) -> Floats:
    """The matrix (length, length) that blurs along one axis, to be multiplied from the left."""
    pixels = np.arange(length, dtype=np.float32)
    weights = np.exp(-(((pixels[:, np.newaxis] - pixels) / reach) ** 2) / 2)
    blur: Floats = weights / weights.sum(axis=1, keepdims=True)
    return blur


def _find(grey: Floats) -> tuple[Floats, Box]:
    """The dark ink of a digit, 0 to 1, in the picture made small enough for work; and the box that it fills there."""
    grey = _resized(grey, WORK)
    away = _paper(grey) - grey
    away -= np.median(away)
    noise = 1.05 * np.median(np.abs(np.diff(grey)))  # standard deviation, if it is normal and each pixel has its own
    floor = max(NOISE * noise, FAINTEST)
    marks = away[away > floor]
    level = np.median(marks[marks > _otsu(marks)]) if marks.size else 1
    ink = np.where(away > floor, away / level, 0).clip(max=1)
    digit = _digit(ink > 0.5)
    return ink * _spread(digit, np.max, SKIRT), _box(digit)


def _paper(grey: Floats) -> Floats:
    """What lies under the strokes: the darkest that the brightest near each pixel get (a closing; Serra 1982)."""
    radius = int(WIDEST * max(grey.shape))
    brightest = _spread(grey, np.max, radius)
    return _spread(brightest, np.min, radius, mode="reflect", reflect_type="odd")  # shade goes on beyond the border


def _spread(image: NDArray[Any], extreme: Callable[..., Any], radius: int, **beyond: Any) -> NDArray[Any]:
    """The extreme of the square around each pixel; `beyond` says, for np.pad, what is beyond the border."""
    beyond = beyond or {"mode": "edge"}
    for axis in (0, 1):
        padded = np.pad(image, [(radius, radius) if axis == each else (0, 0) for each in (0, 1)], **beyond)
        image = extreme(sliding_window_view(padded, 2 * radius + 1, axis=axis), axis=-1)
    return image


def _otsu(levels: Floats) -> float:
    """The threshold whose two sides differ most, measured by the variance between them (Otsu 1979)."""
    counts, edges = np.histogram(levels, 256)
    below = np.cumsum(counts)[:-1]
    above = levels.size - below
    sums = np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    between = (sums[-1] / levels.size * below - sums[:-1]) ** 2 / np.maximum(below * above, 1)
    return float(edges[1 + between.argmax()])


def _digit(mask: Mask) -> Mask:
    """The blots that make the digit: the largest that does not lie along the border, and those not far smaller.

    DataError if there is no such blot, or nothing but many small ones: noise.
    """
    blots = _blots(mask)
    sizes = np.bincount(blots.ravel())
    sizes[0] = 0
    border = np.concatenate([blots[0], blots[-1], blots[1:-1, 0], blots[1:-1, -1]])
    inner = np.where(np.bincount(border, minlength=len(sizes)) ** 2 > sizes, 0, sizes)
    if inner.max() >= ENOUGH * sizes.max():
        sizes = inner
    if sizes.max() < max(SMALLEST, BROKEN * sizes.sum()):
        raise DataError("no ink stands out from the paper; expected one digit, dark on light or light on dark")
    return (sizes >= max(SPECK * sizes.max(), 1))[blots]


def _blots(mask: Mask) -> NDArray[np.intp]:
    """The number of the blot that each pixel belongs to, from 1; touching pixels are in one, corners too. 0: none."""
    padded = np.pad(mask, 1)
    width = padded.shape[1]
    near = [step + side for step in (-width, 0, width) for side in (-1, 0, 1)]
    left = set(np.flatnonzero(padded).tolist())
    blots = np.zeros(padded.size, np.intp)
    number = 0
    while left:
        number += 1
        front = [left.pop()]
        while front:
            pixel = front.pop()
            blots[pixel] = number
            found = left.intersection(pixel + step for step in near)
            left -= found
            front += found
    return blots.reshape(padded.shape)[1:-1, 1:-1]


def _box(mask: Mask) -> Box:
    rows, columns = (slice(int(used.min()), int(used.max()) + 1) for used in np.nonzero(mask))
    return rows, columns


def _around(box: Box, small: tuple[int, ...], large: tuple[int, ...]) -> Box:
    """The box with half its longer side, at least, around it; from pixels of a small picture to those of the large."""
    margin = max(side.stop - side.start for side in box) // 2 + SKIRT
    rows, columns = (
        slice(max(side.start - margin, 0) * to // of, -(-min(side.stop + margin, of) * to // of))
        for side, of, to in zip(box, small, large, strict=True)
    )
    return rows, columns


def _resized(image: Floats, longest: int, *, enlarge: bool = False) -> Floats:
    """The image with its longer side brought to this length, each new pixel the mean of the old ones under it."""
    scale = longest / max(image.shape)
    if scale > 1 and not enlarge:
        return image
    down, across = (_means(length, max(1, round(scale * length))) for length in image.shape)
    return (down @ image @ across.T).astype(np.float32, copy=False)


def _means(old: int, new: int) -> Floats:
    """The matrix (new, old) that divides `old` pixels among `new` ones, to be multiplied from the left."""
    edges = np.linspace(0, old, new + 1)[:, np.newaxis]
    pixels = np.arange(old)
    under = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (under.clip(0) * (new / old)).astype(np.float32)
