"""A report in words and figures: its tables, which page and terminal share, and the whole as text of 100 columns."""

from textwrap import fill

import numpy as np

from dlscratch.functions import Array
from dlscratch.report import Report, as_images, precision, recall
from dlscratch.table import WIDTH, Table

SHADES = " .:-=+*#%@"  # dark to bright, in characters that every terminal has


def headline(report: Report) -> str:
    """The result in one line."""
    wrong, count = len(report.mistakes), len(report.t)
    return f"test accuracy {report.accuracy:.4f}, loss {report.loss:.4f}: {wrong:,} of {count:,} images are misread"


def confusion_table(report: Report) -> Table:
    """The confusion matrix."""
    rows = ((str(i), *(str(count or ".") for count in row)) for i, row in enumerate(report.confusion))
    header = ("", *map(str, range(len(report.confusion))))
    return Table("Confusion", "a row for each class, a column for what its images were taken for", header, tuple(rows))


def class_table(report: Report) -> Table:
    """Precision and recall of each class, and what its images were most often mistaken for."""
    counts = report.confusion
    wrong = counts - np.diag(np.diagonal(counts))
    columns = counts.sum(axis=1), precision(counts), recall(counts), wrong.argmax(axis=1)
    rows = (
        (str(i), f"{images:,}", _share(p), _share(r), f"{k} ({wrong[i, k]:,})" if wrong[i, k] else "-")
        for i, (images, p, r, k) in enumerate(zip(*columns, strict=True))
    )
    header = ("class", "images", "precision", "recall", "mistaken for")
    about = "precision: the right share of what was taken for it; recall: the share of its images found"
    return Table("Classes", about, header, tuple(rows))


def mistake_table(report: Report, count: int) -> Table:
    """The most confident wrong answers."""
    rows = (
        (str(i), str(t), str(k), f"{report.p[i, k]:.2%}", f"{report.p[i, t]:.2%}")
        for i, t, k in zip(report.mistakes, *report.mistaken, strict=True)
    )
    header = ("image", "class", "taken for", "probability", "of its class")
    return Table("Mistakes", "the most confident wrong answers", header, tuple(rows)[:count])


def layer_table(report: Report) -> Table:
    """What each layer puts out."""
    rows = (
        (s.layer, f"{s.mean:z.4f}", f"{s.std:.4f}", f"{s.zeros:.1%}", f"{s.dead} of {s.units}", f"{s.gradient:.2e}")
        for s in report.layers
    )
    header = ("layer", "mean", "std", "zeros", "dead units", "gradient")
    about = "what they put out; dead: 0 for every image; gradient: mean norm of that of one image's loss"
    return Table("Layers", about, header, tuple(rows))


def param_table(report: Report) -> Table:
    """Each parameter and its gradient."""
    rows = (
        (p.name, " x ".join(map(str, p.shape)), f"{p.mean:z.4f}", f"{p.std:.4f}", f"{p.norm:.4f}", f"{p.gradient:.2e}")
        for p in report.params
    )
    header = ("name", "shape", "mean", "std", "norm", "gradient")
    return Table("Parameters", "gradient: norm of that of the mean loss", header, tuple(rows))


def as_text(report: Report) -> str:
    """The whole report for a terminal, at most 100 columns wide."""
    tables = confusion_table(report), class_table(report), mistake_table(report, 10)
    inside = layer_table(report), param_table(report)
    note = fill(str(report.run.facts.get("note", "")), WIDTH)
    state = "" if report.run.status == "finished" else f" ({report.run.status}; this is its net as it was last saved)"
    head = f"{report.run.name}{state}\n{headline(report)}"
    parts = [head, note, *map(fitting, tables), gallery(report), *map(fitting, inside)]
    return "\n\n".join(filter(None, parts))


def fitting(table: Table) -> str:
    """The table as text; where that is too wide for a terminal, a word on where to find it."""
    text = str(table)
    wide = max(map(len, text.splitlines())) > WIDTH
    return f"{table.title}: too wide for {WIDTH} columns, see the page" if wide else text


def gallery(report: Report) -> str:
    """As many of the most confident mistakes as fit side by side, each drawn in characters."""
    images = as_images(report.x)
    if images is None or not len(report.mistakes):
        return ""
    titles = [f"{i}: {t}, not {k}" for i, t, k in zip(report.mistakes, *report.mistaken, strict=True)]
    width = max(images.shape[2], *map(len, titles)) + 3
    count = WIDTH // width
    rows = [titles[:count], *zip(*(drawing(images[i]) for i in report.mistakes[:count]), strict=True)]
    return "\n".join("".join(f"{cell:{width}}" for cell in row).rstrip() for row in rows)


def drawing(image: Array) -> list[str]:
    """A grey image (H, W), bytes or 0 to 1, in lines of characters, one for two rows: they are higher than wide."""
    rows = image / (255 if image.dtype == np.uint8 else 1)
    rows = np.pad(rows, ((0, len(rows) % 2), (0, 0)))
    shades = (rows[::2] + rows[1::2]) / 2 * (len(SHADES) - 1)
    return ["".join(SHADES[shade] for shade in row) for row in shades.round().astype(int)]


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4f}"
