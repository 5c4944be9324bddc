"""Time one training step of a net beside the same step in PyTorch, in turn, on the same threads.

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
MODELS = {"two-layer": (50, 100), "simple-convnet": (100, 5), "deep-convnet": (50, 1)}  # hidden units, steps in a block


def main() -> int:
    options = parse_options()
    limit_blas_threads(options.threads)
    import numpy as np

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, PIXELS), np.uint8)
    pixels *= pixels < 51
    t = rng.integers(0, CLASSES, IMAGES)
    with our_steps(pixels, t, options) as steps:
        try:
            steps |= pytorch_steps(pixels, t, options)
        except ModuleNotFoundError:
            print("PyTorch is not installed and left out; pip install torch")
        times = measure(steps, options.rounds, options.block)
    ours = times["dlscratch"]
    print(f"{options.model}, {options.hidden} hidden, batch {options.batch_size}, {options.threads} thread(s); "
          f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")  # fmt: skip
    print(f"{'µs a step':22} {'median':>8} {'min':>8} {'max':>8}   dlscratch / it")
    for name, blocks in times.items():
        ratio = statistics.median(a / b for a, b in zip(ours, blocks, strict=True))
        print(f"{name:22} {statistics.median(blocks):8.1f} {min(blocks):8.1f} {max(blocks):8.1f}   {ratio:.3f}")
    return DONE


def parse_options():
    """What the command line says, with the model's own number of hidden units and length of a block."""
    count = number(int, least=1)
    parser = new_parser(__doc__, INTERRUPTED)
    option = parser.add_argument
    option("--model", choices=MODELS, default="two-layer", help=f"{', '.join(MODELS)} (%(default)s)", metavar="NET")
    option("--hidden", type=count, metavar="N", help="hidden units (the model's own; two-layer 50)")
    option("--batch-size", type=count, default=100, metavar="N", help="images in a step (%(default)s)")
    option("--rounds", type=count, default=40, metavar="N", help="blocks timed for each (%(default)s)")
    option("--block", type=count, metavar="N", help="steps in a block (the model's own; two-layer 100)")
    option("--threads", type=count, default=1, metavar="N", help="threads of each (%(default)s)")
    options = parser.parse_args()
    hidden, block = MODELS[options.model]
    options.hidden, options.block = options.hidden or hidden, options.block or block
    return options


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
    from dlscratch.data import Data
    from dlscratch.job import Job
    from dlscratch.settings import Settings
    from dlscratch.training import train

    few = x[:1], t[:1]
    data = Data("random", train=(x, t), watched=few, watched_as="test", test=few, classes=CLASSES,
                image_shape=(1, 28, 28), sha256="", note="")  # fmt: skip
    chosen = {"model": options.model, "hidden": str(options.hidden), "batch_size": options.batch_size}
    job = Job(Settings(**chosen, steps=10**12), data)
    job.data = data._replace(train=few)  # what is evaluated before the first step; batches are drawn from all
    with tempfile.TemporaryDirectory() as folder, job.recorder(Path(folder)) as recorder:
        unrecorded = train(job.net, job.batches, job.optimizer, job.steps)
        next(unrecorded)  # so that the net knows its shapes
        yield {
            "dlscratch": unrecorded.__next__,
            "dlscratch, recorded": job.record(recorder).__next__,
            "bare matrix products": matrix_products(job.net),
        }


def matrix_products(net):
    """The matrix products of the step and nothing else: of each layer y, dW and, but for the first layer, dx."""
    import numpy as np

    products = []
    for node in net.loss_graph.nodes:
        if "W" in node.layer.params:
            a, b = factors(node)
            y = a @ b
            dW, dx = ((y, b.mT), (a.mT, y)) if y.ndim > 2 else ((a.mT, y), (y, b.mT))
            products += [(a, b), dW] + [dx] * node.needs_dx
    operands = [(a, b, a @ b) for a, b in products]

    def step():
        for a, b, out in operands:
            np.matmul(a, b, out=out)

    return step


def factors(node):
    """Arrays of ones of the shapes of x and W; in a convolution, of W and of what its filters see along each row."""
    import numpy as np

    W, y = node.layer.W, node.output.value
    if W.ndim == 2:
        return np.ones_like(node.inputs[0].value), np.ones_like(W)
    N, F, rows, columns = y.shape
    W = np.ones((F, W[0].size), W.dtype)
    return W, np.ones((rows, W.shape[1], columns * N), W.dtype)


def pytorch_steps(pixels, t, options):
    """The same step in PyTorch as its tutorials write it, with each of its two ways to take a batch."""
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images, labels = torch.from_numpy(pixels) / 255, torch.from_numpy(t)
    ways = {
        "PyTorch eager": lambda a, index: a[index],
        "PyTorch, index_select": lambda a, index: torch.index_select(a, 0, index),
    }

    def step_of(take):
        net = nn.Sequential(*pytorch_layers(options.model, options.hidden))
        loss_of, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), lr=0.1)

        def step():
            index = torch.randint(IMAGES, (options.batch_size,))
            optimizer.zero_grad()
            loss = loss_of(net(take(images, index)), take(labels, index))
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    return {name: step_of(take) for name, take in ways.items()}


def pytorch_layers(model: str, hidden: int):
    """The layers of our net in PyTorch, in our order: with ReLU after pooling, which is the quicker one there too."""
    from torch import nn

    if model == "two-layer":
        return nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)
    to_images = nn.Unflatten(1, (1, 28, 28))
    if model == "simple-convnet":
        convolution = nn.Conv2d(1, 30, 5), nn.MaxPool2d(2), nn.ReLU()
        return to_images, *convolution, nn.Flatten(), nn.Linear(4320, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)
    convolutions, channels = [], 1
    for count, pad in ((16, 1), (32, 2), (64, 1)):
        convolutions += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU()]
        convolutions += [nn.Conv2d(count, count, 3, padding=pad), nn.MaxPool2d(2), nn.ReLU()]
        channels = count
    rest = nn.Linear(1024, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, CLASSES), nn.Dropout()
    return to_images, *convolutions, nn.Flatten(), *rest


if __name__ == "__main__":
    run_command(main)
