"""What was measured, for readers and for programs: the same figures as tables, as JSON, and as bars of a picture."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dlscratch.table import Table
from measure.timing import Figures

OURS = "dlscratch"
STEP = "µs"  # the unit of steps, and of nothing else
UNITS = {STEP: (1e6, ".0f"), "ms": (1e3, ".1f"), "s": (1, ".2f")}  # how many make a second, and their decimals
MEMORY = {"MB": 1 << 20, "KB": 1 << 10, "B": 1}


class Result(NamedTuple):
    """The figures of all contenders in one thing; those that a contender lacks are None."""

    title: str
    about: str
    unit: str
    threads: int
    rows: Mapping[str, Figures]

    @property
    def heading(self) -> str:
        """The title, and on how many threads."""
        return f"{self.title}, {self.threads} thread{'s' * (self.threads > 1)}"

    @property
    def table(self) -> Table:
        """With the columns in which anybody has a figure."""
        cells = {
            f"{self.unit}, median": lambda row: self.time(row.median),
            "middle half": lambda row: f"{self.time(row.low)} to {self.time(row.high)}",
            "dlscratch / it": lambda row: row.ratio and f"{row.ratio:.3f}",
            "cores": lambda row: f"{row.cores:.2f}",
            "memory": lambda row: row.memory and told(row.memory),
        }
        told_by_anybody = {head: cell for head, cell in cells.items() if any(map(cell, self.rows.values()))}
        rows = ((name, *(cell(row) or "" for cell in told_by_anybody.values())) for name, row in self.rows.items())
        return Table(self.heading, self.about, ("", *told_by_anybody), tuple(rows))

    def time(self, seconds: float) -> str:
        """So many seconds in the unit of this result."""
        scale, decimals = UNITS[self.unit]
        return f"{seconds * scale:{decimals}}"

    def as_json(self) -> dict[str, Any]:
        """Times in seconds, memory in bytes."""
        return {**self._asdict(), "rows": {name: row._asdict() for name, row in self.rows.items()}}

    @property
    def caption(self) -> str:
        """What stands above the bars, in two lines."""
        return f"{self.title}, {self.unit}".replace(", ", "\n", 1)

    @property
    def bars(self) -> dict[str, tuple[float, str]]:
        """How long each bar of a picture is, and what is written at it."""
        return {name: (row.median, self.time(row.median)) for name, row in self.rows.items()}


def told(memory: float) -> str:
    """So many bytes, in the largest unit of which they make at least one."""
    unit = next(unit for unit, size in MEMORY.items() if memory >= size)
    return f"{memory / MEMORY[unit]:.0f} {unit}"


def tables(results: Sequence[Result]) -> Iterator[Table]:
    """Those of a report: the steps of all sizes in one, and the first size and all that are no steps in full."""
    for threads in dict.fromkeys(result.threads for result in results):
        here = [result for result in results if result.threads == threads]
        first, *others = sizes = [result for result in here if result.unit == STEP]
        yield first.table
        if others:
            yield overview(sizes)
        yield from (result.table for result in here if result not in sizes)


def overview(sizes: Sequence[Result]) -> Table:
    """A row for each contender, a column for each of these results."""

    def cell(row: Figures | None, result: Result) -> str:
        return f"{result.time(row.median)} ({row.ratio:.2f})" if row else ""

    names = dict.fromkeys(name for result in sizes for name in result.rows)
    rows = tuple((name, *(cell(result.rows.get(name), result) for result in sizes)) for name in names)
    heading = sizes[0]._replace(title="All sizes").heading
    about = f"{sizes[0].unit} for a step, median; in brackets dlscratch / it"
    return Table(heading, about, ("", *(result.title for result in sizes)), rows)
