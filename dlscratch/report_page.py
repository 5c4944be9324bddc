"""A report as one HTML page that needs nothing beside it, and its pictures as PNG files.

The numbers come from `report`, tables and sentences from `report_text`, pictures from `plot`.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from dataset.files import replacing
from dlscratch.plot import save_activations, save_confusion, save_curves, save_gallery, save_weights
from dlscratch.report import Report, as_images
from dlscratch.report_text import class_table, confusion_table, headline, layer_table, mistake_table, param_table
from dlscratch.table import Table

MOST_UNITS = 100  # or filters, drawn of the first layer
GALLERY = 20


class Part(NamedTuple):
    """A part of the page: what it shows, in a picture where there is something to draw, and in tables."""

    title: str
    about: str
    draw: Callable[[Path], None] | None  # a picture into a file
    alt: str  # what the picture shows, for those who do not see it
    tables: tuple[Table, ...]
    more: Table | None = None  # for those who look closely


def write_report(report: Report, folder: str | PathLike[str]) -> Path:
    """Write report.html and its pictures into `folder`, which is made if need be; return the path of the page.

    OSError where the disk refuses.
    """
    parts = [*_learned(report), *_inside(report)]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    body = "".join(_section(part, folder) for part in parts)
    with replacing(folder / "report.html") as file:
        file.write(_page(report, body).encode())
    return folder / "report.html"


def _learned(report: Report) -> Iterator[Part]:
    """How well the net does."""
    if report.run.epochs["epoch"].size:
        curves = partial(save_curves, report.run)
        yield Part("Curves", "Loss and accuracy over the training.", curves, "Curves of loss and accuracy", ())
    yield Part(
        "Confusion",
        "A row for each class, a column for what its images were taken for: blue is right, orange is wrong.",
        partial(save_confusion, report.confusion),
        "The confusion matrix; the table of its counts can be opened",
        (class_table(report),),
        confusion_table(report),
    )
    worst = report.mistakes[:GALLERY]
    pairs = zip(*report.mistaken, report.p[report.mistakes].max(axis=1), strict=True)
    titles = [f"{t} → {k}  {p:.1%}" for t, k, p in pairs][:GALLERY]
    images = as_images(report.x[worst]) if titles else None
    yield Part(
        "Mistakes",
        "The wrong answers of which the net is most certain: class → answer, and the answer's probability.",
        None if images is None else partial(save_gallery, images, titles),
        f"Images that are misread: {', '.join(titles)}",
        (mistake_table(report, GALLERY),),
    )


def _inside(report: Report) -> Iterator[Part]:
    """What the net's layers have come to."""
    drawn = None if report.weights is None else report.weights[:MOST_UNITS]
    yield Part(
        "Weights",
        f"What leads from the pixels to each unit or filter of the first layer (to {MOST_UNITS}, if there are more): "
        "ink excites it where it is red, and inhibits it where it is blue.",
        None if drawn is None else partial(save_weights, drawn),
        "The weights of the first layer as images",
        (param_table(report),),
    )
    yield Part(
        "Activations",
        f"What the layers put out for the first {report.sample:,} test images, zeros left out.",
        partial(save_activations, report.layers),
        "Histograms of the outputs of each layer; their mean and spread are in the table",
        (layer_table(report),),
    )


def _section(part: Part, folder: Path) -> str:
    picture = ""
    if part.draw:
        path = folder / f"{part.title.lower()}.png"
        part.draw(path)
        data = b64encode(path.read_bytes()).decode()
        picture = f'<div><img alt="{escape(part.alt)}" src="data:image/png;base64,{data}"></div>\n'
    more = f"<details><summary>The counts</summary>{part.more.html()}</details>" if part.more else ""
    tables = "".join(table.html() for table in part.tables) + more
    return (
        f"<section>\n<h2>{part.title}</h2>\n<p class=about>{escape(part.about)}</p>\n"
        f'<div class="{"part" if tables else "wide"}">\n{picture}<div>{tables}</div>\n</div>\n</section>\n'
    )


def _page(report: Report, body: str) -> str:
    run, style = report.run, files("dlscratch").joinpath("page.css").read_text(encoding="utf-8")
    settings = {"status": run.status} | {name: value for name, value in run.config.items() if value is not None}
    listed = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(str(v))}</dd></div>" for n, v in settings.items())
    note = f"<p class=note>{escape(str(run.facts['note']))}</p>" if run.facts.get("note") else ""
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(run.name)}</title>\n<style>{style}</style>\n"
        f"<h1>{escape(run.name)}</h1>\n<p class=result>{headline(report)}</p>\n{note}\n<dl>{listed}</dl>\n"
        f"{body}</html>\n"
    )
