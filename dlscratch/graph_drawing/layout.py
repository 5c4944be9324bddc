"""Where the places and arrows of a drawn graph lie: the longest way through it straight, the rest beside it, near.

Heights solve a small quadratic programme: arrows want to be level, and what lies in one column keeps its distance.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dlscratch.functions import Array
from dlscratch.graph_drawing.columns import Columns, Links, longest_paths, neighbours
from dlscratch.graph_drawing.order import best_columns
from dlscratch.graph_drawing.spacing import nearest

BETWEEN = 20  # pixels between what lies in one column
PORTS = 16  # between the points at which arrows arrive, where there is room for that
NUMBER = 14  # room for a number above the level end of an arrow
GAP, WIDEST_GAP, STEEPNESS = 16, 64, 3.0  # between columns: wider for arrows that climb or fall
CENTRED = 10  # how much more a joint wants to be in the middle than an arrow to be level

Edge = tuple[int, int]
Point = tuple[float, float]


class Box(NamedTuple):
    """Room for a place or a label: its width, how far it reaches above and below its line, how arrows arrive there."""

    width: float = 0
    above: float = 0
    below: float = 0
    ports: float = 0  # they may do so as far above and below the line
    ordered: bool = False  # whether they are told apart by their order, or else by numbers, for which there is room


class Layout(NamedTuple):
    """In pixels, x to the right and y down, from the line on which the graph ends."""

    places: list[Point]  # the middle of each, on its line
    labels: list[Point]
    paths: list[list[Point]]  # from point to point straight where y stays the same, else along an S
    cuts: list[float]  # x behind labels where no other arrow runs, and where the drawing ends


def layout(boxes: Sequence[Box], links: Links, labels: Sequence[Box]) -> Layout:
    """Lay out places, given as boxes, that are joined by arrows (start, end), start < end, with a label each."""
    ordered = [number for number, box in enumerate(boxes) if box.ordered]
    found = (_Levels(each, boxes, links, labels) for each in best_columns(len(boxes), links, ordered))
    best = min(found, key=lambda levels: round(levels.travel))
    points = [best.point(number) for number in range(len(best.boxes))]
    labels_at = [points[label] for label in best.columns.labels]
    return Layout(points[: len(boxes)], labels_at, [*best.paths()], best.cuts())


class _Levels:
    """The heights of all points for one order of them, and the columns as wide as they then have to be."""

    def __init__(self, cols: Columns, boxes: Sequence[Box], links: Links, labels: Sequence[Box]) -> None:
        self.columns = cols
        self.boxes = [*boxes, *[Box()] * (len(cols.before) - len(boxes))]
        for point, box in zip(cols.labels, labels, strict=True):
            self.boxes[point] = box
        self.row = {point: i for column in cols.order for i, point in enumerate(column)}
        self.column = {point: i for i, column in enumerate(cols.order) for point in column}
        straight = self._parallel(_straight(cols, links, len(boxes)))
        self.ports = self._ports(straight)
        self.y = self._heights(self._blocks(straight), len(boxes) - 1)
        self.travel = sum(abs(self._climb(edge)) for edge in self.ports)
        self.x = self._sides()

    def point(self, number: int) -> Point:
        """The middle of a box. Inputs stand at the right of their column, near their arrows, an output at the left."""
        (left, right), half = self.x[self.column[number]], self.boxes[number].width / 2
        if not self.columns.before[number]:
            return right - half, self.y[number]
        return (left + half if not self.columns.after[number] else (left + right) / 2), self.y[number]

    def paths(self) -> Iterator[list[Point]]:
        """Each arrow: from the side of its first box through the columns to the side of its last."""
        for start, *inner, end in self.columns.chains:
            middles = [(x, self.y[point]) for point in inner for x in self.x[self.column[point]]]
            arrival = self.y[end] + self.ports[inner[-1], end]
            path = [
                (self.point(start)[0] + self.boxes[start].width / 2, self.y[start]),
                (self.x[self.column[start]][1], self.y[start]),
                *middles,
                (self.x[self.column[end]][0], arrival),
                (self.point(end)[0] - self.boxes[end].width / 2, arrival),
            ]
            bends = [path[i] for i in range(1, len(path) - 1) if len({y for _, y in path[i - 1 : i + 2]}) > 1]
            yield [path[0], *bends, path[-1]]

    def cuts(self) -> list[float]:
        """The right sides of columns with a label and nothing else, and of the last one."""
        columns, labels = self.columns.order, {*self.columns.labels}
        alone = [
            right
            for (_, right), column in zip(self.x, columns, strict=True)
            if len(column) == 1 and column[0] in labels
        ]
        return [*alone, self.x[-1][1]]

    def _parallel(self, edges: list[Edge]) -> set[Edge]:
        """Those edges that cross none of those before them."""
        kept: list[list[Edge]] = [[] for _ in self.columns.order]  # by rows, from the top down
        parallel = set()
        for a, b in edges:
            beside, rows = kept[self.column[a]], (self.row[a], self.row[b])
            i = bisect(beside, rows)
            ends = [end for _, end in (*beside[max(i - 1, 0) : i], rows, *beside[i : i + 1])]
            if ends == sorted(ends):
                beside.insert(i, rows)
                parallel.add((a, b))
        return parallel

    def _ports(self, straight: set[Edge]) -> dict[Edge, float]:
        """How far below the line of its end each edge arrives: 0 for a straight one, the others in order around it."""
        ports = {}
        for point, before in enumerate(self.columns.before):
            sources = sorted(before, key=self.row.__getitem__)
            level = [i for i, source in enumerate(sources) if (source, point) in straight]
            middle = level[0] if level else (len(sources) - 1) / 2
            steps = max(middle, len(sources) - 1 - middle)
            step = min(PORTS, self.boxes[point].ports / steps) if steps > 0 else 0
            ports.update({(source, point): step * (i - middle) for i, source in enumerate(sources)})
        return ports

    def _blocks(self, straight: set[Edge]) -> list[int]:
        """The number of each point's block: points that are joined by straight edges share one height."""
        blocks, count = [0] * len(self.boxes), 0
        for point in (point for column in self.columns.order for point in column):
            joined = [blocks[other] for other in self.columns.before[point] if (other, point) in straight]
            blocks[point] = joined[0] if joined else count
            count += not joined
        return blocks

    def _heights(self, blocks: list[int], end: int) -> list[float]:
        distances: dict[Edge, float] = {}
        for upper, lower in (pair for column in self.columns.order for pair in pairwise(column)):
            pair, distance = (blocks[upper], blocks[lower]), self.boxes[upper].below + self.boxes[lower].above + BETWEEN
            distances[pair] = max(distance, distances.get(pair, 0))
        heights = nearest(*self._wishes(blocks, end), distances)
        halves = np.floor(2 * heights + 0.52)  # not 0.5: quarters are common, and round the same way on any machine
        return [float(halves[block]) / 2 for block in blocks]

    def _wishes(self, blocks: list[int], end: int) -> tuple[Array, Array]:
        """The last place at 0, each edge level, and, stronger, a branch or joint without a straight one in the middle.

        Each wish is a vector w, and what w·y should be for the heights y; of all, together, Σ w wᵀ and Σ amount w.
        """
        matrix, vector = np.zeros((max(blocks) + 1,) * 2), np.zeros(max(blocks) + 1)

        def wish(points: list[int], weights: list[float], amount: float = 0.0) -> None:
            place = [blocks[point] for point in points]
            np.add.at(matrix, np.ix_(place, place), np.outer(weights, weights))
            np.add.at(vector, place, amount * np.array(weights))

        wish([end], [1.0])
        for (a, b), port in self.ports.items():
            if blocks[a] != blocks[b]:
                wish([a, b], [1.0, -1.0], port)
        for side in (self.columns.before, self.columns.after):
            for point, others in enumerate(side):
                if len(others) > 1 and blocks[point] not in (blocks[other] for other in others):
                    wish([point, *others], [CENTRED, *[-CENTRED / len(others)] * len(others)])
        return matrix, vector

    def _climb(self, edge: Edge) -> float:
        return self.y[edge[1]] + self.ports[edge] - self.y[edge[0]]

    def _sides(self) -> list[Point]:
        """The left and right side of each column."""
        sides, left = [], 0.0
        for column in self.columns.order:
            climbs = [abs(self._climb((source, point))) for point in column for source in self.columns.before[point]]
            left += min(GAP + max(climbs) / STEEPNESS, WIDEST_GAP) if climbs else 0
            width = max(box.width + 2 * NUMBER * box.ordered for box in map(self.boxes.__getitem__, column))
            sides.append((left, left := left + width))
        return sides


def _straight(cols: Columns, links: Links, count: int) -> list[Edge]:
    """The edges that want to be level: all within an arrow, and those to its places where no other way is as long."""
    depth = longest_paths(count, links)
    height = longest_paths(count, [(count - 1 - end, count - 1 - start) for start, end in links])[::-1]
    before, after = neighbours(count, links)
    edges = []
    for (start, end), chain in zip(links, cols.chains, strict=True):
        first, *within, last = pairwise(chain)
        edges += within
        if sum(height[other] >= height[end] for other in after[start]) == 1:
            edges.append(first)
        if sum(depth[other] >= depth[start] for other in before[end]) == 1:
            edges.append(last)
    return edges
