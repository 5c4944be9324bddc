"""The step in JAX: jitted, one for each call, and many of them scanned in a call."""

import os
from functools import partial

os.environ.setdefault("NPROC", os.environ.get("OMP_NUM_THREADS", "1"))  # its number of threads, read at the first use

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peers import Peer, Problem, Rows

CHUNK = 1000  # images evaluated at a time

Params = list[jax.Array]


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Images are floats: from bytes, converted batch by batch, it takes as long."""
    if problem.model not in SCORES:
        return {}
    data = [(jnp.asarray(np.float32(x) / 255), jnp.asarray(t)) for x, t in (problem.train, problem.test)]
    found = {"JAX, jitted step": peer(1, problem, rows, data)}
    if problem.model == "two-layer":  # the others' steps are so long that a call more or less is nothing
        found["JAX, jitted scan"] = peer(problem.many, problem, rows, data)
    return found


def peer(count: int, problem: Problem, rows: Rows | None, data: list[tuple[jax.Array, jax.Array]]) -> Peer:
    """So many steps for each call."""
    scores = SCORES[problem.model]
    state = [jnp.array(value) for value in problem.params.values()], jax.random.key(0)

    def loss_of(params: Params, x: jax.Array, t: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(scores(params, x))
        return -jnp.take_along_axis(log_p, t[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=0)
    def learn(state, images, labels, index):
        params, key = state
        if index is None:
            key, now = jax.random.split(key)
            index = jax.random.randint(now, (count, problem.batch_size), 0, len(images))

        def one(params, index):
            loss, grads = jax.value_and_grad(loss_of)(params, images[index], labels[index])
            return [w - problem.lr * g for w, g in zip(params, grads, strict=True)], loss

        params, losses = lax.scan(one, params, index)
        return (params, key), losses

    @jax.jit
    def hits(params, images, labels):
        return (scores(params, images).argmax(1) == labels).sum()

    def step() -> list[float]:
        nonlocal state
        state, losses = learn(state, *data[0], None if rows is None else np.stack([next(rows) for _ in range(count)]))
        return np.asarray(losses).tolist()

    def accuracies() -> tuple[float, float]:
        train, test = (
            sum(int(hits(state[0], x[i : i + CHUNK], t[i : i + CHUNK])) for i in range(0, len(t), CHUNK)) / len(t)
            for x, t in data
        )
        return train, test

    return Peer(step, accuracies)


def two_layer(params: Params, x: jax.Array) -> jax.Array:
    W1, b1, W2, b2 = params
    return jax.nn.relu(x @ W1 + b1) @ W2 + b2


def simple_convnet(params: Params, x: jax.Array) -> jax.Array:
    W, b, *rest = params
    images = x.reshape(-1, 1, 28, 28)
    y = lax.conv_general_dilated(images, W, window_strides=(1, 1), padding="VALID") + b[:, None, None]
    pooled = y.reshape(len(x), -1, 12, 2, 12, 2).max((3, 5))  # a fifth quicker than lax.reduce_window
    return two_layer(rest, jax.nn.relu(pooled).reshape(len(x), -1))


SCORES = {"two-layer": two_layer, "simple-convnet": simple_convnet}
