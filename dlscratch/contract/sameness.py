"""When two results, or two states of a layer, are the same; and how to keep a state to compare with."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from dlscratch.functions import Array
from dlscratch.layers import Layer


def close(first: npt.ArrayLike, second: npt.ArrayLike) -> bool:
    """Whether two results of one computation agree, but for the order in which they were summed."""
    a, b = _floats(first), _floats(second)
    if a.shape != b.shape:
        return False
    tolerance = 1e-10 if a.dtype == b.dtype == np.float64 else 1e-5
    scale = np.max(np.abs(b), initial=0, where=np.isfinite(b))
    return bool(np.all((a == b) | (np.abs(a - b) <= tolerance * scale) | (np.isnan(a) & np.isnan(b))))


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """A deep copy of vars(layer), in which stays what it is whatever cannot be copied: modules, locks."""
    memo: dict[int, Any] = {}  # one for all, so that what two names share stays shared
    return {name: _copied(value, memo) for name, value in state.items()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of what differs between two states of a layer, vars(layer)."""
    return [name for name in before | after if not same(before.get(name), after.get(name))]


def same(first: Any, second: Any) -> bool:
    """Whether these hold the same numbers: arrays and random streams, and any nest of them."""
    if isinstance(first, np.random.Generator) and isinstance(second, np.random.Generator):
        return same(first.bit_generator.state, second.bit_generator.state)
    if isinstance(first, Layer) and isinstance(second, Layer):
        return same(vars(first), vars(second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, np.ndarray | np.generic) and isinstance(second, np.ndarray | np.generic):
        return np.array_equal(first, second, equal_nan=first.dtype.kind == "f" == second.dtype.kind)
    return type(first) is type(second) and (callable(first) or _equal(first, second))


def _floats(x: npt.ArrayLike) -> Array:
    array = np.asarray(x)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value


def _equal(first: Any, second: Any) -> bool:
    try:
        return bool(first == second)
    except Exception:  # whatever does not compare is not what a layer computes with
        return True
