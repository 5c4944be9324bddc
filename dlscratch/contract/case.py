"""A gradient that is wrong, beside the right one: what the experiments of a diagnosis are made on."""

from dataclasses import dataclass

import numpy as np

from dlscratch.contract.fault import quantity
from dlscratch.contract.trial import Trial
from dlscratch.functions import Array

SIMILAR = 1e-5  # of the largest slope: what comes closer than that explains


@dataclass(frozen=True)
class Case:
    """A wrong gradient `given`, the right one `slopes` (0 at kinks, both), the array that they belong to."""

    trial: Trial
    name: str
    given: Array
    slopes: Array
    wrong: Array
    value: Array

    @property
    def is_input(self) -> bool:
        return self.name.startswith("input")

    @property
    def quantity(self) -> str:
        """What the formula calls it."""
        return quantity(self.name)

    @property
    def method(self) -> str:
        return "backward" if self.is_input else "backward_params"


def similar(first: Array, second: Array) -> bool:
    """Whether `first` is `second`, which is not all 0, but for rounding."""
    scale = np.max(np.abs(second), initial=0)
    return bool(scale and np.all(np.abs(first - second) <= SIMILAR * scale))
