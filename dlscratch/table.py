"""A table of texts, for a terminal of 100 columns, in Markdown or in HTML."""

import unicodedata
from dataclasses import dataclass
from html import escape
from textwrap import fill

WIDTH = 100  # columns of a terminal
LEAST = 14  # of them for names, if cells can stand closer for it
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True)
class Table:
    """A title, a sentence that explains it, and rows of text, of which the first column names the row."""

    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()  # row and column of what stands out
    below: str = ""  # a sentence under it

    def text(self, *, bold: bool = False) -> str:
        """Lines of at most WIDTH columns, if the cells beside the names leave room; long names go on below."""
        lines = [self.header, *self.rows]
        widths = [max(map(columns, column)) + 2 for column in zip(*lines, strict=True)]
        if WIDTH - sum(widths[1:]) < min(widths[0] - 2, LEAST):
            widths[1:] = [width - 1 for width in widths[1:]]
        widths[0] = min(widths[0] - 2, max(WIDTH - sum(widths[1:]), 5))
        text = []
        for number, (name, *cells) in enumerate(lines, start=-1):
            first, *rest = _pieces(name, widths[0])
            right = "".join(
                " " * (width - columns(cell)) + (f"{BOLD}{cell}{PLAIN}" if bold and (number, i) in self.best else cell)
                for i, (cell, width) in enumerate(zip(cells, widths[1:], strict=True), start=1)
            )
            text += [first + " " * (widths[0] - columns(first)) + right, *(f"  {piece}" for piece in rest)]
        return "\n".join([fill(f"{self.title}: {self.about}", WIDTH), *text, *([self.below] if self.below else [])])

    def markdown(self) -> str:
        """The same in Markdown, best values in bold."""
        marked = [
            [f"**{cell}**" if (i, j) in self.best else cell for j, cell in enumerate(row)]
            for i, row in enumerate([[cell.replace("|", r"\|") for cell in row] for row in self.rows])
        ]
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = ["| " + " | ".join(row) + " |\n" for row in [list(self.header), rule, *marked]]
        return "".join(lines) + (f"\n{self.below}\n" if self.below else "")

    def html(self, kind: str = "figures", *, heading: bool = False) -> str:
        """The same in HTML, best values strong; a wide table scrolls. kind: its class. heading: the title is one."""
        title, about = escape(self.title), escape(self.about)
        above = f"<h2>{title}</h2>\n" if heading else ""
        caption = about if heading or not about else f"{title}: {about}"
        head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in self.header)
        below = f"<p class=about>{escape(self.below)}</p>\n" if self.below else ""
        cells = [[self._cell(i, j) for j in range(len(self.header))] for i in range(len(self.rows))]
        body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in cells)
        return (
            f"{above}<figure class=table><figcaption>{caption or title}</figcaption>\n"
            f'<div class=scroll tabindex=0 role=region aria-label="{title}"><table class={kind}>'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>{below}</figure>\n"
        )

    def _cell(self, row: int, column: int) -> str:
        text = escape(self.rows[row][column])
        if column == 0:
            return f"<th scope=row>{text}</th>"
        return f"<td><strong>{text}</strong></td>" if (row, column) in self.best else f"<td>{text}</td>"

    def __str__(self) -> str:
        return self.text()


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: two for each wide character of East Asia."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _pieces(name: str, width: int) -> list[str]:
    """A name in lines of so many columns, the later ones to be indented by two; broken between words where possible."""
    lines = [""]

    def fits(text: str) -> bool:
        return columns(text) <= width - 2 * (len(lines) > 1)

    for word in name.split(" "):
        joined = f"{lines[-1]} {word}".lstrip()
        if fits(joined):
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        for character in word:
            lines += [] if fits(lines[-1] + character) else [""]
            lines[-1] += character
    return lines
