"""The recorder: rows that are whole, names that never collide, how a run ended, and what a resumed one begins with."""

import errno
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dlscratch.checkpoint import Checkpoint
from dlscratch.recorder import Recorder, make_folder
from dlscratch.runs import Run, read_table
from dlscratch.training import Diverged


def facts(folder):
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def record(folder, *rows, checkpoint_at=None, config=None):
    """A run with these rows, and a checkpoint once it has `checkpoint_at` of them."""
    with Recorder(folder, config or {}, {}) as run:
        for step, row in enumerate(rows, start=1):
            run.append("steps", row)
            if step == checkpoint_at:
                run.checkpoint({"params": np.arange(3.0)}, {"step": step})


def resume(folder):
    recorder = Recorder(folder, {}, {})
    try:
        return recorder, recorder.resume(Run.open(folder))
    except ValueError:
        recorder.release()
        raise


ROWS = [{"step": step, "loss": 1 / step} for step in range(1, 6)]


# Rows


def test_rows_come_back_as_columns_to_the_last_bit(tmp_path):
    with Recorder(tmp_path, {"seed": 1}, {}) as run:
        run.append("steps", {"step": 1, "loss": 0.1 + 0.2})
        run.append("steps", {"step": 2, "loss": np.float64(1e-300)})
        run.append("epochs", {"epoch": 0.5})
    table = read_table(tmp_path / "steps.csv")
    np.testing.assert_array_equal(table["step"], [1, 2])
    np.testing.assert_array_equal(table["loss"], [0.1 + 0.2, 1e-300])
    assert (tmp_path / "epochs.csv").read_text(encoding="utf-8") == "epoch\n0.5\n"


def test_a_row_is_on_disk_as_soon_as_it_is_appended(tmp_path):
    with Recorder(tmp_path, {}, {}) as run:
        run.append("steps", {"step": 1})
        assert (tmp_path / "steps.csv").read_bytes() == b"step\n1\n"
        assert facts(tmp_path)["status"] == "running"


def test_a_table_is_never_written_over(tmp_path):
    (tmp_path / "steps.csv").write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError), Recorder(tmp_path, {}, {}) as run:
        run.append("steps", {"step": 1})
    assert (tmp_path / "steps.csv").read_text(encoding="utf-8") == "precious"


def test_a_full_disk_is_named_and_leaves_whole_rows_only(tmp_path):
    pytest.importorskip("resource")
    script = f"""
import resource
from pathlib import Path
from dlscratch.recorder import Recorder
with Recorder(Path({str(tmp_path)!r}), {{}}, {{}}) as run:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1001, 1001))
    try:
        while True:
            run.append("steps", {{"step": 1234567}})
    except OSError as error:
        print(error.filename, error.strerror, sep="|")
"""
    out = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert out == f"{tmp_path / 'steps.csv'}|File too large\n"
    assert (tmp_path / "steps.csv").read_bytes() == b"step\n" + b"1234567\n" * 124


# How it ended


def test_settings_are_kept_in_any_language(tmp_path):
    with Recorder(tmp_path, {"dataset": "手書き数字", "lr": 0.1}, {}):
        pass
    assert Run.open(tmp_path).config == {"dataset": "手書き数字", "lr": 0.1}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (Diverged("the loss is nan"), "diverged"),
        (OSError(errno.ENOSPC, "No space left on device"), "failed"),
        (ZeroDivisionError("a bug is no divergence"), "failed"),
    ],
)
def test_how_a_run_ended_is_noted_and_the_error_goes_on(tmp_path, error, status):
    def fail():
        with Recorder(tmp_path, {}, {}) as run:
            run.append("steps", {"step": 1})
            raise error

    with pytest.raises(type(error)):
        fail()
    assert facts(tmp_path)["status"] == status
    assert facts(tmp_path).get("reason") == (None if status == "interrupted" else str(error) or type(error).__name__)
    assert read_table(tmp_path / "steps.csv")["step"] == [1]


def test_a_finished_run_says_so_with_its_results(tmp_path):
    with Recorder(tmp_path, {}, {"machine": "mine"}) as run:
        run.facts["test_accuracy"] = 0.97
    told = facts(tmp_path)
    assert (told["status"], told["machine"], told["test_accuracy"]) == ("finished", "mine", 0.97)
    assert told["started"] <= told["ended"]


def test_the_first_error_is_the_one_that_is_told(tmp_path):
    def fail():
        with Recorder(tmp_path, {}, {}) as run:
            run.folder = tmp_path / "gone"  # where run.json cannot be written
            raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        fail()


def test_results_that_cannot_be_written_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.json"), Recorder(tmp_path, {}, {}) as run:
        run.folder = tmp_path / "gone"
    with Recorder(tmp_path, {}, {}):  # and keep nobody out
        pass


# One at a time


def test_a_run_is_recorded_by_one_process_at_a_time(tmp_path):
    with Recorder(tmp_path, {}, {}):
        assert Run.open(tmp_path).status == "running"
        with pytest.raises(ValueError, match="is being recorded by another process; wait for its end, or end it"):
            Recorder(tmp_path, {}, {})
    with Recorder(tmp_path, {}, {}):
        pass


# Resuming


def test_rows_beyond_the_checkpoint_are_cut_and_new_ones_follow(tmp_path):
    record(tmp_path, *ROWS[:4], checkpoint_at=2)
    recorder, checkpoint = resume(tmp_path)
    assert checkpoint.facts["step"] == 2
    with recorder as run:
        np.testing.assert_array_equal(read_table(tmp_path / "steps.csv")["step"], [1, 2])
        run.append("steps", {"step": 3, "loss": 0.5})
    np.testing.assert_array_equal(read_table(tmp_path / "steps.csv")["step"], [1, 2, 3])
    assert (tmp_path / "steps.csv").read_bytes().count(b"step") == 1


@pytest.mark.parametrize("torn", [b"3", b"3,0.1", b"\0\0\0\0", b"3,0.3\n4,0.2\n5"])
def test_a_torn_last_line_is_repaired(tmp_path, torn):
    record(tmp_path, *ROWS[:2], checkpoint_at=2)
    whole = (tmp_path / "steps.csv").read_bytes()
    (tmp_path / "steps.csv").write_bytes(whole + torn)
    with resume(tmp_path)[0]:
        assert (tmp_path / "steps.csv").read_bytes() == whole


@pytest.mark.parametrize("damage", [lambda rows: rows[:-1], lambda rows: rows[:5], lambda rows: b"", None])
def test_a_table_shorter_than_the_checkpoint_is_refused_and_nothing_is_touched(tmp_path, damage):
    record(tmp_path, *ROWS[:2], checkpoint_at=2)
    path = tmp_path / "steps.csv"
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"steps\.csv is damaged: it lacks rows that the checkpoint knows of"):
        resume(tmp_path)
    assert contents(tmp_path) == before


def test_a_table_whose_rows_have_other_lengths_than_the_checkpoint_knows_is_refused(tmp_path):
    record(tmp_path, *ROWS[:4], checkpoint_at=2)
    path = tmp_path / "steps.csv"
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.5000001"))
    with pytest.raises(ValueError, match=r"steps\.csv is damaged"):
        resume(tmp_path)


def test_a_damaged_checkpoint_is_refused_and_nothing_is_touched(tmp_path):
    record(tmp_path, *ROWS[:3], checkpoint_at=2)
    (tmp_path / "checkpoint.npz").write_bytes(b"PK")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint\.npz is no checkpoint, or a damaged one"):
        resume(tmp_path)
    assert contents(tmp_path) == before


def test_rows_without_their_checkpoint_are_not_thrown_away(tmp_path):
    record(tmp_path, *ROWS[:3])
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"holds no checkpoint\.npz"):
        resume(tmp_path)
    assert contents(tmp_path) == before


def test_a_run_that_was_killed_before_its_first_step_begins_again(tmp_path):
    with Recorder(tmp_path, {}, {}) as run:
        run.append("epochs", {"epoch": 0})
    recorder, checkpoint = resume(tmp_path)
    assert checkpoint is None
    with recorder as run:
        run.append("epochs", {"epoch": 0})
    assert (tmp_path / "epochs.csv").read_bytes() == b"epoch\n0\n"


def test_when_a_run_began_and_was_resumed_is_kept(tmp_path):
    record(tmp_path, *ROWS[:2], checkpoint_at=2)
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**facts(tmp_path), "started": "2026-01-01"}), encoding="utf-8")
    for _ in range(2):
        with resume(tmp_path)[0] as run:
            run.append("steps", {"step": 3, "loss": 1.0})
    told = facts(tmp_path)
    assert told["started"] == "2026-01-01"
    assert [each["step"] for each in told["resumed"]] == [2, 2]
    assert "2026-01-01" < told["resumed"][0]["at"] <= told["resumed"][1]["at"] <= told["ended"]


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    record(tmp_path, *ROWS[:2], checkpoint_at=2)
    (tmp_path / ".checkpoint.npz.0123456789abcdef.part").write_bytes(b"PK")
    with resume(tmp_path)[0]:
        assert not list(tmp_path.glob(".*.part"))


def test_a_checkpoint_knows_how_far_the_tables_are(tmp_path):
    record(tmp_path, *ROWS[:3], checkpoint_at=3)
    facts = Checkpoint.load(tmp_path / "checkpoint.npz").facts
    assert facts["tables"] == {"steps": (tmp_path / "steps.csv").stat().st_size}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Folders


def test_fresh_folders_never_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(20) as pool:
        folders = set(pool.map(lambda _: make_folder(None, "mnist-SGD"), range(20)))
    assert len(folders) == 20
    assert all(folder.is_dir() for folder in folders)


def test_a_name_that_is_taken_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("dlscratch.recorder.secrets.token_hex", lambda _: next(drawn))
    monkeypatch.setattr("dlscratch.recorder._stamp", lambda: "20260101T000000Z")
    names = [make_folder(None, "x").as_posix() for _ in range(2)]
    assert names == ["runs/20260101T000000Z-x-aaaa", "runs/20260101T000000Z-x-bbbb"]


def test_a_named_folder_is_new_or_empty(tmp_path):
    assert make_folder(tmp_path / "a" / "b", "x") == tmp_path / "a" / "b"
    assert make_folder(tmp_path / "a" / "b", "x").is_dir()
    (tmp_path / "a" / "b" / "file").touch()
    with pytest.raises(ValueError, match="is not empty, and a run wants a folder of its own; name a new one"):
        make_folder(tmp_path / "a" / "b", "x")
    with pytest.raises(ValueError, match="file is no folder, and a run wants a folder of its own"):
        make_folder(tmp_path / "a" / "b" / "file", "x")


def test_what_a_process_left_that_was_killed_before_its_run_began_counts_as_nothing(tmp_path):
    for name in (".lock", "run.json", ".config.json.0123456789abcdef.part"):
        (tmp_path / name).touch()
    assert make_folder(tmp_path, "x") == tmp_path
    (tmp_path / "config.json").touch()
    with pytest.raises(ValueError, match="is not empty"):
        make_folder(tmp_path, "x")


def test_the_files_of_the_users_that_made_the_net_are_kept(tmp_path):
    sources = {"my_net.py": b"one = 1\r\n", "ブロック.py": "# 層\n".encode()}
    with Recorder(tmp_path, {}, {}, sources):
        assert {path.name: path.read_bytes() for path in (tmp_path / "code").iterdir()} == sources
    (tmp_path / "config.json").unlink()  # as if it had been killed before
    assert make_folder(tmp_path, "x") == tmp_path


def test_a_folder_called_code_that_no_run_has_made_is_somebodys(tmp_path):
    (tmp_path / "code").mkdir()
    with pytest.raises(ValueError, match="is not empty"):
        make_folder(tmp_path, "x")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert make_folder("~/run", "x") == Path(tmp_path / "run")
