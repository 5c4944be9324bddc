"""Make a model of the training step from what scripts/scale.py has measured, and say what more ranks are worth.

    step      = gather + compute + Allreduce + optimizer    b images on R ranks, n = b / R each; h hidden units
    gather    = fixed + draw b + copy n                     every rank draws the whole batch, and copies its own rows
    compute   = crowd (fixed + image n + unit h + operation 3196 n h)               crowd = 1 where one rank computes
    Allreduce = stage log2(R) + byte 2 (R - 1) / R 4 (P + 2)                              P = 795 h + 10 parameters
    optimizer = fixed + unit h

The constants are fitted to the parts of steps on one rank (of gather, on two as well), and to messages without any
training. The crowd is how much slower two ranks compute than one. No whole step is fitted. More ranks than two are
taken to have a core each, and to be no slower for that than two are.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from dlscratch.command import DONE, accepted_by, limit_blas_threads, new_parser, number, run_command

OPERATIONS = 4 * 784 + 6 * 10  # for an image and a hidden unit: two products in the first layer, three in the second

Row = dict[str, Any]  # of what was measured: batch_size, hidden, ranks, and the seconds of each part


class Constant(NamedTuple):
    """Seconds for each of something, and their standard error."""

    value: float
    error: float = 0.0


Model = dict[str, dict[str, Constant]]  # by part and term


def main() -> int:
    options = parse_options()
    limit_blas_threads(1)
    report = json.loads(Path(options.measured).expanduser().read_text(encoding="utf-8"))
    steps = [row for row in report["steps"] if row["ranks"] <= 2]
    messages = [message_row(each) for each in report["messages"] if each["ranks"] == 2]
    if not messages or report["cores"] < 2:
        raise ValueError(f"{options.measured} tells nothing of two ranks with a core each; measure them first")
    model = fitted(steps, messages)
    show_constants(model)
    show_steps(model, steps)
    if options.latency:
        model["Allreduce"]["stage"] = Constant(options.latency)
    if options.bandwidth:
        model["Allreduce"]["byte"] = Constant(1 / options.bandwidth)
    for ranks in options.ranks:
        show_speed_ups(model, steps, ranks)
    return DONE


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__)
    option, positive = parser.add_argument, number(float, above=0)
    option("measured", metavar="FILE", help="what scripts/scale.py --json has written")
    option("--ranks", type=accepted_by(numbers_of_ranks), default="2,4,16,64", metavar="N,N", help="(%(default)s)")
    option("--latency", type=positive, metavar="SECONDS", help="of a message over another network than that measured")
    option("--bandwidth", type=positive, metavar="BYTES", help="a second over that network")
    return parser.parse_args()


def numbers_of_ranks(text: str) -> list[int]:
    """What an option holds: `2,16`."""
    values = text.split(",")
    if not all(value.isdecimal() and int(value) > 1 for value in values):
        raise ValueError(f"expects whole numbers from 2 up, such as 2,16, got {text!r}")
    return [int(value) for value in values]


def terms(batch_size: float, hidden: float, ranks: int) -> dict[str, dict[str, float]]:
    """Of each part, how many there are of what its constants are for."""
    n = batch_size / ranks
    return {
        "gather": {"fixed": 1, "draw": batch_size, "copy": n},
        "compute": {"fixed": 1, "image": n, "unit": hidden, "operation": OPERATIONS * n * hidden},
        "Allreduce": {"stage": math.log2(ranks), "byte": 2 * (ranks - 1) / ranks * 4 * (795 * hidden + 12)},
        "optimizer": {"fixed": 1, "unit": hidden},
    }


def message_row(message: dict[str, Any]) -> Row:
    """The message that a net of so many hidden units would send."""
    hidden = (message["numbers"] - 12) / 795
    return {"batch_size": 0, "hidden": hidden, "ranks": message["ranks"], "Allreduce": message["seconds"]}


def predicted(model: Model, part: str, batch_size: float, hidden: float, ranks: int) -> float:
    """The seconds of a part of a step."""
    count = terms(batch_size, hidden, ranks)[part]
    crowd = model[part]["crowd"].value if part == "compute" and ranks > 1 else 1
    return crowd * sum(count[name] * constant.value for name, constant in model[part].items() if name in count)


def step(model: Model, batch_size: float, hidden: float, ranks: int) -> float:
    """The seconds of a step."""
    return sum(predicted(model, part, batch_size, hidden, ranks) for part in model)


def fitted(steps: list[Row], messages: list[Row]) -> Model:
    """The model with the constants of this machine."""
    import numpy as np

    alone, together = ([row for row in steps if row["ranks"] == ranks] for ranks in (1, 2))
    rows = {"gather": steps, "compute": alone, "Allreduce": messages, "optimizer": alone}
    model = {part: least_squares(part, rows[part]) for part in rows}
    model["compute"]["crowd"] = Constant(1)
    slower = [row["compute"] / predicted(model, "compute", *size(row)) for row in together]
    model["compute"]["crowd"] = Constant(float(np.median(slower)), float(np.std(slower)) / len(slower) ** 0.5)
    return model


def size(row: Row) -> tuple[float, float, int]:
    return row["batch_size"], row["hidden"], row["ranks"]


def least_squares(part: str, rows: list[Row]) -> dict[str, Constant]:
    """The constants of a part that make its relative errors small; one that would be negative is 0."""
    import numpy as np

    counts = [terms(*size(row))[part] for row in rows]
    names = list(counts[0])
    while True:
        A = np.array([[count[name] for name in names] for count in counts]) / [[row[part]] for row in rows]
        scale = np.linalg.norm(A, axis=0)
        inverse = np.linalg.pinv(A / scale)
        values = inverse.sum(axis=1)  # for A values = 1
        if values.min() >= 0:
            break
        names.pop(int(values.argmin()))
    variance = np.sum((A / scale @ values - 1) ** 2) / max(1, len(rows) - len(names))
    errors = np.sqrt(variance * np.sum(inverse**2, axis=1))
    found = map(Constant, (values / scale).tolist(), (errors / scale).tolist())
    return dict.fromkeys(counts[0], Constant(0)) | dict(zip(names, found, strict=True))


def show_constants(model: Model) -> None:
    """Print what was fitted."""
    print("seconds for each")
    for part, constants in model.items():
        for name, (value, error) in constants.items():
            print(f"{part:10} {name:10} {value:9.3g} ± {error:.1g}")
    allreduce, operation = model["Allreduce"], model["compute"]["operation"].value
    print(f"\n{1e-9 / operation:.3g} billion operations a second; messages of {1e6 * allreduce['stage'].value:.3g} µs, "
          f"{1e-9 / allreduce['byte'].value:.3g} billion bytes a second")  # fmt: skip


def show_steps(model: Model, steps: list[Row]) -> None:
    """Print what whole steps take, beside what the model says."""
    import numpy as np

    print("\n   batch  hidden ranks   measured  predicted   ratio    (µs a step)")
    ratios: dict[int, list[float]] = {}
    for row in steps:
        seconds, guess = row["step"], step(model, *size(row))
        ratios.setdefault(row["ranks"], []).append(guess / seconds)
        print("{:8} {:7} {:5}".format(*size(row)), f"{1e6 * seconds:10.0f} {1e6 * guess:10.0f} {guess / seconds:7.2f}")
    for ranks, each in ratios.items():
        low, median, high = np.quantile(each, [0.1, 0.5, 0.9])
        print(f"{ranks} rank(s): predicted / measured {median:.2f}, eight of ten from {low:.2f} to {high:.2f}")


def show_speed_ups(model: Model, steps: list[Row], ranks: int) -> None:
    """Print how much faster so many ranks are than one, as predicted and where it was, as measured."""
    seconds = {size(row): row["step"] for row in steps}
    batches, widths = (sorted({row[name] for row in steps}) for name in ("batch_size", "hidden"))
    print(f"\n{ranks} ranks, times as fast as one: predicted" + " (measured)" * (ranks == 2))
    print(" hidden  pays from" + "".join(f"{batch:>12}" for batch in batches))
    for hidden in widths:
        cells = []
        for batch in batches:
            told = f"{step(model, batch, hidden, 1) / step(model, batch, hidden, ranks):.2f}"
            if (batch, hidden, ranks) in seconds:
                told += f" ({seconds[batch, hidden, 1] / seconds[batch, hidden, ranks]:.2f})"
            cells.append(f"{told:>12}")
        print(f"{hidden:7} {pays_from(model, hidden, ranks):>10}{''.join(cells)}")


def pays_from(model: Model, hidden: float, ranks: int) -> str:
    """The smallest batch that so many ranks are faster with than one: what they save is linear in its size."""
    at_0, at_1 = (step(model, batch, hidden, 1) - step(model, batch, hidden, ranks) for batch in (0, 1))
    return str(max(1, math.floor(at_0 / (at_0 - at_1)) + 1)) if at_1 > at_0 else "never"


if __name__ == "__main__":
    run_command(main)
