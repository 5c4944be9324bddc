"""Where a training stands: all that its steps change, as a checkpoint holds it."""

import numpy as np

from dlscratch.checkpoint import Checkpoint
from dlscratch.network import Network
from dlscratch.optim import Optimizer
from dlscratch.sampler import Batches
from dlscratch.settings import Settings


class State:
    """A net, its optimizer and its batches, with their random streams, after `step` of all `steps`, in `seconds`.

    settings: complete, which the checkpoint keeps. ValueError if a checkpoint could not hold one of the streams.
    """

    def __init__(self, settings: Settings, steps: int, net: Network, optimizer: Optimizer, batches: Batches) -> None:
        for kind in {type(stream.bit_generator) for stream in net.streams} - {np.random.PCG64}:
            raise ValueError(f"a checkpoint holds no {kind.__name__}; let layers draw from np.random.default_rng(seed)")
        self.settings, self.steps = settings, steps
        self.net, self.optimizer, self.batches = net, optimizer, batches
        self.step, self.seconds = 0, 0.0

    def checkpoint(self) -> Checkpoint:
        """What `restore` needs to stand here again."""
        streams = {"batches": self.batches.state, "noise": [each.bit_generator.state for each in self.net.streams]}
        arrays = {"params": self.net.params, **self.net.named_buffers, **self.optimizer.state}
        settings = self.settings.as_config()
        return Checkpoint(arrays, {"step": self.step, "seconds": self.seconds, "settings": settings, **streams})

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
