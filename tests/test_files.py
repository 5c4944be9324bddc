import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from dataset import files
from dataset.files import cache_folder, can_be_written, data_folders, replacing


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(b"old")
    return path


def only_the_old_file_is_left(path):
    return list(path.parent.iterdir()) == [path] and path.read_bytes() == b"old"


def test_a_block_that_ends_well_replaces_the_file(old):
    with replacing(old) as file:
        file.write(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


def test_the_path_may_be_a_string(tmp_path):
    with replacing(str(tmp_path / "net.npz")) as file:
        file.write(b"new")
    assert (tmp_path / "net.npz").read_bytes() == b"new"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_ends_the_block_leaves_the_old_file_and_no_other(old, fault):
    def write():
        with replacing(old) as file:
            file.write(b"half")
            raise fault

    with pytest.raises(fault):
        write()
    assert only_the_old_file_is_left(old)


def test_two_writers_at_once_do_not_meet(old):
    with replacing(old) as one, replacing(old) as two:
        one.write(b"one")
        two.write(b"two!")
    assert old.read_bytes() == b"one"  # the outer block ends last
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no mode bits")
def test_the_file_has_the_mode_that_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "net.npz") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == 0o640


def test_a_full_disk_is_an_error_that_names_the_file(old, monkeypatch):
    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left") as caught, replacing(old) as file:
        file.write(b"new")
    assert caught.value.filename == str(old)
    assert only_the_old_file_is_left(old)


def test_a_write_that_the_system_refuses_names_the_file(old):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_too_much():
        with replacing(old) as file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
            try:
                file.write(bytes(2 << 20))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with pytest.raises(OSError, match="File too large") as caught:
        write_too_much()
    assert caught.value.filename == str(old)
    assert only_the_old_file_is_left(old)


def test_an_error_from_elsewhere_keeps_its_own_name(old):
    with pytest.raises(FileNotFoundError) as caught, replacing(old):
        open(old.parent / "images.idx")  # noqa: PTH123, SIM115
    assert caught.value.filename.endswith("images.idx")


def test_a_missing_folder_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "nowhere" / "net.npz"
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        pass
    assert caught.value.filename == str(path)


def test_a_folder_that_is_a_file_is_an_error_that_names_the_file(old):
    with pytest.raises(OSError, match=r"net\.npz") as caught, replacing(old / "net.npz"):
        pass
    assert caught.value.filename == str(old / "net.npz")
    assert only_the_old_file_is_left(old)


def test_a_target_that_is_a_folder_is_refused_and_nothing_is_left_beside_it(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(OSError, match="runs"), replacing(tmp_path / "runs"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever ignores permissions is not stopped by them")
def test_a_read_only_folder_is_an_error_that_names_the_file(old):
    old.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as caught, replacing(old):
            pass
        assert not can_be_written(old.parent)
    finally:
        old.parent.chmod(0o700)
    assert caught.value.filename == str(old)


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path):
    assert can_be_written(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_path_through_a_file_cannot_be_written(old):
    assert not can_be_written(old)
    assert not can_be_written(old / "mnist")


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/dlscratch"),
        ("linux", {}, "/home/me/.cache/dlscratch"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "/home/me/Library/Caches/dlscratch"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/dlscratch/Cache"),
        ("win32", {}, "/home/me/AppData/Local/dlscratch/Cache"),
    ],
)
def test_each_platform_has_its_cache_folder(platform, variables, folder, monkeypatch):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me", "USERPROFILE": "/home/me"} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder().as_posix() == folder


def test_folders_are_looked_into_in_order_and_once(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("DLSCRATCH_DATA", str(tmp_path / "data"))
    assert data_folders(tmp_path / "mine") == [tmp_path / "mine", tmp_path / "data", tmp_path / "cache"]
    assert data_folders(str(tmp_path / "data")) == data_folders() == [tmp_path / "data", tmp_path / "cache"]
    monkeypatch.setenv("DLSCRATCH_DATA", "")
    assert data_folders() == [tmp_path / "cache"]


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert data_folders("~/data")[0] == tmp_path / "data"


def test_a_user_without_a_home_has_no_cache_folder_but_the_others(monkeypatch, tmp_path):
    def no_home(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "expanduser", lambda path: no_home() if str(path).startswith("~") else path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("DLSCRATCH_DATA", str(tmp_path))
    assert data_folders("~nobody/data") == [tmp_path]
