"""A net from settings: one of the named nets, or what a function of the user's returns.

Both are functions that are called with what they ask for by the names of their parameters: `def make_net(rng)` gets
the generator of the weights, and `def make_net(rng, classes, hidden=(50,))` the number of classes and a setting, too.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from dlscratch import layers
from dlscratch.initializers import Initializer, he, named
from dlscratch.layers import Layer, ReLU, SoftmaxWithLoss
from dlscratch.models import Activation, DeepConvNet, MultiLayerNet, ResidualMLP, SimpleConvNet, TwoLayerNet
from dlscratch.network import Network
from dlscratch.settings import CHOICES, Settings, layer_sizes, option_of, parse_setting
from dlscratch.training import Streams
from dlscratch.user_code import Sources, call_with, is_user_code, load_user_code

Generator = np.random.Generator
Shape = tuple[int, int, int]  # channels, rows, columns


def two_layer(
    image_shape: Shape, classes: int, rng: Generator, loss: Layer | None = None,
    hidden: tuple[int, ...] = (50,), activation: Activation = ReLU, init: Initializer = he, sparse: bool = False,
) -> Network:  # fmt: skip
    """TwoLayerNet"""
    size = _one_size("two-layer", hidden, "multi-layer takes several")
    return TwoLayerNet(
        prod(image_shape), size, classes, rng=rng, init=init, activation=activation, sparse=sparse, loss=loss
    )


def multi_layer(
    image_shape: Shape, classes: int, rng: Generator, noise: Generator, loss: Layer | None = None,
    hidden: tuple[int, ...] = (50,), activation: Activation = ReLU, init: Initializer = he,
    batch_norm: bool = False, dropout: float = 0.0, sparse: bool = False,
) -> Network:  # fmt: skip
    """MultiLayerNet"""
    sizes = (prod(image_shape), *hidden, classes)
    return MultiLayerNet(
        sizes, rng=rng, noise=noise, init=init, activation=activation, batch_norm=batch_norm, dropout=dropout,
        sparse=sparse, loss=loss,
    )  # fmt: skip


def simple_convnet(
    image_shape: Shape, classes: int, rng: Generator, loss: Layer | None = None,
    hidden: tuple[int, ...] = (100,), activation: Activation = ReLU, init: Initializer = he,
) -> Network:  # fmt: skip
    """SimpleConvNet"""
    size = _one_size("simple-convnet", hidden, "its one Affine before the last")
    return SimpleConvNet(image_shape, size, classes, rng=rng, init=init, activation=activation, loss=loss)


def deep_convnet(
    image_shape: Shape, classes: int, rng: Generator, noise: Generator, loss: Layer | None = None,
    hidden: tuple[int, ...] = (50,), activation: Activation = ReLU, init: Initializer = he,
    batch_norm: bool = False, dropout: float = 0.5,
) -> Network:  # fmt: skip
    """DeepConvNet"""
    size = _one_size("deep-convnet", hidden, "its one Affine before the last")
    return DeepConvNet(
        image_shape, size, classes, rng=rng, noise=noise, init=init, activation=activation,
        batch_norm=batch_norm, dropout=dropout, loss=loss,
    )  # fmt: skip


def residual_mlp(
    image_shape: Shape, classes: int, rng: Generator, noise: Generator, loss: Layer | None = None,
    hidden: tuple[int, ...] = (100, 100, 100), activation: Activation = ReLU, init: Initializer = he,
    dropout: float = 0.0, sparse: bool = False,
) -> Network:  # fmt: skip
    """ResidualMLP; the first of `hidden` is what enters the blocks, and there is a block for each of the others"""
    width, *blocks = hidden
    if set(blocks) - {width}:
        raise ValueError(f"residual-mlp adds what has one size, such as --hidden 100x100x100, got {_as_text(hidden)}")
    return ResidualMLP(
        prod(image_shape), width, len(blocks), classes, rng=rng, noise=noise, init=init, activation=activation,
        dropout=dropout, sparse=sparse, loss=loss,
    )  # fmt: skip


NETS: dict[str, Callable[..., Network]] = {
    "two-layer": two_layer, "multi-layer": multi_layer, "simple-convnet": simple_convnet,
    "deep-convnet": deep_convnet, "residual-mlp": residual_mlp,
}  # fmt: skip


class Built(NamedTuple):
    """A net, the settings that made it with its own choices filled in, and the user's files that it took."""

    net: Network
    settings: Settings
    sources: Sources


def build_net(
    settings: Settings,
    image_shape: Shape,
    classes: int,
    streams: Streams,
    copies: Mapping[str, str] = MappingProxyType({}),
) -> Built:
    """The net that the settings ask for, for images of this shape.

    copies: for a setting that names a file of the user's, what to load instead; see `Settings.copies_in`.
    ValueError where the settings do not fit the net, or the user's code does not work.
    """
    sources: dict[Path, bytes] = {}

    def user_code(name: str, use: Callable[[Any], Any]) -> Any:
        loaded = load_user_code(copies.get(name, getattr(settings, name)), use)
        sources.update(loaded.sources)
        _check_file_names(sources)
        return loaded.value

    chosen, offered = _choices(settings, user_code), offers(streams, image_shape, classes)
    make = partial(_made, settings.model, chosen, offered)
    net, own = make(NETS[settings.model]) if settings.model in NETS else user_code("model", make)
    return Built(net, settings.changed({name: _written(name, value) for name, value in own.items()}), sources)


def _choices(settings: Settings, user_code: Callable[[str, Callable[[Any], Any]], Any]) -> dict[str, Any]:
    """What the settings choose of that which a net may ask for, in the form in which it asks for it."""

    def activation(text: str) -> Activation:
        return user_code("activation", _checked_activation) if is_user_code(text) else getattr(layers, text)

    given: dict[str, Any] = {name: value for name in CHOICES if (value := getattr(settings, name)) is not None}
    read = {"hidden": layer_sizes, "activation": activation, "init": named}
    chosen = {name: read[name](value) if name in read else value for name, value in given.items()}
    loss = {"loss": SoftmaxWithLoss(settings.label_smoothing)} if settings.label_smoothing else {}
    return chosen | loss | ({"sparse": True} if settings.sparse else {})


def _made(
    model: str, chosen: Mapping[str, Any], offered: Mapping[str, Any], function: Any
) -> tuple[Network, dict[str, Any]]:
    """The net that the function makes, and what it chose itself: None for a choice that it does not know."""
    if not callable(function) or isinstance(function, Network):
        raise ValueError(f"{model} expects a function that returns a Network, got a {type(function).__name__}")
    wanted = inspect.signature(function).parameters
    _check_wanted(model, wanted, chosen, offered)
    net = call_with(function, {**offered, **chosen})
    if not isinstance(net, Network):
        raise ValueError(f"{model} expects to return a Network, returned a {type(net).__name__}")
    own = {name: wanted[name].default if name in wanted else None for name in CHOICES}
    return net, {name: value for name, value in own.items() if name not in chosen or name not in wanted}


def offers(streams: Streams, image_shape: Shape, classes: int) -> dict[str, Any]:
    """What a function that makes a net may ask for by name."""
    return {"rng": streams.weights, "noise": streams.noise, "image_shape": image_shape, "classes": classes}


def _check_wanted(model: str, wanted: Mapping[str, inspect.Parameter], chosen: Any, offered: Any) -> None:
    """ValueError if a setting was chosen that the net does not ask for, or it asks for what nobody knows."""
    for name, value in chosen.items():
        if value and name not in wanted:
            option = option_of("label_smoothing" if name == "loss" else name)
            raise ValueError(
                f"{option} means nothing to {model}: it takes {', '.join(wanted) or 'nothing'}; leave it out"
            )
    if unknown := [name for name, each in wanted.items() if each.default is each.empty and name not in offered]:
        raise ValueError(
            f"{model} asks for {', '.join(unknown)}; without a default there are {', '.join(offered)}, "
            f"with one {', '.join(CHOICES)}, sparse and loss"
        )


_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _checked_activation(make: Any) -> Activation:
    if not callable(make):
        raise ValueError(f"an activation expects the class of a layer, got {make!r}")
    wanted = inspect.signature(make).parameters.values()
    if needed := [each.name for each in wanted if each.default is each.empty and each.kind not in _ANY_NUMBER]:
        raise ValueError(
            f"an activation is made without arguments, and {make.__name__} wants {', '.join(needed)}; use it in a net "
            "of your own (--model FILE.py:FUNCTION)"
        )
    if not isinstance(made := make(), Layer):
        raise ValueError(f"an activation expects to be a Layer, got a {type(made).__name__}")
    return make


def _check_file_names(sources: Sources) -> None:
    """ValueError if two different files have one name, under which a run could not keep both."""
    texts: dict[str, bytes] = {}
    for path, text in sources.items():
        if texts.setdefault(path.name, text) != text:
            raise ValueError(f"there are two different files {path.name}, and a run keeps one of that name; rename one")


def _written(name: str, default: Any) -> Any:
    """A net's own choice as settings have it; None, which leaves it to the net, if they have no words for it."""
    named_by = {"hidden": layer_sizes, "activation": lambda text: getattr(layers, text, None), "init": named}
    try:
        value = parse_setting(name, _as_text(default))
    except ValueError:
        return None
    return value if (named_by[name](value) if name in named_by else value) == default else None


def _as_text(value: Any) -> str:
    """Sizes as 100x100, functions and classes by their names."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(getattr(value, "__name__", value))


def _one_size(net: str, hidden: tuple[int, ...], otherwise: str) -> int:
    if len(hidden) != 1:
        raise ValueError(f"{net} has one number of hidden units ({otherwise}), got {_as_text(hidden)}")
    return hidden[0]
