"""The step written out for one net in NumPy: the floor for our layers, graph, optimizer and sampler.

Once as one writes it, and once with the tricks that ours has: bytes, indices drawn for 16 batches at once, every result
in memory of its own, one vector of parameters, classes first in the softmax, and sums over the batch as products.
"""

from collections.abc import Iterator

import numpy as np

from peers import Peer, Problem, Rows

DRAWN = 16  # batches whose indices are drawn at once


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Two layers."""
    if problem.model != "two-layer":
        return {}
    return {"inline NumPy": plain(problem, rows), "inline NumPy, with our tricks": tricky(problem, rows)}


def plain(problem: Problem, rows: Rows | None) -> Peer:
    """As it stands on paper, in float32."""
    x, t = np.float32(problem.train[0]) / 255, problem.train[1]
    W1, b1, W2, b2 = (value.copy() for value in problem.params.values())
    N, lr, rng = problem.batch_size, problem.lr, np.random.default_rng(0)

    def step() -> list[float]:
        index = rng.integers(len(x), size=N) if rows is None else next(rows)
        images, labels = x[index], (np.arange(N), t[index])
        h = np.maximum(images @ W1 + b1, 0)
        scores = h @ W2 + b2
        scores -= scores.max(axis=1, keepdims=True)
        exp = np.exp(scores)
        total = exp.sum(axis=1, keepdims=True)
        loss = (np.log(total).sum() - scores[labels].sum()) / N
        d = exp / total
        d[labels] -= 1
        d /= N
        dh = d @ W2.T * (h > 0)
        for w, g in ((W1, images.T @ dh), (b1, dh.sum(axis=0)), (W2, h.T @ d), (b2, d.sum(axis=0))):
            w -= lr * g
        return [float(loss)]

    return Peer(step)


def tricky(problem: Problem, rows: Rows | None) -> Peer:
    """For one size of the batch."""
    (x, t), N, lr = problem.train, problem.batch_size, problem.lr
    params, (W1, b1, W2, b2) = flat(problem)
    grads, (dW1, db1, dW2, db2) = flat(problem)
    change = np.empty_like(params)
    raw, images = np.empty((N, len(W1)), np.uint8), np.empty((N, len(W1)), np.float32)
    h, dh, on = (np.empty((N, len(b1)), kind) for kind in (np.float32, np.float32, bool))
    scores, z = np.empty((N, len(b2)), np.float32), np.empty((len(b2), N), np.float32)
    best, total, ones, each = *np.ones((3, N), np.float32), np.arange(N)
    indices = rows or drawn(len(x), N)

    def step() -> list[float]:
        index = next(indices)
        labels = t[index]
        x.take(index, axis=0, out=raw, mode="clip")
        np.copyto(images, raw)
        np.multiply(images, 1 / 255, out=images)
        np.matmul(images, W1, out=h)
        np.add(h, b1, out=h)
        np.maximum(h, 0, out=h)
        np.matmul(h, W2, out=scores)
        np.add(scores, b2, out=scores)
        np.copyto(z, scores.T)
        np.subtract(z, np.maximum.reduce(z, axis=0, out=best), out=z)
        loss = -z[labels, each].sum()
        np.exp(z, out=z)
        np.add.reduce(z, axis=0, out=total)
        loss += np.log(total).sum()
        np.divide(z, np.multiply(total, N, out=total), out=z)
        z[labels, each] -= 1 / N
        np.matmul(h.T, z.T, out=dW2)
        np.dot(z, ones, out=db2)
        np.matmul(z.T, W2.T, out=dh)
        np.multiply(dh, np.greater(h, 0, out=on), out=dh)
        np.matmul(images.T, dh, out=dW1)
        np.dot(ones, dh, out=db1)
        np.subtract(params, np.multiply(grads, lr, out=change), out=params)
        return [float(loss) / N]

    return Peer(step)


def flat(problem: Problem) -> tuple[np.ndarray, list[np.ndarray]]:
    """All parameters in one vector, and each as a view of it."""
    values = problem.params.values()
    vector = np.concatenate([value.ravel() for value in values])
    parts = np.split(vector, np.cumsum([value.size for value in values])[:-1])
    return vector, [part.reshape(value.shape) for part, value in zip(parts, values, strict=True)]


def drawn(images: int, batch_size: int) -> Iterator[np.ndarray]:
    """Endless: row numbers, with replacement."""
    rng = np.random.default_rng(0)
    while True:
        yield from rng.choice(images, (DRAWN, batch_size))
