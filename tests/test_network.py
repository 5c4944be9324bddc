"""Networks: flat parameters, prediction, files, and the named nets."""

import tracemalloc

import numpy as np
import pytest
from duck_array import DuckArray, DuckGenerator

from dlscratch import network
from dlscratch.graph import Variable
from dlscratch.initializers import std
from dlscratch.layers import (
    Affine,
    BatchNormalization,
    Dropout,
    IdentityWithLoss,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxWithLoss,
    Tanh,
)
from dlscratch.models import Sequential, TwoLayerNet
from dlscratch.network import Network
from dlscratch.optim import SGD, Adam


@pytest.fixture
def net(rng):
    return TwoLayerNet(6, 5, 3, rng=rng)


@pytest.fixture
def batch(rng):
    return rng.random((8, 6), np.float32), rng.integers(0, 3, 8)


def by_hand(net, x, t):
    """Loss and gradients of a two-layer net, written out."""
    W1, b1, W2, b2 = net.named_params.values()
    h = np.maximum(x @ W1 + b1, 0)
    scores = h @ W2 + b2
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(t)), t]).mean()
    dscores = (p - np.eye(len(b2))[t]) / len(t)
    dh = dscores @ W2.T * (h > 0)
    return loss, (x.T @ dh, dh.sum(axis=0), h.T @ dscores, dscores.sum(axis=0))


def test_a_two_layer_net_does_what_its_formulas_say(net, batch):
    loss, gradients = by_hand(net, *batch)
    assert net.loss(*batch) == pytest.approx(loss, rel=1e-6)
    net.backward()
    for grad, expected in zip(net.named_grads.values(), gradients, strict=True):
        np.testing.assert_allclose(grad, expected, atol=1e-6)


def test_one_step_of_sgd_moves_against_the_gradient(net, batch):
    before = net.params.copy()
    net.loss(*batch)
    net.backward()
    SGD(net.params, net.grads, lr=0.5).step()
    np.testing.assert_allclose(net.params, before - 0.5 * net.grads, rtol=1e-6)
    assert net.loss(*batch) < by_hand_loss(net, before, batch)


def by_hand_loss(net, params, batch):
    twin = net.copy()
    twin.params[...] = params
    return by_hand(twin, *batch)[0]


def test_named_parameters_are_views_of_the_flat_vector(net):
    assert {name: p.shape for name, p in net.named_params.items()} == {
        "W1": (6, 5),
        "b1": (5,),
        "W2": (5, 3),
        "b2": (3,),
    }
    net.params[...] = np.arange(net.params.size)
    np.testing.assert_array_equal(np.concatenate([p.ravel() for p in net.named_params.values()]), net.params)
    np.testing.assert_array_equal(net.layers[0].W, net.named_params["W1"])
    net.layers[0].b[1] = -1
    assert net.params[31] == -1


def test_the_weight_mask_leaves_biases_out(net):
    np.testing.assert_array_equal(net.weight_mask, [1] * 30 + [0] * 5 + [1] * 15 + [0] * 3)
    assert net.weight_mask.dtype == net.params.dtype


@pytest.fixture
def chunks_of_seven(monkeypatch):
    """In nets on 6 numbers none of whose layers is wider."""
    monkeypatch.setattr(network, "CHUNK", 7 * 6 + 5)


def test_prediction_in_chunks_equals_prediction_at_once(net, rng, chunks_of_seven):
    x = rng.random((2 * 7 + 3, 6), np.float32)
    scores = net.predict(x)
    assert scores.shape == (len(x), 3)
    W1, b1, W2, b2 = net.named_params.values()
    np.testing.assert_allclose(scores, np.maximum(x @ W1 + b1, 0) @ W2 + b2, atol=1e-5)


@pytest.mark.parametrize("width", [500, 3])
def test_prediction_keeps_no_more_than_a_chunk_and_the_scores(rng, monkeypatch, width):
    monkeypatch.setattr(network, "CHUNK", 1 << 16)
    net, x = TwoLayerNet(40, width, 2, rng=rng), rng.integers(0, 256, (20_000, 40), np.uint8)
    tracemalloc.start()
    try:
        net.predict(x)
        assert tracemalloc.get_traced_memory()[1] < 4 * 4 * network.CHUNK + 2 * 4 * 2 * len(x)
    finally:
        tracemalloc.stop()


def test_a_chunk_has_so_many_rows_as_fit_and_one_at_least(rng, monkeypatch):
    sizes = []
    monkeypatch.setattr(Tanh, "predict", lambda _, x: sizes.append(len(x)) or np.tanh(x))
    monkeypatch.setattr(network, "CHUNK", 100)
    for width in (30, 1000):
        net = Sequential(Affine(6, width, rng=rng), Tanh(), Affine(width, 3, rng=rng))
        net.predict(rng.random((5, 6), np.float32))
    assert sizes == [1, 3, 2] + [1] * 6  # the first one tells how wide it is
    net.predict(rng.random((1, 6), np.float32))
    assert sizes[9:] == [1]  # and is not computed twice where there is no other


def test_constants_of_a_net_do_not_make_its_chunks_smaller(rng, monkeypatch):
    sizes = []
    monkeypatch.setattr(Tanh, "predict", lambda _, x: sizes.append(len(x)) or np.tanh(x))
    monkeypatch.setattr(network, "CHUNK", 100)
    x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
    scores = Affine(20, 3, rng=rng)(Tanh()(x @ np.ones((6, 20), np.float32)))
    Network(x, t, scores, SoftmaxWithLoss()(scores, t)).predict(rng.random((7, 6), np.float32))
    assert sizes == [1, 5, 2]


def test_evaluation_counts_the_smaller_last_chunk_by_its_size(net, rng, chunks_of_seven):
    x, t = rng.integers(0, 256, (7 + 3, 6), np.uint8), rng.integers(0, 3, 7 + 3)
    loss, accuracy = net.evaluate(x, t)
    assert loss == pytest.approx(net.loss(x, t), rel=1e-6)
    assert accuracy == net.accuracy(x, t) == np.mean(net.predict(x).argmax(axis=1) == t)


def test_evaluation_converts_all_chunks_in_the_same_memory(rng, monkeypatch):
    monkeypatch.setattr(network, "CHUNK", 40 * 1000)
    net, x, t = TwoLayerNet(40, 3, 2, rng=rng), rng.integers(0, 256, (5000, 40), np.uint8), np.zeros(5000, int)
    tracemalloc.start()
    try:
        net.evaluate(x, t)
        assert tracemalloc.get_traced_memory()[1] < 1.9 * 4 * network.CHUNK
    finally:
        tracemalloc.stop()


def test_one_hot_targets_and_labels_train_alike(net, batch):
    x, t = batch
    by_label = net.loss(x, t)
    assert net.loss(x, np.eye(3, dtype=np.float32)[t]) == pytest.approx(by_label, rel=1e-6)
    assert net.accuracy(x, np.eye(3)[t]) == net.accuracy(x, t)


def test_images_in_another_dtype_do_not_drag_the_net_along(net, rng):
    x, t = rng.integers(0, 2, (8, 6)), rng.integers(0, 3, 8)
    assert net.loss(x, t) == net.loss(x.astype(np.float64), t) == net.loss(x.astype(np.float32), t)
    assert net.predict(x.astype(np.float64)).dtype == np.float32


def test_bytes_enter_the_net_as_numbers_from_zero_to_one(net, rng):
    pixels, t = rng.integers(0, 256, (8, 6), np.uint8), rng.integers(0, 3, 8)
    x = pixels.astype(np.float32) / 255
    assert net.loss(pixels, t) == pytest.approx(net.loss(x, t), rel=1e-6)
    np.testing.assert_allclose(net.predict(pixels), net.predict(x), atol=1e-6)
    assert net.evaluate(pixels, t) == pytest.approx(net.evaluate(x, t), rel=1e-6)


def test_the_callers_images_are_never_written(net, rng):
    pixels, x, t = np.full((8, 6), 255, np.uint8), np.full((8, 6), 0.5, np.float32), np.zeros(8, int)
    for images in (x, pixels, x, pixels.astype(float), x):
        net.loss(images, t)
        net.backward()
    assert np.all(x == 0.5)
    assert np.all(pixels == 255)


def test_the_last_smaller_batch_just_works(net, batch):
    x, t = batch
    for n in (8, 3, 8, 1):
        net.loss(x[:n], t[:n])
        net.backward()
        np.testing.assert_allclose(
            net.grads, np.concatenate([g.ravel() for g in by_hand(net, x[:n], t[:n])[1]]), atol=1e-6
        )


def test_a_copy_is_independent_and_may_have_another_dtype(net, batch):
    twin = net.copy(np.float64)
    assert twin.params.dtype == np.float64
    np.testing.assert_array_equal(twin.params, net.params)
    twin.params[...] = 0
    assert twin.loss(*batch) == pytest.approx(np.log(3))
    assert net.params.any()
    assert net.loss(*batch) != twin.loss(*batch)


def test_layers_in_a_chain_make_a_net_in_one_line(batch, rng):
    net = Sequential(Affine(6, 5, rng=rng), ReLU(), Affine(5, 3, rng=rng))
    twin = TwoLayerNet(6, 5, 3, rng=np.random.default_rng(0))
    twin.params[...] = net.params
    assert net.loss(*batch) == twin.loss(*batch)


def test_a_chain_with_a_regression_loss_learns_a_line(rng):
    net = Sequential(Affine(1, 1, rng=rng, dtype=np.float64), loss=IdentityWithLoss())
    x = rng.uniform(-1, 1, (50, 1))
    optimizer = SGD(net.params, net.grads, lr=0.5)
    for _ in range(200):
        net.loss(x, 3 * x - 2)
        net.backward()
        optimizer.step()
    np.testing.assert_allclose(net.params, [3, -2], atol=1e-6)


def test_the_activation_and_the_initial_weights_can_be_chosen(rng):
    net = TwoLayerNet(200, 100, 10, rng=rng, activation=Sigmoid, init=std(0.01))
    assert isinstance(net.layers[1], Sigmoid)
    assert np.std(net.named_params["W1"]) == pytest.approx(0.01, rel=0.02)


def test_a_network_prints_its_layers_and_counts(rng):
    text = str(TwoLayerNet(784, 50, 10, rng=rng))
    assert text.splitlines()[0] == "TwoLayerNet with 39,760 parameters"
    assert text.splitlines()[1].split() == ["Affine(784", "->", "50)", "39,250"]


def test_a_network_that_has_seen_a_batch_prints_the_shapes_too(rng):
    net = Sequential(Affine(6, 4, rng=rng), Affine(4, 3, rng=rng))
    net.loss(rng.random((2, 6)), np.array([0, 1]))
    assert [line.split()[-2:] for line in str(net).splitlines()[1:3]] == [["4", "28"], ["3", "15"]]


def test_a_network_that_was_tried_out_prints_the_shapes_too(rng):
    layer = Affine(4, 4, rng=rng)
    net = Sequential(Affine(6, 4, rng=rng), layer, BatchNormalization(4), layer)
    params, buffers = net.params.copy(), [buffer.copy() for buffer in net.named_buffers.values()]
    net.try_out(rng.random((2, 6)), np.array([0, 1]))
    assert [line.split() for line in str(net).splitlines()] == [
        ["Sequential", "with", "56", "parameters"], ["Affine(6", "->", "4)", "4", "28"],
        ["Affine(4", "->", "4)", "4", "20"], ["BatchNormalization(4)", "4", "8"],
        ["Affine(4", "->", "4)", "4", "shared"], ["SoftmaxWithLoss()"],
    ]  # fmt: skip
    assert not net.grads.any()
    np.testing.assert_array_equal(net.params, params)
    for before, buffer in zip(buffers, net.named_buffers.values(), strict=True):
        np.testing.assert_array_equal(before, buffer)


def test_a_network_that_is_tried_out_names_the_layer_that_does_not_fit(rng):
    net = Sequential(Affine(6, 5, rng=rng), ReLU(), Affine(4, 3, rng=rng))
    with pytest.raises(ValueError, match=r"^layer 3 of 4: Affine\(4 -> 3\) expects x of shape \(N, 4\), got \(2, 5\)"):
        net.try_out(np.zeros((2, 6)), np.array([0, 1]))


def test_trying_a_network_out_draws_nothing_from_its_streams(rng):
    noise, own = np.random.default_rng(1), np.random.default_rng(2)
    net = Sequential(
        Affine(6, 3, rng=rng), Dropout(rng=noise), Dropout(rng=own), Dropout(rng=noise), Affine(3, 3, rng=rng)
    )
    before = [stream.bit_generator.state for stream in (noise, own)]
    net.try_out(np.zeros((2, 6)), np.array([0, 1]))
    assert [stream.bit_generator.state for stream in net.streams] == before
    assert net.streams == [noise, own]


def test_a_warm_training_step_allocates_less_than_32_kb(rng):
    net = TwoLayerNet(784, 50, 10, rng=rng)
    x, t = rng.integers(0, 256, (100, 784), np.uint8), rng.integers(0, 10, 100)
    optimizer = Adam(net.params, net.grads)

    def step():
        net.loss(x, t)
        net.backward()
        optimizer.step()

    step()
    tracemalloc.start()
    try:
        step()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        step()
        assert tracemalloc.get_traced_memory()[1] - before < 32 * 1024
    finally:
        tracemalloc.stop()


def test_a_net_of_another_array_type_learns_the_same_numbers(batch):
    x, t = batch
    nets = (
        TwoLayerNet(6, 5, 3, rng=np.random.default_rng(5)),
        TwoLayerNet(6, 5, 3, rng=DuckGenerator(np.random.default_rng(5))),
    )
    optimizers = [Adam(net.params, net.grads, weight_decay=1e-3 * net.weight_mask) for net in nets]
    for _ in range(3):
        losses = [nets[0].loss(x, t), nets[1].loss(DuckArray(x), DuckArray(t))]
        assert losses[0] == losses[1]
        for net, optimizer in zip(nets, optimizers, strict=True):
            net.backward()
            optimizer.step()
    np.testing.assert_array_equal(nets[0].params, nets[1].params.array)
    assert nets[0].evaluate(x, t) == nets[1].evaluate(DuckArray(x), DuckArray(t))


# Files


def test_saved_parameters_come_back(net, tmp_path, rng):
    net.save(tmp_path / "net.npz")
    other = TwoLayerNet(6, 5, 3, rng=rng)
    other.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(other.params, net.params)
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        assert arrays.files == ["W1", "b1", "W2", "b2"]


def test_running_averages_are_saved_with_the_parameters(tmp_path, rng, batch):
    def make():
        return Sequential(Affine(6, 4, rng=rng), BatchNormalization(4), ReLU(), Affine(4, 3, rng=rng))

    net, other = make(), make()
    net.loss(*batch)
    net.save(tmp_path / "net.npz")
    assert list(net.named_buffers) == ["running_mean2", "running_var2"]
    assert not np.array_equal(net.predict(batch[0]), other.predict(batch[0]))
    other.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(net.predict(batch[0]), other.predict(batch[0]))
    with np.load(tmp_path / "net.npz") as arrays:
        np.savez(tmp_path / "less.npz", **{name: arrays[name] for name in arrays.files if name != "running_var2"})
    with pytest.raises(ValueError, match=r"does not fit this network: .* expected .*running_var2 \(4,\)"):
        other.load(tmp_path / "less.npz")


def test_a_net_of_another_size_is_refused_and_nothing_changes(net, tmp_path, rng):
    path = tmp_path / "net.npz"
    TwoLayerNet(6, 7, 3, rng=rng).save(path)
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"does not fit this network: it holds W1 \(6, 7\), .* expected W1 \(6, 5\)"):
        net.load(path)
    np.testing.assert_array_equal(net.params, before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a zip file",
        lambda data: data[: len(data) // 2],
        lambda data: data[:200] + bytes([data[200] ^ 255]) + data[201:],
        lambda data: b"PK\x03\x04" + data[4:100],
    ],
    ids=["empty", "text", "cut", "flipped", "header only"],
)
def test_a_damaged_file_is_told_and_nothing_changes(net, tmp_path, damage):
    path = tmp_path / "net.npz"
    net.save(path)
    path.write_bytes(damage(path.read_bytes()))
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"net\.npz is no saved network, or a damaged one .* expected a \.npz file"):
        net.load(path)
    np.testing.assert_array_equal(net.params, before)


@pytest.mark.parametrize("content", [np.array([1, "x", None], dtype=object), np.zeros(3), np.array(["1"] * 3)])
def test_a_file_of_something_else_is_refused(net, tmp_path, content):
    path = tmp_path / "net.npz"
    names = net.named_params
    np.savez(path, **{**names, "b2": content} if content.dtype.kind != "f" else {"b2": content})
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"net\.npz (is no saved network|does not fit)"):
        net.load(path)
    np.testing.assert_array_equal(net.params, before)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"net\.npz is no saved network"):
        net.load(path)


def test_a_file_that_is_not_there_is_an_os_error(net, tmp_path):
    with pytest.raises(FileNotFoundError):
        net.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        net.save(tmp_path / "no folder" / "net.npz")


# Errors


def test_a_layer_belongs_to_one_network(rng):
    layer = Affine(3, 2, rng=rng)
    Sequential(layer)
    with pytest.raises(ValueError, match=r"Affine\(3 -> 2\) belongs to another network already"):
        Sequential(layer, Tanh())


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ValueError, match="needs at least one layer with parameters"):
        Sequential(Tanh())


def test_images_and_targets_must_be_as_many(net):
    with pytest.raises(ValueError, match="got 4 images and 3 targets"):
        net.evaluate(np.zeros((4, 6), np.float32), np.zeros(3, int))
    with pytest.raises(ValueError, match="got 0 images"):
        net.predict(np.zeros((0, 6), np.float32))
    with pytest.raises(ValueError, match=r"targets for an output of shape \(4, 3\)"):
        net.loss(np.zeros((4, 6), np.float32), np.zeros(3, int))


def test_a_wrong_image_shape_names_the_layer(net):
    with pytest.raises(ValueError, match=r"Affine\(6 -> 5\) expects x of shape \(N, 6\), got \(1, 7\)"):
        net.predict(np.zeros((4, 7), np.float32))


def test_a_network_may_have_a_residual_branch(rng):
    x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
    h = ReLU()(Affine(6, 5, rng=rng)(x))
    h = h + ReLU()(Affine(5, 5, rng=rng)(h))
    scores = Affine(5, 3, rng=rng)(h)
    net = Network(x, t, scores, SoftmaxWithLoss()(scores, t))
    assert list(net.named_params) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    images, labels = rng.random((20, 6), np.float32), rng.integers(0, 3, 20)
    optimizer, first = Adam(net.params, net.grads, lr=0.01), net.loss(images, labels)
    for _ in range(200):
        net.loss(images, labels)
        net.backward()
        optimizer.step()
    assert net.loss(images, labels) < first / 2


def test_a_copy_of_a_net_that_has_trained_takes_another_dtype(net, batch):
    net.loss(*batch)
    net.backward()
    twin = net.copy(np.float64)
    twin.loss(*batch)
    twin.backward()
    assert twin.grads.dtype == np.float64
    np.testing.assert_allclose(twin.grads, net.grads, atol=1e-6)


def test_a_deep_net_is_copied_without_recursion(rng):
    net = Sequential(Affine(3, 3, rng=rng), *(Tanh() for _ in range(3000)))
    twin = net.copy()
    assert len(twin.layers) == 3002
    x, t = rng.random((2, 3), np.float32), np.array([0, 1])
    assert twin.loss(x, t) == net.loss(x, t)


def test_two_nets_may_share_what_has_no_parameters_and_remembers_nothing(rng, batch):
    relu = ReLU()
    net = Sequential(Affine(6, 5, rng=rng), relu, Affine(5, 5, rng=rng), relu, Affine(5, 3, rng=rng))
    Sequential(Affine(6, 3, rng=rng), relu)
    net.loss(*batch)
    net.backward()
    assert net.copy().loss(*batch) == net.loss(*batch)


def test_a_refused_network_takes_no_layer_with_it(rng):
    fresh, used = Affine(3, 3, rng=rng), Affine(3, 3, rng=rng)
    Sequential(used)
    with pytest.raises(ValueError, match="belongs to another network"):
        Sequential(fresh, used)
    Sequential(fresh)


def test_assigning_to_a_parameter_or_gradient_stays_in_the_flat_vectors(net, batch):
    class BookAffine(Affine):
        def backward_params(self, dy, x, y):  # as the book writes it
            self.dW = np.dot(x.T, dy)
            self.db = np.sum(dy, axis=0)

    rng = np.random.default_rng(0)
    book = Sequential(BookAffine(6, 5, rng=rng), ReLU(), BookAffine(5, 3, rng=rng))
    for layer, own in zip(book.layers, net.layers, strict=True):
        for name, value in own.params.items():
            setattr(layer, name, value)
    np.testing.assert_array_equal(book.params, net.params)
    for each in (book, net):
        each.loss(*batch)
        each.backward()
    np.testing.assert_allclose(book.grads, net.grads, rtol=1e-5, atol=1e-7)
    assert book.grads.any()


def test_x_t_and_scores_must_lead_to_the_loss(rng):
    x, t, other = Variable("x", requires_grad=False), Variable("t", requires_grad=False), Variable("other")
    scores = Affine(3, 2, rng=rng)(x)
    loss, other_scores = SoftmaxWithLoss()(scores, t), Tanh()(x)
    for name, wrong in (("x", (other, t, scores)), ("t", (x, other, scores)), ("scores", (x, t, other_scores))):
        with pytest.raises(ValueError, match=f"nothing leads from {name} to it"):
            Network(*wrong, loss)


def test_lists_are_images_too(net, batch):
    x, t = batch
    assert net.loss(x.tolist(), t) == net.loss(x, t)


def test_regression_targets_in_float64_do_not_drag_a_float32_net_along(rng):
    net = Sequential(Affine(3, 2, rng=rng), Tanh(), loss=IdentityWithLoss())
    net.loss(rng.random((4, 3), np.float32), rng.random((4, 2)))
    net.backward()
    assert all(v.grad is None or v.grad.dtype == np.float32 for v in net.loss_graph.variables)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_no_pickle_is_ever_opened(net, tmp_path):
    path, victim = tmp_path / "net.npz", tmp_path / "victim"
    np.savez(path, **{**net.named_params, "b2": np.array([Evil(victim)] * 3, dtype=object)})
    with pytest.raises(ValueError, match="is no saved network"):
        net.load(path)
    assert not victim.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_not_loaded(net, tmp_path, value):
    twin = net.copy()
    twin.params[7] = value
    twin.save(tmp_path / "net.npz")
    with pytest.raises(ValueError, match="other things than finite floating point numbers"):
        net.load(tmp_path / "net.npz")


def test_integers_are_no_saved_network(net, tmp_path):
    np.savez(tmp_path / "net.npz", **{name: value.astype(int) for name, value in net.named_params.items()})
    with pytest.raises(ValueError, match="other things than finite floating point numbers"):
        net.load(tmp_path / "net.npz")


def test_whatever_is_damaged_in_a_file_is_told_in_a_sentence(net, tmp_path):
    path, rng = tmp_path / "net.npz", np.random.default_rng(0)
    net.save(path)
    whole, before = path.read_bytes(), net.params.copy()
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        if (told := refusal(net, path)) is not None:
            assert str(path) in told
            np.testing.assert_array_equal(net.params, before)
        net.params[...] = before


def refusal(net, path):
    """What load says of a file, or None if it takes it; anything but a ValueError is an error of the test."""
    try:
        net.load(path)
    except ValueError as error:
        return str(error)


def test_softmax_is_not_applied_twice(rng):
    with pytest.raises(ValueError, match=r"applies softmax to the scores itself; leave out the Softmax\(\)"):
        Sequential(Affine(3, 2, rng=rng), Softmax())
    Sequential(Affine(3, 2, rng=rng), Softmax(), loss=IdentityWithLoss())
