import inspect

import numpy as np
import pytest
from mirror import SmallSet

from dataset import DataError, load, mnist
from dataset.load import NAMES, load_dataset


@pytest.mark.parametrize(
    ("name", "loader"),
    [("mnist", "load_mnist"), ("fashion-mnist", "load_fashion_mnist"), ("kmnist", "load_kmnist")],
)
def test_a_name_stands_for_its_set(name, loader, monkeypatch):
    monkeypatch.setattr(load, loader, lambda *choices, data_dir: (choices, data_dir))
    assert load_dataset(name) == ((True, True, False), None)
    given = load_dataset(name, data_dir="here", normalize=False, flatten=False, one_hot_label=True)
    assert given == ((False, False, True), "here")


def test_strokes_need_no_file():
    (x_train, t_train), (x_test, _) = load_dataset("strokes", flatten=False, one_hot_label=True)
    assert x_train.dtype == t_train.dtype == np.float32
    assert x_train.shape[1:] == x_test.shape[1:] == (1, 28, 28)
    assert t_train.shape == (len(x_train), 10)


def test_a_folder_stands_for_the_idx_files_in_it(tmp_path):
    small = SmallSet(tmp_path, "mine", "Mine", seed=1)
    small.put(tmp_path / "mine")
    (x_train, t_train), _ = load_dataset(str(tmp_path / "mine"), normalize=False, flatten=False)
    np.testing.assert_array_equal(x_train, small.arrays[0][:, None], strict=True)
    np.testing.assert_array_equal(t_train, small.arrays[1].astype(np.int64), strict=True)


@pytest.mark.parametrize("name", ["mnits", "", "MNIST-2", "no/such/folder", __file__])
def test_anything_else_is_told_with_the_choices(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    choices = f"choose {', '.join(NAMES)} or a folder of IDX files"
    with pytest.raises(DataError, match=choices) as caught:
        load_dataset(name)
    assert repr(name) in str(caught.value)


def test_the_choices_are_those_of_load_mnist():
    ours = inspect.signature(load_dataset).parameters
    theirs = inspect.signature(mnist.load_mnist).parameters
    assert {name: p.default for name, p in ours.items() if name != "name"} == {
        name: p.default for name, p in theirs.items()
    }


def test_names_are_taken_in_any_case():
    (x, _), _ = load_dataset("Strokes", flatten=False, normalize=False)
    assert x.shape == (12_000, 1, 28, 28)
