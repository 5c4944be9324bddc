"""The few words of SVG that a drawn graph needs: text whose width is known beforehand, boxes, arrows, small pictures.

Colours follow the reader's light or dark mode; nothing has an id, so that several pictures can lie on one page.
"""

import base64
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape

from dlscratch.functions import Array
from dlscratch.graph_drawing.glance import png

Point = tuple[float, float]

FONT = "system-ui,'Segoe UI','Helvetica Neue','Noto Sans','Noto Sans CJK JP','DejaVu Sans',sans-serif"
SIZES = {
    "title": 14,
    "symbol": 21,
    "details": 11.5,
    "name": 13,
    "value": 13,
    "label": 12,
    "note": 11.5,
    "order": 11,
}  # pixels
SPACE = 6  # before the tail of a text
BOLD = {"title": 1.1, "label": 1.1}  # wider
# In em, at least as wide as in any common font.
WIDTHS = {"ijl.,:;'|!()[]/ ": 0.42, "frtI-": 0.45, "mwMW@%": 1.0, "+−×÷±→=<>~…": 0.85}
GRADIENT, PARAMETER, INSIDE, BUFFER = "#b54708", "#0072b2", "#e9f3fb", "#818b98"  # in light mode
COLOURS = {  # in light mode, in dark mode
    "text": ("fill:#1f2328", "fill:#e6edf3"),
    ".details,.order": ("fill:#59636e", "fill:#9ea7b1"),
    ".grad": (f"fill:{GRADIENT}", "fill:#f5a15d"),
    ".paper": ("fill:#fff", "fill:#0d1117"),
    ".line": ("stroke:#3d444d", "stroke:#b7bdc8"),
    ".head,.branch": ("fill:#3d444d", "fill:#b7bdc8"),
    ".back": (f"stroke:{GRADIENT}", "stroke:#f5a15d"),
    ".backhead": (f"fill:{GRADIENT}", "fill:#f5a15d"),
    ".operation,.layer": ("fill:#f6f8fa;stroke:#3d444d", "fill:#1c222b;stroke:#b7bdc8"),
    ".parameter": (f"fill:{INSIDE};stroke:{PARAMETER}", "fill:#11283a;stroke:#56b4e9"),
    ".buffer": (f"fill:none;stroke:{BUFFER}", "fill:none;stroke:#7d8590"),
    ".stem": (f"stroke:{PARAMETER}", "stroke:#56b4e9"),
}
PLAIN = (
    "text{text-anchor:middle;font-variant-numeric:tabular-nums}.start{text-anchor:start}"
    ".line,.back,.stem{fill:none;stroke-width:1.4}.stem{stroke-width:1}.layer,.operation{stroke-width:1.2}"
    ".buffer{stroke-dasharray:4 3}.stub{stroke-dasharray:2 4}.title,.label{font-weight:600}.details{font-weight:400}"
    ".name{font-style:italic}image{image-rendering:pixelated}"
)


@cache
def text_width(text: str, style: str) -> float:
    """How wide a text may be, in pixels: rather more than less, whatever the font."""
    return SIZES[style] * BOLD.get(style, 1) * sum(map(_em, text))


def text(x: float, y: float, words: str, style: str, tail: str = "") -> str:
    """Words around x, or from x on if the style has the word `start`, on the baseline y; a tail is details of them."""
    tail = f'<tspan class="details" dx="{SPACE}">{escape(tail)}</tspan>' if tail else ""
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}">{escape(words)}{tail}</text>' if words else ""


def box(left: float, top: float, width: float, height: float, radius: float, style: str) -> str:
    """A rectangle, its corners rounded by the radius."""
    size = f'width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}"'
    return f'<rect class="{style}" x="{_n(left)}" y="{_n(top)}" {size}/>'


def circle(x: float, y: float, radius: float, style: str) -> str:
    """Around (x, y)."""
    return f'<circle class="{style}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>'


def line(points: Sequence[Point], style: str) -> str:
    """Through the points: straight on one height, else along an S that begins and ends level."""
    x, y = points[0]
    steps = [f"M{_n(x)} {_n(y)}"]
    for to_x, to_y in points[1:]:
        middle = _n((x + to_x) / 2)
        curve = f"C{middle} {_n(y)} {middle} {_n(to_y)} {_n(to_x)} {_n(to_y)}"
        steps.append(f"H{_n(to_x)}" if to_y == y else curve)
        x, y = to_x, to_y
    return f'<path class="{style}" d="{"".join(steps)}"/>'


def stem(x: float, top: float, bottom: float, right: float) -> str:
    """Down and then to the right."""
    return f'<path class="stem" d="M{_n(x)} {_n(top)}V{_n(bottom)}H{_n(right)}"/>'


def head(x: float, y: float, towards: int, style: str) -> str:
    """The head of an arrow with its tip at (x, y): to the right if `towards` is 1, to the left if it is -1."""
    return f'<path class="{style}" d="M{_n(x)} {_n(y)}l{-9 * towards} -4 {2 * towards} 4 {-2 * towards} 4z"/>'


def image(left: float, top: float, width: float, height: float, levels: Array) -> str:
    """Grey levels (H, W) as sharp squares."""
    data = base64.b64encode(png(levels)).decode()
    return (
        f'<image x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}" '
        f'preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
    )


def document(corner: Point, width: float, height: float, about: str, content: Iterable[str]) -> str:
    """A whole SVG file, of which `corner` is at the top left."""
    view = f"{_n(corner[0])} {_n(corner[1])} {_n(width)} {_n(height)}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dlscratch" role="img" viewBox="{view}" width="{_n(width)}" '
        f'height="{_n(height)}" font-family="{FONT}">',
        f"<title>{escape(about)}</title>",
        f"<style>{_style()}</style>",
        box(*corner, width, height, 8, "paper"),
        *filter(None, content),
        "</svg>\n",
    ])  # fmt: skip


def _style() -> str:
    """All rules hold inside of our own pictures only: in a notebook they are part of the page."""
    light, dark = (_scoped("".join(f"{who}{{{how[mode]}}}" for who, how in COLOURS.items())) for mode in (0, 1))
    sizes = "".join(f".{style}{{font-size:{size}px}}" for style, size in SIZES.items())
    return f"{_scoped(PLAIN + sizes)}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _scoped(rules: str) -> str:
    blocks = (rule.partition("{") for rule in rules.split("}") if rule)
    return "".join(",".join(f".dlscratch {each}" for each in who.split(",")) + f"{{{how}}}" for who, _, how in blocks)


def _em(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.02
    known = (width for letters, width in WIDTHS.items() if letter in letters)
    return next(known, 0.8 if letter.isupper() or not letter.isascii() else 0.64)


def _n(x: float) -> str:
    return f"{round(x, 1) + 0:g}"
