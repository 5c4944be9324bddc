"""Which column each place of a drawn graph has, and the points through which its arrows run.

Places have the even columns, by longest path; arrows are chains of points, one in each column between, and the point
that carries the label has an odd column. So nothing ever lies on a place or a label.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

Links = Sequence[tuple[int, int]]
Rows = list[list[int]]


class Columns(NamedTuple):
    """Points by number: first all places, then those along the arrows. Neighbours are in neighbouring columns."""

    order: Rows  # the points of each column, from the top down
    before: Rows  # the neighbours of each point to its left
    after: Rows  # and to its right
    chains: Rows  # the points of each arrow, its two places included
    labels: list[int]  # the point of each arrow that carries its label


def columns_of(links: Links, ranks: list[int]) -> Columns:
    """The points of arrows between places of these ranks, not yet in order."""
    column, chains, labels = [2 * rank for rank in ranks], [], []
    for start, end in links:
        inner = range(len(column), len(column) + column[end] - column[start] - 1)
        chains.append([start, *inner, end])
        labels.append(inner[(len(inner) - 1) // 4 * 2])
        column += range(column[start] + 1, column[end])
    before, after = neighbours(len(column), [pair for chain in chains for pair in pairwise(chain)])
    order: Rows = [[] for _ in range(max(column) + 1)]
    for point, number in enumerate(column):
        order[number].append(point)
    return Columns(order, before, after, chains, labels)


def neighbours(count: int, links: Links) -> tuple[Rows, Rows]:
    """From where arrows lead to each place, and to where they lead from it."""
    before: Rows = [[] for _ in range(count)]
    after: Rows = [[] for _ in range(count)]
    for start, end in links:
        after[start].append(end)
        before[end].append(start)
    return before, after


def longest_paths(count: int, links: Links) -> list[int]:
    """How many arrows lead to each place, along the longest way."""
    depths = [0] * count
    for start, end in sorted(links):
        depths[end] = max(depths[end], depths[start] + 1)
    return depths


def ranks(count: int, links: Links, roomy: bool) -> list[int]:
    """What hangs on a branch stays close behind it; everything else, which hangs free, comes as late as it is needed.

    With room, the free inputs of a place come after the last branch before it, so that they can lie between its arms.
    """
    before, after = neighbours(count, links)
    depths = longest_paths(count, links)
    ranks, free, branch, room = [0] * count, [True] * count, [-1] * count, [1] * count
    for place, sources in enumerate(before):
        hanging = [depths[start] for start in sources if free[start] and len(after[start]) == 1]
        free[place] = len(hanging) == len(sources)
        branch[place] = max([-1, *(branch[start] for start in sources)])
        if roomy and hanging and not free[place]:
            room[place] = max(hanging) + 2
        ranks[place] = max([0, branch[place] + room[place], *(ranks[start] + 1 for start in sources)])
        if len(after[place]) > 1:
            branch[place] = ranks[place]
    for place, ends in reversed([*enumerate(after)]):
        if free[place] and ends:
            ranks[place] = min(ranks[end] - (room[end] if len(ends) > 1 else 1) for end in ends)
    return [rank - min(ranks) for rank in ranks]
