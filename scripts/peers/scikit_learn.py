"""The step in scikit-learn, plain SGD without its penalty: a batch in a call, and many shuffled ones.

Each call of `partial_fit` checks its arguments for longer than a step takes, so it is the second that tells of steps.
"""

import numpy as np
from sklearn.neural_network import MLPClassifier

from peers import Peer, Problem, Rows


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """It knows nets of fully connected layers only."""
    if problem.model != "two-layer":
        return {}
    (x, t), test = ((np.float32(images) / 255, labels) for images, labels in (problem.train, problem.test))
    some = problem.many * problem.batch_size
    rng, by_batches, by_epochs = np.random.default_rng(0), new_net(problem, x, t), new_net(problem, x, t)

    def step() -> list[float]:
        index = rng.integers(len(x), size=problem.batch_size) if rows is None else next(rows)
        by_batches.partial_fit(x[index], t[index])
        return [by_batches.loss_]

    def epoch() -> list[float]:
        by_epochs.partial_fit(x[:some], t[:some])
        return [by_epochs.loss_] * -(-len(x[:some]) // problem.batch_size)  # it tells their mean

    def accuracies(net: MLPClassifier) -> tuple[float, float]:
        return net.score(x, t), net.score(*test)

    found = {"scikit-learn, by batches": Peer(step, lambda: accuracies(by_batches))}
    if rows is None:  # it shuffles by itself
        found["scikit-learn, by epochs"] = Peer(epoch, lambda: accuracies(by_epochs))
    return found


def new_net(problem: Problem, x: np.ndarray, t: np.ndarray) -> MLPClassifier:
    """A net that knows its shapes from a first batch, and has the first weights again."""
    W1, b1, W2, b2 = problem.params.values()
    net = MLPClassifier(
        hidden_layer_sizes=b1.shape, solver="sgd", momentum=0, alpha=0, learning_rate_init=problem.lr,
        batch_size=problem.batch_size, random_state=0,
    )  # fmt: skip
    net.partial_fit(x[: problem.batch_size], t[: problem.batch_size], classes=np.arange(len(b2)))
    for own, value in zip(net.coefs_ + net.intercepts_, (W1, W2, b1, b2), strict=True):
        own[...] = value
    return net
