"""Handwritten-like digits drawn from strokes: the data set that needs no download.

A digit is a smooth path through points of a small grid; moving the points at random, near ones together,
makes it another writer's. The pen leaves a soft round dot at each step. A Gaussian dot is a function of x
times a function of y, so all the dots of an image are one matrix product.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from dataset.arrays import Splits, as_splits
from dataset.hands import HANDS, POINTS

STEPS = 80  # of the pen in one digit
WOBBLES = ((0.6, 1.5), (0.75, 5.0))  # points stray so far, together with others that are so near: in cells
CELL_WIDTH, WIDTH_SPREAD = 0.8, 0.14  # of a cell's height; spread of its logarithm
SLANT, SLANT_SPREAD, TURN_SPREAD = 0.1, 0.21, 0.13  # to the right per height; turn in radians
PEN_RADIUS, PEN_SPREAD, PRESSURE_SPREAD = 1.1, 0.4, 0.12  # pixels; spreads of logarithms
DOT, EDGE = 0.8, 2.1  # standard deviation of an ink dot, width of a stroke's soft edge: in pixels
BOX, SIDE = 20, 28  # pixels along a side of the box that a digit fills, and of its image
CHUNK = 250  # images drawn at once: few enough for their dots to stay in the processor's cache

Floats = NDArray[np.float32]
Array = NDArray[np.float64]


class Hand(NamedTuple):
    """One way to write a digit: path = mean + noise @ sway, for noise (2, K) of standard normal numbers."""

    mean: Floats  # (2, STEPS + 1): x and y in cells, from the middle of the grid
    sway: Floats  # (K, STEPS + 1): how the noise of K points moves the path
    pen: Floats  # (STEPS,): 1 where the pen is down, 0 where it hops to the next stroke


def load_strokes(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    train_size: int = 12_000,
    test_size: int = 2_000,
    seed: int = 0,
) -> Splits:
    """Return `(x_train, t_train), (x_test, t_test)`: drawn digits in the form of `load_mnist`.

    normalize: images are float32 in [0, 1], else uint8 in 0..255.
    flatten: images are (N, 784), else (N, 1, 28, 28).
    one_hot_label: labels are float32 rows (N, 10), else int64 (N,).
    train_size, test_size: how many digits; each class has its tenth of them, to within one, in random order.
    seed: the same seed gives the same bytes on one machine. Training and test digits come from separate random streams.
    Raises ValueError if a size is negative.
    """
    if min(train_size, test_size) < 0:
        raise ValueError(f"train_size and test_size must not be negative, got {train_size} and {test_size}")
    arrays: list[NDArray[Any]] = []
    for size, stream in zip((train_size, test_size), np.random.SeedSequence(seed).spawn(2), strict=True):
        rng = np.random.default_rng(stream)
        labels = rng.permutation(np.arange(size) % 10)
        arrays += [draw_digits(labels, rng=rng), labels]
    return as_splits(arrays, 10, normalize, flatten, one_hot_label)


def draw_digits(labels: ArrayLike, *, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw labels (N,), whole numbers 0..9, as images (N, 28, 28) uint8, white ink (255) on black (0).

    As in MNIST (LeCun et al. 1998), a digit fills a box of 20 x 20 pixels, which is moved by whole pixels
    until its centre of mass is at the centre of 28 x 28. Raises ValueError if a label is not a digit.
    """
    digits = _digits(labels)
    counts = np.array([len(_hands()[digit]) for digit in range(10)])
    choices = (rng.random(len(digits)) * counts[digits]).astype(np.intp)
    images = np.zeros((len(digits), SIDE, SIDE), np.uint8)
    for start in range(0, len(digits), CHUNK):
        part = slice(start, start + CHUNK)
        # A row for each image, drawn in order: so no image depends on the size of a chunk.
        noise = rng.standard_normal((len(digits[part]), 7 + 2 * POINTS), np.float32)
        path, pen = _write(digits[part], choices[part], noise[:, 7:])
        radius = np.clip(PEN_RADIUS * np.exp(PEN_SPREAD * noise[:, 3]), 0.5, 3)[:, np.newaxis, np.newaxis]
        path = _fit(_tilt(path, noise[:, :3]), radius)
        place(_ink(path, pen * _pressure(noise[:, 4:7]), radius), images[part])
    return images


def _digits(labels: ArrayLike) -> NDArray[np.intp]:
    digits = np.asarray(labels)
    if digits.ndim != 1 or (digits.size and digits.dtype.kind not in "iu"):
        raise ValueError(f"labels must be whole numbers (N,), got {digits.dtype} {digits.shape}")
    if digits.size and not 0 <= digits.min() <= digits.max() <= 9:
        raise ValueError(f"labels must be digits 0..9, got {digits.min()}..{digits.max()}")
    return digits.astype(np.intp)


@cache
def _hands() -> dict[int, list[Hand]]:
    return {digit: [_hand(text) for text in hands.split(";")] for digit, hands in HANDS.items()}


def _hand(text: str) -> Hand:
    strokes = [stroke.split() for stroke in text.split(",")]
    names = list(dict.fromkeys(name for stroke in strokes for name in stroke))
    points = np.array([(int(name[0]) - 4.5, int(name[1]) - 4.5) for name in names])
    rows = [[names.index(name) for name in stroke] for stroke in strokes]
    lengths = np.array([_lengths(points[row]).sum() for row in rows])
    ends = np.rint(np.cumsum(lengths) / lengths.sum() * (STEPS + 1)).astype(int)
    pieces = zip(rows, np.diff(ends, prepend=0), strict=True)
    weights = np.vstack([_curve(points[row], count) @ np.eye(len(names))[row] for row, count in pieces])
    path, sway = weights @ points, weights @ _wobble(points)
    pen = np.isin(np.arange(STEPS), ends[:-1] - 1, invert=True)
    return Hand(path.T.astype(np.float32), sway.T.astype(np.float32), pen.astype(np.float32))


def _lengths(points: Array) -> Array:
    lengths: Array = np.hypot(*np.diff(points, axis=0).T)
    return lengths


def _curve(points: Array, count: int) -> Array:
    """Weights (count, M) of M points in a spline through them, in even steps (Catmull and Rom 1974)."""
    along = np.concatenate([[0], np.cumsum(_lengths(points))])
    at = np.interp(np.linspace(0, along[-1], count), along, np.arange(len(points)))
    before = np.minimum(at.astype(int), len(points) - 2)
    t = (at - before)[:, np.newaxis]
    eye = np.eye(len(points))
    knots = np.vstack([2 * eye[0] - eye[1], eye, 2 * eye[-1] - eye[-2]])
    a, b, c, d = (knots[before + i] for i in range(4))
    curve: Array = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve


def _wobble(points: Array) -> Array:
    """A square root of the points' covariance: a Gaussian process, in which near points move together."""
    squared = ((points[:, np.newaxis] - points) ** 2).sum(axis=2)
    covariance = sum(size**2 * np.exp(-squared / (2 * reach**2)) for size, reach in WOBBLES)
    return np.linalg.cholesky(covariance + 1e-6 * np.eye(len(points)))


def _write(digits: NDArray[np.intp], choices: NDArray[np.intp], noise: Floats) -> tuple[Floats, Floats]:
    """The paths (N, 2, STEPS + 1) and pens (N, STEPS) of N digits, each in the hand chosen for it."""
    path = np.empty((len(digits), 2, STEPS + 1), np.float32)
    pen = np.empty((len(digits), STEPS), np.float32)
    noise = noise.reshape(len(digits), 2, POINTS)
    for digit, choice in set(zip(digits.tolist(), choices.tolist(), strict=True)):
        hand = _hands()[digit][choice]
        chosen = (digits == digit) & (choices == choice)
        path[chosen] = hand.mean + noise[chosen, :, : len(hand.sway)] @ hand.sway
        pen[chosen] = hand.pen
    return path, pen


def _tilt(path: Floats, noise: Floats) -> Floats:
    """Give each path (N, 2, S) its own width, slant and turn, for noise (N, 3)."""
    width = CELL_WIDTH * np.exp(WIDTH_SPREAD * noise[:, :1])
    slant = SLANT + SLANT_SPREAD * noise[:, 1:2]
    turn = TURN_SPREAD * noise[:, 2:]
    x, y = width * path[:, 0] - slant * path[:, 1], path[:, 1]
    return np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], axis=1)


def _pressure(noise: Floats) -> Floats:
    """How hard the pen presses at each step (N, STEPS): slow waves around 1, for noise (N, 3)."""
    time = np.linspace(0, np.pi, STEPS, dtype=np.float32)
    waves = noise[:, :1] * np.cos(time) + noise[:, 1:2] * np.cos(2 * time) + noise[:, 2:] * np.cos(3 * time)
    pressure: Floats = np.exp(PRESSURE_SPREAD * waves)
    return pressure


def _fit(path: Floats, radius: Floats) -> Floats:
    """Bring each path to pixels, so that its strokes, of radius (N, 1, 1) pixels, just fill the box."""
    low, high = path.min(axis=2, keepdims=True), path.max(axis=2, keepdims=True)
    scale = (BOX - 2 * radius) / (high - low).max(axis=1, keepdims=True)
    fitted: Floats = (path - (low + high) / 2) * scale + (BOX - 1) / 2
    return fitted


def _ink(path: Floats, strength: Floats, radius: Floats) -> Floats:
    """Draw paths (N, 2, STEPS + 1) in pixels as images (N, BOX, BOX) in [0, 1].

    Each step lays a Gaussian dot, as strong as the step is long. At a distance d from a straight stroke the
    dots sum to exp(-d**2 / (2 DOT**2)); so their logarithm tells d, and ink is where d is less than radius.
    """
    step = np.diff(path)
    strength = strength * np.hypot(step[:, 0], step[:, 1]) / np.float32(DOT * (2 * np.pi) ** 0.5)
    pixels = np.arange(BOX, dtype=np.float32)[:, np.newaxis]
    away = (pixels - (path[:, :, :-1] + step / 2)[:, :, np.newaxis]) / DOT  # (N, 2, BOX, STEPS)
    dots = np.exp(-np.minimum(away**2 / 2, 40))  # smaller ones would be subnormal numbers, which are slow
    total = (dots[:, 1] * strength[:, np.newaxis]) @ dots[:, 0].transpose(0, 2, 1)
    distance = DOT * np.sqrt(-2 * np.log(np.clip(total, 1e-9, 1)))
    ink: Floats = np.clip(0.5 + (radius - distance) / EDGE, 0, 1)
    return ink


def place(ink: Floats, images: NDArray[np.uint8]) -> None:
    """Write each box of ink into its image, its centre of mass within half a pixel of row 14, column 14."""
    pixels = np.arange(BOX, dtype=np.float32)
    centre = ((ink.sum(axis=axis) * pixels).sum(axis=1) / ink.sum(axis=(1, 2)) for axis in (2, 1))
    top, left = (np.rint(SIDE / 2 - mean).astype(int).clip(0, SIDE - BOX) for mean in centre)
    boxes = sliding_window_view(images, (BOX, BOX), axis=(1, 2), writeable=True)
    boxes[np.arange(len(ink)), top, left] = np.rint(255 * ink)
