import numpy as np
import pytest

from dataset import DataError
from dataset.arrays import as_splits, count_classes

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) * 11
LABELS = np.array([2, 0], np.uint8)


def four(**changed):
    arrays = {"x_train": IMAGES, "t_train": LABELS, "x_test": IMAGES[:1], "t_test": LABELS[:1]}
    return list((arrays | changed).values())


def test_images_are_divided_by_255_in_float32():
    (x, _), (x_test, _) = as_splits(four(), 3, normalize=True, flatten=True, one_hot_label=False)
    assert x.dtype == x_test.dtype == np.float32
    np.testing.assert_array_equal(x, (IMAGES.reshape(2, 12).astype(np.float64) / 255).astype(np.float32))
    every_grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    (x, _), _ = as_splits(four(x_train=every_grey), 3, normalize=True, flatten=True, one_hot_label=False)
    assert (x.min(), x.max()) == (0, 1)


def test_images_stay_bytes_unless_normalized():
    (x, _), _ = as_splits(four(), 3, normalize=False, flatten=True, one_hot_label=False)
    np.testing.assert_array_equal(x, IMAGES.reshape(2, 12), strict=True)


@pytest.mark.parametrize("normalize", [True, False])
def test_images_keep_their_form_unless_flattened(normalize):
    (x, _), (x_test, _) = as_splits(four(), 3, normalize=normalize, flatten=False, one_hot_label=False)
    assert (x.shape, x_test.shape) == ((2, 1, 3, 4), (1, 1, 3, 4))
    (flat, _), _ = as_splits(four(), 3, normalize=normalize, flatten=True, one_hot_label=False)
    np.testing.assert_array_equal(x.reshape(2, 12), flat, strict=True)


def test_labels_are_whole_numbers_or_one_hot_rows():
    (_, t), (_, t_test) = as_splits(four(), 4, normalize=True, flatten=True, one_hot_label=False)
    np.testing.assert_array_equal(t, np.array([2, 0], np.int64), strict=True)
    (_, t), (_, t_test) = as_splits(four(), 4, normalize=True, flatten=True, one_hot_label=True)
    np.testing.assert_array_equal(t, np.array([[0, 0, 1, 0], [1, 0, 0, 0]], np.float32), strict=True)
    np.testing.assert_array_equal(t_test, np.array([[0, 0, 1, 0]], np.float32), strict=True)


def test_classes_are_counted_from_zero_to_the_largest_label():
    assert count_classes("mine", *four()) == 3
    assert count_classes("mine", *four(t_train=np.array([200, 0], np.uint8))) == 201


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (
            {"x_train": IMAGES.astype(np.float32)},
            r"training images must be uint8 \(N, H, W\), not empty, got float32 \(2, 3, 4\)",
        ),
        ({"x_test": IMAGES[0]}, r"test images must be uint8 \(N, H, W\), not empty, got uint8 \(3, 4\)"),
        ({"x_train": IMAGES[:0], "t_train": LABELS[:0]}, r"training images must be .*, got uint8 \(0, 3, 4\)"),
        ({"t_train": LABELS.astype(np.float32)}, r"training labels must be whole numbers \(N,\), got float32 \(2,\)"),
        ({"t_test": LABELS.reshape(1, 2)}, r"test labels must be whole numbers \(N,\), got uint8 \(1, 2\)"),
        ({"t_test": LABELS}, "1 test images need as many labels, got 2"),
        ({"t_train": np.array([0, -1], np.int8)}, "labels count from 0, but the training labels hold -1"),
        ({"x_test": IMAGES[:1, :2]}, r"must have one size, got \(3, 4\) and \(2, 4\)"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changed, fault):
    with pytest.raises(DataError, match=f"mine: .*{fault}"):
        count_classes("mine", *four(**changed))


def test_a_class_that_only_the_test_set_has_is_refused():
    images = np.zeros((3, 2, 2), np.uint8)
    with pytest.raises(DataError, match="own: test labels go up to 9, training labels only to 2"):
        count_classes("own", images, np.array([0, 1, 2]), images, np.array([0, 1, 9]))
