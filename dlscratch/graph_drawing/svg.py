"""A computation graph as a picture, in SVG: values above the arrows, going right; gradients below, going left.

Circles are operations, rounded boxes layers, with their parameters hanging below. No other program is needed.
"""

from itertools import pairwise

from dlscratch.graph import Graph
from dlscratch.graph_drawing.elements import box, document, head, line, text, text_width
from dlscratch.graph_drawing.fold import fold
from dlscratch.graph_drawing.layout import Box, Point, layout
from dlscratch.graph_drawing.marks import (
    STUB,
    arrow_marks,
    label_marks,
    label_room,
    order_marks,
    place_marks,
    room,
    stub_marks,
)
from dlscratch.graph_drawing.sketch import Names, Sketch, sketch

LARGEST = 500  # operations that are drawn
MARGIN, LEGEND, SIGN = 24, 44, 26  # pixels: around everything, for the line that explains it, for a sign in that


def to_svg(graph: Graph, names: Names | None = None) -> str:
    """An SVG file, which is the same text for the same graph: with values after forward(), gradients after backward().

    names: of variables that have none of their own.
    """
    if len(graph.nodes) > LARGEST:
        raise ValueError(
            f"a graph of {len(graph.nodes):,} operations is not drawn as a picture; write .dot for Graphviz"
        )
    places, arrows = drawn = sketch(graph, names)
    rooms = [*map(room, places), *map(label_room, arrows)]
    links = [(arrow.start, arrow.end) for arrow in arrows]
    boxes, label_boxes = rooms[: len(places)], rooms[len(places) :]
    points, labels, paths = fold(layout(boxes, links, label_boxes), boxes, label_boxes)
    content: list[str] = []
    arrivals: list[list[Point]] = [[] for _ in places]
    for arrow, (*pieces, path), label in zip(arrows, paths, labels, strict=True):
        content += stub_marks(pieces, path)
        arrivals[arrow.end].append(path[-1])
        content += arrow_marks(path, places[arrow.end], points[arrow.end][1])
        content += label_marks(arrow, *label)
    for number, place in enumerate(places):
        content += place_marks(place, *points[number])
        content += order_marks(place, arrivals[number])

    ends = [end for pieces in paths for last, piece in pairwise(pieces) for end in (last[-1], piece[0])]
    corners = [*zip(rooms, points + labels, strict=True), *((Box(2 * STUB), end) for end in ends)]
    left = min(x - each.width / 2 for each, (x, _) in corners) - MARGIN
    right = max(x + each.width / 2 for each, (x, _) in corners) + MARGIN
    top = min(y - each.above for each, (_, y) in corners) - MARGIN
    bottom = max(y + each.below for each, (_, y) in corners) + MARGIN
    legend, width = _legend(drawn, left + MARGIN, bottom)
    size = max(right - left, width + 2 * MARGIN), bottom - top + (LEGEND - MARGIN if legend else 0)
    return document((left, top), *size, f"A computation graph of {len(graph.nodes)} operations", content + legend)


def _legend(drawn: Sketch, left: float, y: float) -> tuple[list[str], float]:
    """A line that says what is what, and how wide it is; only as far as there are such things."""
    kinds = {tensor.kind for place in drawn.places for tensor in place.tensors}
    entries = [(words, style) for words, style, there in (
        ("value", "line", any(arrow.value for arrow in drawn.arrows)),
        ("gradient", "back", any(arrow.grad for arrow in drawn.arrows)),
        ("parameter", "parameter", "parameter" in kinds),
        ("buffer", "buffer", "buffer" in kinds),
    ) if there]  # fmt: skip
    content, x = [], left
    for words, style in entries:
        if style in ("parameter", "buffer"):
            content.append(box(x, y - 9, SIGN, 10, 3, style))
        else:
            content += [line([(x, y - 4), (x + SIGN, y - 4)], style), _tip(x, y - 4, style)]
        content.append(text(x + SIGN + 6, y, words, "details start"))
        x += SIGN + 6 + text_width(words, "details") + 20
    return content, x - left


def _tip(x: float, y: float, style: str) -> str:
    return head(x + SIGN, y, 1, "head") if style == "line" else head(x, y, -1, "backhead")
