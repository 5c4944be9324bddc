"""What a training can be told: every setting once, with its default, its option on a command line, and what it takes.

A run's config.json holds the same settings under the same names.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from dlscratch.command import accepted_by, filled, number, one_of
from dlscratch.folder import read_json
from dlscratch.initializers import he, named, xavier
from dlscratch.user_code import is_user_code

NETS = ("two-layer", "multi-layer", "simple-convnet", "deep-convnet", "residual-mlp")
ACTIVATIONS = ("ReLU", "Sigmoid", "Tanh", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus", "Identity")
OPTIMIZERS = ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam", "AdamW", "Lion")
SCHEDULES = ("constant", "step", "linear", "cosine", "one-cycle")
CHOICES = ("hidden", "activation", "init", "batch_norm", "dropout")  # which a net may ask for, or make for itself
# on resuming: of the data there is a checksum, and sparse only rounds otherwise
MAY_CHANGE = ("steps", "epochs", "dataset", "data_dir", "checkpoint_every", "sparse")


def layer_sizes(text: str) -> tuple[int, ...]:
    """The numbers of hidden units that a command line means: `50`, or `100x100` for two hidden layers."""
    sizes = text.split("x")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ValueError(f"expects hidden units such as 50, or 100x100 for two hidden layers, got {text!r}")
    return tuple(map(int, sizes))


def _hidden(text: str) -> str:
    return "x".join(map(str, layer_sizes(text)))


def _model(text: str) -> str:
    if text.lower() not in NETS and not is_user_code(text):
        raise ValueError(f"expects one of {', '.join(NETS)}, or FILE.py:FUNCTION, got {text!r}")
    return text if is_user_code(text) else text.lower()


def _activation(text: str) -> str:
    return text if is_user_code(text) else one_of(*ACTIVATIONS, "FILE.py:CLASS")(text)


def _yes_or_no(text: str) -> bool:
    return one_of("yes", "no")({"true": "yes", "false": "no"}.get(text.lower(), text)) == "yes"


def _init(text: str) -> str:
    """In the one way to write it, so that equal settings are equal texts."""
    return text.lower() if named(text) in (he, xavier) else str(float(text))


def _setting(default: Any, parse: Callable[[str], Any], metavar: str, about: str) -> Any:
    return field(default=default, metadata={"type": parse, "metavar": metavar, "help": about})


@dataclass(frozen=True)
class Settings:
    """The settings of one training. None leaves the choice to the program, which writes down what it chose."""

    dataset: str | None = _setting(None, filled, "NAME", "mnist, fashion-mnist, kmnist, strokes, or a folder with four "
                                   "IDX files (mnist, or strokes where mnist cannot be had)")  # fmt: skip
    data_dir: str | None = _setting(None, filled, "DIR", "where data files are looked for first, and downloaded to")
    examples: int | None = _setting(None, number(int, least=1), "N", "learn from the first N training images (all)")
    validation: int = _setting(0, number(int, least=0), "N", "hold back the last N training images, and watch these "
                               "instead of the test images (0)")  # fmt: skip
    model: str = _setting("multi-layer", accepted_by(_model), "NET", f"{', '.join(NETS)}, or FILE.py:FUNCTION that "
                          "returns a Network (multi-layer)")  # fmt: skip
    hidden: str | None = _setting(None, accepted_by(_hidden), "N", "hidden units, or NxM for two hidden layers, ... "
                                  "(the net's own; multi-layer 50)")  # fmt: skip
    activation: str | None = _setting(None, accepted_by(_activation), "NAME", f"{', '.join(ACTIVATIONS)}, or "
                                      "FILE.py:CLASS (ReLU)")  # fmt: skip
    init: str | None = _setting(None, accepted_by(_init), "NAME", "initial weights: he, xavier, or a standard "
                                "deviation (he)")  # fmt: skip
    batch_norm: bool | None = _setting(None, accepted_by(_yes_or_no), "YES", "whether to normalize what enters each "
                                       "activation over the batch (no)")  # fmt: skip
    dropout: float | None = _setting(None, number(float, least=0, below=1), "X", "share of each hidden layer that is "
                                     "dropped in training (the net's own; deep-convnet 0.5, else 0)")  # fmt: skip
    sparse: bool = _setting(False, accepted_by(_yes_or_no), "YES", "whether the first layer leaves out pixels "
                            "that are 0: half its time where most are, by a C compiler (no)")  # fmt: skip
    label_smoothing: float = _setting(0.0, number(float, least=0, below=1), "X", "share of each target spread over all "
                                      "classes in training (0)")  # fmt: skip
    steps: int | None = _setting(None, number(int, least=1), "N", "training steps (10000)")
    epochs: int | None = _setting(None, number(int, least=1), "N", "the same, counted in epochs")
    batch_size: int = _setting(100, number(int, least=1), "N", "images in a step (100)")
    optimizer: str = _setting("SGD", one_of(*OPTIMIZERS), "NAME", f"{', '.join(OPTIMIZERS)} (SGD)")
    lr: float | None = _setting(None, number(float, above=0), "X", "learning rate (the optimizer's own; SGD 0.1)")
    schedule: str = _setting("constant", one_of(*SCHEDULES), "NAME", f"what becomes of the learning rate: "
                             f"{', '.join(SCHEDULES)} (constant)")  # fmt: skip
    warm_up: int = _setting(0, number(int, least=0), "N", "first steps, in which it rises from 0 (0)")
    clip: float = _setting(0.0, number(float, least=0), "X", "largest norm of a gradient; 0: any (0)")
    weight_decay: float = _setting(0.0, number(float, least=0), "X", "L2, not on biases (0)")
    sampler: str = _setting("choice", one_of("choice", "shuffle"), "NAME", "choice: random images, with replacement; "
                            "shuffle: each image once an epoch (choice)")  # fmt: skip
    seed: int = _setting(0, number(int, least=0), "N", "for weights and batches (0)")
    threads: int = _setting(1, number(int, least=1), "N", "threads for matrix products (1)")
    checkpoint_every: int | None = _setting(None, number(int, least=1), "N", "steps between checkpoints, besides those "
                                            "at the end of each epoch")  # fmt: skip

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The settings that a config.json holds; ValueError names what is unknown or not acceptable."""
        return cls(**{name: parse_setting(name, str(value)) for name, value in config.items() if value is not None})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The settings in the file `path`, a config.json; ValueError if it is none, OSError if it cannot be read."""
        try:
            return cls.from_config(read_json(path))
        except ValueError as error:
            raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from None

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These settings with some changed: a new number of epochs overrides the old one of steps."""
        steps = {} if "epochs" not in changes else {"steps": None}
        return type(self)(**{**self.as_config(), **steps, **changes})

    def repeated(self, changes: Mapping[str, Any]) -> Self:
        """These settings of a run with some changed: what its net or optimizer chose is left open for another one."""
        left_open = {"model": CHOICES, "optimizer": ("lr",)}
        others = [name for name in left_open if changes.get(name, getattr(self, name)) != getattr(self, name)]
        return self.changed({**{choice: None for name in others for choice in left_open[name]}, **changes})

    @property
    def source(self) -> Self:
        """Of these settings those that say what is learned from, all others as they are by default."""
        return type(self)(**{name: getattr(self, name) for name in ("dataset", "data_dir", "examples", "validation")})

    @property
    def user_code(self) -> dict[str, tuple[Path, str]]:
        """For each setting that names a file of the user's, that file and what is taken of it."""
        texts = {name: str(getattr(self, name)) for name in ("model", "activation")}
        parts = {name: text.rpartition(":") for name, text in texts.items() if is_user_code(text)}
        return {name: (Path(file).expanduser(), function) for name, (file, _, function) in parts.items()}

    def copies_in(self, folder: Path) -> dict[str, str]:
        """For each setting that names a file of the user's, the same with the copy in `folder`, if there is one."""
        copies = {name: (folder / file.name, function) for name, (file, function) in self.user_code.items()}
        return {name: f"{copy}:{function}" for name, (copy, function) in copies.items() if copy.is_file()}

    def resumed(self, changes: Mapping[str, Any]) -> Self:
        """These settings to go on with; ValueError names the change that would make the run another one."""
        for name, value in changes.items():
            if name not in MAY_CHANGE and value != getattr(self, name):
                raise ValueError(
                    f"{option_of(name)} {value} would make it another run, it was begun with {getattr(self, name)}; "
                    f"leave that out (only {', '.join(map(option_of, MAY_CHANGE))} may change), or start a new run"
                )
        if self.schedule != "constant" and changes.get("steps", self.steps) != self.steps:
            raise ValueError(
                f"the schedule {self.schedule} was laid out for {self.steps} steps, so this run cannot go on to "
                f"{changes['steps']}; start a new run"
            )
        return self.changed(changes)

    def as_config(self) -> dict[str, Any]:
        """Every setting by its name, as config.json holds them."""
        return asdict(self)


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for each setting; what is not given on the command line is not in the result."""
    parser.usage = "%(prog)s [options]"  # so many that a mistake in one of them would drown in their list
    length = parser.add_mutually_exclusive_group()
    for each in fields(Settings):
        group = length if each.name in ("steps", "epochs") else parser
        group.add_argument(option_of(each.name), default=argparse.SUPPRESS, **each.metadata)


def parse_setting(name: str, text: str) -> Any:
    """The value of a setting that `text` means; ValueError if there is no such setting, or it does not take that."""
    parsers = {each.name: each.metadata["type"] for each in fields(Settings)}
    if name not in parsers:
        raise ValueError(f"there is no setting {name!r}; the settings are {', '.join(parsers)}")
    try:
        return parsers[name](text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"the setting {name} {error}") from None


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given on the command line."""
    names = {each.name for each in fields(Settings)}
    return {name: value for name, value in vars(options).items() if name in names}


def option_of(name: str) -> str:
    """How a setting is called on a command line."""
    return "--" + name.replace("_", "-")
