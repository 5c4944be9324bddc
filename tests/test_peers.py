"""Every peer of the benchmark does the same job as ours: 20 steps on the same batches, loss by loss."""

import os

import numpy as np
import pytest
from peers import NEEDS, Problem, missing, ways

from dlscratch.models import SimpleConvNet, TwoLayerNet
from dlscratch.processes import Processes

STEPS, IMAGES, BATCH_SIZE = 20, 300, 10
NEAR = 1e-5  # the textbook's log(y + 1e-7) is off by 2e-6, float32 by 5e-7
MODELS = {
    "two-layer": lambda rng: TwoLayerNet(784, 20, 10, rng=rng),
    "simple-convnet": lambda rng: SimpleConvNet((1, 28, 28), 20, 10, rng=rng),
}
COMPILERS = "cc", "c++"
PEERS = [name for name in NEEDS if name not in ("ours", "products")]  # the products learn nothing
CASES = [*[(name, "two-layer") for name in PEERS], ("pytorch", "simple-convnet"), ("jax", "simple-convnet")]


def new_problem(model):
    rng = np.random.default_rng(0)
    sets = [(rng.integers(0, 256, (count, 784), np.uint8), rng.integers(0, 10, count)) for count in (IMAGES, 100)]
    return Problem(*sets, MODELS[model](rng).named_params, model, batch_size=BATCH_SIZE, many=STEPS)


def learned(name, problem):
    """For each way of a peer: the losses of its first steps, and its accuracies after them."""
    found = []
    draws = np.random.default_rng(1).integers(IMAGES, size=(STEPS, BATCH_SIZE))
    for way in ways(name, problem, iter(draws)):
        peer, losses = ways(name, problem, iter(draws))[way], []
        while len(losses) < STEPS:
            losses += peer.step()
        found.append((way, losses, peer.accuracies and peer.accuracies()))
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, by PyTorch
@pytest.mark.parametrize(("name", "model"), CASES)
def test_a_peer_has_the_losses_and_accuracies_of_ours(name, model):
    # CI has all libraries; nobody imports them here to find out, see below
    if lacks := [each for each in missing(name) if each in COMPILERS or not os.environ.get("CI")]:
        pytest.skip(f"needs {' and '.join(lacks)}; for the libraries, python -m pip install 'dlscratch[bench]'")
    problem = new_problem(model)
    ((_, wanted, accuracies),) = learned("ours", problem)
    if name == "jax":  # a process in which it is loaded must not fork, as other tests do
        with Processes(1) as apart:
            found = apart.submit(learned, name, problem).result()
    else:
        found = learned(name, problem)
    assert found
    for way, losses, reached in found:
        assert losses == pytest.approx(wanted, rel=NEAR), way
        assert reached in (None, accuracies), way
