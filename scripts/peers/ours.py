"""Our own step, as scripts/train.py takes it, from the images as bytes; without and with its row in steps.csv.

Both train nets of their own, alike: where memory happens to lie makes more of a difference than a row.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlscratch.data import Data
from dlscratch.functions import Array
from dlscratch.job import Job
from dlscratch.models import DeepConvNet, SimpleConvNet, TwoLayerNet
from dlscratch.settings import Settings
from dlscratch.training import train
from peers import Peer, Problem, Rows

PIXELS, CLASSES, IMAGE = 784, 10, (1, 28, 28)


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """The bare step, and the recorded one where there is a folder for it."""
    found = {"dlscratch": bare(problem, rows)}
    if problem.folder:
        steps = recorded(problem, problem.folder)
        found["dlscratch, recorded"] = Peer(lambda: [next(steps)])
    return found


def recorded(problem: Problem, folder: Path) -> Iterator[object]:
    """Steps that leave their rows in a folder; its files are closed with the iterator."""
    job = new_job(problem)
    with job.recorder(folder) as recorder:
        yield from job.record(recorder)


def bare(problem: Problem, rows: Rows | None, **chosen: object) -> Peer:
    """Without a record. chosen: settings that the problem leaves open."""
    job = new_job(problem, **chosen)
    x, t = problem.train
    batches = job.batches if rows is None else ((x[index], t[index]) for index in rows)
    losses = train(job.net, batches, job.optimizer, job.steps)

    def accuracies() -> tuple[float, float]:
        (_, train_accuracy), (_, test_accuracy) = (job.net.evaluate(*each) for each in (problem.train, problem.test))
        return train_accuracy, test_accuracy

    return Peer(lambda: [next(losses)], accuracies)


def new_job(problem: Problem, **chosen: object) -> Job:
    """A job that goes on for ever, with the first weights of the problem."""
    few = [array[:1] for array in problem.train]
    data = Data("any", train=problem.train, watched=few, watched_as="test", test=few, classes=CLASSES,
                image_shape=IMAGE, sha256="", note="")  # fmt: skip
    chosen |= {"model": problem.model, "hidden": str(problem.hidden), "batch_size": problem.batch_size}
    job = Job(Settings(**chosen, lr=problem.lr, steps=10**12), data)
    job.data = data._replace(train=few)  # what is evaluated before the first step; batches are drawn from all
    for name, value in job.net.named_params.items():
        value[...] = problem.params[name]
    return job


def first_params(model: str, hidden: int) -> dict[str, Array]:
    """The first ones of a named net with so many hidden units."""
    rng = np.random.default_rng(0)
    nets = {
        "two-layer": lambda: TwoLayerNet(PIXELS, hidden, CLASSES, rng=rng),
        "simple-convnet": lambda: SimpleConvNet(IMAGE, hidden, CLASSES, rng=rng),
        "deep-convnet": lambda: DeepConvNet(IMAGE, hidden, CLASSES, rng=rng, noise=rng),
    }
    return nets[model]().named_params
