"""The README is true: its Python runs, its commands are understood, its files are there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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


COMMANDS = [line for block in blocks("") for line in block.splitlines() if "scripts/train.py" in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_are_understood(command, tmp_path):
    options = shlex.split(command)[2:]
    run = [sys.executable, ROOT / "scripts" / "train.py", *options, "--dataset", "strokes", "--dry-run"]
    done = subprocess.run(run, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_file_that_the_readme_names_is_there():
    names = re.findall(r"`((?:dlscratch|dataset|scripts|docs)/[\w./]*)`|\]\((docs/[\w./]+)\)", README)
    assert len(names) >= 10
    assert all((ROOT / (code or link)).exists() for code, link in names)
