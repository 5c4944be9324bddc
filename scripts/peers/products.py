"""The matrix products of the step and nothing else, which no step can do without: of each layer y, dW and dx."""

import numpy as np

from peers import Peer, Problem, Rows
from peers.ours import new_job


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Of our net after one forward pass: so that all shapes are known; the first layer needs no dx."""
    job = new_job(problem)
    job.net.loss(*next(job.batches))
    products = []
    for node in job.net.loss_graph.nodes:
        if "W" in node.layer.params:
            a, b = factors(node)
            y = a @ b
            dW, dx = ((y, b.mT), (a.mT, y)) if y.ndim > 2 else ((a.mT, y), (y, b.mT))
            products += [(a, b), dW] + [dx] * node.needs_dx
    operands = [(a, b, a @ b) for a, b in products]

    def step() -> list[float]:
        for a, b, out in operands:
            np.matmul(a, b, out=out)
        return [0.0]

    return {"bare matrix products": Peer(step)}


def factors(node):
    """Arrays of ones of the shapes of x and W; in a convolution, of W and of what its filters see along each row."""
    W, y = node.layer.W, node.output.value
    if W.ndim == 2:
        return np.ones_like(node.inputs[0].value), np.ones_like(W)
    N, F, rows, columns = y.shape
    W = np.ones((F, W[0].size), W.dtype)
    return W, np.ones((rows, W.shape[1], columns * N), W.dtype)
