"""The form in which a network reads images and labels, whichever data set they come from."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset import DataError

Split = tuple[NDArray[Any], NDArray[Any]]
Splits = tuple[Split, Split]


def as_splits(arrays: list[NDArray[Any]], classes: int, normalize: bool, flatten: bool, one_hot_label: bool) -> Splits:
    """Turn `[x_train, t_train, x_test, t_test]` into `(x_train, t_train), (x_test, t_test)`.

    It takes uint8 images (N, H, W) and whole-number labels (N,), and uses up the list: so the bytes of the
    training images are free before the test images need room.

    normalize: images are float32 in [0, 1], else uint8 in 0..255.
    flatten: images are (N, H * W), else (N, 1, H, W).
    one_hot_label: labels are float32 rows (N, classes) with a single one in each, else int64 (N,).
    """
    train = _split(arrays.pop(0), arrays.pop(0), classes, normalize, flatten, one_hot_label)
    test = _split(arrays.pop(0), arrays.pop(0), classes, normalize, flatten, one_hot_label)
    return train, test


def _split(
    x: NDArray[Any], t: NDArray[Any], classes: int, normalize: bool, flatten: bool, one_hot_label: bool
) -> Split:
    x = x.reshape(len(x), math.prod(x.shape[1:])) if flatten else x[:, np.newaxis]
    if normalize:
        x = np.divide(x, 255, dtype=np.float32)  # never through float64, which would take twice the memory
    return x, _one_hot(t, classes) if one_hot_label else t.astype(np.int64)


def _one_hot(labels: NDArray[Any], classes: int) -> NDArray[np.float32]:
    t = np.zeros((len(labels), classes), np.float32)
    t[np.arange(len(labels)), labels] = 1
    return t


def count_classes(
    name: str, x_train: NDArray[Any], t_train: NDArray[Any], x_test: NDArray[Any], t_test: NDArray[Any]
) -> int:
    """Check that four arrays make one data set and return K = the largest label + 1.

    Raises DataError, which calls the set `name`, unless the images are uint8 (N, H, W) of one size, the
    labels whole numbers (N,) from 0 up, and each image has its label.
    """
    for part, x, t in (("training", x_train, t_train), ("test", x_test, t_test)):
        if x.dtype != np.uint8 or x.ndim != 3 or x.size == 0:
            raise DataError(f"{name}: {part} images must be uint8 (N, H, W), not empty, got {x.dtype} {x.shape}")
        if t.dtype.kind not in "iu" or t.ndim != 1:
            raise DataError(f"{name}: {part} labels must be whole numbers (N,), got {t.dtype} {t.shape}")
        if len(x) != len(t):
            raise DataError(f"{name}: {len(x)} {part} images need as many labels, got {len(t)}")
        if t.min() < 0:
            raise DataError(f"{name}: labels count from 0, but the {part} labels hold {t.min()}")
    if x_train.shape[1:] != x_test.shape[1:]:
        sizes = f"{x_train.shape[1:]} and {x_test.shape[1:]}"
        raise DataError(f"{name}: training and test images must have one size, got {sizes}")
    if t_test.max() > t_train.max():
        raise DataError(f"{name}: test labels go up to {t_test.max()}, training labels only to {t_train.max()}")
    return 1 + int(t_train.max())
