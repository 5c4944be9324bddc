"""What a training learns from and is judged by: one data set, in the parts that the settings ask for."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from dataset import DataError
from dataset.load import load_dataset
from dlscratch.build import Shape
from dlscratch.functions import Array
from dlscratch.runs import Run
from dlscratch.settings import Settings

NO_MNIST = """\
MNIST is neither on this disk nor to be had, so this run learns from strokes instead, digits that the program draws
itself: its figures are not figures of MNIST. The reason: {}"""

Pair = tuple[Array, Array]


class Data(NamedTuple):
    """What a run learns from, what it watches itself on at each epoch, and what it is judged by at the end."""

    name: str
    train: Pair  # images as bytes (N, D), labels (N,)
    watched: Pair
    watched_as: str  # test, or val
    test: Pair
    classes: int
    image_shape: Shape
    sha256: str  # of all images and labels of the set
    note: str  # why it is not the set that was wanted

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json keeps of it."""
        sizes = {"train": len(self.train[0]), self.watched_as: len(self.watched[0]), "test": len(self.test[0])}
        shape = {"image_shape": self.image_shape, "classes": self.classes}
        return {"data": {"name": self.name, "sha256": self.sha256, **sizes, **shape}} | (
            {"note": self.note} if self.note else {}
        )


def load_data(settings: Settings) -> Data:
    """The data set that is asked for; if none is, MNIST where it can be had, and strokes with a note elsewhere.

    DataError if the set cannot be had, ValueError if too few images are left to learn from.
    """
    name, note = settings.dataset or "mnist", ""
    try:
        (x, t), test = load_dataset(name, data_dir=settings.data_dir, normalize=False, flatten=False)
    except DataError as error:
        if settings.dataset is not None:
            raise
        name, note = "strokes", NO_MNIST.format(error)
        (x, t), test = load_dataset(name, normalize=False, flatten=False)
    sha256 = hashlib.sha256()
    for array in (x, t, *test):
        sha256.update(np.ascontiguousarray(array).data)
    image_shape, x, test = x.shape[1:], x.reshape(len(x), -1), (test[0].reshape(len(test[0]), -1), test[1])
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
        image_shape=image_shape,
        sha256=sha256.hexdigest(),
        note=note,
    )


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
