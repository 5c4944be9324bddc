"""The step in NumPy as textbooks write it: float64, one-hot labels, a new array for each result.

The gradient of every layer's input is computed, that of the images too, and the loss by a second forward pass.
"""

import numpy as np

from peers import Peer, Problem, Rows


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Two layers, as in chapter 5 of Deep Learning from Scratch."""
    if problem.model != "two-layer":
        return {}
    sets = [(x / 255, np.eye(10)[t]) for x, t in (problem.train, problem.test)]
    params = {name: value.astype(np.float64) for name, value in problem.params.items()}
    (x, t), rng = sets[0], np.random.default_rng(0)

    def step() -> list[float]:
        index = rng.choice(len(x), problem.batch_size) if rows is None else next(rows)
        grads = gradient(params, x[index], t[index])
        loss = cross_entropy(predict(params, x[index]), t[index])
        for name in params:
            params[name] -= problem.lr * grads[name]
        return [loss]

    return {"textbook NumPy": Peer(step, lambda: tuple(accuracy(params, *each) for each in sets))}


def predict(params, x):
    hidden = np.maximum(0, x @ params["W1"] + params["b1"])
    return softmax(hidden @ params["W2"] + params["b2"])


def softmax(scores):
    exp = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return exp / np.sum(exp, axis=1, keepdims=True)


def cross_entropy(y, t):
    return -np.sum(t * np.log(y + 1e-7)) / len(y)


def gradient(params, x, t):
    a = x @ params["W1"] + params["b1"]
    hidden = np.maximum(0, a)
    y = softmax(hidden @ params["W2"] + params["b2"])
    d_scores = (y - t) / len(x)
    d_hidden = d_scores @ params["W2"].T
    d_a = d_hidden * (a > 0)
    d_x = d_a @ params["W1"].T  # noqa: F841  a layer hands it on, whoever comes before
    return {"W1": x.T @ d_a, "b1": d_a.sum(axis=0), "W2": hidden.T @ d_scores, "b2": d_scores.sum(axis=0)}


def accuracy(params, x, t):
    return float(np.mean(np.argmax(predict(params, x), axis=1) == np.argmax(t, axis=1)))
