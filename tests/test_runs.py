"""The run directory: names that never collide, rows that are whole, and how a run ended."""

import errno
import json

import numpy as np
import pytest

from dlscratch.runs import Run, make_folder, read_table
from dlscratch.training import Diverged


def facts(folder):
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_rows_come_back_as_columns_to_the_last_bit(tmp_path):
    with Run(tmp_path, {"seed": 1}) as run:
        run.append("steps", {"step": 1, "loss": 0.1 + 0.2})
        run.append("steps", {"step": 2, "loss": np.float64(1e-300)})
        run.append("epochs", {"epoch": 0.5})
    table = read_table(tmp_path / "steps.csv")
    np.testing.assert_array_equal(table["step"], [1, 2])
    np.testing.assert_array_equal(table["loss"], [0.1 + 0.2, 1e-300])
    assert (tmp_path / "epochs.csv").read_text(encoding="utf-8") == "epoch\n0.5\n"


def test_a_row_is_on_disk_as_soon_as_it_is_appended(tmp_path):
    with Run(tmp_path, {}) as run:
        run.append("steps", {"step": 1})
        assert (tmp_path / "steps.csv").read_bytes() == b"step\n1\n"
        assert facts(tmp_path)["status"] == "running"


def test_settings_are_kept_in_any_language(tmp_path):
    with Run(tmp_path, {"dataset": "手書き数字", "lr": 0.1}):
        pass
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8")) == {"dataset": "手書き数字", "lr": 0.1}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (Diverged("the loss is nan"), "diverged"),
        (OSError(errno.ENOSPC, "No space left on device"), "failed"),
    ],
)
def test_how_a_run_ended_is_noted_and_the_error_goes_on(tmp_path, error, status):
    def fail():
        with Run(tmp_path, {}) as run:
            run.append("steps", {"step": 1})
            raise error

    with pytest.raises(type(error)):
        fail()
    assert facts(tmp_path)["status"] == status
    assert facts(tmp_path)["reason"]
    assert read_table(tmp_path / "steps.csv")["step"] == [1]


def test_a_finished_run_says_so_with_its_results(tmp_path):
    with Run(tmp_path, {}) as run:
        run.facts["test_accuracy"] = 0.97
    assert facts(tmp_path)["status"] == "finished"
    assert facts(tmp_path)["test_accuracy"] == 0.97
    assert facts(tmp_path)["started"] <= facts(tmp_path)["ended"]


def test_fresh_folders_never_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len({make_folder(None, "mnist-SGD") for _ in range(20)}) == 20


def test_a_name_that_is_taken_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("dlscratch.runs.secrets.token_hex", lambda _: next(drawn))
    monkeypatch.setattr("dlscratch.runs._stamp", lambda: "20260101T000000Z")
    assert [make_folder(None, "x").name[-4:] for _ in range(2)] == ["aaaa", "bbbb"]


def test_a_named_folder_is_new_or_empty(tmp_path):
    assert make_folder(tmp_path / "a" / "b", "x") == tmp_path / "a" / "b"
    assert make_folder(tmp_path / "a" / "b", "x").is_dir()
    (tmp_path / "a" / "b" / "file").touch()
    with pytest.raises(ValueError, match="is not empty, and a run wants a folder of its own; name a new one"):
        make_folder(tmp_path / "a" / "b", "x")
    with pytest.raises(ValueError, match="file is no folder, and a run wants a folder of its own"):
        make_folder(tmp_path / "a" / "b" / "file", "x")


def test_a_bug_is_no_divergence(tmp_path):
    with pytest.raises(ZeroDivisionError), Run(tmp_path, {}):
        raise ZeroDivisionError
    assert facts(tmp_path)["status"] == "failed"


def test_a_table_is_never_written_over(tmp_path):
    (tmp_path / "steps.csv").write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError), Run(tmp_path, {}) as run:
        run.append("steps", {"step": 1})
    assert (tmp_path / "steps.csv").read_text(encoding="utf-8") == "precious"


def test_a_torn_last_row_is_left_out(tmp_path):
    (tmp_path / "steps.csv").write_text("step,loss\n1,0.5\n2", encoding="utf-8")
    np.testing.assert_array_equal(read_table(tmp_path / "steps.csv")["loss"], [0.5])
