"""Curves as numbers: smoothed without lying, averaged over runs, and thinned for drawing, in this order."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dlscratch.functions import Array


def smooth(y: Array, width: float) -> Array:
    """The debiased exponential average of y (N,) over about `width` points; 0 leaves y as it is.

    m̂ₖ = Σᵢ βᵏ⁻ⁱ yᵢ / Σᵢ βᵏ⁻ⁱ over i <= k, β = exp(-1 / width), bias-corrected (Kingma and Ba 2015): a value
    never depends on later ones, the first is y₁ and not near 0, and a constant stays that constant.
    """
    if width <= 0:
        return y.copy()
    decay, weight, average = math.exp(-1 / width), 0.0, 0.0
    smoothed = []
    for value in y.tolist():
        weight = decay * weight + 1
        average += (value - average) / weight
        smoothed.append(average)
    return np.array(smoothed)


def mean_and_band(ys: Sequence[Array], band: str = "std") -> tuple[Array, Array | None, Array | None, Array]:
    """Mean, lower and upper edge, and number of runs n, row by row, of runs (N_r,) that begin together.

    band: std (of the runs, with n - 1), sem (std / √n), minmax, or none. Where runs ended early, n falls, and mean and
    band are those of the runs that are left. Where these are not two there is no band: None, or nan in single rows. So
    it is where a value is not finite, as the last of a run that diverged.
    """
    if band not in ("std", "sem", "minmax", "none"):
        raise ValueError(f"expected a band of std, sem, minmax or none, got {band!r}")
    table = np.full((len(ys), max(map(len, ys))), np.nan)
    for row, y in zip(table, ys, strict=True):
        row[: len(y)] = y
    n = np.sum(~np.isnan(table), axis=0)
    with np.errstate(invalid="ignore", over="ignore"):  # losses of a run that diverged
        mean = np.nansum(table, axis=0) / n
        if band == "none" or len(ys) < 2:
            return mean, None, None, n
        if band == "minmax":
            low, high = np.fmin.reduce(table), np.fmax.reduce(table)
        else:
            spread = np.sqrt(np.nansum((table - mean) ** 2, axis=0) / np.maximum(n - 1, 1))
            spread /= np.sqrt(n) if band == "sem" else 1
            low, high = mean - spread, mean + spread
    shown = (n > 1) & np.isfinite(mean)
    return mean, np.where(shown, low, np.nan), np.where(shown, high, np.nan), n


def thin(y: Array, points: int, *, extremes: bool = False) -> Array:
    """Which rows of y (N,) to draw, in order: at most `points` (4 or more), the first and the last among them.

    extremes: the lowest and the highest of each stretch, so that no spike of a raw curve is lost; else evenly.
    """
    count = len(y)
    if count <= points:
        return np.arange(count)
    if not extremes:
        return np.unique(np.linspace(0, count - 1, points).round().astype(np.intp))
    edges = np.linspace(0, count, points // 2).astype(np.intp)
    stretches = [(start, y[start:end]) for start, end in pairwise(edges)]
    rows = [start + pick(part) for start, part in stretches for pick in (np.argmin, np.argmax)]
    return np.unique([0, *rows, count - 1])


def robust_range(ys: Sequence[Array]) -> tuple[float, float]:
    """Where an axis for these curves begins and ends: a run that strays far from what the others cover does not count.

    Each run covers its values but for the highest hundredth; far is five times what the middle one of the runs covers.
    """
    finite = [y[np.isfinite(y)] for y in ys]
    ends = np.array([(y.min(), np.quantile(y, 0.99)) for y in finite if y.size])
    if not len(ends):
        return 0.0, 1.0
    lows, highs = ends.T
    reach = 5 * np.quantile(highs - lows, 0.5, method="lower")
    low, high = np.quantile(lows, 0.5, method="higher"), np.quantile(highs, 0.5, method="lower")
    bottom = min([low, *lows[lows >= high - reach]])
    top = max([high, *highs[highs <= low + reach]])
    margin = 0.05 * (top - bottom) or 0.05 * abs(top) or 1.0
    return float(bottom - margin), float(top + margin)
