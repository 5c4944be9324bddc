"""A comparison as one interactive HTML page that needs nothing beside it, not even a network.

The one room that imports plotly, which the extra `plot` brings. page.html is the page without its content, page.css its
looks, page.js what answers the reader.
"""

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from os import PathLike
from typing import Any

try:
    from plotly.offline import get_plotlyjs
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plotly is not installed; python -m pip install 'dlscratch[plot]'") from error

from dataset.files import replacing
from dlscratch.compare import QUANTITIES, Comparison, Curve
from dlscratch.drawing import (
    BANDS,
    MARKERS,
    STANDARD,
    Line,
    View,
    faintness,
    lines,
    shared_settings,
    split_names,
    style,
    y_range,
)
from dlscratch.functions import Array
from dlscratch.table import Table


def save_comparison_page(comparison: Comparison, path: str | PathLike[str], view: View = STANDARD) -> None:
    """Write the comparison to `path` as a page that begins with this view; its reader can choose others.

    OSError where the disk refuses.
    """
    start = {"axis": view.axis or comparison.axis, "quantity": view.quantity or "both"}
    start["scale"] = "log" if view.log else "linear"
    content = {
        "title": escape(f"Comparison of {', '.join(comparison.differing)}" if comparison.differing else "Comparison"),
        "style": _read("page.css"),
        "shared": escape(shared_settings(comparison)),
        "warnings": _warnings(comparison.warnings),
        "explanation": escape(_explanation(view)),
        "tables": comparison.table().html(heading=True) + _settings(comparison).html("words", heading=True),
        "data": _json(
            {
                "start": start | {"smooth": view.smoothing > 0, "band": True, "runs": True},
                "splits": split_names(comparison),
                "groups": [_group(group.label, i) for i, group in enumerate(comparison.groups)],
                "curves": {name: _curves(comparison, name, view) for name in QUANTITIES},
            }
        ),
        "script": _read("page.js"),
        "plotly": get_plotlyjs(),  # last, since nothing may be looked for in it
    }
    page = _read("page.html")
    for name, text in content.items():  # none holds a mark of the next: what comes from runs is escaped
        page = page.replace(f"<!-- {name} -->", text)
    with replacing(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def _read(name: str) -> str:
    return files("dlscratch").joinpath(name).read_text(encoding="utf-8")


def _curves(comparison: Comparison, quantity: str, view: View) -> dict[str, Any]:
    """The lines and the range of the y axis by scale, smoothed and as recorded."""
    widths = {"recorded": 0.0, "smooth": view.smoothing}
    return {
        name: _panel(comparison.curves(quantity, smoothing=width, band=view.band)) for name, width in widths.items()
    }


def _panel(curves: Sequence[Curve]) -> dict[str, Any]:
    drawn = lines(curves)
    ranges = {scale: y_range(drawn, log=scale == "log") for scale in ("linear", "log")}
    return {"range": ranges, "faint": faintness(drawn), "lines": [_line(line) for line in drawn]}


def _group(label: str, i: int) -> dict[str, Any]:
    colour, marker = style(i)
    return {"label": label, "colour": colour, "marker": MARKERS[marker]}


def _line(line: Line) -> dict[str, Any]:
    content = {name: value for name, value in vars(line).items() if value is not None}
    content["x"] = {axis: _numbers(values) for axis, values in line.x.items()}
    return content | {name: _numbers(content[name]) for name in ("y", "low", "high", "n") if name in content}


def _numbers(values: Array) -> list[float | None]:
    """Seven digits of each, which is more than a screen can show; None for what is not finite, which JSON lacks."""
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in values.tolist()]


def _json(content: object) -> str:
    """JSON that can stand in a <script>: nothing in it can end one."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", r"\u003c")


def _warnings(warnings: Iterable[str]) -> str:
    listed = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<ul class="note" aria-label="Warnings">{listed}</ul>' if listed else ""


def _explanation(view: View) -> str:
    around = f", the band around them is {BANDS[view.band]} of the runs" if view.band in BANDS else ""
    recorded = f" The training loss of each step is smoothed over {view.smoothing:g} epochs; as recorded, it is faint."
    return (
        f"Thick lines are means over the runs of a group{around}.{recorded if view.smoothing else ''} "
        "A cross marks where a run diverged. Drag to zoom in, double-click to zoom out."
    )


def _settings(comparison: Comparison) -> Table:
    rows = []
    for group in comparison.groups:
        values = [str(group.settings[name]) for name in comparison.differing]
        seeds = ", ".join(str(run.config.get("seed")) for run in group.runs)
        runs = [run.name if run.status == "finished" else f"{run.name} ({run.status})" for run in group.runs]
        rows.append((group.label, *values, seeds, ", ".join(runs)))
    about = "the settings that differ, and the runs of each group"
    return Table("Settings", about, ("", *comparison.differing, "seeds", "runs"), tuple(rows))
