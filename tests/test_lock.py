"""The lock of a run: one holder at a time, and none once its process has ended, however that ended."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dlscratch.lock import hold, is_held


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds the lock at `tmp_path / "lock"`."""
    script = "import sys; from pathlib import Path; from dlscratch.lock import hold\n"
    script += "lock = hold(Path(sys.argv[1])); print(lock is not None, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "lock"], **pipes) as process:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_a_lock_that_is_not_there_nobody_holds(tmp_path):
    assert not is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_a_lock_has_one_holder_until_it_is_closed(tmp_path):
    lock = hold(tmp_path / "lock")
    assert is_held(tmp_path / "lock")
    assert hold(tmp_path / "lock") is None
    lock.close()
    assert not is_held(tmp_path / "lock")
    hold(tmp_path / "lock").close()


def test_another_process_is_noticed(holder, tmp_path):
    assert is_held(tmp_path / "lock")
    assert hold(tmp_path / "lock") is None


@pytest.mark.parametrize("end", [subprocess.Popen.kill, lambda process: process.stdin.close()])
def test_a_lock_ends_with_its_process(holder, tmp_path, end):
    end(holder)
    holder.wait()
    assert not is_held(tmp_path / "lock")
    hold(tmp_path / "lock").close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no shared locks")
def test_to_look_at_a_lock_is_not_to_hold_it(tmp_path):
    (tmp_path / "lock").touch()
    with ThreadPoolExecutor(4) as pool:  # nor do several who look take each other for a holder
        looked_at = list(pool.map(lambda _: is_held(tmp_path / "lock"), range(4000)))
    assert looked_at == [False] * 4000


def test_a_lock_where_nothing_can_be_written_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        hold(tmp_path / "nowhere" / "lock")
    assert str(caught.value.filename) == str(tmp_path / "nowhere" / "lock")
