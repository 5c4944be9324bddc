"""When two computations of the same numbers agree: as closely as rounding allows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Comparison(NamedTuple):
    """Something of ours, what PyTorch has in its place, and how far their results are from each other, by name."""

    name: str
    counterpart: str
    distances: Callable[[type], dict[str, float]]  # of a dtype
    allowed: Callable[[type], float]
    dtypes: tuple[type, ...] = (np.float32, np.float64)


def distance(ours: Any, theirs: Any) -> float:
    """The largest difference, relative to the largest of their numbers; theirs may be a tensor."""
    theirs = np.asarray(theirs.detach() if hasattr(theirs, "detach") else theirs)
    assert (np.shape(ours), np.asarray(ours).dtype) == (theirs.shape, theirs.dtype)
    return float(np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1))


def rounding(dtype: type, terms: int, exact: float = 1e-12) -> float:
    """What rounding may come to in float32 where so many numbers are added up, and all that may differ in float64.

    Roundings add up as steps of a random walk do, so with the root of their number.
    """
    return 8 * float(np.finfo(np.float32).eps) * terms**0.5 if dtype is np.float32 else exact
