"""The whole job as one of the peers would write it, in scripts/: `python -m peers.job NAME DATASET STEPS FILE`.

Load the images, train 784-50-10, compute both accuracies at each epoch, and write all figures at the end: less than
scripts/train.py does, which writes down each step as it is taken, and saves the net.
"""

import sys
from pathlib import Path

import numpy as np

from dataset.load import load_dataset
from peers import Peer, Problem, ways

HIDDEN, CLASSES, BATCH_SIZE = 50, 10, 100


def main(name: str, dataset: str, steps: str, path: str) -> None:
    train, test = load_dataset(dataset, normalize=False)
    steps_per_epoch = -(-len(train[0]) // BATCH_SIZE)
    problem = Problem(train, test, first_params(train[0].shape[1]), batch_size=BATCH_SIZE, many=steps_per_epoch)
    *_, quickest = ways(name, problem).values()
    losses, accuracies = learn(quickest, int(steps), steps_per_epoch)
    rows = [("step", "loss"), *enumerate(losses, start=1), ("step", "train", "test"), *accuracies]
    Path(path).write_text("".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def first_params(pixels: int) -> dict[str, np.ndarray]:
    """Weights after He et al. 2015."""
    rng, shapes = np.random.default_rng(0), [(pixels, HIDDEN), (HIDDEN, CLASSES)]
    W1, W2 = (rng.standard_normal(shape, np.float32) * np.float32((2 / shape[0]) ** 0.5) for shape in shapes)
    return {"W1": W1, "b1": np.zeros(HIDDEN, np.float32), "W2": W2, "b2": np.zeros(CLASSES, np.float32)}


def learn(peer: Peer, steps: int, steps_per_epoch: int) -> tuple[list[float], list[tuple[float, ...]]]:
    """The loss of each step, and the accuracies before the first, after each epoch, and at the end."""
    losses: list[float] = []
    accuracies = [(0, *peer.accuracies())]
    while len(losses) < steps:
        losses += peer.step()
        if len(losses) // steps_per_epoch >= len(accuracies) or len(losses) >= steps:
            accuracies.append((len(losses), *peer.accuracies()))
    return losses, accuracies


if __name__ == "__main__":
    main(*sys.argv[1:])
