"""Time one training step of the two-layer net beside the same step elsewhere, in turn, on the same threads.

A step draws its batch, goes forward and backward, updates the parameters and reads the loss. The images are random:
of MNIST's number and size, a fifth of the pixels above zero; what they show does not change the time.
"""

import platform
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from dlscratch.command import DONE, INTERRUPTED, limit_blas_threads, new_parser, number, run_command

IMAGES, PIXELS, CLASSES = 60_000, 784, 10


def main() -> int:
    count = number(int, least=1)
    parser = new_parser(__doc__, INTERRUPTED)
    parser.add_argument("--hidden", type=count, default=50, metavar="N", help="hidden units (%(default)s)")
    parser.add_argument("--batch-size", type=count, default=100, metavar="N", help="images in a step (%(default)s)")
    parser.add_argument("--rounds", type=count, default=40, metavar="N", help="blocks timed for each (%(default)s)")
    parser.add_argument("--block", type=count, default=100, metavar="N", help="steps in a block (%(default)s)")
    parser.add_argument("--threads", type=count, default=1, metavar="N", help="threads of each (%(default)s)")
    options = parser.parse_args()
    limit_blas_threads(options.threads)
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.random((IMAGES, PIXELS), np.float32)
    x *= rng.random((IMAGES, PIXELS), np.float32) < 0.2
    t = rng.integers(0, CLASSES, IMAGES)
    pixels = np.multiply(x, 255).astype(np.uint8)
    steps = {"bare matrix products": matrix_products(x, options)}
    try:
        import torch

        steps["PyTorch eager"] = pytorch_step(x, t, options, lambda a, index: a[index])
        steps["PyTorch, index_select"] = pytorch_step(x, t, options, lambda a, index: torch.index_select(a, 0, index))
    except ModuleNotFoundError:
        print("PyTorch is not installed and left out; pip install torch")

    with our_steps(pixels, t, options) as ours:
        times = measure(ours | steps, options.rounds, options.block)
    ours = times["dlscratch"]
    print(f"{PIXELS}-{options.hidden}-{CLASSES}, batch {options.batch_size}, {options.threads} thread(s); "
          f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")  # fmt: skip
    print(f"{'µs a step':22} {'median':>8} {'min':>8} {'max':>8}   dlscratch / it")
    for name, blocks in times.items():
        ratio = statistics.median(a / b for a, b in zip(ours, blocks, strict=True))
        print(f"{name:22} {statistics.median(blocks):8.1f} {min(blocks):8.1f} {max(blocks):8.1f}   {ratio:.3f}")
    return DONE


def measure(steps, rounds: int, block: int) -> dict[str, list[float]]:
    """Microseconds of the median step in each block. Contenders take turns, so that they share the machine's moods."""
    times = {name: [] for name in steps}
    for round_number in range(rounds + 2):
        for name, step in steps.items():
            took = [seconds(step) for _ in range(block)]
            if round_number >= 2:  # the first two warm up
                times[name].append(statistics.median(took) * 1e6)
    return times


def seconds(step) -> float:
    """How long one step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


@contextmanager
def our_steps(x, t, options):
    """Our own step, as scripts/train.py takes it, from the images as bytes; without and with its row in steps.csv.

    Both train the same net: where memory happens to lie makes more of a difference than a row.
    """
    from dlscratch.job import Data, Job
    from dlscratch.settings import Settings
    from dlscratch.training import train

    few = x[:1], t[:1]
    data = Data("random", train=(x, t), watched=few, watched_as="test", test=few, classes=CLASSES, sha256="", note="")
    job = Job(Settings(hidden=str(options.hidden), batch_size=options.batch_size, steps=10**12), data)
    with tempfile.TemporaryDirectory() as folder, job.recorder(Path(folder)) as recorder:
        unrecorded = train(job.net, job.batches, job.optimizer, job.steps)
        yield {"dlscratch": unrecorded.__next__, "dlscratch, recorded": job.record(recorder).__next__}


def matrix_products(x, options):
    """The five products of the step and nothing else: no NumPy program can be faster."""
    import numpy as np

    batch, W1 = x[: options.batch_size].copy(), np.ones((PIXELS, options.hidden), np.float32)
    h, W2 = batch @ W1, np.ones((options.hidden, CLASSES), np.float32)
    scores = h @ W2

    def step():
        np.matmul(batch, W1, out=h)
        np.matmul(h, W2, out=scores)
        np.matmul(h.T, scores, out=W2)
        np.matmul(scores, W2.T, out=h)
        np.matmul(batch.T, h, out=W1)
        W1.fill(1e-3), W2.fill(1e-3), h.fill(1e-3)

    return step


def pytorch_step(x, t, options, take):
    """The same step in PyTorch as its tutorials write it, with one of its two ways to take a batch."""
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images, labels = torch.from_numpy(x), torch.from_numpy(t)
    net = nn.Sequential(nn.Linear(PIXELS, options.hidden), nn.ReLU(), nn.Linear(options.hidden, CLASSES))
    loss_of, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), lr=0.1)

    def step():
        index = torch.randint(IMAGES, (options.batch_size,))
        optimizer.zero_grad()
        loss = loss_of(net(take(images, index)), take(labels, index))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    run_command(main)
