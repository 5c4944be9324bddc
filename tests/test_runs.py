"""Runs read back: what is whole comes as it was written, what is damaged is told in a sentence."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dlscratch.recorder import Recorder
from dlscratch.runs import Run, find_runs, read_table

STEPS = "step,epoch,examples,seconds,loss,lr\n1,0.5,10,0.1,2.5,0.1\n2,1.0,20,0.2,1.5,0.1\n"
EPOCHS = "epoch,step,examples,seconds,train_loss,train_acc,test_loss,test_acc\n0.0,0,0,0,2.5,0.1,2.6,0.2\n"


def make_run(folder, **config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "run.json").write_text('{"status": "finished", "test_accuracy": 0.5}', encoding="utf-8")
    (folder / "steps.csv").write_text(STEPS, encoding="utf-8")
    (folder / "epochs.csv").write_text(EPOCHS, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path / "run", seed=3)


# Opening


def test_a_run_is_read_back_by_the_names_of_its_columns(folder):
    run = Run.open(folder)
    assert (run.name, run.status, run.config, run.facts["test_accuracy"]) == ("run", "finished", {"seed": 3}, 0.5)
    np.testing.assert_array_equal(run.steps["loss"], [2.5, 1.5])
    np.testing.assert_array_equal(run.epochs["test_acc"], [0.2])
    assert all(column.dtype == np.float64 for column in (*run.steps.values(), *run.epochs.values()))


def test_the_name_of_a_run_is_that_of_its_folder_wherever_one_stands(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert Run.open(".").name == "run"


def test_a_tilde_is_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert Run.open("~/run").folder == folder


def test_a_moved_run_is_still_a_run(folder, tmp_path):
    shutil.move(folder, tmp_path / "実験")
    assert Run.open(tmp_path / "実験").steps["step"].tolist() == [1, 2]


def test_a_folder_that_is_no_run_is_told_apart_from_none(tmp_path):
    with pytest.raises(ValueError, match=r"is no run; expected the folder of a run, which holds a config\.json"):
        Run.open(tmp_path)
    with pytest.raises(ValueError, match="nowhere is no folder; expected the folder of a run"):
        Run.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is no folder"):
        Run.open(tmp_path / "file")


def test_a_missing_run_json_is_named(folder):
    (folder / "run.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        Run.open(folder)


@pytest.mark.parametrize("name", ["config.json", "run.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"3", b"null", b'"text"', b"\xff\xfe\xfd", b"\0" * 9, b"[" * 10**5, b'{"a":' * 10**5,
     b'{"seed": ' + b"9" * 5000 + b"}"],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_damaged_json_is_told_in_a_sentence(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is damaged: (it is no JSON|expected names and values in braces)"):
        Run.open(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.decode().encode("utf-16"),
    ],
    ids=["with a mark", "with other line ends", "in UTF-16"],
)
def test_what_an_editor_makes_of_a_file_is_understood(folder, change):
    (folder / "config.json").write_bytes(change(b'{\n "dataset": "\xe6\x95\xb0"\n}\n'))
    assert Run.open(folder).config == {"dataset": "数"}


# Status


def test_a_run_whose_process_is_gone_was_killed(tmp_path):
    script = "import os, sys; from pathlib import Path; from dlscratch.recorder import Recorder\n"
    script += "with Recorder(Path(sys.argv[1]), {}, {}): print('begun', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], **pipes) as process:
        assert process.stdout.readline() == "begun\n"
        assert Run.open(tmp_path).status == "running"
        shutil.copytree(tmp_path, tmp_path / "copy")
        assert Run.open(tmp_path / "copy").status == "killed"
        process.kill()
    assert Run.open(tmp_path).status == "killed"


def test_a_run_from_before_there_was_a_lock_is_not_running(folder):
    (folder / "run.json").write_text('{"status": "running"}', encoding="utf-8")
    assert Run.open(folder).status == "killed"
    assert not (folder / ".lock").exists()


# Tables


def test_tables_that_are_not_there_yet_are_empty_and_have_their_columns(tmp_path):
    with Recorder(tmp_path, {"validation": 10}, {}):
        run = Run.open(tmp_path)
        assert list(run.steps) == ["step", "epoch", "examples", "seconds", "loss", "lr"]
        assert list(run.epochs)[4:] == ["train_loss", "train_acc", "val_loss", "val_acc"]
        assert all(column.shape == (0,) for column in (*run.steps.values(), *run.epochs.values()))


@pytest.mark.parametrize("content", ["", "step,epo", STEPS.partition("\n")[0], STEPS.partition("\n")[0] + "\n"])
def test_a_table_without_any_whole_row_is_empty_and_has_its_columns(folder, content):
    (folder / "steps.csv").write_text(content, encoding="utf-8")
    steps = Run.open(folder).steps
    assert list(steps) == ["step", "epoch", "examples", "seconds", "loss", "lr"]
    assert all(column.shape == (0,) for column in steps.values())


@pytest.mark.parametrize("length", range(len(STEPS) - len("2,1.0,20,0.2,1.5,0.1\n"), len(STEPS)))
def test_a_torn_last_row_is_left_out(folder, length):
    (folder / "steps.csv").write_text(STEPS[:length], encoding="utf-8")
    np.testing.assert_array_equal(Run.open(folder).steps["loss"], [2.5])


def test_line_ends_of_windows_are_understood(folder):
    (folder / "steps.csv").write_bytes(STEPS.replace("\n", "\r\n").encode())
    np.testing.assert_array_equal(Run.open(folder).steps["loss"], [2.5, 1.5])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("1.5", "x", r"line 3 is '2,1.0,20,0.2,x,0.1', expected 6 numbers"),
        ("2.5", "", r"line 2 is '1,0.5,10,0.1,,0.1', expected 6 numbers"),
        (",2.5", "", r"line 2 is '1,0.5,10,0.1,0.1', expected 6 numbers"),
        ("2.5", "2.5,7", "line 2 is .*, expected 6 numbers"),
        ("1.5", "\0", r"line 3 is .*x00.*, expected 6 numbers"),
        ("1.5", "# 1.5", "line 3 is"),
        ("1.5", "'1.5'", "line 3 is"),
        ("1.5", "1+2j", "line 3 is"),
        ("\n2,", "\n\n2,", "it holds empty lines|line 3 is ''"),
        ("loss", "lost", "it has no column loss"),
        ("step,", "", "line 2 is .*, expected 5 numbers"),
        (STEPS, "\0\1\2\n", "it has no column step, epoch, examples, seconds, loss, lr"),
    ],
)
def test_a_damaged_table_is_told_with_its_line(folder, old, new, fault):
    assert old in STEPS
    (folder / "steps.csv").write_text(STEPS.replace(old, new, 1), encoding="utf-8")
    run = Run.open(folder)
    with pytest.raises(ValueError, match=rf"steps\.csv is damaged: ({fault})"):
        _ = run.steps


def test_whatever_bytes_a_table_holds_it_is_read_or_refused(folder, rng):
    path, whole = folder / "steps.csv", STEPS.encode()
    refused = []
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            steps = Run.open(folder).steps
            assert len({len(column) for column in steps.values()}) == 1
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(sentence.startswith(f"{path} is damaged: ") for sentence in refused)


def test_numbers_that_are_not_finite_are_numbers(tmp_path):
    (tmp_path / "table.csv").write_text("loss\nnan\ninf\n-inf\n", encoding="utf-8")
    np.testing.assert_array_equal(read_table(tmp_path / "table.csv")["loss"], [np.nan, np.inf, -np.inf])


# Finding


def names(runs):
    return [run.name for run in runs]


def test_runs_are_found_however_deep_in_order_of_their_names(tmp_path):
    for name in ("b", "a/deep/er", "c/inner", "c"):
        make_run(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert names(find_runs([tmp_path])) == ["er", "b", "c", "inner"]


def test_a_run_that_is_named_twice_is_found_once_where_it_was_named_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        make_run(tmp_path / name)
    assert names(find_runs(["c", "a", "c", tmp_path, "b/../a"])) == ["c", "a", "b"]
    assert find_runs(["a", tmp_path / "a"])[0].folder.as_posix() == "a"


def test_a_link_to_a_run_is_that_run(tmp_path):
    make_run(tmp_path / "runs" / "a")
    try:
        (tmp_path / "latest").symlink_to(tmp_path / "runs" / "a", target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert names(find_runs([tmp_path / "latest"])) == ["a"]
    assert len(find_runs([tmp_path / "latest", tmp_path / "runs"])) == 1


def test_a_folder_without_runs_is_an_error(tmp_path):
    make_run(tmp_path / "full")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no run; expected a folder of runs"):
        find_runs([tmp_path / "full", tmp_path / "empty"])
    with pytest.raises(ValueError, match="nowhere is no folder"):
        find_runs([tmp_path / "nowhere"])


def test_a_damaged_run_among_others_is_named(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name)
    (tmp_path / "b" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"b.config\.json is damaged"):
        find_runs([tmp_path])
