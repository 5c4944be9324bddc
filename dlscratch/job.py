"""One training, set up from its settings: its data, net, optimizer and batches, and the loop that records it.

A job stopped at any step and restored from its checkpoint goes on as if nothing had happened, to the last bit.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from dlscratch import schedules
from dlscratch.build import build_net
from dlscratch.checkpoint import Checkpoint
from dlscratch.data import Data, check_data
from dlscratch.folder import CHECKPOINT, CODE, CONFIG, MODEL
from dlscratch.network import Network
from dlscratch.optim import OPTIMIZERS
from dlscratch.provenance import provenance
from dlscratch.recorder import Recorder
from dlscratch.runs import Run
from dlscratch.sampler import random_batches, shuffled_batches, steps_per_epoch
from dlscratch.settings import Settings
from dlscratch.training import Diverged, Streams, train
from dlscratch.user_code import Sources, errors_located

Evaluation = dict[str, float]  # a row of epochs.csv


class Job:
    """A training that is ready to run. `settings` are complete: what was left open is filled in.

    copies: what to load instead of files of the user's that the settings name; see `Settings.copies_in`.
    ValueError where the net does not work, from its first layer to the loss and back.
    """

    def __init__(self, settings: Settings, data: Data, copies: Mapping[str, str] = MappingProxyType({})) -> None:
        streams = Streams.from_seed(settings.seed)
        x, t = data.train
        self.net, settings, self.sources = build_net(settings, data.image_shape, data.classes, streams, copies)
        last = len(x) % settings.batch_size if settings.sampler == "shuffle" else 0  # the size of a smaller batch
        few = [0, 0][: last or settings.batch_size]
        with errors_located(self.sources):
            self.net.try_out(x[few], np.array([data.classes - 1, 0])[: len(few)])
        for kind in {type(stream.bit_generator) for stream in self.net.streams} - {np.random.PCG64}:
            raise ValueError(f"a checkpoint holds no {kind.__name__}; let layers draw from np.random.default_rng(seed)")
        make = {each.__name__: each for each in OPTIMIZERS}[settings.optimizer]
        own: Any = {"lr": settings.lr} if settings.lr else {}
        own |= {"weight_decay": settings.weight_decay * self.net.weight_mask, "clip": settings.clip or None}
        self.optimizer = make(self.net.params, self.net.grads, **own)
        sampler = {"choice": random_batches, "shuffle": shuffled_batches}[settings.sampler]
        self.batches = sampler(x, t, settings.batch_size, rng=streams.batches)
        self.data = data
        self.steps_per_epoch = steps_per_epoch(len(x), settings.batch_size)
        self.steps = settings.steps or (settings.epochs or 0) * self.steps_per_epoch or 10_000
        found = {"dataset": data.name, "lr": self.optimizer.lr, "steps": self.steps}
        self.settings = settings.changed({"epochs": None, **found})
        peak, share = self.optimizer.lr, schedules.named(settings.schedule, self.steps, settings.warm_up)
        self.lr = lambda step: peak * share(step)
        self.step = 0
        self.seconds = 0.0

    def record(self, run: Recorder, interrupts: Sequence[int] = ()) -> Iterator[Evaluation | None]:
        """Take the steps that are left and write each down; yield before the first, after each, and at the end.

        What is yielded is the row of epochs.csv, where there is a new one. Before the first step and at the end of each
        epoch the net is evaluated, and saved with a checkpoint. As soon as `interrupts` holds anything, the step is
        finished and saved, and KeyboardInterrupt is raised. Raises Diverged at the first loss that is not finite: what
        is saved is then the net of the last checkpoint. ValueError says where the user's own code fails.
        """
        with errors_located(self.sources, tried=True):
            yield from self._record(run, interrupts)

    def _record(self, run: Recorder, interrupts: Sequence[int]) -> Iterator[Evaluation | None]:
        if self.step == 0:
            self._save(run)  # first: a run that is resumed from here is evaluated again
            yield self._evaluate(run)
        every = self.settings.checkpoint_every or self.steps
        losses = train(self.net, self.batches, self.optimizer, self.steps, start=self.step, lr=self.lr)
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

        ValueError if `run` cannot be resumed: see `Recorder.resume`, `restore`, `check_data`, `check_code`.
        """
        if run:
            check_data(run, self.data)
            check_code(run, self.sources)
        facts = {**provenance(), **self.data.facts, "code": checksums(self.sources)}
        sources = {path.name: text for path, text in self.sources.items()}
        recorder = Recorder(folder, self.settings.as_config(), facts, sources)
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
        noise = facts["noise"]  # first: what lacks it is of another version, and its settings would be refused
        Settings.from_config(facts["settings"]).resumed(self.settings.as_config())
        if facts["step"] > self.steps:
            raise ValueError(f"the run has taken {facts['step']} steps already, and cannot go back to {self.steps}")
        self.net.params[...] = arrays["params"]
        for name, buffer in self.net.named_buffers.items():
            buffer[...] = arrays[name]
        self.optimizer.restore(arrays, facts["step"])
        self.batches.restore(facts["batches"])
        for stream, state in zip(self.net.streams, noise, strict=True):
            stream.bit_generator.state = state
        self.step, self.seconds = facts["step"], facts["seconds"]

    def _save(self, run: Recorder) -> None:
        streams = {"batches": self.batches.state, "noise": [each.bit_generator.state for each in self.net.streams]}
        arrays = {"params": self.net.params, **self.net.named_buffers, **self.optimizer.state}
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


def checksums(sources: Sources) -> dict[str, str]:
    """The SHA-256 of each of these files, by name."""
    return {path.name: hashlib.sha256(text).hexdigest() for path, text in sources.items()}


def check_code(run: Run, sources: Sources) -> None:
    """ValueError unless these files of the user's are those that made the net of `run`."""
    known, found = run.facts.get("code"), checksums(sources)
    known = known if isinstance(known, dict) else {}
    if other := sorted(name for name in {**known, **found} if known.get(name) != found.get(name)):
        raise ValueError(
            f"{run.folder} was begun with another {', '.join(other)}: bring back what it was (run.json has its "
            "checksum), or start a new run"
        )


def load_net(run: Run) -> Network:
    """The net of a run as it was last saved; ValueError if there is none yet, or its file is damaged."""
    path = run.folder / MODEL
    if not path.exists():
        raise ValueError(f"{run.folder} holds no {MODEL}: resume that run, or train anew")
    match run.facts:
        case {"data": {"image_shape": [int(), int(), int()] as sides, "classes": int(classes)}}:
            image_shape = (sides[0], sides[1], sides[2])
        case _:
            raise ValueError(
                f"{run.folder} does not say what images its net reads; train anew (--config repeats a run)"
            )
    settings = Settings.from_config(run.config)
    copies = settings.copies_in(run.folder / CODE)
    net, _, sources = build_net(settings, image_shape, classes, Streams.from_seed(settings.seed), copies)
    check_code(run, sources)
    net.load(path)
    return net
