"""Train a two-layer net from scratch, and record how it learns.

Without options: 784-50-10 on MNIST, 10,000 steps of SGD with lr 0.1 on 100 random images each.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

try:
    from dlscratch.command import (
        DONE,
        accepted_by,
        filled,
        interrupted_later,
        limit_blas_threads,
        number,
        one_of,
        run_command,
        uninterrupted,
    )
    from dlscratch.initializers import named
except ModuleNotFoundError as error:
    sys.exit(f"train.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


NO_MNIST = """\
MNIST is neither on this disk nor to be had, so this run learns from strokes instead, digits that the program draws
itself: its figures are not figures of MNIST. The reason: {}"""


class Data(NamedTuple):
    """What a run learns from, what it watches itself on at each epoch, and what it is judged by at the end."""

    train: Any
    watched: Any
    test: Any
    watched_as: str
    steps_per_epoch: int
    classes: int
    name: str
    note: str


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 done, 1 error, 2 usage, 3 diverged, 4 data, 130 interrupted",
    )
    option = parser.add_argument
    count, length = number(int, least=1), parser.add_mutually_exclusive_group()
    option("--dataset", metavar="NAME", help="mnist, fashion-mnist, kmnist, strokes, or a folder with four IDX files "
           "(default: mnist, or strokes where mnist cannot be had)")  # fmt: skip
    option("--data-dir", metavar="DIR", help="where data files are looked for first, and downloaded to")
    option("--hidden", type=count, default=50, metavar="N", help="hidden units (%(default)s)")
    length.add_argument("--steps", type=count, metavar="N", help="training steps (10000)")
    length.add_argument("--epochs", type=count, metavar="N", help="the same, counted in epochs")
    option("--batch-size", type=count, default=100, metavar="N", help="images in a step (%(default)s)")
    option("--lr", type=number(float, above=0), metavar="X", help="learning rate (the optimizer's own; SGD 0.1)")
    option("--optimizer", type=one_of("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"), default="SGD",
           metavar="NAME", help="SGD, Momentum, Nesterov, AdaGrad, RMSprop or Adam (%(default)s)")  # fmt: skip
    option("--init", type=accepted_by(named), default="he", metavar="NAME",
           help="initial weights: he, xavier, or a standard deviation (%(default)s)")  # fmt: skip
    option("--weight-decay", type=number(float, least=0), default=0.0, metavar="X", help="L2, not on biases (0)")
    option("--sampler", type=one_of("choice", "shuffle"), default="choice", metavar="NAME",
           help="choice: random images, with replacement; shuffle: each image once an epoch (%(default)s)")  # fmt: skip
    option("--seed", type=number(int, least=0), default=0, metavar="N", help="for weights and batches (%(default)s)")
    option("--validation", type=number(int, least=0), default=0, metavar="N",
           help="hold back the last N training images, and watch them instead of the test images")  # fmt: skip
    option("--threads", type=count, default=1, metavar="N", help="threads of a matrix product (%(default)s)")
    option(
        "--out", type=filled, metavar="DIR", help="the folder of this run, new or empty (default: a fresh one in runs/)"
    )
    option("--dry-run", action="store_true", help="say what would be trained, and stop")
    option("--quiet", action="store_true", help="print the last line only, and what is wrong")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    limit_blas_threads(options.threads)  # for NumPy, which reads it when it is first imported: on the next lines
    with interrupted_later():
        import numpy  # noqa: F401
        import tqdm  # noqa: F401

        from dlscratch.runs import Run, make_folder

    data = load_data(options)
    net, optimizer, batches = build(options, data)
    if not options.quiet:
        print(f"{data.name}: {len(data.train[0]):,} training and {len(data.test[0]):,} test images")
        print(net)
        epochs = options.steps / data.steps_per_epoch
        print(f"{optimizer}, {options.steps:,} steps of {options.batch_size} images: {epochs:.4g} epochs")
    if options.dry_run:
        return DONE

    folder = make_folder(options.out, f"{Path(data.name).resolve().name}-{options.optimizer}")
    settings = {name: value for name, value in vars(options).items() if name not in ("out", "dry_run", "quiet")}
    with Run(folder, settings) as run:
        if data.note:
            run.facts["note"] = data.note
        try:
            learn(net, optimizer, batches, data, run, options)
            run.facts["test_loss"], run.facts["test_accuracy"] = net.evaluate(*data.test)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; what was learned until then is in {folder}") from None
        finally:
            with uninterrupted():
                net.save(folder / "model.npz")
                draw(folder, options.quiet)
    if not options.quiet:
        print(f"recorded in {folder}")
    print(f"test accuracy {run.facts['test_accuracy']:.4f}" + (" on strokes, not on MNIST" if data.note else ""))
    return DONE


def load_data(options) -> Data:
    """The data set asked for; if none was, MNIST where it can be had, and strokes with an explanation elsewhere."""
    from dataset import DataError
    from dataset.load import load_dataset
    from dlscratch.sampler import steps_per_epoch

    note = ""
    try:
        name = "mnist" if options.dataset is None else options.dataset
        train, test = load_dataset(name, data_dir=options.data_dir, normalize=False)
    except DataError as error:
        if options.dataset is not None:
            raise
        name, note = "strokes", NO_MNIST.format(error)
        print(note, file=sys.stderr)
        train, test = load_dataset(name, normalize=False)
    options.dataset = name
    x, t = train
    kept = len(x) - options.validation
    if kept < 1:
        raise ValueError(f"--validation {options.validation} leaves none of {len(x)} training images; hold back fewer")
    return Data(
        train=(x[:kept], t[:kept]),
        test=test,
        watched=(x[kept:], t[kept:]) if options.validation else test,
        watched_as="val" if options.validation else "test",
        steps_per_epoch=steps_per_epoch(kept, options.batch_size),
        classes=1 + int(t.max()),
        name=name,
        note=note,
    )


def build(options, data):
    """The net, its optimizer and its batches; what the options left open is filled in."""
    import numpy as np

    from dlscratch.models import TwoLayerNet
    from dlscratch.optim import OPTIMIZERS
    from dlscratch.sampler import random_batches, shuffled_batches
    from dlscratch.training import Streams

    np.seterr(all="ignore")  # numbers that overflow show in the loss, at which training stops
    x, t = data.train
    streams = Streams.from_seed(options.seed)
    net = TwoLayerNet(x.shape[1], options.hidden, data.classes, rng=streams.weights, init=named(options.init))
    optimizer_class = {each.__name__: each for each in OPTIMIZERS}[options.optimizer]
    lr = {"lr": options.lr} if options.lr else {}
    optimizer = optimizer_class(net.params, net.grads, weight_decay=options.weight_decay * net.weight_mask, **lr)
    sampler = {"choice": random_batches, "shuffle": shuffled_batches}[options.sampler]
    options.lr = optimizer.lr
    options.steps = options.steps or (options.epochs or 0) * data.steps_per_epoch or 10_000
    options.epochs = None  # steps say it now
    return net, optimizer, sampler(x, t, options.batch_size, rng=streams.batches)


def learn(net, optimizer, batches, data, run, options) -> None:
    """The loop: each step's loss is recorded, and at the end of each epoch the loss and accuracy on whole sets."""
    from tqdm import tqdm

    from dlscratch.sampler import examples_shuffled
    from dlscratch.training import Diverged, Timed, train

    losses = Timed(train(net, batches, optimizer, options.steps))

    def position(step: int) -> dict[str, float]:
        examples = step * options.batch_size
        if options.sampler == "shuffle":
            examples = examples_shuffled(step, len(data.train[0]), options.batch_size)
        return {"step": step, "epoch": step / data.steps_per_epoch, "examples": examples, "seconds": losses.seconds}

    def evaluate(step: int) -> None:
        row = position(step)
        for name, (x, t) in (("train", data.train), (data.watched_as, data.watched)):
            row[f"{name}_loss"], row[f"{name}_acc"] = net.evaluate(x, t)
        if not all(map(math.isfinite, row.values())):
            raise Diverged(
                f"the loss over a whole set is not finite after step {step}; a smaller learning rate may help"
            )
        run.append("epochs", row)
        if not options.quiet:
            _, epoch, _, seconds, *figures = row.values()
            tqdm.write(f"{epoch:5.4g} {step:7} {seconds:8.2f}" + "".join(f"{figure:12.4f}" for figure in figures))

    if not options.quiet:
        columns = "train loss", "train acc", f"{data.watched_as} loss", f"{data.watched_as} acc"
        print("epoch    step  seconds" + "".join(f"{column:>12}" for column in columns))
    evaluate(0)
    no_bar = True if options.quiet or not sys.stderr else None  # None: no bar where stderr is no terminal
    progress = tqdm(losses, total=options.steps, unit=" steps", leave=False, disable=no_bar)
    for step, loss in enumerate(progress, start=1):
        run.append("steps", {**position(step), "loss": loss, "lr": optimizer.lr})
        if step % data.steps_per_epoch == 0 or step == options.steps:
            evaluate(step)


def draw(folder: Path, quiet: bool) -> None:
    """The loss curves as a picture, if the library for it is there and anything was learned."""
    if not (folder / "steps.csv").exists():
        return
    try:
        from dlscratch.plot import save_curves

        save_curves(folder, folder / "curves.png")
    except Exception as error:  # whatever it is (fonts, backends, a full disk), the run is worth more than its picture
        if not quiet:
            print(f"no picture: {' '.join(str(error).split())}")


if __name__ == "__main__":
    run_command(main)
