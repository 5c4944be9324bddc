"""Contenders take turns, so that they share the machine's moods, and are compared turn by turn."""

import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import NamedTuple

Call = Callable[[], Sized]  # does some of what is timed, and returns as many things as it has done

WARM_UP = 3  # turns that do not count


class Turn(NamedTuple):
    """What one contender took at one time."""

    seconds: float  # for each thing done
    cores: float  # at work, on average
    memory: float | None = None  # bytes, at most


class Figures(NamedTuple):
    """Of all turns of one contender."""

    median: float  # seconds
    low: float  # the middle half of all turns lies between here
    high: float  # and here
    cores: float  # at work in the median turn
    memory: float | None = None  # bytes, at most
    ratio: float | None = None  # ours divided by it: the median of all turns


def take_turns(calls: Mapping[str, Call], rounds: int, seconds: float) -> dict[str, list[Turn]]:
    """What each of these calls takes in each of its turns, of about so many seconds."""
    repeats = dict.fromkeys(calls, 1)
    turns: dict[str, list[Turn]] = {name: [] for name in calls}
    for number in range(WARM_UP + rounds):
        for name, call in calls.items():
            done, began, worked = 0, time.perf_counter(), time.process_time()
            for _ in range(repeats[name]):
                done += len(call())
            took, worked = time.perf_counter() - began, time.process_time() - worked
            if number < WARM_UP:
                repeats[name] = max(1, round(repeats[name] * seconds / took))
            else:
                turns[name].append(Turn(took / done, worked / took))
    return turns


def compared(turns: Mapping[str, Sequence[Turn]], ours: str | None = None) -> dict[str, Figures]:
    """The figures of all contenders, with their ratios if one of them is ours."""
    times = {name: [turn.seconds for turn in each] for name, each in turns.items()}
    found = {}
    for name, each in turns.items():
        low, median, high = statistics.quantiles([*times[name], *times[name]], n=4, method="inclusive")
        cores = statistics.median(turn.cores for turn in each)
        memory = max((turn.memory for turn in each if turn.memory), default=None)
        ratio = statistics.median(a / b for a, b in zip(times[ours], times[name], strict=True)) if ours else None
        found[name] = Figures(median, low, high, cores, memory, ratio)
    return found


def allocated(call: Call, times: int = 20) -> int:
    """The most bytes that Python and NumPy take for one call, beyond what they have before it."""
    most = 0
    tracemalloc.start()
    for _ in range(times):
        call()  # what the first ones replace was taken before anybody looked
    for _ in range(times):
        before, _ = tracemalloc.get_traced_memory()
        call()
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    return most
