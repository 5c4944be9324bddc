"""Checkpoints: what is saved comes back to the last bit, and whatever is damaged is told in a sentence."""

import subprocess
import sys

import numpy as np
import pytest

from dlscratch.checkpoint import Checkpoint

FACTS = {"step": 7, "seconds": 0.1 + 0.2, "stream": {"state": 2**127 + 1}, "rows": [1, 2], "name": "手書き"}


@pytest.fixture
def checkpoint(rng):
    return Checkpoint({"params": rng.standard_normal(30).astype(np.float32), "v": rng.standard_normal(3)}, FACTS)


@pytest.fixture
def path(tmp_path, checkpoint):
    checkpoint.save(tmp_path / "checkpoint.npz")
    return tmp_path / "checkpoint.npz"


def same(one, other):
    return one.facts == other.facts and {name: (x.dtype, x.shape, x.tobytes()) for name, x in one.arrays.items()} == {
        name: (x.dtype, x.shape, x.tobytes()) for name, x in other.arrays.items()
    }


def test_what_is_saved_comes_back_to_the_last_bit(path, checkpoint):
    assert same(Checkpoint.load(path), checkpoint)


def test_no_flipped_bit_goes_unnoticed(path, checkpoint, rng):
    whole = path.read_bytes()
    refused = []
    for place in range(rng.integers(9), len(whole), 9):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert same(Checkpoint.load(path), checkpoint)  # the date of an entry, say, is nobody's loss
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 0.05 * len(whole)
    assert all(str(path) in sentence for sentence in refused)


def test_no_cut_goes_unnoticed(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"checkpoint\.npz is no checkpoint, or a damaged one"):
            Checkpoint.load(path)


@pytest.mark.parametrize("junk", [b"", b"PK\x05\x06" + bytes(18), b"step,loss\n1,2\n", bytes(1000)])
def test_another_kind_of_file_is_refused(path, junk):
    path.write_bytes(junk)
    with pytest.raises(ValueError, match=r"checkpoint\.npz is"):
        Checkpoint.load(path)


def test_arrays_of_another_kind_are_refused(path):
    for arrays in ({"W1": np.ones(3)}, {"facts": np.ones(3), "sha256": np.ones(3)}, {"sha256": np.array("0")}):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match="its content does not match its checksum"):
            Checkpoint.load(path)


def test_an_array_changed_by_hand_is_noticed(path):
    content = dict(np.load(path))
    content["params"][3] += 1
    np.savez(path, **content)
    with pytest.raises(ValueError, match="its content does not match its checksum"):
        Checkpoint.load(path)


def test_an_array_of_another_type_or_shape_with_the_same_bytes_is_noticed(path):
    content = dict(np.load(path))
    for changed in (content["params"].view(np.int32), content["params"].reshape(5, 6)):
        np.savez(path, **{**content, "params": changed})
        with pytest.raises(ValueError, match="its content does not match its checksum"):
            Checkpoint.load(path)


def test_a_checkpoint_that_is_not_there_is_told_apart_from_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        Checkpoint.load(tmp_path / "checkpoint.npz")


def test_facts_that_json_cannot_hold_are_refused_and_the_old_checkpoint_stays(path, checkpoint):
    with pytest.raises(ValueError, match="JSON"):
        Checkpoint({}, {"loss": float("nan")}).save(path)
    assert same(Checkpoint.load(path), checkpoint)


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(path, checkpoint):
    pytest.importorskip("resource")
    script = f"""
import resource, sys
import numpy as np
from dlscratch.checkpoint import Checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    Checkpoint({{"params": np.zeros(10_000)}}, {{}}).save({str(path)!r})
except OSError as error:
    print(error.filename, error.strerror, sep="|")
"""
    out = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert out == f"{path}|File too large\n"
    assert same(Checkpoint.load(path), checkpoint)
    assert list(path.parent.iterdir()) == [path]
