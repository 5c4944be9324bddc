"""Time a training step on 1, 2, 4, ... ranks, part by part, for many sizes of the batch and of the net.

    mpiexec -n 4 python -m mpi4py scripts/scale.py --distributed mpi --json scale.json

The numbers of ranks take turns, so that they share the machine's moods. The images are random, as many and as large as
those of MNIST. Without mpiexec there is one rank. scripts/scale_model.py makes a model of what the JSON holds.
"""

import argparse
import functools
import itertools
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from dlscratch.command import (
    DONE,
    INTERRUPTED,
    accepted_by,
    limit_blas_threads,
    new_parser,
    number,
    option_value,
    run_command,
)
from dlscratch.ranks import ALONE, Ranks

IMAGES, PIXELS, CLASSES = 60_000, 784, 10
BATCHES, HIDDEN = "6,25,100,200,400,800,1600,3200,8192", "50,200,1000,4096"
LENGTHS = "2,100,1000,10000,39762,100000,300000,1000000,3256332"  # the message of 784-50-10 has 39,762 numbers
PARTS = "gather", "compute", "wait", "Allreduce", "optimizer"
WORK = 300_000  # images times hidden units that are enough for a turn
ASLEEP = 0.001  # seconds between two looks of a rank whose turn it is not

Step = Callable[[], tuple[float, ...]]  # returns the seconds that its parts took


def main() -> int:
    with wanted_ranks() as ranks:
        options = parse_options()
        limit_blas_threads(1)
        report = measure(Turns(ranks, options.rounds, options.block), options)
        if options.json and not ranks.rank:
            Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return DONE


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, INTERRUPTED)
    option, numbers = parser.add_argument, accepted_by(whole_numbers)
    option("--batch-sizes", type=numbers, default=BATCHES, metavar="N,N", help="images in a step (%(default)s)")
    option("--hidden", type=numbers, default=HIDDEN, metavar="N,N", help="hidden units (%(default)s)")
    option("--lengths", type=numbers, default=LENGTHS, metavar="N,N", help="numbers in a message (%(default)s)")
    option("--rounds", type=number(int, least=1), default=5, metavar="N", help="turns of each (%(default)s)")
    option("--block", type=number(int, least=1), default=50, metavar="N", help="steps in a turn at most (%(default)s)")
    option("--json", metavar="FILE", help="write the figures there, too")
    option("--distributed", choices=["mpi"], help="measure on the ranks that mpiexec has started, too")
    return parser.parse_args()


def whole_numbers(text: str) -> list[int]:
    """What an option holds: `100,200`."""
    values = text.split(",")
    if not all(value.isdecimal() and int(value) for value in values):
        raise ValueError(f"expects whole numbers from 1 up, such as 100,200, got {text!r}")
    return [int(value) for value in values]


def wanted_ranks() -> AbstractContextManager[Ranks]:
    """The processes that mpiexec has started, if the command line asks for them, or this one alone."""
    if option_value("--distributed") != "mpi":
        return nullcontext(ALONE)
    from dlscratch.mpi import mpi_ranks

    return mpi_ranks()


def measure(turns: "Turns", options: argparse.Namespace) -> dict[str, Any]:
    """Time and print all that is asked for."""
    import numpy as np

    from dlscratch.experiment import cores

    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (IMAGES, PIXELS), np.uint8), rng.integers(0, CLASSES, IMAGES)
    print(f"{cores()} cores" + "".join(f", which {size} ranks share" for size in turns.sizes if size > cores()))
    print("\n   batch  hidden ranks" + "".join(f"{column:>11}" for column in ("µs a step", "median", *PARTS)))
    steps, messages = [], []
    for hidden, batch_size in itertools.product(options.hidden, options.batch_sizes):
        make = functools.partial(training_step, x=x, t=t, batch_size=batch_size, hidden=hidden)
        for size, times in turns.times(make, 1 + WORK // (batch_size * hidden)).items():
            found = figures(times)
            steps.append({"batch_size": batch_size, "hidden": hidden, "ranks": size, **found})
            print(f"{batch_size:8} {hidden:7} {size:5}" + "".join(f"{1e6 * each:11.1f}" for each in found.values()))
    print("\n numbers summed ranks         µs     median")
    for length in options.lengths:
        turn = turns.times(functools.partial(message, length=length))
        for size in list(turn)[1:]:
            low, median = np.quantile(
                turn[size].mean(axis=(1, 2)), [0.05, 0.5]
            ).tolist()  # the middle of the fastest tenth
            messages.append({"numbers": length, "ranks": size, "seconds": low, "median": median})
            print(f"{length:15} {size:5}{1e6 * low:11.1f}{1e6 * median:11.1f}")
    return {"cores": cores(), "steps": steps, "messages": messages}


def figures(times: Any) -> dict[str, Any]:
    """Seconds of a step, means of its ranks: `step` and its parts of the fastest tenth, and the median of all.

    What disturbs a step makes it slower, never faster. The rank that comes last takes for the sum what it takes; the
    others wait for it before.
    """
    import numpy as np

    whole = times.sum(axis=2).mean(axis=1)
    fastest = times[np.argsort(whole)[: -(-len(whole) // 10)]]
    gather, compute, summed, optimizer = np.moveaxis(fastest, 2, 0)
    allreduce = summed.min(axis=1, keepdims=True)
    parts = gather, compute, summed - allreduce, allreduce, optimizer
    means = {name: float(np.mean(part)) for name, part in zip(PARTS, parts, strict=True)}
    return {"step": sum(means.values()), "median": float(np.median(whole)), **means}


class Turns:
    """The first 1, 2, 4, ... of the ranks, who do the same one after the other."""

    def __init__(self, ranks: Any, rounds: int, block: int) -> None:
        self.ranks, self.rounds, self.block = ranks, rounds, block
        self.sizes = sorted({2**power for power in range(ranks.size.bit_length())} | {ranks.size})
        self.groups = {size: group for size in self.sizes if (group := first(ranks, size))}

    def times(self, make: Callable[[Any], Step], enough: int = 10**9) -> dict[int, Any]:
        """For each number of ranks, if this is one of them, the seconds (steps, ranks, parts)."""
        import numpy as np

        block = min(enough, self.block)
        steps = {size: make(group) for size, group in self.groups.items()}
        times: dict[int, list[tuple[float, ...]]] = {size: [] for size in steps}
        for _ in range(self.rounds + 1):
            for size in self.sizes:
                if step := steps.get(size):
                    step()  # in which its ranks find each other
                    times[size] += [step() for _ in range(block)]
                self.meet()
        return {size: shared(self.groups[size], np.array(each[block:])) for size, each in times.items()}  # once warm

    def meet(self) -> None:
        """Wait for all ranks, and leave the processor to those that work."""
        if self.ranks.size > 1:
            all_there = self.ranks.comm.Ibarrier()
            while not all_there.Test():
                time.sleep(ASLEEP)


def first(ranks: Any, size: int) -> Ranks | None:
    """The first `size` of the ranks, if this is one of them."""
    if size == ranks.size:
        return ranks
    few = type(ranks)(ranks.comm.Split(ranks.rank >= size))
    return (few if size > 1 else ALONE) if ranks.rank < size else None


def shared(ranks: Ranks, own: Any) -> Any:
    """Figures (steps, parts) of each of the ranks, in one array (steps, ranks, parts)."""
    import numpy as np

    everything = np.zeros((len(own), ranks.size, own.shape[1]))
    everything[:, ranks.rank] = own
    ranks.sum(everything)
    return everything


class Timed:
    """These ranks, and the seconds that their last sum took, with those of waiting for each other."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.rank, self.size, self.from_first = ranks, ranks.rank, ranks.size, ranks.from_first
        self.seconds = 0.0

    def sum(self, array: Any) -> None:
        began = time.perf_counter()
        self.ranks.sum(array)
        self.seconds = time.perf_counter() - began


def training_step(ranks: Ranks, x: Any, t: Any, batch_size: int, hidden: int) -> Step:
    """A step as scripts/train.py takes it, in four parts: the batch, there and back, the sum, the optimizer."""
    import numpy as np

    from dlscratch.models import TwoLayerNet
    from dlscratch.optim import SGD
    from dlscratch.parallel import spread
    from dlscratch.sampler import random_batches

    rng, timed = np.random.default_rng(0), Timed(ranks)
    net = TwoLayerNet(PIXELS, hidden, CLASSES, rng=rng)
    trained, part, _ = spread(net, timed)
    batches = random_batches(x, t, batch_size, rng=rng, part=part)
    optimizer = SGD(net.params, net.grads, lr=0.01)

    def step() -> tuple[float, ...]:
        began = time.perf_counter()
        batch = next(batches)
        drawn = time.perf_counter()
        trained.loss(*batch)
        trained.backward()
        learned = time.perf_counter()
        optimizer.step()
        return drawn - began, learned - drawn - timed.seconds, timed.seconds, time.perf_counter() - learned

    return step


def message(ranks: Ranks, length: int) -> Step:
    """A sum of so many float32 over all ranks, and nothing else."""
    import numpy as np

    timed, array = Timed(ranks), np.zeros(length, np.float32)

    def step() -> tuple[float, ...]:
        timed.sum(array)
        return (timed.seconds,)

    return step


if __name__ == "__main__":
    run_command(main)
