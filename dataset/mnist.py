"""MNIST and its sister sets: `load_mnist` is the call that everybody knows.

What was published stands in a table of names, mirrors and checksums, and is used only if it is still that.
`load_idx` reads IDX files of one's own, which nothing can pin, and checks that they fit together.
"""

import os
from pathlib import Path

from dataset import DataError
from dataset.arrays import Splits, as_splits, count_classes
from dataset.idx import read_idx
from dataset.pinned import PinnedFile, PinnedSet, read_pinned

Folder = str | os.PathLike[str]

FILE_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

MNIST = PinnedSet("mnist", "MNIST", (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
), (
    PinnedFile(FILE_NAMES[0], 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
               "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    PinnedFile(FILE_NAMES[1], 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
               "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    PinnedFile(FILE_NAMES[2], 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
               "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    PinnedFile(FILE_NAMES[3], 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
               "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
))  # fmt: skip

FASHION_MNIST = PinnedSet("fashion-mnist", "FashionMNIST", (
    "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the published address, which knows no https
), (
    PinnedFile(FILE_NAMES[0], 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    PinnedFile(FILE_NAMES[1], 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    PinnedFile(FILE_NAMES[2], 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    PinnedFile(FILE_NAMES[3], 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
))  # fmt: skip

KMNIST = PinnedSet("kmnist", "KMNIST", (
    "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
), (
    PinnedFile(FILE_NAMES[0], 18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
    PinnedFile(FILE_NAMES[1], 29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
    PinnedFile(FILE_NAMES[2], 3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
    PinnedFile(FILE_NAMES[3], 5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
))  # fmt: skip

SETS = (MNIST, FASHION_MNIST, KMNIST)


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    data_dir: Folder | None = None,
) -> Splits:
    """Return `(x_train, t_train), (x_test, t_test)`: 60,000 and 10,000 digits by hand (LeCun et al. 1998).

    normalize: images are float32 in [0, 1], else uint8 in 0..255.
    flatten: images are (N, 784), else (N, 1, 28, 28).
    one_hot_label: labels are float32 rows (N, 10), else int64 (N,).
    data_dir: a folder to look into before $DLSCRATCH_DATA and the cache folder.

    Each folder may hold the files packed or unpacked, in mnist/, in MNIST/raw/ or flat. What none holds is
    downloaded into mnist/ in the first that can be written. DLSCRATCH_MIRROR names mirrors to ask first:
    folder URLs separated by spaces, in which `{set}` becomes mnist, fashion-mnist or kmnist, so that one can
    serve all three. DLSCRATCH_OFFLINE=1 forbids downloads.

    Every file is checked against its SHA-256; a damaged one is named in a warning and passed over. What was
    packed is kept unpacked in the cache folder, 55 MB, since that is read in a fifth of the time. Raises
    DataError, with what to do, if a good copy cannot be had.
    """
    return _load(MNIST, normalize, flatten, one_hot_label, data_dir)


def load_fashion_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    data_dir: Folder | None = None,
) -> Splits:
    """Return Fashion-MNIST (Xiao et al. 2017), ten kinds of clothes, as `load_mnist` returns the digits.

    Its folders are fashion-mnist/ and FashionMNIST/raw/. Only the published .gz files can be verified, so an
    unpacked copy is not used (`load_idx` reads those).
    """
    return _load(FASHION_MNIST, normalize, flatten, one_hot_label, data_dir)


def load_kmnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    data_dir: Folder | None = None,
) -> Splits:
    """Return Kuzushiji-MNIST (Clanuwat et al. 2018), ten cursive characters, as `load_mnist` returns digits.

    Its folders are kmnist/ and KMNIST/raw/. Only the published .gz files can be verified, so an unpacked copy
    is not used (`load_idx` reads those).
    """
    return _load(KMNIST, normalize, flatten, one_hot_label, data_dir)


def load_idx(folder: Folder, normalize: bool = True, flatten: bool = True, one_hot_label: bool = False) -> Splits:
    """Return a data set of one's own from four IDX files in `folder` or its MNIST/raw/, as `load_mnist` does.

    Their names end in the four standard names, packed (.gz) or not, after a prefix such as `emnist-digits-`
    or none; `test` may stand for `t10k`. Images are uint8 (N, H, W) of any size, labels whole numbers from 0,
    and there are K = the largest label + 1 classes. Raises DataError if a file is missing or damaged, or if
    the four do not fit together.
    """
    arrays = [read_idx(_own_file(Path(folder), name)) for name in FILE_NAMES]
    classes = count_classes(str(folder), *arrays)
    return as_splits(arrays, classes, normalize, flatten, one_hot_label)


def _own_file(folder: Path, name: str) -> Path:
    endings = (name, name.replace("t10k", "test"))
    for place in (folder, folder / "MNIST" / "raw"):
        visible = (path.name for path in place.glob("[!.]*"))
        names = sorted(name for name in visible if name.removesuffix(".gz").endswith(endings))
        if len({name.removesuffix(".gz") for name in names}) > 1:
            raise DataError(f"{place} should hold one file for {name}, got {', '.join(names)}; keep only one")
        if names:
            return place / names[0]  # the unpacked one, if both are there: it is read faster
    raise DataError(f"neither {folder} nor its MNIST/raw/ has a file whose name ends in {name} or {name}.gz")


def _load(wanted: PinnedSet, normalize: bool, flatten: bool, one_hot_label: bool, data_dir: Folder | None) -> Splits:
    if not isinstance(normalize, bool):
        raise TypeError(f"normalize expects True or False, got {normalize!r}; a folder is named by data_dir=...")
    arrays = read_pinned(wanted, others=[other for other in SETS if other != wanted], data_dir=data_dir)
    classes = count_classes(wanted.torch_name, *arrays)
    if classes > 10:
        raise DataError(f"{wanted.torch_name}: labels must be 0..9, got {classes - 1}")
    return as_splits(arrays, 10, normalize, flatten, one_hot_label)
