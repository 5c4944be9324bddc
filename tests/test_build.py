"""Nets from settings: what a net asks for is given, what it does not take is refused, its choices are written down."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from user_nets import write_net

from dlscratch.build import NETS, build_net
from dlscratch.layers import Dropout, SoftmaxWithLoss, Tanh
from dlscratch.models import DeepConvNet, MultiLayerNet, ResidualMLP, SimpleConvNet, TwoLayerNet
from dlscratch.settings import Settings
from dlscratch.training import Streams

IMAGE, CLASSES = (1, 8, 8), 4


def build(settings, folder=Path("none"), seed=0):
    return build_net(settings, IMAGE, CLASSES, Streams.from_seed(seed), settings.copies_in(folder))


def refused(settings, sentence, error=ValueError):
    with pytest.raises(error, match=re.escape(sentence)):
        build(settings)


# Named nets


@pytest.mark.parametrize(
    ("model", "kind", "sizes", "choices"),
    [
        ("two-layer", TwoLayerNet, "50", {}),
        ("multi-layer", MultiLayerNet, "50", {"batch_norm": False, "dropout": 0.0}),
        ("simple-convnet", SimpleConvNet, "100", {}),
        ("deep-convnet", DeepConvNet, "50", {"batch_norm": False, "dropout": 0.5}),
        ("residual-mlp", ResidualMLP, "100x100x100", {"dropout": 0.0}),
    ],
)
def test_a_named_net_fills_in_its_own_choices_and_is_built_from_them_again(model, kind, sizes, choices):
    net, settings, sources = build(Settings(model=model))
    assert (type(net), sources) == (kind, {})
    assert settings == Settings(model=model, hidden=sizes, activation="ReLU", init="he", **choices)
    assert net.predict(np.zeros((2, 64), np.float32)).shape == (2, CLASSES)
    again, same, _ = build(Settings.from_config(json.loads(json.dumps(settings.as_config()))))
    assert same == settings
    np.testing.assert_array_equal(again.params, net.params)


@pytest.mark.parametrize("model", NETS)
def test_what_is_asked_for_is_in_the_net(model):
    sizes = {"multi-layer": "7x5", "residual-mlp": "6x6"}.get(model, "9")
    net, settings, _ = build(
        Settings(model=model, hidden=sizes, activation="Tanh", init="0.3", label_smoothing=0.25, dropout=None)
    )
    names = list(map(repr, net.layers))
    assert any("-> 6)" in name or "-> 7)" in name or "-> 9)" in name for name in names)
    assert any(isinstance(layer, Tanh) for layer in net.layers)
    assert not any(name.startswith("ReLU") for name in names)
    assert net.layers[-1].smoothing == 0.25
    assert np.std(net.named_params["W1"]) == pytest.approx(0.3, rel=0.3)
    assert (settings.hidden, settings.activation, settings.init) == (sizes, "Tanh", "0.3")


@pytest.mark.parametrize("model", ["multi-layer", "deep-convnet", "residual-mlp"])
def test_dropout_draws_from_the_stream_of_noise(model):
    streams = Streams.from_seed(0)
    net = build_net(Settings(model=model, dropout=0.3), IMAGE, CLASSES, streams).net
    assert [each.ratio for each in net.layers if isinstance(each, Dropout)] == [0.3] * (
        1 if model == "multi-layer" else 2
    )
    assert [stream is streams.noise for stream in net.streams] == [True]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"model": "two-layer", "hidden": "5x6"},
            "two-layer has one number of hidden units (multi-layer takes several)",
        ),
        ({"model": "simple-convnet", "hidden": "5x6"}, "simple-convnet has one number of hidden units"),
        ({"model": "deep-convnet", "hidden": "5x6"}, "deep-convnet has one number of hidden units"),
        ({"model": "residual-mlp", "hidden": "5x6"}, "adds what has one size, such as --hidden 100x100x100, got 5x6"),
        ({"model": "two-layer", "dropout": 0.5}, "--dropout means nothing to two-layer: it takes image_shape, classes"),
        ({"model": "simple-convnet", "batch_norm": True}, "--batch-norm means nothing to simple-convnet"),
        ({"model": "residual-mlp", "batch_norm": True}, "--batch-norm means nothing to residual-mlp"),
    ],
)
def test_settings_that_a_net_does_not_take_are_refused(settings, sentence):
    refused(Settings(**settings), sentence)


def test_what_is_off_is_no_wish():
    off = build(Settings(model="two-layer", dropout=0.0, batch_norm=False))
    assert off.settings == build(Settings(model="two-layer")).settings  # so that their runs are of one group


# Nets of the user's


def test_a_function_is_given_what_it_asks_for_by_name(tmp_path):
    code = """
def make_net(classes, noise, rng, image_shape, hidden=(3,), activation=ReLU, init=None, dropout=0.1, loss=None):
    assert init(2, 3) == 0.2 and dropout == 0.4 and loss.smoothing == 0.5
    return Sequential(Affine(math.prod(image_shape), *hidden, rng=rng), activation(), Dropout(dropout, rng=noise),
                      Affine(hidden[-1], classes, rng=rng), loss=loss)
"""
    path = write_net(tmp_path / "my_net.py", code)
    net, settings, sources = build(
        Settings(model=f"{path}:make_net", hidden="6", activation="Tanh", init="0.2", dropout=0.4, label_smoothing=0.5)
    )
    assert [repr(layer) for layer in net.layers][:-1] == ["Affine(64 -> 6)", "Tanh()", "Dropout(0.4)", "Affine(6 -> 4)"]
    assert {path.name for path in sources} == {"my_net.py"}
    assert (settings.hidden, settings.dropout, settings.batch_norm) == ("6", 0.4, None)


def test_a_function_that_asks_for_nothing_is_given_nothing(tmp_path):
    path = write_net(
        tmp_path / "my_net.py", "def make(): return Sequential(Affine(64, 4, rng=np.random.default_rng(1)))"
    )
    built = build(Settings(model=f"{path}:make"))
    assert built.settings == Settings(model=f"{path}:make")
    assert built.net.params.size == 260


def test_a_class_of_networks_is_a_function_that_returns_one(tmp_path):
    code = """
class Net(Sequential):
    def __init__(self, rng, classes):
        super().__init__(Affine(64, classes, rng=rng))
"""
    path = write_net(tmp_path / "my_net.py", code)
    assert type(build(Settings(model=f"{path}:Net")).net).__name__ == "Net"


@pytest.mark.parametrize(
    ("default", "written"),
    [
        ("hidden=(5, 6)", {"hidden": "5x6"}), ("activation=Tanh", {"activation": "Tanh"}), ("init=he", {"init": "he"}),
        ("dropout=0.25", {"dropout": 0.25}), ("batch_norm=True", {"batch_norm": True}),
        ("hidden=5", {}), ("hidden=()", {}), ("hidden=None", {}), ("activation=Own", {}), ("activation=None", {}),
        ("activation=lambda: ReLU()", {}), ("init=std(0.1)", {}), ("init=0.1", {}), ("dropout=None", {}),
        ("loss=None", {}), ("filters=7", {}),
    ],
)  # fmt: skip
def test_a_default_is_written_down_only_where_settings_say_the_same(tmp_path, default, written):
    code = f"class Own(ReLU): pass\ndef make(rng, {default}): return Sequential(Affine(64, 4, rng=rng))"
    path = write_net(tmp_path / "my_net.py", code)
    own = build(Settings(model=f"{path}:make")).settings
    assert own == Settings(model=f"{path}:make", **written)
    assert build(Settings.from_config(json.loads(json.dumps(own.as_config())))).settings == own


def test_an_activation_of_the_users_goes_into_every_net(tmp_path):
    path = write_net(tmp_path / "swish.py", "class Swish(SiLU):\n    pass\n")
    for model in NETS:
        net, settings, sources = build(Settings(model=model, activation=f"{path}:Swish"))
        assert "Swish" in {type(layer).__name__ for layer in net.layers}
        assert settings.activation == f"{path}:Swish"
        assert set(sources) == {path}


def test_the_copy_of_a_file_goes_before_the_file(tmp_path):
    path = write_net(tmp_path / "my_net.py", "def make(rng): return Sequential(Affine(64, 5, rng=rng))")
    write_net(tmp_path / "code" / "my_net.py", "def make(rng): return Sequential(Affine(64, 6, rng=rng))")
    settings = Settings(model=f"{path}:make")
    assert build(settings, tmp_path / "none").net.params.size == 65 * 5
    assert build(settings, tmp_path / "code").net.params.size == 65 * 6
    path.unlink()
    assert build(settings, tmp_path / "code").net.params.size == 65 * 6
    refused(settings, f"there is no file {path}", FileNotFoundError)


def test_two_files_of_one_name_are_refused_unless_they_are_the_same(tmp_path):
    net = write_net(
        tmp_path / "a" / "my.py", "def make(rng, activation=ReLU): return Sequential(Affine(64, 4, rng=rng))"
    )
    own = write_net(tmp_path / "b" / "my.py", "class Own(ReLU): pass")
    settings = Settings(model=f"{net}:make", activation=f"{own}:Own")
    refused(settings, "there are two different files my.py, and a run keeps one of that name; rename one")
    both = net.read_text(encoding="utf-8") + own.read_text(encoding="utf-8")
    for path in (net, own):
        path.write_text(both, encoding="utf-8")
    assert build(settings).net


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def make(rng): return 3", "my_net.py:make expects to return a Network, returned a int"),
        ("def make(rng): Affine(3, 2, rng=rng)", "expects to return a Network, returned a NoneType"),
        ("make = 3", "my_net.py:make expects a function that returns a Network, got a int"),
        ("def make(generator): pass", "my_net.py:make asks for generator; without a default there are rng, noise, "
         "image_shape, classes, with one hidden, activation, init, batch_norm, dropout, sparse and loss"),
        ("def make(rng, hidden): pass", "make asks for hidden; without a default"),
        ("def make(*layers): pass", "make asks for layers; without a default"),
        ("def make(rng, /): pass", "my_net.py: TypeError: make() got some positional-only arguments"),
        ("def make(rng):\n    Affine(0, 4, rng=rng)", "my_net.py, line 8: Affine expects 2 whole numbers"),
        ("def make(rng):\n    oops", "my_net.py, line 8: NameError: name 'oops' is not defined"),
        ("def other(rng): pass", "has no make; it has other"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_function_is_told(tmp_path, code, sentence):
    path = write_net(tmp_path / "my_net.py", code)
    refused(Settings(model=f"{path}:make"), sentence)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def Own(): return 3", "an activation expects to be a Layer, got a int"),
        (
            "class Own(Layer):\n    def __init__(self, slope): pass",
            "made without arguments, and Own wants slope; use it in a net",
        ),
        ("Own = 3", "an activation expects the class of a layer, got 3"),
    ],
)
def test_what_is_wrong_with_an_activation_is_told(tmp_path, code, sentence):
    path = write_net(tmp_path / "my_net.py", code)
    refused(Settings(activation=f"{path}:Own"), sentence)


def test_a_setting_that_the_function_does_not_ask_for_is_refused(tmp_path):
    path = write_net(tmp_path / "my_net.py", "def make(rng): return Sequential(Affine(64, 4, rng=rng))")
    model = f"{path}:make"
    refused(Settings(model=model, hidden="5"), f"--hidden means nothing to {model}: it takes rng; leave it out")
    refused(Settings(model=model, label_smoothing=0.1), f"--label-smoothing means nothing to {model}: it takes rng")


def test_label_smoothing_is_in_the_loss(tmp_path):
    loss = build(Settings(label_smoothing=0.3)).net.layers[-1]
    assert isinstance(loss, SoftmaxWithLoss)
    assert loss.smoothing == 0.3
