"""One name, one data set: the way for a program that is told by its user what to learn from."""

import os
from pathlib import Path

from dataset import DataError
from dataset.arrays import Splits
from dataset.mnist import load_fashion_mnist, load_idx, load_kmnist, load_mnist

NAMES = ("mnist", "fashion-mnist", "kmnist", "strokes")


def load_dataset(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
) -> Splits:
    """Return `(x_train, t_train), (x_test, t_test)` of the data set called `name`: one of NAMES, or a folder.

    A folder holds four IDX files of one's own, as `load_idx` reads them. `data_dir` is for the three sets
    that are downloaded; the other choices are those of `load_mnist`. Raises DataError if there is no such
    data set or its files are not good.
    """
    key = name.lower()
    pinned = {"mnist": load_mnist, "fashion-mnist": load_fashion_mnist, "kmnist": load_kmnist}
    if key in pinned:
        return pinned[key](normalize, flatten, one_hot_label, data_dir=data_dir)
    if key == "strokes":
        from dataset.strokes import load_strokes  # here, because nobody else needs its tables

        return load_strokes(normalize, flatten, one_hot_label)
    if name and Path(name).is_dir():
        return load_idx(name, normalize, flatten, one_hot_label)
    raise DataError(f"there is no data set {name!r}; choose {', '.join(NAMES)} or a folder of IDX files")
