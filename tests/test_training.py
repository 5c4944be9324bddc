"""The loop: what it records, where it stops, and what stays the same when something else is changed."""

from itertools import islice

import numpy as np
import pytest

from dlscratch.models import TwoLayerNet
from dlscratch.optim import OPTIMIZERS, SGD
from dlscratch.sampler import random_batches
from dlscratch.training import Diverged, Streams, train


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 200)
    return (rng.normal(size=(200, 6)) + 2 * np.eye(6)[t]).astype(np.float32), t


def curve(data, optimizer, seed=0, steps=30, **options):
    streams = Streams.from_seed(seed)
    net = TwoLayerNet(6, 8, 3, rng=streams.weights)
    batches = random_batches(*data, 20, rng=streams.batches)
    return list(train(net, batches, optimizer(net.params, net.grads, **options), steps))


def test_the_loss_of_a_step_is_that_of_its_batch_before_the_update(data):
    streams = Streams.from_seed(0)
    net = TwoLayerNet(6, 8, 3, rng=streams.weights)
    expected = net.loss(*(array.copy() for array in next(random_batches(*data, 20, rng=Streams.from_seed(0).batches))))
    assert curve(data, SGD, steps=1) == [expected]


def test_one_forward_pass_a_step_is_enough():
    class Net:
        calls = 0

        def loss(self, x, t):
            self.calls += 1
            return 1.0

        def backward(self):
            pass

    class Still:
        def step(self):
            pass

    net = Net()
    assert list(train(net, iter([(None, None)] * 9), Still(), 5)) == [1.0] * 5
    assert net.calls == 5


def test_each_step_is_taken_with_its_own_learning_rate(data):
    net = TwoLayerNet(6, 8, 3, rng=np.random.default_rng(0))
    batches, optimizer = random_batches(*data, 20, rng=np.random.default_rng(0)), SGD(net.params, net.grads)
    rates = [optimizer.lr for _ in train(net, batches, optimizer, 5, start=2, lr=lambda step: 0.1 / step)]
    assert rates == [0.1 / 3, 0.1 / 4, 0.1 / 5]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(data, optimizer):
    losses = curve(data, optimizer, steps=400)
    assert np.mean(losses[-50:]) < 0.8 * np.mean(losses[:5])


def test_the_same_seed_repeats_a_curve_to_the_last_bit(data):
    assert curve(data, SGD, lr=0.1) == curve(data, SGD, lr=0.1)
    assert curve(data, SGD, lr=0.1) != curve(data, SGD, lr=0.1, seed=1)


def test_changing_the_optimizer_changes_neither_first_weights_nor_batches(data):
    firsts = {curve(data, optimizer, steps=1)[0] for optimizer in OPTIMIZERS}
    assert len(firsts) == 1


def test_streams_are_independent_of_each_other():
    streams, again = Streams.from_seed(3), Streams.from_seed(3)
    streams.weights.random(1000)
    assert streams.batches.random() == again.batches.random()
    assert len({stream.random() for stream in Streams.from_seed(3)}) == 3


def test_the_loop_stops_when_its_reader_does(data):
    net = TwoLayerNet(6, 8, 3, rng=np.random.default_rng(0))
    losses = train(net, random_batches(*data, 20, rng=np.random.default_rng(0)), SGD(net.params, net.grads), 10**9)
    assert len(list(islice(losses, 4))) == 4


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_a_diverging_run_stops_at_the_first_loss_that_is_not_finite(data):
    streams = Streams.from_seed(0)
    net = TwoLayerNet(6, 8, 3, rng=streams.weights)
    steps = train(net, random_batches(*data, 20, rng=streams.batches), SGD(net.params, net.grads, lr=1e20), 1000)
    losses = []
    with pytest.raises(Diverged, match=r"the loss is (nan|inf) at step \d+; a smaller learning rate may help"):
        losses.extend(steps)
    assert 0 < len(losses) < 20
    assert np.all(np.isfinite(losses))


class Scripted:
    """A net whose losses are given, and an optimizer that counts its steps."""

    def __init__(self, *losses):
        self.losses, self.steps = iter(losses), 0

    def loss(self, x, t):
        return next(self.losses)

    def backward(self):
        pass

    def step(self):
        self.steps += 1


BATCHES = [(None, None)] * 9


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_step_that_diverged_is_named_and_not_taken(value):
    script = Scripted(1.0, 2.0, value)
    losses = []
    with pytest.raises(Diverged, match=f"the loss is {value} at step 3"):
        losses.extend(train(script, BATCHES, script, 9))
    assert losses == [1.0, 2.0]
    assert script.steps == 2


def test_the_update_of_a_step_is_done_when_its_loss_arrives():
    script = Scripted(1.0, 2.0, 3.0)
    for loss in train(script, BATCHES, script, 9):
        assert script.steps == loss
        if loss == 2:
            break
    assert script.steps == 2


def test_batches_that_end_end_the_training():
    script = Scripted(*range(1, 20))
    assert len(list(train(script, BATCHES, script, 100))) == 9


def test_steps_that_were_taken_before_are_counted_and_not_taken_again():
    script = Scripted(1.0, 2.0, float("nan"))
    losses = []
    with pytest.raises(Diverged, match="the loss is nan at step 8"):
        losses.extend(train(script, BATCHES, script, 9, start=5))
    assert losses == [1.0, 2.0]


@pytest.mark.parametrize(("start", "taken"), [(0, 4), (3, 1), (4, 0), (5, 0)])
def test_only_the_steps_that_are_left_are_taken(start, taken):
    script = Scripted(*range(1, 9))
    assert len(list(train(script, BATCHES, script, 4, start=start))) == script.steps == taken


def test_no_batch_is_drawn_beyond_the_last_step():
    batches = iter(BATCHES)
    script = Scripted(*range(1, 9))
    list(train(script, batches, script, 4))
    assert len(list(batches)) == len(BATCHES) - 4
