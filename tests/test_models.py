"""The named nets: their shapes and sizes by hand, their gradients, and that they learn."""

import numpy as np
import pytest

from dlscratch.gradient_check import check_network
from dlscratch.initializers import std, xavier
from dlscratch.layers import (
    BatchNormalization,
    Dropout,
    IdentityWithLoss,
    MaxPooling,
    ReLU,
    SiLU,
    SoftmaxWithLoss,
    Tanh,
)
from dlscratch.models import DeepConvNet, MultiLayerNet, ResidualMLP, Sequential, SimpleConvNet, TwoLayerNet
from dlscratch.optim import Adam

SMALL = {  # for images of 6 x 6 pixels and three classes
    "two-layer": lambda **o: TwoLayerNet(36, 5, 3, **o),
    "multi-layer": lambda **o: MultiLayerNet((36, 7, 5, 3), **o),
    "multi-layer with all": lambda **o: MultiLayerNet((36, 7, 5, 3), batch_norm=True, dropout=0.2, **with_noise(o)),
    "simple-convnet": lambda **o: SimpleConvNet((1, 6, 6), 8, 3, filters=4, size=3, **o),
    "deep-convnet": lambda **o: DeepConvNet((1, 6, 6), 8, 3, filters=(3, 4, 5), dropout=0, **o),
    "deep-convnet with all": lambda **o: DeepConvNet(
        (1, 6, 6), 8, 3, filters=(3, 4, 5), batch_norm=True, dropout=0.2, **with_noise(o)
    ),
    "residual-mlp": lambda **o: ResidualMLP(36, 6, 2, 3, **o),
    "residual-mlp with all": lambda **o: ResidualMLP(36, 6, 2, 3, dropout=0.2, **with_noise(o)),
}
EACH = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


def with_noise(options):
    return {"noise": np.random.default_rng(7), **options}


@pytest.fixture
def images(rng):
    """Three classes of 6 x 6 images, of which one third is brighter, as rows."""
    t = rng.integers(0, 3, 60)
    x = rng.integers(0, 80, (60, 6, 6))
    for image, label in zip(x, t, strict=True):
        image[2 * label : 2 * label + 2] += 120
    return x.reshape(60, 36).astype(np.uint8), t


# By hand


def sizes(net):
    return {name: param.shape for name, param in net.named_params.items()}


def outputs(net, size):
    """The shapes of what the layers with parameters put out for one image."""
    net.loss(np.zeros((2, size), np.float32), np.array([0, 1]))
    return [node.output.value.shape[1:] for node in net.loss_graph.nodes if node.layer.param_names]


def test_the_simple_convolution_net_has_the_sizes_of_the_books(rng):
    net = SimpleConvNet((1, 28, 28), 100, 10, rng=rng)
    assert net.params.size == (30 * 25 + 30) + (30 * 12 * 12 * 100 + 100) + (100 * 10 + 10) == 433_890
    assert sizes(net) == {
        "W1": (30, 1, 5, 5),
        "b1": (30,),
        "W2": (4320, 100),
        "b2": (100,),
        "W3": (100, 10),
        "b3": (10,),
    }
    assert outputs(net, 784) == [(30, 24, 24), (100,), (10,)]


def test_the_deep_convolution_net_has_the_sizes_of_the_books(rng):
    net = DeepConvNet((1, 28, 28), 50, 10, rng=rng, noise=rng)
    pairs = [(1, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    assert net.params.size == sum(9 * i * o + o for i, o in pairs) + (64 * 4 * 4 * 50 + 50) + (50 * 10 + 10) == 123_552
    assert outputs(net, 784) == [
        (16, 28, 28), (16, 28, 28), (32, 14, 14), (32, 16, 16), (64, 8, 8), (64, 8, 8), (50,), (10,),
    ]  # fmt: skip
    kinds = [type(layer) for layer in net.layers]
    assert [kinds.count(kind) for kind in (MaxPooling, ReLU, Dropout, BatchNormalization)] == [3, 7, 2, 0]


def test_the_residual_net_adds_a_block_for_each_of_its_widths(rng):
    net = ResidualMLP(784, 100, 2, 10, rng=rng)
    assert net.params.size == 78_500 + 2 * (200 + 10_100) + 1010
    names = [repr(node).partition("(")[0] for node in net.loss_graph.nodes]
    block = ["LayerNormalization", "ReLU", "Affine", "Add"]
    assert names == ["Affine", "ReLU", *block, *block, "Affine", "SoftmaxWithLoss"]


def test_a_residual_net_whose_blocks_add_nothing_is_the_two_layer_net(rng, images):
    net, plain = ResidualMLP(36, 5, 3, 3, rng=rng), TwoLayerNet(36, 5, 3, rng=rng)
    for name, param in net.named_params.items():
        if name[0] in "Wb" and param.shape in ((5, 5), (5,)) and name not in ("W1", "b1"):
            param[...] = 0
    ends = [name for name in net.named_params if net.named_params[name].shape in ((36, 5), (5, 3), (3,))]
    for own, name in zip(("W1", "W2", "b2"), ends, strict=True):
        plain.named_params[own][...] = net.named_params[name]
    np.testing.assert_allclose(net.predict(images[0]), plain.predict(images[0]), rtol=1e-5)


def test_normalization_and_dropout_stand_where_they_are_said_to(rng):
    net = MultiLayerNet((36, 7, 5, 3), rng=rng, batch_norm=True, dropout=0.3, noise=rng)
    names = [repr(layer) for layer in net.layers]
    assert names[:4] == ["Affine(36 -> 7)", "BatchNormalization(7)", "ReLU()", "Dropout(0.3)"]
    assert names[4:8] == ["Affine(7 -> 5)", "BatchNormalization(5)", "ReLU()", "Dropout(0.3)"]
    assert names[8:] == ["Affine(5 -> 3)", repr(SoftmaxWithLoss())]
    assert sizes(net)["gamma2"] == (7,)
    assert list(net.named_buffers) == ["running_mean2", "running_var2", "running_mean4", "running_var4"]


def test_images_of_any_size_fit_the_convolution_nets(rng):
    for channels, height, width in [(1, 28, 28), (3, 32, 32), (1, 20, 33), (2, 13, 9)]:
        shape, x = (channels, height, width), np.zeros((2, channels * height * width), np.float32)
        for net in (SimpleConvNet(shape, 4, 6, rng=rng), DeepConvNet(shape, 4, 6, rng=rng, noise=rng)):
            assert net.predict(x).shape == (2, 6)


# All of them


@EACH
def test_the_gradients_are_right(make, rng, images):
    x, t = images
    compared = check_network(make(rng=rng), x[:8] / 255, t[:8], samples=12)
    assert {each.name for each in compared} >= {"W1"}


@EACH
def test_a_few_steps_are_enough_to_tell_three_classes(make, rng, images):
    net = make(rng=rng)
    optimizer = Adam(net.params, net.grads, lr=0.01)
    for _ in range(100):
        net.loss(*images)
        net.backward()
        optimizer.step()
    assert net.accuracy(*images) > 0.9


@EACH
def test_the_dtype_reaches_all_that_a_net_holds(make, rng, images):
    net = make(rng=rng, dtype=np.float64)
    net.loss(*images)
    net.backward()
    held = [net.params, net.grads, *net.named_buffers.values(), net.predict(images[0])]
    held += [node.output.value for node in net.loss_graph.nodes]
    assert {array.dtype for array in held} == {np.dtype(np.float64)}


@EACH
def test_activation_initial_weights_and_loss_can_be_chosen(make, rng, images):
    loss = SoftmaxWithLoss(smoothing=0.1)
    net = make(rng=rng, activation=SiLU, init=std(0.5), loss=loss)
    kinds = {type(layer) for layer in net.layers}
    assert SiLU in kinds
    assert ReLU not in kinds
    assert net.layers[-1] is loss
    assert np.std(net.named_params["W1"]) == pytest.approx(0.5, rel=0.4)
    assert make(rng=rng, activation=Tanh, init=xavier).loss(*images) < 3


@EACH
def test_one_seed_gives_one_net(make):
    nets = [make(rng=np.random.default_rng(seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(nets[0].params, nets[1].params)
    assert not np.array_equal(nets[0].params, nets[2].params)


@pytest.mark.parametrize("name", [name for name in SMALL if name.endswith("with all")])
def test_dropout_without_its_noise_is_told(name, rng):
    with pytest.raises(ValueError, match=r"give their generator, as in noise=np\.random\.default_rng\(1\)"):
        SMALL[name](rng=rng, noise=None)


def test_a_loss_for_other_targets_makes_a_net_for_regression(rng):
    net = MultiLayerNet((2, 4, 1), rng=rng, loss=IdentityWithLoss())
    assert net.loss(np.zeros((3, 2)), np.ones((3, 1))) == 0.5


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([ReLU], r"got <class .*ReLU'>; did you forget its \(\)\?"),
        ([[ReLU()]], r"write Sequential\(\*layers\)"),
        ([ReLU(), SoftmaxWithLoss()], r"leave SoftmaxWithLoss\(\) out, or write loss=SoftmaxWithLoss\(\)"),
    ],
)
def test_what_cannot_stand_in_a_chain_is_told(layers, told):
    with pytest.raises(TypeError, match=f"Sequential expects .*{told}"):
        Sequential(*layers)


def test_images_too_small_for_the_deep_net_are_told(rng):
    with pytest.raises(ValueError, match=r"DeepConvNet expects images of at least 4 x 4 pixels, got \(1, 3, 28\)"):
        DeepConvNet((1, 3, 28), 5, 10, rng=rng, noise=rng)
