"""What all tests share: a random stream, and the real MNIST files where there are any."""

import os
from pathlib import Path

from dlscratch.command import limit_blas_threads

limit_blas_threads(1)  # before NumPy comes: on matrices this small a second thread only costs time

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from small_job import write_digits  # noqa: E402


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with a small data set."""
    return write_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def no_waiting(monkeypatch):
    """What takes most of the time is left out: fsync, which is for the death of the machine itself, and asking git."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr("dlscratch.provenance._commit", lambda: None)


@pytest.fixture(scope="session")
def mnist_folder():
    """The folder of the real files. CI must have it; elsewhere the tests that need it are skipped."""
    folder = os.environ.get("DLSCRATCH_DATA", "")
    if folder and any(Path(folder).glob("**/train-images-idx3-ubyte*")):
        return Path(folder).resolve()
    if os.environ.get("CI"):
        pytest.fail("CI tests on the real MNIST files; set DLSCRATCH_DATA to their folder")
    pytest.skip("set DLSCRATCH_DATA to a folder with the MNIST files")


@pytest.fixture(scope="session")
def mnist(mnist_folder):
    from dataset.mnist import load_mnist

    return load_mnist(data_dir=mnist_folder)
