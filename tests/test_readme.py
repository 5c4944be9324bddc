"""README.md is true: its Python runs, its commands are understood, its files are there."""

import re

import pytest
from documents import ROOT, blocks, commands, furnish, read, run

README = read("README.md")


def test_the_python_of_the_readme_runs_from_top_to_bottom(mnist_folder, monkeypatch, capsys):
    monkeypatch.setenv("DLSCRATCH_DATA", str(mnist_folder))
    monkeypatch.setenv("DLSCRATCH_OFFLINE", "1")
    namespace = {"__name__": "readme"}
    for block in blocks(README, "python"):
        exec(compile(block, "README.md", "exec"), namespace)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("600 ")
    assert float(lines[1].split()[-1]) > 0.92
    assert "Network with" in lines[2]
    shop = lines.index("220.00000000000003")
    assert lines[shop + 1] == "2.2 110.00000000000001 200.0"
    promises = lines[shop + 2 :]
    assert len(promises) == 15  # the gradient and fourteen more
    assert all(promise.startswith(("ok ", "- ")) for promise in promises)


def test_the_commands_of_the_readme_work_one_after_the_other(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the commands draw")
    pytest.importorskip("plotly")
    furnish(tmp_path, image)
    layer = next(block for block in blocks(README, "python") if "class Swish" in block)
    (tmp_path / "swish.py").write_text("import numpy as np\n\n" + layer.partition("\n\n\nfor ")[0], encoding="utf-8")
    for command in commands(README):
        done = run(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_every_file_that_the_readme_names_is_there():
    names = re.findall(r"`((?:dlscratch|dataset|scripts|docs)/[\w./]*)`|\]\((docs/[\w./]+)\)", README)
    assert len(names) >= 10
    assert all((ROOT / (code or link)).exists() for code, link in names)
