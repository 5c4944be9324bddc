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
from dlscratch.compare import QUANTITIES, Comparison
from dlscratch.drawing import (
    BANDS,
    MARKERS,
    STANDARD,
    Line,
    View,
    drawn_of,
    faintness,
    in_order,
    left_out,
    lines,
    shared_settings,
    split_names,
    style,
    y_range,
)
from dlscratch.functions import Array
from dlscratch.groups import few
from dlscratch.scores import MOST
from dlscratch.slices import Slice, slices
from dlscratch.table import Table

NAMED = 10  # runs of a group whose names are told


def save_comparison_page(comparison: Comparison, path: str | PathLike[str], view: View = STANDARD) -> None:
    """Write the comparison to `path` as a page that begins with this view; its reader can choose others.

    OSError where the disk refuses.
    """
    part, found = drawn_of(comparison), slices(comparison)
    start = {"axis": view.axis or comparison.axis, "quantity": view.quantity or "both"}
    start["scale"] = "log" if view.log else "linear"
    content = {
        "title": escape(f"Comparison of {', '.join(comparison.differing)}" if comparison.differing else "Comparison"),
        "style": _read("page.css"),
        "shared": escape(shared_settings(comparison)),
        "warnings": _warnings(comparison.warnings),
        "explanation": escape(f"{left_out(comparison)} {_explanation(view)}"),
        "tables": comparison.table().html(heading=True) + _settings(comparison).html("words", heading=True),
        "data": _json(
            {
                "start": start | {"smooth": view.smoothing > 0, "band": True, "runs": True},
                "splits": split_names(part),
                "groups": [_group(group.label, i) for i, group in enumerate(part.groups)],
                "curves": {name: _curves(part, name, view) for name in QUANTITIES},
                "names": [group.name for group in comparison.groups] if found else [],
                "slices": [_slice(each) for each in found],
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
    smooth, recorded = [], []
    for curve in comparison.curves(quantity, smoothing=view.smoothing, band=view.band):
        smooth += lines(comparison, curve)
        recorded += lines(comparison, curve.recorded())
    return {"recorded": _panel(in_order(recorded)), "smooth": _panel(in_order(smooth))}


def _panel(drawn: Sequence[Line]) -> dict[str, Any]:
    ranges = {scale: y_range(drawn, log=scale == "log") for scale in ("linear", "log")}
    return {"range": ranges, "faint": faintness(drawn), "lines": [_line(line) for line in drawn]}


def _group(label: str, i: int) -> dict[str, Any]:
    colour, marker = style(i)
    return {"label": label, "colour": colour, "marker": MARKERS[marker]}


def _line(line: Line) -> dict[str, Any]:
    content = {name: value for name, value in vars(line).items() if value is not None}
    content["x"] = {axis: _numbers(values) for axis, values in line.x.items()}
    return content | {name: _numbers(content[name]) for name in ("y", "low", "high", "n") if name in content}


def _slice(each: Slice) -> dict[str, Any]:
    numbers = {"x": _numbers(each.x), "y": _numbers(each.y), "groups": each.groups.tolist()}
    return {"setting": each.setting, "log": each.log, "whole": each.whole.tolist(), **numbers}


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
    for group in comparison.groups[:MOST]:
        values = [str(group.settings[name]) for name in comparison.differing]
        seeds = few([str(run.config.get("seed")) for run in group.runs], NAMED)
        runs = [run.name if run.status == "finished" else f"{run.name} ({run.status})" for run in group.runs]
        rows.append((group.label, *values, seeds, few(runs, NAMED)))
    about = "the settings that differ, and the runs of each group"
    return Table("Settings", about, ("", *comparison.differing, "seeds", "runs"), tuple(rows))
