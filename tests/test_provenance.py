"""Where a result comes from: what is noted, and what is not known."""

import platform
import shutil
import subprocess

import numpy as np
import pytest

from dlscratch import provenance


@pytest.fixture(autouse=True)
def asked_for_the_first_time():
    provenance._commit.cache_clear()
    yield
    provenance._commit.cache_clear()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository with one commit, in place of the project's own."""
    if not shutil.which("git"):
        pytest.skip("no git here")

    def git(*words):
        identity = "-c", "user.name=a", "-c", "user.email=a@b"
        return subprocess.check_output(["git", "-C", tmp_path, *identity, *words], text=True).strip()

    git("init", "--quiet")
    (tmp_path / "file").touch()
    git("add", "file")
    git("commit", "--quiet", "--message", "first")
    git("tag", "v1")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return git("rev-parse", "HEAD")


def test_versions_library_and_machine_are_noted():
    facts = provenance.provenance()
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["versions"]["python"] == platform.python_version()
    assert facts["blas"].split()[0]
    assert facts["machine"] == f"{platform.system()} {platform.machine()}"


def test_the_commit_is_noted_and_whether_anything_was_changed_since(clone, tmp_path):
    assert provenance.provenance()["commit"] == clone
    (tmp_path / "file").write_text("changed", encoding="utf-8")
    assert provenance.provenance()["commit"] == clone  # whose code this process has
    provenance._commit.cache_clear()
    assert provenance.provenance()["commit"] == f"{clone}-dirty"


def test_outside_a_clone_no_commit_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.provenance()["commit"] is None


def test_a_folder_within_somebody_elses_repository_is_no_clone(clone, tmp_path, monkeypatch):
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "site-packages")
    assert provenance.provenance()["commit"] is None


def test_without_git_no_commit_is_known(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.provenance()["commit"] is None


def test_a_repository_that_git_cannot_read_has_no_commit(tmp_path, monkeypatch):
    (tmp_path / ".git").touch()
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.provenance()["commit"] is None
