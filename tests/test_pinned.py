import dataclasses
import errno
import gzip
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from mirror import Mirror, SmallSet, body, slow, status

from dataset import DataError
from dataset.idx import write_idx
from dataset.pinned import read_pinned

ROOT = Path(__file__).parent.parent
IMAGES = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Nothing of this machine's own: an empty cache folder, no settings, no network but the loopback."""
    for name in ("DLSCRATCH_DATA", "DLSCRATCH_MIRROR", "DLSCRATCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("dataset.download.PAUSE", 0.01)


@pytest.fixture
def digits(tmp_path):
    return SmallSet(tmp_path, "mnist", "MNIST", seed=1)


@pytest.fixture
def clothes(tmp_path):
    """Of this set, as of Fashion-MNIST, only the digests of the .gz files are known."""
    return SmallSet(tmp_path, "fashion-mnist", "FashionMNIST", seed=2, pin_unpacked=False)


@pytest.fixture
def mirror():
    with Mirror() as mirror:
        yield mirror


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def loads(small, folder=None, **options):
    """Load and compare with what is pinned: the only outcome that is ever right."""
    for array, expected in zip(read_pinned(small.pinned, data_dir=folder, **options), small.arrays, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)
    return True


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def forbid_network(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


# Where files are found


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "."])
@pytest.mark.parametrize("how", ["data_dir", "DLSCRATCH_DATA", "cache"])
def test_files_are_found_in_every_place(digits, data, tmp_path, monkeypatch, how, place, packed):
    forbid_network(monkeypatch)
    if how == "DLSCRATCH_DATA":
        monkeypatch.setenv("DLSCRATCH_DATA", str(data))
    folder = tmp_path / "cache" / "dlscratch" if how == "cache" else data
    digits.put(folder / place, packed=packed)
    assert loads(digits, data if how == "data_dir" else None)


def test_each_file_may_lie_in_another_place(digits, data, tmp_path, monkeypatch):
    monkeypatch.setenv("DLSCRATCH_DATA", str(tmp_path / "shared"))
    digits.put(data)
    digits.put(tmp_path / "shared" / "MNIST" / "raw", packed=False)
    (data / f"{IMAGES}.gz").unlink()
    (tmp_path / "shared" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    assert loads(digits, data)


def test_a_copy_that_was_packed_anew_is_as_good(digits, data):
    digits.put(data)
    (data / f"{IMAGES}.gz").write_bytes(gzip.compress(digits.unpacked[IMAGES], 1))
    assert loads(digits, data)


def test_loading_what_is_unpacked_or_cannot_be_verified_unpacked_writes_nothing(digits, clothes, data, tmp_path):
    digits.put(data, packed=False)
    clothes.put(data / "fashion-mnist")
    before = files(tmp_path)
    assert loads(digits, data)
    assert loads(clothes, data, others=[digits.pinned])
    assert files(tmp_path) == before


# What is unpacked is kept


@pytest.fixture
def kept(tmp_path):
    """Where it is kept."""
    return tmp_path / "cache" / "dlscratch" / "mnist"


def test_what_was_unpacked_is_kept_and_the_packed_files_are_read_no_more(digits, data, kept):
    digits.put(data)
    assert loads(digits, data)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == digits.unpacked
    for name in digits.packed:
        (data / f"{name}.gz").write_bytes(b"half a file")
    assert loads(digits, data)


def test_a_damaged_copy_of_what_was_unpacked_is_told_and_unpacked_again(digits, data, kept):
    digits.put(data)
    assert loads(digits, data)
    (kept / IMAGES).write_bytes(flip_a_bit(digits.unpacked[IMAGES]))
    with pytest.warns(UserWarning, match=rf"mnist.{IMAGES} is damaged.*; it is passed over$"):
        assert loads(digits, data)
    assert loads(digits, data)


def test_another_set_where_unpacked_files_are_kept_is_never_replaced(digits, data, kept, tmp_path):
    digits.put(data)
    letters = SmallSet(tmp_path, "letters", "Letters", seed=3)
    letters.put(kept, packed=False)
    assert loads(digits, data, others=[letters.pinned])
    assert (kept / IMAGES).read_bytes() == letters.unpacked[IMAGES]


@pytest.mark.parametrize("refused", ["no folder", "no room", "no home"])
def test_where_nothing_can_be_kept_it_is_unpacked_each_time(digits, data, kept, monkeypatch, refused):
    def no_room(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    digits.put(data)
    if refused == "no folder":
        kept.parent.parent.write_bytes(b"")
    elif refused == "no room":
        monkeypatch.setattr(os, "fsync", no_room)
    else:
        monkeypatch.setattr("dataset.pinned.cache_folder", lambda: Path("~nobody-of-that-name").expanduser())
    assert loads(digits, data)
    assert loads(digits, data)
    assert not kept.exists() or files(kept) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever ignores permissions is not stopped by them")
def test_a_read_only_folder_is_read(digits, data):
    digits.put(data)
    data.chmod(0o500)
    try:
        assert loads(digits, data)
    finally:
        data.chmod(0o700)


# What is missing is fetched


def test_missing_files_are_fetched_into_the_folder_of_their_set(digits, data, mirror, monkeypatch):
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    assert loads(digits, data)
    assert files(data) == sorted(f"mnist/{name}.gz" for name in digits.packed)
    forbid_network(monkeypatch)
    assert loads(digits, data)


def test_only_what_is_missing_is_fetched(digits, data, mirror, monkeypatch):
    digits.put(data)
    (data / f"{IMAGES}.gz").unlink()
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror).rstrip("/"))
    assert loads(digits, data)
    assert mirror.requests == [f"/set/{IMAGES}.gz"]


def test_the_first_folder_that_can_be_written_gets_the_download(digits, tmp_path, mirror, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DLSCRATCH_DATA", str(tmp_path / "file" / "below"))
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    assert loads(digits, tmp_path / "file")
    assert files(tmp_path / "cache" / "dlscratch" / "mnist") == sorted(f"{name}.gz" for name in digits.packed)


def test_no_folder_that_can_be_written_is_told(digits, tmp_path, mirror, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    with pytest.raises(DataError, match=r"none of .*file.mnist, .*dlscratch.mnist can be written; name a folder"):
        loads(digits, tmp_path / "file")
    assert mirror.requests == []


def test_mirrors_of_ones_own_come_first_and_tell_the_sets_apart(digits, clothes, data, mirror, monkeypatch):
    ours = dataclasses.replace(digits.pinned, mirrors=(digits.serve(mirror, "/ours/"),))
    digits.serve(mirror, "/second/mnist/")
    monkeypatch.setenv("DLSCRATCH_MIRROR", f"{mirror.url}/first  {mirror.url}/second/{{set}}/\n")
    assert ours.urls(ours.files[0]) == [
        f"{mirror.url}/first/{IMAGES}.gz",
        f"{mirror.url}/second/mnist/{IMAGES}.gz",
        f"{mirror.url}/ours/{IMAGES}.gz",
    ]
    read_pinned(ours, data_dir=data)
    assert mirror.requests[:2] == [f"/first/{IMAGES}.gz", f"/second/mnist/{IMAGES}.gz"]
    assert not any("ours" in path for path in mirror.requests)
    assert clothes.pinned.urls(ours.files[0])[1] == f"{mirror.url}/second/fashion-mnist/{IMAGES}.gz"


def test_when_all_mirrors_fail_one_sentence_says_why_and_what_to_do(digits, data, mirror, monkeypatch):
    mirror.serve(f"/page/{IMAGES}.gz", body(b"<html>", Content_Type="text/html"))
    monkeypatch.setenv("DLSCRATCH_MIRROR", f"{mirror.url}/page {mirror.url}/gone")
    with pytest.raises(DataError) as caught:
        loads(digits, data)
    told = str(caught.value)
    assert f"{mirror.url}/page/{IMAGES}.gz: offers 6 bytes (text/html)" in told
    assert f"{mirror.url}/gone/{IMAGES}.gz: 404 Not Found" in told
    assert f"put {', '.join(name + '.gz' for name in digits.packed)} into {data / 'mnist'}" in told
    assert told.endswith("or name a mirror in DLSCRATCH_MIRROR")
    assert files(data) == []


def test_a_full_disk_is_told_at_once_with_its_file(digits, data, mirror, monkeypatch):
    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    monkeypatch.setenv("DLSCRATCH_MIRROR", f"{digits.serve(mirror)} {mirror.url}/next")
    with pytest.raises(DataError, match=rf"{IMAGES}\.gz cannot be written \(No space left on device\); make room"):
        loads(digits, data)
    assert mirror.requests == [f"/set/{IMAGES}.gz"]
    assert files(data) == []


def test_many_processes_at_once_end_with_one_good_copy(digits, data, mirror):
    url = digits.serve(mirror)
    mirror.serve(f"/set/{IMAGES}.gz", slow(digits.packed[IMAGES], 0.5))
    code = (
        "import sys; from pathlib import Path; from mirror import SmallSet\n"
        "from test_pinned import loads; own = Path(sys.argv[1]); own.mkdir()\n"
        "loads(SmallSet(own, 'mnist', 'MNIST', seed=1), sys.argv[2])"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(data.parent / f"own{number}"), str(data)],
            cwd=ROOT / "tests",
            env=os.environ | {"DLSCRATCH_MIRROR": url},
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    outcomes = [(process.communicate(timeout=20)[1], process.returncode) for process in processes]
    assert outcomes == [(b"", 0)] * 4
    assert files(data) == sorted(f"mnist/{name}.gz" for name in digits.packed)
    assert loads(digits, data)


# Offline


@pytest.mark.parametrize("value", ["1", "yes"])
def test_offline_touches_no_network_and_says_what_is_wanted_and_where(digits, data, monkeypatch, tmp_path, value):
    monkeypatch.setenv("DLSCRATCH_OFFLINE", value)
    monkeypatch.setenv("DLSCRATCH_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("DLSCRATCH_MIRROR", "http://127.0.0.1:1/")
    forbid_network(monkeypatch)
    digits.put(data)
    (data / f"{IMAGES}.gz").unlink()
    with pytest.raises(DataError) as caught:
        loads(digits, data)
    told = str(caught.value)
    assert f"MNIST lacks {IMAGES}.gz, which" in told
    for folder in (data, tmp_path / "shared", tmp_path / "cache" / "dlscratch"):
        for sub in ("mnist", "MNIST/raw", "."):
            assert f"{folder / sub}," in told or f"{folder / sub};" in told
    assert not (tmp_path / "shared").exists()
    digits.put(data / "mnist")
    assert loads(digits, data)


@pytest.mark.parametrize("value", ["", "0"])
def test_offline_can_be_switched_off(digits, data, mirror, monkeypatch, value):
    monkeypatch.setenv("DLSCRATCH_OFFLINE", value)
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    assert loads(digits, data)


# Damaged files


def flip_a_bit(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGES = {
    "empty": lambda packed: b"",
    "truncated": lambda packed: packed[: len(packed) // 2],
    "an HTML page": lambda packed: b"<html>404</html>",
    "garbage at the end": lambda packed: packed + b"garbage",
    "a flipped bit in the pack": lambda packed: packed[:40] + bytes([packed[40] ^ 8]) + packed[41:],
    "a flipped bit in an image": lambda packed: gzip.compress(flip_a_bit(gzip.decompress(packed))),
    "a flipped bit, unpacked": lambda packed: flip_a_bit(gzip.decompress(packed)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["digits", "clothes"])
def test_a_damaged_download_is_told_by_name_and_fetched_again(request, kind, data, mirror, monkeypatch, damage):
    small = request.getfixturevalue(kind)
    home = data / small.pinned.name
    small.put(home)
    (home / f"{IMAGES}.gz").write_bytes(DAMAGES[damage](small.packed[IMAGES]))
    monkeypatch.setenv("DLSCRATCH_MIRROR", small.serve(mirror))
    with pytest.warns(UserWarning, match=rf"{IMAGES}\.gz is damaged.*; it is passed over$") as told:
        assert loads(small, data)
    assert len(told) == 1
    assert (home / f"{IMAGES}.gz").read_bytes() == small.packed[IMAGES]
    assert loads(small, data)


@pytest.mark.parametrize("place", ["MNIST/raw", "."])
def test_a_damaged_file_elsewhere_is_left_as_it_is(digits, data, mirror, monkeypatch, place):
    digits.put(data / place)
    damaged = data / place / f"{IMAGES}.gz"
    damaged.write_bytes(b"half a file")
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    with pytest.warns(UserWarning, match="damaged"):
        assert loads(digits, data)
    assert damaged.read_bytes() == b"half a file"
    assert loads(digits, data)  # the good copy is found first now, so the damaged one is no longer in the way


def test_after_a_damaged_file_the_next_folder_is_looked_into(digits, data, tmp_path, monkeypatch):
    forbid_network(monkeypatch)
    monkeypatch.setenv("DLSCRATCH_DATA", str(tmp_path / "shared"))
    digits.put(data)
    digits.put(tmp_path / "shared")
    (data / f"{IMAGES}.gz").write_bytes(b"")
    with pytest.warns(UserWarning, match=rf"data.{IMAGES}\.gz is damaged"):
        assert loads(digits, data)
    assert (data / f"{IMAGES}.gz").read_bytes() == b""


def test_a_damaged_file_and_no_mirror_is_a_data_error(digits, data, mirror, monkeypatch):
    digits.put(data / "mnist")
    (data / "mnist" / f"{IMAGES}.gz").write_bytes(b"half a file")
    monkeypatch.setenv("DLSCRATCH_MIRROR", mirror.url)
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(DataError, match="404"):
        loads(digits, data)
    assert (data / "mnist" / f"{IMAGES}.gz").read_bytes() == b"half a file"


def test_a_file_that_cannot_be_read_is_told_by_name(digits, data, mirror, monkeypatch):
    digits.put(data)
    (data / "mnist" / IMAGES).mkdir(parents=True)
    with pytest.warns(UserWarning, match=rf"{IMAGES} is no regular file; it is passed over"):
        assert loads(digits, data)


def test_two_files_of_a_set_in_each_others_place_are_not_taken_for_right(digits, data, mirror, monkeypatch):
    digits.put(data)
    (data / f"{IMAGES}.gz").write_bytes(digits.packed["t10k-images-idx3-ubyte"])
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    with pytest.warns(UserWarning, match="SHA-256"):
        assert loads(digits, data)


# Several sets in one folder


def test_two_sets_live_side_by_side(digits, clothes, data, mirror, monkeypatch):
    digits.serve(mirror, "/mnist/")
    clothes.serve(mirror, "/fashion-mnist/")
    monkeypatch.setenv("DLSCRATCH_MIRROR", mirror.url + "/{set}")
    assert loads(digits, data, others=[clothes.pinned])
    assert loads(clothes, data, others=[digits.pinned])
    forbid_network(monkeypatch)
    assert loads(digits, data, others=[clothes.pinned])
    assert loads(clothes, data, others=[digits.pinned])


@pytest.mark.parametrize("packed", [True, False])
def test_another_set_lying_flat_is_passed_over_in_silence(digits, clothes, data, mirror, monkeypatch, packed):
    digits.put(data, packed=packed)
    before = {path: path.read_bytes() for path in data.iterdir()}
    monkeypatch.setenv("DLSCRATCH_MIRROR", clothes.serve(mirror))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loads(clothes, data, others=[digits.pinned])
    assert {path: path.read_bytes() for path in before} == before
    assert loads(digits, data, others=[clothes.pinned])


def test_another_set_in_our_own_place_is_never_replaced(digits, clothes, data, tmp_path, mirror, monkeypatch):
    digits.put(data / "fashion-mnist")
    monkeypatch.setenv("DLSCRATCH_MIRROR", clothes.serve(mirror))
    assert loads(clothes, data, others=[digits.pinned])
    assert (data / "fashion-mnist" / f"{IMAGES}.gz").read_bytes() == digits.packed[IMAGES]
    assert len(files(tmp_path / "cache" / "dlscratch" / "fashion-mnist")) == 4


@pytest.mark.parametrize("copy", ["unpacked", "packed anew"])
def test_a_copy_that_cannot_be_verified_is_told_and_not_used(clothes, data, mirror, monkeypatch, copy):
    data.mkdir()
    if copy == "unpacked":
        path = data / IMAGES
        path.write_bytes(clothes.unpacked[IMAGES])
    else:
        path = data / f"{IMAGES}.gz"
        path.write_bytes(gzip.compress(clothes.unpacked[IMAGES], 1))
    before = path.read_bytes()
    monkeypatch.setenv("DLSCRATCH_MIRROR", clothes.serve(mirror))
    with pytest.warns(UserWarning, match=r"only the published .* can be verified \(load_idx reads"):
        assert loads(clothes, data)
    assert path.read_bytes() == before


def test_an_unpacked_copy_beside_a_good_one_is_no_matter(clothes, data):
    clothes.put(data)
    clothes.put(data, packed=False)
    assert loads(clothes, data)


def test_what_was_fetched_is_verified_once_more_when_it_is_read(digits, data, mirror, monkeypatch, tmp_path):
    write_idx(tmp_path / "wrong.gz", digits.arrays[0][::-1])
    monkeypatch.setattr(
        "dataset.download.download",
        lambda path, urls, **_: path.write_bytes((tmp_path / "wrong.gz").read_bytes()),
    )
    with pytest.raises(DataError, match="SHA-256"):
        loads(digits, data)


def test_a_mirror_that_is_busy_for_a_moment_is_enough(digits, data, mirror, monkeypatch):
    monkeypatch.setenv("DLSCRATCH_MIRROR", digits.serve(mirror))
    mirror.serve(f"/set/{IMAGES}.gz", status(503), body(digits.packed[IMAGES]))
    assert loads(digits, data)


def test_a_folder_into_which_nothing_came_is_not_left_behind(tmp_path, digits):
    with pytest.raises(DataError, match="could not be fetched"):
        read_pinned(dataclasses.replace(digits.pinned, mirrors=()), data_dir=tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
