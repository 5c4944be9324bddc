"""docs/new-layer.md is true: each of its files is written and each of its commands run, from top to bottom."""

import re

import pytest
from documents import blocks, commands, furnish, read, run

GUIDE = read("docs/new-layer.md")


def test_the_guide_works_from_top_to_bottom(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the commands draw")
    pytest.importorskip("plotly")
    furnish(tmp_path, image)
    first, *others = commands(GUIDE)
    assert run(first, tmp_path).returncode == 0  # new_layer.py, whose swish.py is then changed
    assert (tmp_path / "test_swish.py").exists()
    for block in blocks(GUIDE, "python"):
        name, content = re.fullmatch(r"# (\w+\.py)\n(.*)", block, re.DOTALL).groups()
        (tmp_path / name).write_text(content, encoding="utf-8")
    for command in others:
        done = run(command, tmp_path)
        expected = 1 if command.endswith("# finds a fault") else 0
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"


def test_its_layer_has_at_most_twelve_lines():
    layer = blocks(GUIDE, "python")[0].partition("class ")[2]
    assert len([line for line in layer.splitlines() if line.strip()]) <= 12
