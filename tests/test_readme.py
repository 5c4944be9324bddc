"""The README is true: its Python runs, its commands are understood, its files are there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_job import environment, write_digits

from dataset.strokes import draw_digits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_python_of_the_readme_runs_from_top_to_bottom(mnist_folder, monkeypatch, capsys):
    monkeypatch.setenv("DLSCRATCH_DATA", str(mnist_folder))
    monkeypatch.setenv("DLSCRATCH_OFFLINE", "1")
    namespace = {"__name__": "readme"}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("600 ")
    assert float(lines[1].split()[-1]) > 0.92
    assert "Network with" in lines[2]
    assert lines[-3:-1] == ["220.00000000000003", "2.2 110.00000000000001 200.0"]
    assert lines[-1].startswith("Softplus() input 0: relative error ")


COMMANDS = [line for block in blocks("") for line in block.splitlines() if line.startswith("python scripts/")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the commands run one after the other, with a drawn digit."""
    image = pytest.importorskip("PIL.Image", reason="the commands draw")
    pytest.importorskip("plotly")
    folder = tmp_path_factory.mktemp("readme")
    write_digits(folder / "digits", train=60)
    image.fromarray(draw_digits([3], rng=np.random.default_rng(0))[0]).save(folder / "my_digit.png")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_work(command, folder):
    """Trainings are cut short, to none at all where no later command needs them."""
    script, *options = shlex.split(command)[1:]
    if script.endswith("train.py") and "runs/strokes" not in options:
        options += ["--dataset", "digits", "--validation", "10", "--dry-run"]
    elif "--steps" in options and script.endswith("train.py"):
        options += ["--steps", "50", "--examples", "1000"]
    if script.endswith("experiment.py"):
        options += ["--dataset", "digits", "--epochs" if "--epochs" in options else "--steps", "2", "--seeds", "2"]
    if script.endswith("report.py"):
        options += ["--text"]  # its pictures are drawn in test_report_script
    surroundings = environment(folder, pictures="compare" in script)
    line = [sys.executable, ROOT / script, *options]
    done = subprocess.run(line, cwd=folder, env=surroundings, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_that_the_readme_names_is_there():
    names = re.findall(r"`((?:dlscratch|dataset|scripts|docs)/[\w./]*)`|\]\((docs/[\w./]+)\)", README)
    assert len(names) >= 10
    assert all((ROOT / (code or link)).exists() for code, link in names)
