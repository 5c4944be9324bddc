"""Numbers into pictures. The one room that imports matplotlib, which the extra `plot` brings."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

try:
    from matplotlib import rc_context
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import fontManager
    from matplotlib.gridspec import SubplotSpec
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import LogLocator, NullLocator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("matplotlib is not installed; python -m pip install 'dlscratch[plot]'") from error

from dataset.files import replacing
from dlscratch.compare import QUANTITIES, Comparison
from dlscratch.drawing import (
    BANDS,
    STANDARD,
    Line,
    View,
    described,
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
from dlscratch.report import LayerStatistics
from dlscratch.runs import WATCHED, Run
from dlscratch.slices import Slice, slices

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#bbbbbb"  # of Okabe and Ito's colours, told apart by everybody
DARK = "#565b63"
DASHES: dict[str, Any] = {"train": "-", "test": "--"}
FONTS = "DejaVu Sans", "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Apple SD Gothic Neo", "Malgun Gothic"
MOST_NUMBERED = 20  # classes of a confusion matrix whose counts can be read

Bars = Mapping[str, tuple[float, str]]  # by name: how long a bar is, and what is written at it


def save_curves(run: Run, path: str | PathLike[str]) -> None:
    """Draw loss and accuracy of a run over its epochs; the ending of `path` gives the format."""
    steps, epochs, held = run.steps, run.epochs, run.held
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    loss.plot(steps["epoch"], steps["loss"], color=GREY, linewidth=0.4, label="each step")
    for axes, quantity in ((loss, "loss"), (accuracy, "acc")):
        axes.plot(epochs["epoch"], epochs[f"train_{quantity}"], color=BLUE, label="training set")
        axes.plot(
            epochs["epoch"], epochs[f"{held}_{quantity}"], color=ORANGE, linestyle="--", label=f"{WATCHED[held]} set"
        )
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee")
    loss.set(ylabel="loss", yscale="log" if np.any(steps["loss"] > 0) else "linear")
    learned = epochs["train_acc"][1:], epochs[f"{held}_acc"][1:]  # what comes before training would flatten the rest
    accuracy.set(ylabel="accuracy", ylim=(min((float(a.min()) for a in learned if a.size), default=0) - 0.01, 1))
    loss.legend(frameon=False)
    figure.suptitle(_plain(described(run.config)), fontsize="medium")
    _save(figure, path)


# A comparison of runs


def save_comparison(comparison: Comparison, path: str | PathLike[str], view: View = STANDARD) -> None:
    """Draw the groups' loss and accuracy.

    Means are thick, with the band around them; single runs are faint behind, recorded losses fainter. A cross marks
    where a run diverged, on the edge if it left the picture. Of many groups the best are drawn, and below them the
    final accuracy of all over each setting that was varied in numbers. The ending of `path` gives the format: .png,
    .svg or .pdf.
    """
    axis, names = view.axis or comparison.axis, (view.quantity,) if view.quantity else QUANTITIES
    part, found = drawn_of(comparison), slices(comparison)
    panels = {name: _lines(part, name, view) for name in names}
    width = 72 * len(names)  # of small letters beside each other
    notes = "\n".join(fill(warning, width) for warning in comparison.warnings)
    handles, labels = zip(*_groups(part, width - 8), *_styles(part, view.band), *_points(found), strict=True)
    columns = max(1, width // (8 + max(len(line) for label in labels for line in label.split("\n"))))
    rows = notes.count("\n") + sum(1 + label.count("\n") for label in labels) // columns
    height, lower = 4.2 + 0.19 * rows, 2.6 * -(-len(found) // (2 * len(names)))
    with _any_script():
        figure = Figure(figsize=(1 + 4.5 * len(names), height + lower), layout="constrained")
        figure.suptitle(_plain(notes), color=ORANGE, fontsize="small", x=0.01, ha="left")
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, frameon=False, fontsize="small")
        rooms = figure.add_gridspec(2, 1, height_ratios=(3.6, lower)) if found else figure.add_gridspec(1, 1)
        all_axes = rooms[0].subgridspec(1, len(names)).subplots(squeeze=False)[0]
        told = "\n".join(fill(text, width - 8) for text in (shared_settings(comparison), left_out(comparison)) if text)
        all_axes[0].set_title(_plain(told), fontsize="medium", loc="left")
        for axes, (name, drawn) in zip(all_axes, panels.items(), strict=True):
            _draw(axes, drawn, axis, log=view.log and name == "loss")
            axes.set(xlabel=axis, ylabel=name)
        if found:
            _draw_slices(figure, rooms[1], found, 2 * len(names), len(part.groups))
        _save(figure, path)


def _lines(comparison: Comparison, quantity: str, view: View) -> list[Line]:
    curves = comparison.curves(quantity, smoothing=view.smoothing, band=view.band)
    return in_order(line for curve in curves for line in lines(comparison, curve))


def _draw(axes: Axes, drawn: Sequence[Line], axis: str, *, log: bool) -> None:
    low, high = y_range(drawn, log=log)
    axes.set(yscale="log" if log else "linear", ylim=(low, high))
    if log:
        digits = (1, 2, 5) if high > 4 * low else range(1, 10)
        axes.yaxis.set(major_locator=LogLocator(subs=digits), major_formatter="{x:g}", minor_locator=NullLocator())
    _open_up(axes)
    for line in drawn:
        x, dash, (colour, marker) = line.x[axis], DASHES[line.split], style(line.group)
        if line.kind == "raw":
            axes.plot(x, line.y, color=colour, linewidth=0.3, alpha=faintness(drawn), rasterized=True)
        elif line.kind == "run":
            axes.plot(x, line.y, dash, color=colour, linewidth=0.5, alpha=0.4)
        else:
            if line.low is not None and line.high is not None:
                shown = line.low > (0 if log else -np.inf)  # a logarithm knows nothing below 0
                axes.fill_between(x, line.low, line.high, shown, color=colour, alpha=0.2, linewidth=0)
            every = max(1, len(x) // 8)
            axes.plot(x, line.y, dash, color=colour, linewidth=1.6, marker=marker, markersize=4, markevery=every)
        if line.diverged:
            last = np.clip(np.nan_to_num(line.y[-1], nan=high), low, high)
            axes.plot(x[-1], last, "x", color=colour, markersize=8, markeredgewidth=2, clip_on=False, zorder=4)


def _draw_slices(figure: Figure, room: SubplotSpec, found: Sequence[Slice], beside: int, coloured: int) -> None:
    """At most so many beside each other. A point for each group: the coloured ones look as their curves do."""
    columns = min(len(found), beside)
    grid = room.subgridspec(-(-len(found) // columns), columns)
    for i, each in enumerate(found):
        _draw_slice(figure.add_subplot(grid[i]), each, coloured)


def _draw_slice(axes: Axes, each: Slice, coloured: int) -> None:
    axes.set(xlabel=_plain(each.setting), ylabel="final accuracy", xscale="log" if each.log else "linear")
    _open_up(axes)
    for whole, face in ((True, DARK), (False, "none")):
        rest = (each.groups >= coloured) & (each.whole == whole)
        axes.scatter(each.x[rest], each.y[rest], s=9, alpha=0.4, linewidths=0.6, edgecolors=DARK, facecolors=face)
    for i in np.flatnonzero(each.groups < coloured)[::-1]:  # the best one on top
        colour, marker = style(int(each.groups[i]))
        face = colour if each.whole[i] else "none"
        axes.plot(each.x[i], each.y[i], marker, color=colour, markersize=5, markerfacecolor=face)


def _open_up(axes: Axes) -> None:
    """Two sides are open, and a faint grid is behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)


def _groups(comparison: Comparison, width: int) -> Iterator[tuple[Artist, str]]:
    """What names the groups in the legend."""
    for i, group in enumerate(comparison.groups):
        colour, marker = style(i)
        yield Line2D([], [], color=colour, marker=marker, markersize=4), _plain(fill(group.label, width))


def _styles(comparison: Comparison, band: str) -> Iterator[tuple[Artist, str]]:
    """What explains the styles of lines in the legend, as far as they occur."""
    for split, name in split_names(comparison).items():
        yield Line2D([], [], color=DARK, linestyle=DASHES[split]), name
    if band in BANDS and any(len(group.runs) > 1 for group in comparison.groups):
        yield Patch(color=DARK, alpha=0.2, linewidth=0), BANDS[band]
    if any(run.status == "diverged" for group in comparison.groups for run in group.runs):
        yield Line2D([], [], color=DARK, linestyle="", marker="x"), "diverged"


def _points(found: Sequence[Slice]) -> Iterator[tuple[Artist, str]]:
    """What explains the points of slices in the legend, as far as they occur."""
    looks: dict[str, Any] = {"color": DARK, "linestyle": "", "marker": "o", "markersize": 3, "alpha": 0.6}
    if found:
        yield Line2D([], [], **looks), "other groups"
    if not all(each.whole.all() for each in found):
        yield Line2D([], [], **looks, markerfacecolor="none"), "with runs that ended early"


def _plain(text: str) -> str:
    """As matplotlib takes it: `$` begins no formula, and a "?" stands for half a letter, which file names may hold."""
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


@contextmanager
def _any_script() -> Iterator[None]:
    """Names in any language: with the fonts that are installed, and an empty box for what they lack."""
    installed = set(fontManager.get_font_names())
    with rc_context({"font.family": [font for font in FONTS if font in installed]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


# A report of one run


def save_confusion(counts: Array, path: str | PathLike[str]) -> None:
    """Draw a confusion matrix (K, K): in blue what was recognised, in orange what was mistaken for another class."""
    classes = len(counts)
    right = np.eye(classes, dtype=bool)
    figure = Figure(figsize=(5.4, 5), layout="constrained")
    axes = figure.subplots()
    for cells, colours in ((np.where(right, counts, np.nan), "Blues"), (np.where(right, np.nan, counts), "Oranges")):
        most = max(np.nanmax(cells, initial=0), 1)
        axes.imshow(cells, cmap=colours, vmin=0, vmax=most * 1.6)  # never so dark that its number could not be read
    if classes <= MOST_NUMBERED:
        for (i, j), count in np.ndenumerate(counts):
            axes.text(j, i, str(count or ""), ha="center", va="center", fontsize=8.5 if classes <= 10 else 6)
        axes.set(xticks=range(classes), yticks=range(classes))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.arange(1, classes) - 0.5, minor=True)
    axes.grid(which="minor", color="white")
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="taken for", ylabel="class")
    axes.spines[:].set_visible(False)
    _save(figure, path)


def save_gallery(images: Array, titles: Sequence[str], path: str | PathLike[str]) -> None:
    """Draw grey images (N, H, W), five in a row, each under its title; dark is what is bright in the data, like ink."""
    _, height, width = images.shape
    above, beside = -(-height // 2), -(-width // 4)
    sheet = _sheet(images, 5, above, beside)
    figure = Figure(figsize=(5.4, 5.4 * len(sheet) / sheet.shape[1]))
    axes = figure.add_axes((0, 0, 1, 1))
    white = 255 if images.dtype == np.uint8 else 1
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=white, interpolation="nearest")
    axes.set_axis_off()
    for i, title in enumerate(titles):
        row, column = divmod(i, 5)
        x, y = (column + 0.5) * (width + beside), row * (height + above) + 0.7 * above
        axes.text(x - 0.5, y - 0.5, title, ha="center", va="center", fontsize=9)
    _save(figure, path)


def save_weights(weights: Array, path: str | PathLike[str]) -> None:
    """Draw the weights (M, H, W) that lead to each of M units as images, ten in a row, all on one scale of colours."""
    gap = 2 if min(weights.shape[1:]) > 10 else 1
    sheet = _sheet(weights, 10, gap, gap)
    figure = Figure(figsize=(5.4, 0.4 + 5.4 * len(sheet) / sheet.shape[1]), layout="constrained")
    axes = figure.subplots()
    limit = float(np.quantile(np.abs(weights), 0.999)) or 1.0  # a few outliers would leave all others pale
    drawn = axes.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_axis_off()
    bar = figure.colorbar(drawn, orientation="horizontal", shrink=0.5, aspect=40, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    _save(figure, path)


def save_activations(layers: Sequence[LayerStatistics], path: str | PathLike[str]) -> None:
    """Draw for each layer the histogram of its outputs; those that are exactly 0 are told as a share beside it."""
    figure = Figure(figsize=(5.4, 0.2 + 1.2 * len(layers)), layout="constrained")
    for axes, layer in zip(figure.subplots(len(layers), squeeze=False).flat, layers, strict=True):
        axes.stairs(layer.counts, layer.edges, fill=True, color=BLUE)
        zeros = f": {layer.zeros:.1%} zeros" if layer.zeros else ""
        axes.set_title(layer.layer + zeros, fontsize=9, loc="left")
        axes.axvline(0, color="black", linewidth=0.6)
        axes.set_yticks([])
        axes.tick_params(labelsize=8)
        axes.spines[["top", "left", "right"]].set_visible(False)
    _save(figure, path)


def _sheet(images: Array, columns: int, above: int, beside: int) -> Array:
    """Images (N, H, W) in rows of so many, as one array, with nan in the pixels above and beside each."""
    count, height, width = images.shape
    rows, left = -(-count // columns), beside // 2
    sheet = np.full((rows * columns, height + above, width + beside), np.nan)
    sheet[:count, above:, left : left + width] = images
    return sheet.reshape(rows, columns, height + above, -1).swapaxes(1, 2).reshape(rows * (height + above), -1)


# A benchmark


def save_bars(panels: Mapping[str, Bars], path: str | PathLike[str], *, marked: str) -> None:
    """Draw horizontal bars under each title, four panels in a row; those whose names begin with `marked` are blue.

    A name has one height in all panels. A bar more than four times as long as that of `marked` is cut off.
    """
    names = list(dict.fromkeys(name for bars in panels.values() for name in bars))
    rows, columns = -(-len(panels) // 4), min(4, len(panels))
    figure = Figure(figsize=(1.8 + 1.8 * columns, rows * (0.6 + 0.2 * len(names))), layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    all_axes[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    for axes, (title, bars) in zip(all_axes, panels.items(), strict=False):
        axes.set_title(title, fontsize=9, loc="left")
        _draw_bars(axes, bars, names, marked)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    _save(figure, path)


def _draw_bars(axes: Axes, bars: Bars, names: Sequence[str], marked: str) -> None:
    most = 4 * bars[marked][0]
    axes.set(xticks=[], xlim=(0, 1.3 * most))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    for name, (length, text) in bars.items():
        row, shown, ours = names.index(name), min(length, most), name.startswith(marked)
        axes.barh(row, shown, height=0.7, color=BLUE if ours else GREY)
        axes.text(shown + 0.03 * most, row, text, va="center", fontsize=8, weight="bold" if ours else "normal")
        if shown < length:
            axes.plot([0.93 * most, 0.97 * most], [row + 0.5, row - 0.5], color="white", linewidth=2)


def _save(figure: Figure, path: str | PathLike[str]) -> None:
    with replacing(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:], dpi=150)
