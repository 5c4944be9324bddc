"""scripts/new_layer.py as a person meets it: what it writes is right as it stands, and nothing is ever overwritten."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_job import SCRIPTS, environment

from dlscratch.user_code import load_user_code

NEW = SCRIPTS / "new_layer.py"


@pytest.fixture
def call(tmp_path):
    def run(*options):
        return subprocess.run(
            [sys.executable, NEW, *options], text=True, capture_output=True, check=False, cwd=tmp_path,
            env=environment(tmp_path),
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("options", "test", "check"),
    [
        (("Swish",), "test_swish.py", "swish.py:Swish --shape 5,4"),
        (
            ("MyScale", "--params", "--out", "mine"),
            "mine/test_my_scale.py",
            "mine/my_scale.py:MyScale --shape 5,4 --with size=4",
        ),
    ],
)
def test_the_template_passes_its_test(call, tmp_path, options, test, check):
    done = call(*options)
    assert (done.returncode, done.stderr) == (0, "")
    commands = f"  python scripts/check_layer.py {check}", f"  python -m pytest {test}"
    assert tuple(done.stdout.splitlines()[1:]) == commands
    name = f"{Path(test).stem}_keeps_the_contract_of_a_layer"
    load_user_code(f"{tmp_path / test}:{name}", use=lambda keeps_the_contract: keeps_the_contract())


def test_the_template_has_at_most_twelve_lines_and_says_what_to_change(call, tmp_path):
    call("Swish")
    text = (tmp_path / "swish.py").read_text(encoding="utf-8")
    (layer,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    assert layer.end_lineno - layer.lineno + 1 <= 12
    assert text.count("TODO") == 3


def test_in_a_clone_the_template_is_as_tidy_as_the_project(tmp_path):
    pytest.importorskip("ruff")
    for package in ("scripts", "dlscratch/layers", "dlscratch/contract"):  # what ruff looks for
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    for name in ("pyproject.toml", "scripts/new_layer.py"):
        shutil.copy(SCRIPTS.parent / name, tmp_path / name)
    for options in (("Swish",), ("Clip",), ("MyScale", "--params", "--out", "mine")):
        subprocess.run([sys.executable, "scripts/new_layer.py", *options], cwd=tmp_path, check=True)
    for command in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache"], cwd=tmp_path, check=False, text=True,
            capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("there", ["swish.py", "test_swish.py"])
def test_nothing_is_overwritten(call, tmp_path, there):
    (tmp_path / there).write_text("mine", encoding="utf-8")
    done = call("Swish")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"new_layer.py: {there} exists already; nothing was written\n"
    assert [path.name for path in tmp_path.glob("*.py")] == [there]
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("swish", "expects a capital letter, then letters and digits, such as Swish, got 'swish'"),
        ("My Layer", "expects a capital letter"),
        ("../Swish", "expects a capital letter"),
        ("None", "expects a capital letter"),
        ("Random", "expects another name: random.py would hide the module random"),
        ("Numpy", "expects another name: numpy.py would hide the module numpy"),
    ],
)
def test_a_bad_name_is_told(call, tmp_path, name, sentence):
    done = call(name)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not list(tmp_path.glob("*.py"))
