"""What lies where on a drawn graph: boxes around its texts and shapes, and the courses of its arrows."""

import re
import unicodedata
import xml.etree.ElementTree as ET
from itertools import combinations
from typing import NamedTuple

import numpy as np

from dlscratch.graph_drawing.elements import SIZES


class Box(NamedTuple):
    what: str
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other):
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, other):
        if self.what == "circle":
            x, y, r = (self.left + self.right) / 2, (self.top + self.bottom) / 2, (self.right - self.left) / 2
            far = max(x - other.left, other.right - x), max(y - other.top, other.bottom - y)
            return far[0] ** 2 + far[1] ** 2 <= r**2
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


class Picture:
    """A drawn graph, read from its SVG."""

    def __init__(self, svg):
        root = ET.fromstring(svg)
        elements = [(each.tag.rpartition("}")[2], each) for each in root.iter()]
        self.texts = [_text_box(each) for tag, each in elements if tag == "text"]
        shapes = [_shape_box(tag, each) for tag, each in elements if tag in ("rect", "circle", "image")]
        self.paper, *self.shapes = shapes
        self.heads = [_head_box(each) for tag, each in elements if tag == "path" and "head" in each.get("class")]
        self.paths = [_course(each) for tag, each in elements if tag == "path" and each.get("class") == "line"]
        self.words = [text.what for text in self.texts]

    def overlaps(self):
        """Pairs of things, one of which lies over the other and not within it."""
        boxes = self.texts + self.shapes
        found = [(a, b) for a, b in combinations(boxes, 2) if a.meets(b) and not (a.holds(b) or b.holds(a))]
        found += [(a, b) for a, b in combinations(self.texts, 2) if a.meets(b)]
        found += [(text, head) for text in self.texts for head in self.heads if text.meets(head)]
        return found + [box for box in boxes if not self.paper.holds(box)]

    def run_over(self):
        """Boxes through which an arrow runs."""
        return [box for box in self.texts + self.shapes for path in self.paths if _runs_through(path, box)]

    def crossings(self):
        """How many pairs of arrows cross: at first the one is higher, and then the other."""
        return sum(_cross(a, b) for a, b in combinations(self.paths, 2))


def _text_box(element):
    style = element.get("class").replace("start", "").split()[0]
    size, x, y, words = SIZES[style], float(element.get("x")), float(element.get("y")), " ".join(element.itertext())
    width = size * sum(map(_em, words))
    left = x if "start" in element.get("class") else x - width / 2
    return Box(words, left, y - 0.75 * size, left + width, y + 0.2 * size)


def _em(letter):
    return 0.35 if letter in " .,()" else 1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.62


def _shape_box(tag, element):
    if tag == "circle":
        x, y, r = (float(element.get(name)) for name in ("cx", "cy", "r"))
        return Box(tag, x - r, y - r, x + r, y + r)
    x, y, width, height = (float(element.get(name)) for name in ("x", "y", "width", "height"))
    return Box(element.get("class", tag), x, y, x + width, y + height)


def _head_box(element):
    """Around the head of an arrow, whose tip is where its path begins."""
    x, y, length = map(float, re.match(r"M(\S+) (\S+)l(-?9) -4 ", element.get("d")).groups())
    return Box("head", min(x, x + length), y - 4, max(x, x + length), y + 4)


def _course(element):
    """Points (x, y) along a path of M x y, then H x, or C and three points, whose x grows all the way."""
    start, *steps = re.findall(r"([MHC])([^MHC]+)", element.get("d"))
    points = [[float(number) for number in start[1].split()]]
    for letter, numbers in steps:
        if letter == "H":
            points.append([float(numbers), points[-1][1]])
            continue
        p = np.array([*points[-1], *map(float, numbers.split())]).reshape(4, 2)
        for s in np.linspace(0, 1, 25)[1:]:
            points.append([1, 3, 3, 1] * (1 - s) ** np.arange(3, -1, -1) * s ** np.arange(4) @ p)
    return np.array(points)


def _runs_through(path, box):
    xs = np.linspace(max(path[0, 0], box.left) + 1, min(path[-1, 0], box.right) - 1, 20)
    if xs[0] > xs[-1]:
        return False
    ys = np.interp(xs, *path.T)
    return bool(np.any((box.top + 0.5 < ys) & (ys < box.bottom - 0.5)))


def _cross(a, b):
    left, right = max(a[0, 0], b[0, 0]), min(a[-1, 0], b[-1, 0])
    if left >= right:
        return False
    xs = np.linspace(left, right, 400)
    apart = np.interp(xs, *a.T) - np.interp(xs, *b.T)
    return bool(apart.min() < -0.5 and apart.max() > 0.5)
