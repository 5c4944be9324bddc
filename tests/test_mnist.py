import gzip
import hashlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mirror import Mirror, SmallSet, body

from dataset import DataError, mnist
from dataset.idx import write_idx
from dataset.mnist import FILE_NAMES, MNIST, SETS, load_fashion_mnist, load_idx, load_kmnist, load_mnist

ROOT = Path(__file__).parent.parent

LOADERS = {"MNIST": load_mnist, "FASHION_MNIST": load_fashion_mnist, "KMNIST": load_kmnist}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    for name in ("DLSCRATCH_DATA", "DLSCRATCH_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DLSCRATCH_OFFLINE", "1")
    monkeypatch.setattr(sys, "platform", "linux")


# The table


def test_every_pinned_file_is_known_by_digests_of_its_own():
    digests = [digest for pinned in SETS for digest in pinned.digests()]
    assert len(digests) == len(set(digests)) == 8 + 4 + 4
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)


def test_https_mirrors_come_first():
    for pinned in SETS:
        schemes = [url.partition(":")[0] for url in pinned.mirrors]
        assert schemes == sorted(schemes, reverse=True)
        assert schemes[0] == "https"


def test_the_sets_lie_in_folders_of_their_own():
    assert [pinned.name for pinned in SETS] == ["mnist", "fashion-mnist", "kmnist"]
    assert [pinned.torch_name for pinned in SETS] == ["MNIST", "FashionMNIST", "KMNIST"]


# The call that everybody knows


@pytest.mark.parametrize("loader", LOADERS.values())
def test_the_three_choices_are_the_first_arguments_and_nothing_else_is_positional(loader):
    parameters = inspect.signature(loader).parameters.values()
    assert [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        ("normalize", True), ("flatten", True), ("one_hot_label", False)
    ]  # fmt: skip
    assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == ["data_dir"]


@pytest.mark.parametrize("constant", LOADERS)
def test_each_loader_loads_its_own_set(constant, tmp_path, monkeypatch):
    small = SmallSet(tmp_path, "small", "Small", seed=3)
    small.put(tmp_path / "data")
    monkeypatch.setattr(mnist, constant, small.pinned)
    (x_train, t_train), (x_test, t_test) = LOADERS[constant](False, False, True, data_dir=tmp_path / "data")
    np.testing.assert_array_equal(x_train, small.arrays[0][:, None], strict=True)
    np.testing.assert_array_equal(t_train, np.eye(10, dtype=np.float32)[small.arrays[1]], strict=True)
    np.testing.assert_array_equal(x_test, small.arrays[2][:, None], strict=True)
    np.testing.assert_array_equal(t_test, np.eye(10, dtype=np.float32)[small.arrays[3]], strict=True)


def test_one_hot_rows_are_ten_wide_even_if_the_last_class_is_missing(tmp_path, monkeypatch):
    small = SmallSet(tmp_path, "small", "Small", seed=3, classes=7)
    small.put(tmp_path / "data")
    monkeypatch.setattr(mnist, "MNIST", small.pinned)
    (_, t_train), (_, t_test) = load_mnist(one_hot_label=True, data_dir=tmp_path / "data")
    assert (t_train.shape, t_test.shape) == ((20, 10), (10, 10))


def test_an_eleventh_class_is_refused(tmp_path, monkeypatch):
    small = SmallSet(tmp_path, "small", "Small", seed=3, classes=11)
    small.put(tmp_path / "data")
    monkeypatch.setattr(mnist, "MNIST", small.pinned)
    with pytest.raises(DataError, match=r"Small: labels must be 0\.\.9, got 10"):
        load_mnist(data_dir=tmp_path / "data")


def test_fashion_mnist_is_not_taken_for_mnist(tmp_path, monkeypatch):
    clothes = SmallSet(tmp_path, "fashion-mnist", "FashionMNIST", seed=4)
    digits = SmallSet(tmp_path, "mnist", "MNIST", seed=5)
    clothes.put(tmp_path / "data")
    monkeypatch.setattr(mnist, "SETS", (digits.pinned, clothes.pinned))
    monkeypatch.setattr(mnist, "MNIST", digits.pinned)
    with pytest.raises(DataError, match=r"MNIST lacks train-images-idx3-ubyte\.gz, .* unset DLSCRATCH_OFFLINE"):
        load_mnist(data_dir=tmp_path / "data")


def test_a_warning_points_at_the_line_that_loads(tmp_path, monkeypatch):
    digits = SmallSet(tmp_path, "mnist", "MNIST", seed=5)
    digits.put(tmp_path / "data")
    digits.put(tmp_path / "data" / "mnist")
    (tmp_path / "data" / "mnist" / f"{FILE_NAMES[0]}.gz").write_bytes(b"half a file")
    monkeypatch.setattr(mnist, "MNIST", digits.pinned)
    with pytest.warns(UserWarning, match="damaged") as told:
        load_mnist(data_dir=tmp_path / "data")
    assert told[0].filename == __file__


def test_the_slow_libraries_are_imported_only_for_a_download(tmp_path):
    small = SmallSet(tmp_path, "mnist", "MNIST", seed=3)
    small.put(tmp_path / "data")
    code = (
        "import sys; from dataset import mnist\n"
        "from mirror import SmallSet; from pathlib import Path\n"
        "mnist.MNIST = SmallSet(Path(sys.argv[1]), 'mnist', 'MNIST', seed=3).pinned\n"
        "mnist.load_mnist(data_dir=Path(sys.argv[1], 'data'))\n"
        "print(sorted({'requests', 'tqdm', 'urllib3', 'dataset.download'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT / "tests", capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# Files of one's own


def put_own(folder, *, prefix="", suffix="", classes=10, names=FILE_NAMES):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [
        rng.integers(0, 256, (12, 3, 5), np.uint8),
        np.arange(12, dtype=np.uint8) % classes,
        rng.integers(0, 256, (6, 3, 5), np.uint8),
        np.arange(6, dtype=np.uint8) % classes,
    ]
    for name, array in zip(names, arrays, strict=True):
        write_idx(folder / (prefix + name + suffix), array)
    return arrays


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("prefix", ["", "emnist-digits-"])
@pytest.mark.parametrize("place", ["", "MNIST/raw"])
def test_idx_files_of_ones_own_are_loaded(tmp_path, place, prefix, suffix):
    arrays = put_own(tmp_path / place, prefix=prefix, suffix=suffix, classes=7)
    (x_train, t_train), (x_test, t_test) = load_idx(tmp_path, one_hot_label=True)
    np.testing.assert_array_equal(x_train, np.divide(arrays[0].reshape(12, 15), 255, dtype=np.float32), strict=True)
    np.testing.assert_array_equal(t_train, np.eye(7, dtype=np.float32)[arrays[1]], strict=True)
    assert (x_test.shape, t_test.shape) == ((6, 15), (6, 7))


def test_emnist_says_test_for_t10k(tmp_path):
    put_own(tmp_path, prefix="emnist-letters-", names=[name.replace("t10k", "test") for name in FILE_NAMES])
    assert load_idx(str(tmp_path), False, False)[1][0].shape == (6, 1, 3, 5)


def test_labels_may_be_wider_than_bytes(tmp_path):
    put_own(tmp_path)
    write_idx(tmp_path / FILE_NAMES[1], np.arange(12, dtype=np.int32) * 100)
    (_, t_train), (_, t_test) = load_idx(tmp_path, one_hot_label=True)
    assert (t_train.shape, t_test.shape) == ((12, 1101), (6, 1101))


def test_packed_and_unpacked_copies_of_one_file_are_one_file(tmp_path):
    put_own(tmp_path)
    put_own(tmp_path, suffix=".gz")
    (tmp_path / f"._{FILE_NAMES[0]}").write_bytes(b"what another system leaves behind")
    assert len(load_idx(tmp_path)[0][0]) == 12


def test_two_sets_of_ones_own_in_one_folder_are_not_mixed(tmp_path):
    put_own(tmp_path, prefix="emnist-digits-")
    put_own(tmp_path, prefix="emnist-letters-")
    told = "one file for train-images-idx3-ubyte, got emnist-digits-.*, emnist-letters-.*; keep only one"
    with pytest.raises(DataError, match=told):
        load_idx(tmp_path)


def test_a_missing_file_of_ones_own_is_told_by_name(tmp_path):
    put_own(tmp_path)
    (tmp_path / FILE_NAMES[3]).unlink()
    with pytest.raises(DataError, match=r"has a file whose name ends in t10k-labels-idx1-ubyte or .*\.gz"):
        load_idx(tmp_path)
    with pytest.raises(DataError, match="nowhere"):
        load_idx(tmp_path / "nowhere")


def test_a_damaged_file_of_ones_own_is_told_by_name(tmp_path):
    put_own(tmp_path)
    (tmp_path / FILE_NAMES[2]).write_bytes((tmp_path / FILE_NAMES[2]).read_bytes()[:-1])
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is damaged"):
        load_idx(tmp_path)


def test_files_of_ones_own_that_do_not_fit_together_are_refused(tmp_path):
    put_own(tmp_path)
    write_idx(tmp_path / FILE_NAMES[1], np.zeros(11, np.uint8))
    with pytest.raises(DataError, match="12 training images need as many labels, got 11"):
        load_idx(tmp_path)


# The real files


def test_the_real_files_are_mnist(mnist):
    (x_train, t_train), (x_test, t_test) = mnist
    assert (x_train.shape, x_train.dtype, x_test.shape) == ((60000, 784), np.float32, (10000, 784))
    assert (t_train.shape, t_train.dtype, t_test.shape) == ((60000,), np.int64, (10000,))
    assert (x_train.min(), x_train.max()) == (0, 1)
    assert x_train.mean() == pytest.approx(0.1307, abs=1e-4)
    assert np.bincount(t_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert t_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_the_real_labels_as_one_hot_rows(mnist_folder):
    (x_train, t_train), (x_test, t_test) = load_mnist(False, False, True, data_dir=mnist_folder)
    assert (x_train.shape, x_train.dtype) == ((60000, 1, 28, 28), np.uint8)
    assert (x_test.shape, x_test.dtype) == ((10000, 1, 28, 28), np.uint8)
    assert (t_train.shape, t_test.shape, t_train.dtype) == ((60000, 10), (10000, 10), np.float32)
    assert (t_train.sum(axis=1) == 1).all()


@pytest.fixture
def packed(mnist_folder):
    """The bytes of the four real .gz files by name."""
    places = MNIST.places([mnist_folder])
    paths = {name: [place / f"{name}.gz" for place in places if (place / f"{name}.gz").exists()] for name in FILE_NAMES}
    if not all(paths.values()):
        pytest.skip(f"{mnist_folder} has the MNIST files unpacked only")
    return {name: found[0].read_bytes() for name, found in paths.items()}


def test_the_real_files_are_what_the_table_says(packed):
    for file in MNIST.files:
        content = packed[file.name]
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.gz_sha256
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() == file.sha256


def test_the_real_files_come_through_a_mirror(packed, tmp_path, monkeypatch):
    monkeypatch.delenv("DLSCRATCH_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Mirror() as mirror:
        for name, content in packed.items():
            mirror.serve(f"/{name}.gz", body(content, Content_Encoding="gzip"))
        monkeypatch.setenv("DLSCRATCH_MIRROR", mirror.url)
        (x_train, _), _ = load_mnist(data_dir=tmp_path)
    assert len(x_train) == 60000
    assert len(list((tmp_path / "mnist").iterdir())) == 4


def test_one_flipped_bit_in_a_real_image_is_found(packed, tmp_path):
    for name, content in packed.items():
        (tmp_path / f"{name}.gz").write_bytes(content)
    images = bytearray(gzip.decompress(packed[FILE_NAMES[2]]))
    images[5_000_000] ^= 1
    (tmp_path / f"{FILE_NAMES[2]}.gz").write_bytes(gzip.compress(images, 1))
    with (
        pytest.warns(UserWarning, match=r"t10k-images-idx3-ubyte\.gz is damaged .* SHA-256"),
        pytest.raises(DataError, match=r"MNIST lacks t10k-images-idx3-ubyte\.gz"),
    ):
        load_mnist(data_dir=tmp_path)


def test_a_folder_in_the_place_of_normalize_is_told(tmp_path):
    with pytest.raises(TypeError, match=r"normalize expects True or False, got '.*'; a folder is named by data_dir"):
        load_mnist(str(tmp_path))
