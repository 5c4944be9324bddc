"""One training, set up from its settings: its data, net, optimizer and batches, and the loop that records it.

A job stopped at any step and restored from its checkpoint goes on as if nothing had happened, to the last bit.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from dataset import DataError
from dataset.load import load_dataset
from dlscratch import layers
from dlscratch.checkpoint import Checkpoint
from dlscratch.folder import CHECKPOINT, CONFIG, MODEL
from dlscratch.functions import Array
from dlscratch.initializers import named
from dlscratch.models import MultiLayerNet
from dlscratch.network import Network
from dlscratch.npz import read_npz
from dlscratch.optim import OPTIMIZERS
from dlscratch.provenance import provenance
from dlscratch.recorder import Recorder
from dlscratch.runs import Run
from dlscratch.sampler import random_batches, shuffled_batches, steps_per_epoch
from dlscratch.settings import Settings, layer_sizes
from dlscratch.training import Diverged, Streams, train

NO_MNIST = """\
MNIST is neither on this disk nor to be had, so this run learns from strokes instead, digits that the program draws
itself: its figures are not figures of MNIST. The reason: {}"""

Pair = tuple[Array, Array]
Evaluation = dict[str, float]  # a row of epochs.csv


class Data(NamedTuple):
    """What a run learns from, what it watches itself on at each epoch, and what it is judged by at the end."""

    name: str
    train: Pair  # images as bytes (N, D), labels (N,)
    watched: Pair
    watched_as: str  # test, or val
    test: Pair
    classes: int
    sha256: str  # of all images and labels of the set
    note: str  # why it is not the set that was wanted

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json keeps of it."""
        sizes = {"train": len(self.train[0]), self.watched_as: len(self.watched[0]), "test": len(self.test[0])}
        return {"data": {"name": self.name, "sha256": self.sha256, **sizes}} | (
            {"note": self.note} if self.note else {}
        )


def load_data(settings: Settings) -> Data:
    """The data set that is asked for; if none is, MNIST where it can be had, and strokes with a note elsewhere.

    DataError if the set cannot be had, ValueError if too few images are left to learn from.
    """
    name, note = settings.dataset or "mnist", ""
    try:
        (x, t), test = load_dataset(name, data_dir=settings.data_dir, normalize=False)
    except DataError as error:
        if settings.dataset is not None:
            raise
        name, note = "strokes", NO_MNIST.format(error)
        (x, t), test = load_dataset(name, normalize=False)
    sha256 = hashlib.sha256()
    for array in (x, t, *test):
        sha256.update(np.ascontiguousarray(array).data)
    rest = len(x) - settings.validation
    kept = min(rest, settings.examples or rest)
    if kept < 1:
        raise ValueError(f"--validation {settings.validation} leaves none of {len(x)} training images; hold back fewer")
    return Data(
        name=name,
        train=(x[:kept], t[:kept]),
        watched=(x[rest:], t[rest:]) if settings.validation else test,
        watched_as="val" if settings.validation else "test",
        test=test,
        classes=1 + int(t.max()),
        sha256=sha256.hexdigest(),
        note=note,
    )


class Job:
    """A training that is ready to run. `settings` are complete: what was left open is filled in."""

    def __init__(self, settings: Settings, data: Data) -> None:
        streams = Streams.from_seed(settings.seed)
        x, t = data.train
        sizes = (x.shape[1], *layer_sizes(settings.hidden), data.classes)
        activation = getattr(layers, settings.activation)
        self.net = MultiLayerNet(sizes, rng=streams.weights, init=named(settings.init), activation=activation)
        kind = {each.__name__: each for each in OPTIMIZERS}[settings.optimizer]
        lr = {"lr": settings.lr} if settings.lr else {}
        decay = settings.weight_decay * self.net.weight_mask
        self.optimizer = kind(self.net.params, self.net.grads, weight_decay=decay, **lr)
        sampler = {"choice": random_batches, "shuffle": shuffled_batches}[settings.sampler]
        self.batches = sampler(x, t, settings.batch_size, rng=streams.batches)
        self.noise = streams.noise
        self.data = data
        self.steps_per_epoch = steps_per_epoch(len(x), settings.batch_size)
        self.steps = settings.steps or (settings.epochs or 0) * self.steps_per_epoch or 10_000
        found = {"dataset": data.name, "lr": self.optimizer.lr, "steps": self.steps}
        self.settings = settings.changed({"epochs": None, **found})
        self.step = 0
        self.seconds = 0.0

    def record(self, run: Recorder, interrupts: Sequence[int] = ()) -> Iterator[Evaluation | None]:
        """Take the steps that are left and write each down; yield before the first, after each, and at the end.

        What is yielded is the row of epochs.csv, where there is a new one. Before the first step and at the end of each
        epoch the net is evaluated, and saved with a checkpoint. As soon as `interrupts` holds anything, the step is
        finished and saved, and KeyboardInterrupt is raised. Raises Diverged at the first loss that is not finite: what
        is saved is then the net of the last checkpoint.
        """
        if self.step == 0:
            self._save(run)  # first: a run that is resumed from here is evaluated again
            yield self._evaluate(run)
        every = self.settings.checkpoint_every or self.steps
        losses = train(self.net, self.batches, self.optimizer, self.steps, start=self.step)
        while self.step < self.steps:
            began = perf_counter()
            loss = next(losses)
            self.seconds += perf_counter() - began
            self.step = step = self.step + 1
            run.append("steps", {
                "step": step, "epoch": step / self.steps_per_epoch, "examples": self.batches.examples,
                "seconds": self.seconds, "loss": loss, "lr": self.optimizer.lr,
            })  # fmt: skip
            evaluation = None if step % self.steps_per_epoch else self._evaluate(run)
            if evaluation or interrupts or step % every == 0 or step == self.steps:
                self._save(run)
            if interrupts and step < self.steps:
                raise KeyboardInterrupt
            yield evaluation
        if self.step % self.steps_per_epoch:  # after the last checkpoint, since a longer run would lack this row
            yield self._evaluate(run)
        loss, run.facts["test_accuracy"] = self.net.evaluate(*self.data.test)
        run.facts["test_loss"] = self._finite(loss)

    def recorder(self, folder: Path, run: Run | None = None) -> Recorder:
        """What records this job in `folder`: from its first step, or from where `run`, which is resumed, was saved.

        ValueError if `run` cannot be resumed: see `Recorder.resume`, `restore`, `check_data`.
        """
        if run:
            check_data(run, self.data)
        recorder = Recorder(folder, self.settings.as_config(), {**provenance(), **self.data.facts})
        try:
            if run and (checkpoint := recorder.resume(run)):
                self.restore(checkpoint)
            elif not run and (folder / CONFIG).exists():
                raise ValueError(f"{folder} holds a run already; name another folder, or resume that run")
        except BaseException as error:
            recorder.release()
            if isinstance(error, KeyError):
                raise ValueError(f"{folder / CHECKPOINT} is of another version: it lacks {error}; start anew") from None
            raise
        return recorder

    def restore(self, checkpoint: Checkpoint) -> None:
        """Stand where the checkpoint was written; ValueError if its settings were others, or it is beyond our end.

        So it is noticed when somebody has edited config.json.
        """
        facts, arrays = checkpoint.facts, checkpoint.arrays
        Settings.from_config(facts["settings"]).resumed(self.settings.as_config())
        if facts["step"] > self.steps:
            raise ValueError(f"the run has taken {facts['step']} steps already, and cannot go back to {self.steps}")
        self.net.params[...] = arrays["params"]
        self.optimizer.restore(arrays, facts["step"])
        self.batches.restore(facts["batches"])
        self.noise.bit_generator.state = facts["noise"]
        self.step, self.seconds = facts["step"], facts["seconds"]

    def _save(self, run: Recorder) -> None:
        streams = {"batches": self.batches.state, "noise": self.noise.bit_generator.state}
        arrays = {"params": self.net.params, **self.optimizer.state}
        settings = self.settings.as_config()
        self.net.save(run.folder / MODEL)  # first: what is killed before the checkpoint is done again
        run.checkpoint(arrays, {"step": self.step, "seconds": self.seconds, "settings": settings, **streams})

    def _evaluate(self, run: Recorder) -> Evaluation:
        row = {"epoch": self.step / self.steps_per_epoch, "step": self.step}
        row |= {"examples": self.batches.examples, "seconds": self.seconds}
        for name, (x, t) in (("train", self.data.train), (self.data.watched_as, self.data.watched)):
            loss, accuracy = self.net.evaluate(x, t)
            row |= {f"{name}_loss": self._finite(loss), f"{name}_acc": accuracy}
        run.append("epochs", row)
        return row

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            remedy = {} if self.step else {"remedy": "smaller initial weights may help"}
            raise Diverged(f"the loss over a whole set is {loss} after step {self.step}", **remedy)
        return loss


def check_data(run: Run, data: Data) -> None:
    """ValueError unless `data` is what `run` learned from."""
    match run.facts:
        case {"data": {"sha256": str(known)}}:
            pass
        case _:
            raise ValueError(
                f"{run.folder} does not say which data it learned from; start a new run (--config repeats one)"
            )
    if known != data.sha256:
        raise ValueError(
            f"{run.folder} learned from other data: theirs had the checksum {known[:16]}..., that of {data.name} is "
            f"{data.sha256[:16]}...; bring back the old files (--data-dir), or start a new run"
        )


def load_net(run: Run) -> Network:
    """The net of a run as it was last saved; ValueError if there is none yet, or its file is damaged."""
    path = run.folder / MODEL
    if not path.exists():
        raise ValueError(f"{run.folder} holds no {MODEL}: resume that run, or train anew")
    matrices = [array for array in read_npz(path, "saved network").values() if array.ndim == 2]
    sizes = [len(matrix) for matrix in matrices] + [matrix.shape[1] for matrix in matrices[-1:]]
    if not sizes or 0 in sizes:
        raise ValueError(f"{path} is no saved network: it holds no matrix of weights; train anew")
    activation = getattr(layers, Settings.from_config(run.config).activation)
    net = MultiLayerNet(sizes, rng=np.random.default_rng(0), activation=activation)
    net.load(path)
    return net
