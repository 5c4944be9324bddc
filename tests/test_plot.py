"""The picture of a run."""

import subprocess
import sys

import pytest

from dlscratch.runs import Run


@pytest.fixture
def run(tmp_path):
    with Run(tmp_path, {"dataset": "strokes", "hidden": 50, "optimizer": "SGD", "lr": 0.1, "batch_size": 100}) as run:
        for step in range(1, 50):
            run.append("steps", {"step": step, "epoch": step / 10, "loss": 1 / step})
        for epoch in range(5):
            run.append("epochs", {"epoch": epoch, "train_loss": 1.0, "train_acc": 0.5, "val_loss": 2.0, "val_acc": 0.4})
    return tmp_path


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_run_becomes_a_picture_of_any_format(run, ending, magic):
    pytest.importorskip("matplotlib")
    from dlscratch.plot import save_curves

    save_curves(run, run / f"curves.{ending}")
    assert (run / f"curves.{ending}").read_bytes().startswith(magic)


def test_a_missing_library_names_the_extra_that_brings_it():
    script = "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None; import dlscratch.plot"
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert "matplotlib is not installed; python -m pip install 'dlscratch[plot]'" in done.stderr
