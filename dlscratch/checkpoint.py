"""A checkpoint: named arrays and plain facts in one file, which carries its own checksum and is replaced as a whole."""

import hashlib
import json
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np

from dlscratch.functions import Array
from dlscratch.npz import read_npz, write_npz

FACTS, CHECKSUM = "facts", "sha256"


class Checkpoint(NamedTuple):
    """Arrays (parameters, what the optimizer remembers) and facts that JSON can hold (step, random streams, ...)."""

    arrays: dict[str, Array]
    facts: dict[str, Any]

    def save(self, path: str | PathLike[str]) -> None:
        """Write it whole, or leave the one before; an OSError that names `path` where the disk refuses."""
        content = {**self.arrays, FACTS: np.array(json.dumps(self.facts, allow_nan=False))}
        write_npz(path, {**content, CHECKSUM: np.array(_checksum(content))})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read it; ValueError if it is damaged, FileNotFoundError if there is none."""
        content = read_npz(path, "checkpoint")
        checksum = content.pop(CHECKSUM, None)
        if FACTS not in content or checksum is None or str(checksum) != _checksum(content):
            raise ValueError(f"{path} is damaged: its content does not match its checksum")
        return cls(facts=json.loads(str(content.pop(FACTS))), arrays=content)


def _checksum(content: dict[str, Array]) -> str:
    sha256 = hashlib.sha256()
    for name in sorted(content):
        sha256.update(f"{name} {content[name].dtype.str} {content[name].shape} ".encode())
        sha256.update(content[name].tobytes())
    return sha256.hexdigest()
