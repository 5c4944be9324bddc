"""A wide drawing in rows, as text is set: cut behind labels where no other arrow runs."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from dlscratch.graph_drawing.layout import Box, Layout, Point

WIDEST, LEADING = 1500, 48  # pixels: of a row, between two


class Folded(NamedTuple):
    """A Layout whose rows begin at x = 0: each arrow in pieces, one in each row through which it runs."""

    places: list[Point]
    labels: list[Point]
    paths: list[list[list[Point]]]


def fold(drawing: Layout, boxes: Sequence[Box], labels: Sequence[Box]) -> Folded:
    """The drawing in as few rows as are not too wide, all about as wide; in one, if it cannot be cut like that."""
    found = (_starts(drawing.cuts, width) for width in range(0, WIDEST + 1, 20))
    starts = min(filter(None, found), key=len, default=[0.0])
    above, below = [0.0] * len(starts), [0.0] * len(starts)

    def row(point: Point) -> int:
        return bisect(starts, point[0]) - 1

    for box, point in zip([*boxes, *labels], drawing.places + drawing.labels, strict=True):
        above[row(point)] = max(above[row(point)], box.above - point[1])
        below[row(point)] = max(below[row(point)], box.below + point[1])
    down = [0.0, *accumulate(b + LEADING + a for a, b in zip(above[1:], below, strict=False))]

    def moved(points: list[Point], row: int) -> list[Point]:
        return [(x - starts[row], y + down[row]) for x, y in points]

    def pieces(path: list[Point]) -> Iterator[list[Point]]:
        last = row(path[-1])
        for i in range(row(path[0]), last):
            before = [point for point in path if point[0] < starts[i + 1]]
            cut = starts[i + 1], before[-1][1]
            yield moved([*before, cut], i)
            path = [cut, *(point for point in path if point[0] > cut[0])]
        yield moved(path, last)

    places, named = ([moved([p], row(p))[0] for p in points] for points in (drawing.places, drawing.labels))
    return Folded(places, named, [[*pieces(path)] for path in drawing.paths])


def _starts(cuts: list[float], widest: int) -> list[float]:
    """Where rows begin, each as wide as it may be; nothing if one has to be wider."""
    starts = [0.0]
    for cut, following in pairwise(cuts):
        if following - starts[-1] > widest:
            starts.append(cut)
    return starts if all(b - a <= widest for a, b in pairwise([*starts, cuts[-1]])) else []
