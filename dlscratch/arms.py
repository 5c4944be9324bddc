"""What an experiment varies: lists of values, and ranges that points are drawn from at random.

An arm is the settings that make some runs of an experiment differ from others, such as {optimizer: Adam, lr: 0.01}.
NumPy is imported where points are drawn, so that a command reads its options before it sets BLAS threads.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice, product
from typing import Any, NamedTuple, get_args

from dlscratch.settings import Settings, parse_setting

ONE_FOR_ALL = {"seed": "--seeds N gives N of them", "threads": "--threads", "data_dir": "--data-dir",
               "checkpoint_every": "--checkpoint-every"}  # fmt: skip
TEXTS = {"hidden": (int,), "init": (float,)}  # settings that are texts, and may be that of a number
PATIENCE = 10_000  # draws in a row that bring nothing new, before a range counts as exhausted

Arm = dict[str, Any]  # settings by name


class Range(NamedTuple):
    """The numbers from `low` to `high` that a setting may be, each equally likely, or each ratio if `log`."""

    name: str
    low: float
    high: float
    log: bool

    def at(self, u: float) -> Any:
        """The setting at the share u of the way, 0 <= u < 1: a whole number, or one of three significant digits."""
        whole = _kind(self.name) is int
        low, high = (self.low - 0.5, self.high + 0.5) if whole else (self.low, self.high)
        x = low * (high / low) ** u if self.log else low + (high - low) * u
        rounded = round(x) if whole else float(f"{x:.3g}")
        return parse_setting(self.name, str(min(max(rounded, self.low), self.high)))


def varied(text: str) -> list[Arm] | Range:
    """An argparse type: `optimizer=SGD,Adam` is a list, `dropout=0..0.5` and `lr=log:1e-4..1` are ranges.

    The first is {optimizer: SGD} and {optimizer: Adam}.
    """
    name, values = _split(text)
    if ".." in values and (kind := _kind(name)):
        return _range(name, kind, values)
    settings = [_parsed(name, value) for value in values.split(",")]
    return [each for i, each in enumerate(settings) if each not in settings[:i]]


def assigned(text: str) -> Arm:
    """An argparse type: `lr=0.1` is {lr: 0.1}."""
    return _parsed(*_split(text))


def arms(
    groups: Sequence[Iterable[Arm]], vary: Sequence[list[Arm] | Range], trials: int | None = None, seed: int = 0
) -> list[Arm]:
    """Every combination of a group, a value of each list, and a point of the ranges, of which `trials` are drawn.

    Each combination meets the same points. ValueError if a setting is given twice, if there are ranges without trials
    or trials without ranges, or if the ranges hold fewer points.
    """
    lists = [each for each in vary if not isinstance(each, Range)]
    ranges = [each for each in vary if isinstance(each, Range)]
    if ranges and not trials:
        raise ValueError(f"{ranges[0].name} is a range; --trials N says how many points to draw from it")
    if trials and not ranges:
        raise ValueError(
            f"--trials {trials} draws from ranges, and there is none; give one, as in --vary lr=log:0.001..1"
        )
    drawn = points(ranges, trials, seed) if trials else [{}]
    return [merged(each) for each in product([merged(group) for group in groups or [[]]], *lists, drawn)]


def points(ranges: Sequence[Range], trials: int, seed: int) -> list[Arm]:
    """Random points, no two of them equal (Bergstra and Bengio 2012).

    Each range has a random stream of its own: more trials leave the points as they were, and so does another range,
    but for its own setting. ValueError if the ranges hold fewer points.
    """
    found: dict[str, Arm] = {}
    draws = _draws(ranges, seed)
    while len(found) < trials:
        new = next((point for point in islice(draws, PATIENCE) if told(point) not in found), None)
        if new is None:
            names = ", ".join(each.name for each in ranges)
            raise ValueError(f"there are no {trials} different points of {names}, only {len(found)} were found; widen "
                             "the range, or ask for fewer --trials")  # fmt: skip
        found[told(new)] = new
    return list(found.values())


def merged(parts: Iterable[Arm]) -> Arm:
    """One arm of several, which set different things."""
    parts = list(parts)
    names = [name for part in parts for name in part]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is set twice; give all of its values at once, as in --vary {twice[0]}=A,B")
    if {"steps", "epochs"} <= set(names):
        raise ValueError("steps and epochs both say how long to train; vary one of them")
    return {name: value for part in parts for name, value in part.items()}


def run_name(arm: Arm, seed: int) -> str:
    """The name of one run, after what is special about it; a folder can have it."""
    return re.sub(r"[^\w.,=+-]", "_", told({**arm, "seed": seed}))


def told(arm: Arm) -> str:
    """An arm as a person writes it: `optimizer=Adam,lr=0.01`."""
    return ",".join(f"{name}={value}" for name, value in arm.items())


def _draws(ranges: Sequence[Range], seed: int) -> Iterator[Arm]:
    """Points without end, some of them equal."""
    import numpy as np

    streams = [np.random.default_rng([seed, *each.name.encode()]) for each in ranges]
    while True:
        yield merged({each.name: each.at(rng.random())} for each, rng in zip(ranges, streams, strict=True))


def _split(text: str) -> tuple[str, str]:
    """The name of a setting that may be varied, and what is said about it."""
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise argparse.ArgumentTypeError(f"expects a setting and its value, such as lr=0.1, got {text!r}")
    if name in ONE_FOR_ALL:
        raise argparse.ArgumentTypeError(f"{name} is one for all runs: {ONE_FOR_ALL[name]}")
    return name, value


def _parsed(name: str, text: str) -> Arm:
    try:
        return {name: parse_setting(name, text)}
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _kind(name: str) -> type[int] | type[float] | None:
    """int or float if that is what a setting takes, else None."""
    takes = {each.name: get_args(each.type) or (each.type,) for each in fields(Settings)} | TEXTS
    return next((kind for kind in (int, float) if kind in takes.get(name, ())), None)


def _range(name: str, kind: type[int] | type[float], text: str) -> Range:
    """The range that `0..0.5` or `log:1e-4..1` means for a setting that takes numbers of this kind."""
    log = text.startswith("log:")
    bounds = text.removeprefix("log:").split("..", 1)
    for bound in bounds:
        _parsed(name, bound)
    try:
        low, high = map(kind, bounds)
    except ValueError:  # he, or 100x100
        low = high = 0
    if not low < high or (log and low <= 0):
        wanted = "two numbers, the smaller one first" + (" and above 0" if log else "")
        raise argparse.ArgumentTypeError(f"{name} expects {wanted}, as in LOW..HIGH, got {text!r}")
    return Range(name, low, high, log)
