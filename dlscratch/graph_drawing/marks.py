"""How each thing on a drawn graph looks: operations, layers with their parameters, arrows and what stands at them."""

from collections.abc import Iterator
from itertools import pairwise
from math import sqrt

from dlscratch.functions import Array
from dlscratch.graph_drawing.elements import SPACE, box, circle, head, image, line, stem, text, text_width
from dlscratch.graph_drawing.layout import NUMBER, PORTS, Box, Point
from dlscratch.graph_drawing.sketch import Arrow, Place, Tensor

# All in pixels.
STUB = 20  # of an arrow that goes on in the next row
RADIUS, DOT, HEAD = 19, 4, 7  # of the circle of an operation, of the point at which an arrow branches; an arrow's head
LIFT, LEVEL, ROW = 8, 9, 16  # from an arrow up to its text, down to the arrow that goes back; between baselines
TITLE, DETAILS = 32, 48  # height of a box with a title, and with details too
PAD, PICTURE = 10, 36  # room inside of a box, the side of a picture
STEM, APART, LINE = 18, 10, 15  # room for the stem beside parameters, between them, between the baselines of theirs


def room(place: Place) -> Box:
    """The room that a place takes."""
    if place.kind == "branch":
        return Box(2 * DOT, DOT, DOT)
    if place.kind == "operation":
        return Box(2 * RADIUS, RADIUS, RADIUS, RADIUS / 2, place.ordered)
    if place.kind == "output" and not place.title:
        return Box()
    half, cards = _height(place) / 2, [_card_size(tensor) for tensor in place.tensors]
    words = max(text_width(place.title, "title"), text_width(place.details, "details"))
    width = max([_beside(place.picture) + words + 2 * PAD, *(STEM + width for width, _ in cards)])
    return Box(width, half, half + sum(APART + height for _, height in cards), half - PAD, place.ordered)


def _height(place: Place) -> float:
    if place.picture is not None:
        return PICTURE
    return max(DETAILS if place.details else TITLE, 2 * (PAD + PORTS * (place.inputs - 1)))


def place_marks(place: Place, x: float, y: float) -> Iterator[str]:
    """A place with the middle of its line at (x, y)."""
    width, height = room(place).width, _height(place)
    if place.kind == "branch":
        yield circle(x, y, DOT, "branch")
    elif place.kind == "operation":
        yield circle(x, y, RADIUS, "operation")
        yield text(x, y + 7, place.title, "symbol") if len(place.title) == 1 else text(x, y + 4, place.title, "value")
    elif width:
        left = x - width / 2
        if place.kind == "layer":
            yield box(left, y - height / 2, width, height, PAD, "layer")
        yield _picture(place.picture, left + PAD, y)
        middle = x + _beside(place.picture) / 2
        yield text(middle, y + (-3 if place.details else 5), place.title, "title")
        yield text(middle, y + 14, place.details, "details")
        yield from _cards(place.tensors, left, y + height / 2, width)


def order_marks(place: Place, arrivals: list[Point]) -> Iterator[str]:
    """The numbers of the inputs, where they do not lie in their order and it matters: above the heads of their arrows.

    That of the lowest is below, since there may be no room between them.
    """
    heights = [y for _, y in arrivals]
    if place.ordered and heights != sorted(heights):
        for number, (x, y) in enumerate(arrivals, start=1):
            yield text(x - NUMBER / 2, y + (14 if y == max(heights) else -7), str(number), "order")


def _cards(tensors: tuple[Tensor, ...], left: float, top: float, width: float) -> Iterator[str]:
    """Parameters and buffers below their layer, on a stem that leads up to it."""
    bottom = top
    for tensor in tensors:
        height, inner = _card_size(tensor)[1], left + STEM + PAD
        middle = bottom + APART + height / 2
        yield stem(left + STEM / 2, top, middle, left + STEM)
        top = middle
        yield box(left + STEM, middle - height / 2, width - STEM, height, 4, tensor.kind)
        yield _picture(tensor.picture, inner, middle)
        x, lines = inner + _beside(tensor.picture), len(_rows(tensor)) + 1
        first = middle - (lines - 1) * LINE / 2 + 4
        yield text(x, first, tensor.name, "start label", tail=tensor.value[0])
        for i, (words, style) in enumerate(_rows(tensor), start=1):
            yield text(x, first + i * LINE, words, f"start {style}")
        bottom = middle + height / 2


def _card_size(tensor: Tensor) -> tuple[float, float]:
    rows = _rows(tensor)
    first = text_width(tensor.name, "label") + SPACE + text_width(tensor.value[0], "details")
    width = _beside(tensor.picture) + max([first, *(text_width(words, "note") for words, _ in rows)]) + 2 * PAD
    return width, max((len(rows) + 1) * LINE + PAD, PICTURE + PAD if tensor.picture is not None else 0)


def _rows(tensor: Tensor) -> list[tuple[str, str]]:
    """What stands below name and shape, with styles."""
    return [(words, "note") for words in tensor.value[1:]] + [(tensor.grad, "note grad")] * bool(tensor.grad)


def label_room(arrow: Arrow) -> Box:
    """The room that a label takes around its arrow."""
    lines = _label_lines(arrow)
    if not lines and not arrow.grad:
        return Box()
    width = max(text_width(words, style) for words, style in [*lines, (arrow.grad, "value")])
    return Box(width + PAD, LIFT + ROW * len(lines), LEVEL + ROW + 4 if arrow.grad else 4)


def _label_lines(arrow: Arrow) -> list[tuple[str, str]]:
    """What stands above an arrow, from the top down, with styles."""
    name, (*before, last) = arrow.name, arrow.value or ("",)
    lines = [(name, "name"), *((words, "details") for words in before), (last, "value")]
    return [(words, style) for words, style in lines if words]


def label_marks(arrow: Arrow, x: float, y: float) -> Iterator[str]:
    """The value above the arrow; below it one that goes back, and the gradient."""
    for i, (words, style) in enumerate(reversed(_label_lines(arrow))):
        yield text(x, y - LIFT - i * ROW, words, style)
    if arrow.grad:
        half, back = label_room(arrow).width / 2, y + LEVEL
        yield line([(x - half + 6, back), (x + half, back)], "back")
        yield head(x - half, back, -1, "backhead")
        yield text(x, back + ROW, arrow.grad, "value grad")


def arrow_marks(path: list[Point], end: Place, middle: float) -> Iterator[str]:
    """The line, up to the edge of the place on whose height `middle` it ends."""
    *points, (x, y) = path
    if end.kind == "operation":
        x += RADIUS - sqrt(RADIUS**2 - (y - middle) ** 2)
    headless = end.kind == "branch"
    yield line([*points, (x if headless else x - HEAD, y)], "line")
    if not headless:
        yield head(x, y, 1, "head")


def stub_marks(pieces: list[list[Point]], last: list[Point]) -> Iterator[str]:
    """The pieces of an arrow in the rows before its last, and short dashes where it leaves a row and enters one."""
    for piece, ((x, y), *_) in pairwise([*pieces, last]):
        end = piece[-1]
        yield line(piece, "line")
        yield line([end, (end[0] + STUB, end[1])], "line stub")
        yield line([(x - STUB, y), (x, y)], "line stub")


def _picture(levels: Array | None, left: float, middle: float) -> str:
    if levels is None:
        return ""
    width, height = _picture_size(levels)
    return image(left, middle - height / 2, width, height, levels)


def _picture_size(levels: Array) -> Point:
    scale = PICTURE / max(levels.shape)
    return levels.shape[1] * scale, levels.shape[0] * scale


def _beside(levels: Array | None) -> float:
    """The room that a picture takes to the left of what it belongs to."""
    return 0 if levels is None else _picture_size(levels)[0] + PAD
