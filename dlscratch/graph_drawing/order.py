"""In which order the points of each column of a drawn graph lie, so that few arrows cross: Sugiyama's method (1981)."""

from bisect import bisect, insort
from collections.abc import Collection, Iterable
from itertools import pairwise

import numpy as np

from dlscratch.graph_drawing.columns import Columns, Links, Rows, columns_of, longest_paths, ranks

SWEEPS, SHUFFLES = 8, 8  # tried while arrows cross
WORK = 50_000  # points that the sweeps of one try, and those of all shuffles, may move


def best_columns(count: int, links: Links, ordered: Collection[int]) -> list[Columns]:
    """Orders of `count` places joined by arrows, (start, end) with start < end, that cross as little as can be found.

    In the first, the inputs of a place lie as in `links`; in the next, those that come the shortest way lie on top.
    Where arrows cross, it is tried again with room behind branches for what joins there, and then by chance.
    ordered: places whose inputs should be in order from the top down.
    """
    found: list[tuple[int, Columns]] = []
    for roomy in (False, True):
        columns = columns_of(links, ranks(count, links, roomy))
        depths = longest_paths(count, links) + [0] * (len(columns.before) - count)
        for start, *inner, _ in columns.chains:
            for point in inner:
                depths[point] = depths[start]
        shortest = [sorted(points, key=depths.__getitem__) for points in columns.before]
        large = len(columns.before) > WORK
        found += [_untangled(columns, inputs) for inputs in (columns.before, shortest)[: 2 - large]]
        fewest = min(crossings for crossings, _ in found)
        if not fewest or large:
            break
    rng = np.random.default_rng(0)
    for _ in range(min(SHUFFLES, WORK // (SWEEPS * len(columns.before))) if fewest else 0):
        inputs = [[points[i] for i in rng.permutation(len(points))] for points in columns.before]
        found.append(_untangled(columns, inputs))
    for _, each in found:
        _put_in_order(each, ordered)
    counts = [crossings_of(each) for _, each in found]
    best = [each for crossings, (_, each) in zip(counts, found, strict=True) if crossings == min(counts)]
    return [each for i, each in enumerate(best) if each not in best[:i]]


def crossings_of(columns: Columns) -> int:
    """How often arrows cross: from the top down, how many before an arrow end below it."""
    total = 0
    for left, right in pairwise(columns.order):
        row, seen = {point: i for i, point in enumerate(right)}, list[int]()
        for point in left:
            ends = [row[other] for other in columns.after[point]]
            total += sum(len(seen) - bisect(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _untangled(columns: Columns, inputs: Rows) -> tuple[int, Columns]:
    """The best order seen, and its crossings, while points move to the mean row of their neighbours, and change places.

    At first they lie as they are come upon from the end, depth first, when the inputs of each are looked at in order.
    """
    row = {point: i for i, point in enumerate(_depth_first(inputs, columns.after))}
    now = columns._replace(order=[sorted(column, key=row.__getitem__) for column in columns.order])
    fewest, best = crossings_of(now), now
    for sweep in range(min(SWEEPS, WORK // len(inputs))):
        if not fewest:
            break
        now = now._replace(order=[list(column) for column in now.order])
        if sweep % 2:
            _to_barycentres(now.order, now.before)
        else:
            _to_barycentres(now.order[::-1], now.after)
        _exchange(now)
        if (crossings := crossings_of(now)) < fewest:
            fewest, best = crossings, now
    return fewest, best


def _put_in_order(columns: Columns, ordered: Iterable[int]) -> None:
    """Let an input that only one place reads lie where that lists it: below the one before, the first above the next.

    There it crosses nothing that the other does not cross, and no number has to tell 1 - x from x - 1.
    """
    column = {point: column for column in columns.order for point in column}
    joints = [points for place in ordered if len(points := columns.before[place]) > 1]
    moves = [(points[0], points[1], 0) for points in joints]
    moves += [(lower, upper, 1) for points in joints for upper, lower in pairwise(points)]
    for point, other, below in moves:
        (source,), (neighbour,) = columns.before[point], columns.before[other]
        if columns.before[source] or len(columns.after[source]) > 1:
            continue
        for moved, fixed in ((point, other), (source, neighbour)):
            column[moved].remove(moved)
            column[moved].insert(column[moved].index(fixed) + below, moved)


def _depth_first(inputs: Rows, after: Rows) -> list[int]:
    done: dict[int, None] = {}
    stack = [point for point, others in enumerate(after) if not others]
    while stack:
        point = stack.pop()
        if point not in done:
            done[point] = None
            stack.extend(reversed(inputs[point]))
    return list(done)


def _to_barycentres(order: Rows, neighbours: Rows) -> None:
    """Sort each column by the mean rows of its neighbours in the last; who has none there stays where it is."""
    for last, column in pairwise(order):
        row = {point: i for i, point in enumerate(last)}
        means = {p: sum(row[q] for q in neighbours[p]) / len(neighbours[p]) for p in column if neighbours[p]}
        moving = iter(sorted(means, key=means.__getitem__))
        column[:] = [next(moving) if point in means else point for point in column]


def _exchange(columns: Columns) -> None:
    """Let two points change places wherever their arrows then cross less."""
    row = {point: i for column in columns.order for i, point in enumerate(column)}
    for column in columns.order:
        for i in range(len(column) - 1):
            upper, lower = column[i : i + 2]
            sides = [[[row[other] for other in side[point]] for point in (upper, lower)]
                     for side in (columns.before, columns.after)]  # fmt: skip
            if sum(_inversions(a, b) - _inversions(b, a) for a, b in sides) > 0:
                column[i : i + 2] = lower, upper
                row[upper], row[lower] = i + 1, i


def _inversions(upper: list[int], lower: list[int]) -> int:
    """How many arrows of the upper point cross those of the lower one, given the rows where they end."""
    return sum(a > b for a in upper for b in lower)
