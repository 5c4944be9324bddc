"""One training, set up from its settings: its data, net, optimizer and batches, and the loop that records it.

A job stopped at any step and restored from its checkpoint goes on as if nothing had happened, to the last bit.
"""

import math
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from dlscratch import schedules
from dlscratch.build import build_net
from dlscratch.checkpoint import Checkpoint
from dlscratch.data import Data, check_data
from dlscratch.folder import CHECKPOINT, CONFIG, MODEL
from dlscratch.network import Network
from dlscratch.optim import OPTIMIZERS, Optimizer
from dlscratch.parallel import Unrecorded, spread
from dlscratch.provenance import provenance
from dlscratch.ranks import ALONE, Ranks
from dlscratch.recorder import Recorder
from dlscratch.runs import Run
from dlscratch.sampler import random_batches, shuffled_batches, steps_per_epoch
from dlscratch.saved_net import check_code, checksums
from dlscratch.settings import Settings
from dlscratch.state import State
from dlscratch.training import Diverged, Streams, train
from dlscratch.user_code import errors_located

Evaluation = dict[str, float]  # a row of epochs.csv
Share = tuple[int, int]  # numerator and denominator


class Paused(Exception):
    """A run was taken as far as it was to go for now."""

    run_status = "paused"


class Job(State):
    """A training that is ready to run. `settings` are completed: what they leave open is filled in.

    copies: what to load instead of files of the user's that the settings name; see `Settings.copies_in`.
    ranks: the processes that share the work, each with a Job like this one; see `dlscratch.parallel`.
    ValueError where the net does not work, from its first layer to the loss and back.
    """

    def __init__(
        self,
        settings: Settings,
        data: Data,
        copies: Mapping[str, str] = MappingProxyType({}),
        ranks: Ranks = ALONE,
    ) -> None:
        streams = Streams.from_seed(settings.seed)
        x, t = data.train
        net, settings, self.sources = build_net(settings, data.image_shape, data.classes, streams, copies)
        last = len(x) % settings.batch_size if settings.sampler == "shuffle" else 0  # the size of a smaller batch
        few = [0, 0][: last or settings.batch_size]
        with errors_located(self.sources):
            net.try_out(x[few], np.array([data.classes - 1, 0])[: len(few)])
        optimizer = new_optimizer(settings, net)
        self.data, self.ranks = data, ranks
        self.trained, part, self.agree = spread(net, ranks)
        sampler = {"choice": random_batches, "shuffle": shuffled_batches}[settings.sampler]
        batches = sampler(x, t, settings.batch_size, rng=streams.batches, part=part)
        self.steps_per_epoch = steps_per_epoch(len(x), settings.batch_size)
        steps = settings.steps or (settings.epochs or 0) * self.steps_per_epoch or 10_000
        peak, share = optimizer.lr, schedules.named(settings.schedule, steps, settings.warm_up)
        self.lr = lambda step: peak * share(step)
        found = {"dataset": data.name, "lr": peak, "steps": steps}
        super().__init__(settings.changed({"epochs": None, **found}), steps, net, optimizer, batches)

    def record(
        self, run: Recorder, interrupts: Sized = (), *, share: Share = (1, 1), judged: bool = True
    ) -> Iterator[Evaluation | None]:
        """Take the steps that are left and write each down; yield before the first, after each, and at the end.

        What is yielded is the row of epochs.csv, where there is a new one. Before the first step and at the end of each
        epoch the net is evaluated, and saved with a checkpoint. As soon as `interrupts` holds anything, the step is
        finished and saved, and KeyboardInterrupt is raised. With a share of less than 1 only so much of all steps is
        taken: there the net is evaluated and saved, and Paused is raised. judged: whether the test set is opened at the
        end. Raises Diverged at the first loss that is not finite: what is saved is then the net of the last checkpoint.
        ValueError says where the user's own code fails.
        """
        with errors_located(self.sources, tried=True):
            last = None
            for last in self._record(run, interrupts, steps_in(share, self.steps)):
                yield last
            if judged:
                run.facts |= self._judged(last)

    def _record(self, run: Recorder, interrupts: Sized, until: int) -> Iterator[Evaluation | None]:
        if self.step == 0:
            self._save(run)  # first: a run that is resumed from here is evaluated again
            yield self._evaluate(run)
        every = self.settings.checkpoint_every or self.steps
        interrupts = self.agree(interrupts)
        losses = train(self.trained, self.batches, self.optimizer, until, start=self.step, lr=self.lr)
        while self.step < until:
            began = perf_counter()
            loss = next(losses)
            self.seconds += perf_counter() - began
            self.step = step = self.step + 1
            run.append("steps", {
                "step": step, "epoch": step / self.steps_per_epoch, "examples": self.batches.examples,
                "seconds": self.seconds, "loss": loss, "lr": self.optimizer.lr,
            })  # fmt: skip
            pause = step == until < self.steps
            evaluation = self._evaluate(run) if pause or step % self.steps_per_epoch == 0 else None
            stop = bool(interrupts)  # asked once, so that whoever stops is saved
            if evaluation or stop or step % every == 0 or step == self.steps:
                self._save(run)
            if stop and step < self.steps:
                raise KeyboardInterrupt
            yield evaluation
        if self.step < self.steps:
            raise Paused(f"paused after step {self.step} of {self.steps}")
        if self.step % self.steps_per_epoch:  # after the last checkpoint, since a longer run would lack this row
            yield self._evaluate(run)

    def recorder(self, folder: Path, run: Run | None = None) -> Recorder:
        """What records this job in `folder`: from its first step, or from where `run`, which is resumed, was saved.

        ValueError if `run` cannot be resumed: see `Recorder.resume`, `restore`, `check_data`, `check_code`.
        """
        if run:
            check_data(run, self.data)
            check_code(run, self.sources)
        facts = {**provenance(), **self.data.facts, "code": checksums(self.sources), "ranks": self.ranks.size}
        if self.ranks.rank:
            recorder: Recorder = Unrecorded(folder, facts)
        else:
            sources = {path.name: text for path, text in self.sources.items()}
            recorder = Recorder(folder, self.settings.as_config(), facts, sources)
        try:
            if checkpoint := self.ranks.from_first(lambda: begin(recorder, run)):
                self.restore(checkpoint)
        except BaseException as error:
            recorder.release()
            if isinstance(error, KeyError):
                raise ValueError(f"{folder / CHECKPOINT} is of another version: it lacks {error}; start anew") from None
            raise
        return recorder

    def _save(self, run: Recorder) -> None:
        checkpoint = self.ranks.from_first(self.checkpoint)
        if self.ranks.rank:
            self.restore(checkpoint)  # where processors round differently, all stand now where the first does
        else:
            self.net.save(run.folder / MODEL)  # first: what is killed before the checkpoint is done again
            run.checkpoint(*checkpoint)

    def _evaluate(self, run: Recorder) -> Evaluation:
        row = {"epoch": self.step / self.steps_per_epoch, "step": self.step}
        row |= {"examples": self.batches.examples, "seconds": self.seconds}
        for name, (x, t) in (("train", self.data.train), (self.data.watched_as, self.data.watched)):
            loss, accuracy = self.trained.evaluate(x, t)
            row |= {f"{name}_loss": self._finite(loss), f"{name}_acc": accuracy}
        run.append("epochs", row)
        return row

    def _judged(self, last: Evaluation | None) -> Evaluation:
        """Loss and accuracy on the test set, which the last row may tell already."""
        if last and self.data.watched_as == "test":
            return {"test_accuracy": last["test_acc"], "test_loss": last["test_loss"]}
        loss, accuracy = self.trained.evaluate(*self.data.test)
        return {"test_accuracy": accuracy, "test_loss": self._finite(loss)}

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            remedy = {} if self.step else {"remedy": "smaller initial weights may help"}
            raise Diverged(f"the loss over a whole set is {loss} after step {self.step}", **remedy)
        return loss


def new_optimizer(settings: Settings, net: Network) -> Optimizer:
    """The one that the settings name, of this net."""
    make = {each.__name__: each for each in OPTIMIZERS}[settings.optimizer]
    given: Any = {"lr": settings.lr} if settings.lr else {}
    clip, weight_decay = settings.clip or None, settings.weight_decay * net.weight_mask
    return make(net.params, net.grads, clip=clip, weight_decay=weight_decay, **given)


def begin(recorder: Recorder, run: Run | None) -> Checkpoint | None:
    """The checkpoint of the run that is resumed, if it has any; ValueError if a new one would fall on an old one."""
    if run:
        return recorder.resume(run)
    if (recorder.folder / CONFIG).exists():
        raise ValueError(f"{recorder.folder} holds a run already; name another folder, or resume that run")
    return None


def steps_in(share: Share, steps: int) -> int:
    """How many steps make this share of so many, rounded up."""
    numerator, denominator = share
    return -(-steps * numerator // denominator)
