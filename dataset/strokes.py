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

# The hands in which people write each digit, parted by semicolons. A hand is a row of points "xy", x to the
# right and y down, from 0 to 9; a smooth curve runs through them, and a comma lifts the pen. A point named
# twice is one point, so a stroke that begins where the last one ended makes a corner. To add a hand, write
# down its points (at most POINTS different ones): nothing else needs to know.
HANDS = {
    0: """60 31 05 17 39 68 84 82 60; 71 40 12 05 08 39 78 94 81 60 31; 30 14 17 49 78 94 82 60 42 44;
          60 23 06 18 49 97 93 70 41; 30 02 06 39 79 96 93 71 40; 61 33 06 18 49 77 93 81 50;
          20 03 07 49 88 94 81 70; 70 32 06 18 58 85 92 70 40; 50 13 06 39 78 85 71 40;
          70 30 04 17 49 87 93 70; 60 22 06 28 58 84 82 51 31; 81 40 04 18 59 96 82 50 13""",
    1: """60 39; 50 39; 40 49; 60 29; 50 55 49; 50 45 39; 40 35 49; 60 44 39; 42 60, 60 49; 33 60 49;
          22 60, 60 49, 19 89; 50 40 49 59; 60 40 39 49; 41 50, 50 49""",
    2: """12 40 81 74 47 19, 19 99; 12 40 71 74 47 18 07 26 57 98; 02 40 81 74 38 18 26 57 98;
          01 40 80 72 18, 18 98; 01 80, 80 19, 19 88; 11 50 72 55 28 08 07 26 57 97;
          13 40 71 65 18, 18 57 98; 01 40 72 65 38 08 06 36 97; 12 40 61 55 28 08 06 26 57 98;
          21 50 71 54 17 18 57 96; 10 50 62 45 17 08 06 37 98; 12 30 61 54 28 19 07 37 98;
          22 50 81 73 36 09, 09 98; 02 30 52 45 19, 19 98""",
    3: """11 40 71 63 24, 24 64 86 68 39 08; 10 80, 80 34, 34 75 87 59 08; 11 40 71 62 34 54 86 78 49 08;
          01 40 61 53 24, 24 64 86 78 49 08; 01 50 72 53 24, 24 64 87 69 29 08;
          01 40 70 62 24 55 86 78 39 08 07; 01 30 61 53 24, 24 65 87 59 19; 02 40 72 54 34 65 87 69 29 07;
          12 30 70 72 44 24, 34 74 87 59 18; 00 60 82 44 34 65 87 58 19; 21 50 81 64 44, 44 75 77 49 18;
          02 30 71 63 34 64 77 59 28""",
    4: """20 04, 04 74, 80 59; 20 14 25 74, 80 64 59; 60 15, 15 85, 60 59; 20 15 36 74, 80 59;
          10 05, 05 75, 80 75 69; 20 05, 05 83, 80 49; 10 04, 04 84, 70 59; 20 04 25 74, 81 74 59;
          20 15 35 73, 80 64 59; 20 14, 14 74, 70 59; 30 15, 15 84, 80 64 49; 10 14 36 73, 80 74 69;
          70 05, 05 85, 70 59; 60 15 36 85, 60 49; 50 24 16 76, 61 49; 20 05, 05 94, 80 59""",
    5: """91 31, 31 14, 14 54 76 68 38 07; 21 04, 04 64 86 68 28 07, 31 91; 91 41 13 35 75 67 38 07;
          91 31 13 54 76 58 08; 91 21, 21 14, 14 64 76 58 18; 91 21, 21 04, 04 54 75 77 38 07 06;
          91 31 14, 14 64 76 58 28 07; 91 31, 31 14, 14 64 77 48 08; 90 41 24, 24 55 67 48 08;
          91 40 13 44 75 67 39 07; 71 21, 21 14, 14 54 76 68 29 08; 40 24, 24 54 76 68 39 08, 40 90;
          91 40 34, 34 65 67 48 08; 80 30, 30 15, 15 54 76 49 08""",
    6: """60 32 06 18 49 77 65 35 17; 50 23 07 39 68 65 35 17; 60 32 06 18 59 67 65 26 18;
          50 22 05 08 39 78 76 55 16; 70 33 06 18 49 78 86 56 18; 40 13 07 29 68 87 55 17;
          30 04 18 59 87 75 46 38; 40 16 18 49 68 65 46 28; 30 13 17 39 68 75 54 26 18;
          30 04 08 49 78 86 65 37 18; 50 24 17 49 67 55 27; 61 33 07 29 57 56 36 28""",
    7: """00 80, 80 59; 00 40 80 74 59; 00 80, 80 49, 35 95; 03 00, 00 80, 80 59; 01 30 81 75 59;
          00 80 64 49, 36 94; 10 90, 90 74 49; 02 00 80, 80 74 69; 12 20 50 80 64 49; 03 11 41 80 75 59;
          00 80, 80 49, 15 75; 01 40 80 54 49, 26 86; 02 20 70 81 65 49, 25 85""",
    8: """81 50 12 34 66 68 39 18 26 64 82 60; 44 13 40 71 44 07 29 78 76 44; 81 50 22 44 67 59 18 36 81 90;
          50 22 34 66 68 39 17 45 82 50; 91 60 22 34 66 68 39 18 26 64 90; 80 50 12 34 66 68 39 17 25 63 80;
          80 30 12 44 66 58 29 18 45 72 80; 44 12 50 81 44 17 39 68 44; 90 50 13 34 56 58 28 16 54 91;
          71 30 12 34 66 78 49 18 16 44 72 71; 72 40 13 34 57 48 27 35 62 72;
          60 21 23 56 68 39 17 26 63 71 50; 44 23 30 61 54 27 39 68 56 44""",
    9: """71 50 23 24 54 72, 72 69; 70 40 22 24 44 62 71 75 68 39; 70 40 12 14 44 72, 72 59;
          72 50 23 25 54 71 74 59; 71 40 12 14 44 72, 71 69; 71 40 12 14 53 71 75 69;
          60 30 12 14 44 63 70, 70 64 59; 72 50 22 14 34 63 80, 80 59; 71 40 13 15 45 72, 72 68 49 28;
          61 40 22 24 53 71 75 59; 60 30 12 14 43 61 66 59; 82 50 21 13 25 54 82, 82 69;
          71 40 12 14 35 62 71, 71 79; 72 40 13 25 62 71 75 69; 71 40 13 24 53 81, 81 59""",
}

STEPS, POINTS = 80, 12  # steps of the pen in one digit; the most points that a hand may have
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
        _place(_ink(path, pen * _pressure(noise[:, 4:7]), radius), images[part])
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


def _place(ink: Floats, images: NDArray[np.uint8]) -> None:
    """Write each box of ink into its image, its centre of mass within half a pixel of row 14, column 14."""
    pixels = np.arange(BOX, dtype=np.float32)
    centre = ((ink.sum(axis=axis) * pixels).sum(axis=1) / ink.sum(axis=(1, 2)) for axis in (2, 1))
    top, left = (np.rint(SIDE / 2 - mean).astype(int).clip(0, SIDE - BOX) for mean in centre)
    boxes = sliding_window_view(images, (BOX, BOX), axis=(1, 2), writeable=True)
    boxes[np.arange(len(ink)), top, left] = np.rint(255 * ink)
