"""Code of the user's own: what is loaded, what is kept of it, what is said when it fails, and that no trace is left."""

import sys
import textwrap
from pathlib import Path

import pytest

from dlscratch.user_code import errors_located, is_user_code, load_user_code


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def no_trace(tmp_path, monkeypatch):
    """Whatever a test loads, the interpreter and the folder are as they were, but for what the test itself writes."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = dict(sys.modules), list(sys.meta_path), list(sys.path)
    yield
    own = {name: module for name, module in sys.modules.items() if str(tmp_path) in str(vars(module).get("__file__"))}
    assert not own
    assert all(sys.modules[name] is module for name, module in before[0].items())
    assert (sys.meta_path, sys.path) == before[1:]
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("text", "is_code"),
    [("a.py:f", True), ("/x y/a.py:F_1", True), ("C:\\a.py:f", True), ("a.py", False), ("a.py:", False), ("a:f", False),
     ("a.py:f.g", False), ("ReLU", False), ("", False), ("a.py:1", False), ("a.PYC:f", False)],
)  # fmt: skip
def test_what_has_the_form_of_a_name_in_a_file(text, is_code):
    assert is_user_code(text) == is_code
    if not is_code:
        with pytest.raises(ValueError, match=r"expects FILE\.py:NAME, such as my_net\.py:make_net, got"):
            load_user_code(text)


def test_a_name_stands_for_what_the_file_calls_so(write):
    path = write("my_net.py", "answer = 6 * 7\n")
    loaded = load_user_code(f"{path}:answer")
    assert loaded.value == 42
    assert loaded.sources == {path: b"answer = 6 * 7\n"}
    assert load_user_code(f"{path}:answer", use=lambda value: value + 1).value == 43


def test_each_load_is_a_fresh_one(write):
    path = write("my_net.py", "value = [1]\n")
    first = load_user_code(f"{path}:value").value
    first.append(2)
    assert load_user_code(f"{path}:value").value == [1]
    write("my_net.py", "value = [3]\n")  # of the same size and, on many disks, the same time
    assert load_user_code(f"{path}:value").value == [3]


def test_modules_beside_the_file_can_be_imported_and_are_kept(write, tmp_path):
    write("parts.py", "from more_parts import four\nthree = 3\n")
    write("more_parts.py", "four = 4\n")
    write("unrelated.py", "raise ValueError\n")
    path = write("my_net.py", "from parts import four, three\nimport json\nseven = three + four\n")
    loaded = load_user_code(f"{path}:seven")
    assert loaded.value == 7
    assert {path.name for path in loaded.sources} == {"my_net.py", "parts.py", "more_parts.py"}
    write("parts.py", "three = four = 5\n")
    assert load_user_code(f"{path}:seven").value == 10


def test_the_modules_can_be_imported_while_the_function_is_called(write):
    write("parts.py", "three = 3\n")
    path = write("my_net.py", "def make():\n    import parts\n    return parts.three\n")
    loaded = load_user_code(f"{path}:make", use=lambda make: make())
    assert loaded.value == 3
    assert len(loaded.sources) == 2


def test_two_files_import_each_other(write):
    write("parts.py", "import my_net\ndef double():\n    return 2 * my_net.one\n")
    path = write("my_net.py", "one = 1\nimport parts\ntwo = parts.double()\n")
    assert load_user_code(f"{path}:two").value == 2


@pytest.mark.parametrize("name", ["numpy.py", "random.py", "dlscratch.py", "dataclasses.py", "my-net.py", "my.net.py",
                                  "自分の層.py", "a folder/数字/b.py"])  # fmt: skip
def test_a_file_may_be_called_anything(write, name):
    path = write(name, "from math import pi\nclass Own:\n    value = pi\n")
    assert load_user_code(f"{path}:Own").value.value == pytest.approx(3.14159, abs=1e-4)
    import numpy as np

    assert np.pi
    assert sys.modules["numpy"] is np


def test_folders_beside_the_file_hide_no_library_and_are_no_modules(write, tmp_path, monkeypatch):
    for folder in ("numpy", "fractions", "my_net"):
        (tmp_path / folder).mkdir()
    write("my_net/__init__.py", "one = 2\n")
    path = write("my_net.py", "from fractions import Fraction\nimport numpy\none = numpy.float64(Fraction(1))\n")
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "fractions", raising=False)
        assert load_user_code(f"{path}:one").value == 1


def test_a_relative_path_and_the_home_folder_lead_to_files(write, tmp_path, monkeypatch):
    write("nets/my_net.py", "one = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for text in ("nets/my_net.py:one", "~/nets/my_net.py:one", "nets/../nets/my_net.py:one"):
        assert load_user_code(text).value == 1


# What goes wrong


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("one = = 1\n", "my_net.py, line 1: invalid syntax"),
        ("def f(:\n", "my_net.py, line 1: "),
        ("\n\nimport no_such_library\n", "my_net.py, line 3: ModuleNotFoundError: No module named 'no_such_library'"),
        ("x = 1\n1 / 0\n", "my_net.py, line 2: ZeroDivisionError: division by zero"),
        ("raise ValueError('so not')\n", "my_net.py, line 1: so not"),
        ("import sys\nsys.exit('bye')\n", "my_net.py, line 2: SystemExit: bye"),
        ("import broken\n", "broken.py, line 2: NameError: name 'y' is not defined"),
        ("import wrong\n", "wrong.py, line 2: "),
        ("two = 2\nfrom math import pi\nclass Net: pass\ndef make(): pass\n", "has no one; it has Net, make"),
        ("", "has no one; it has nothing of its own"),
        ("def one(a):\n    return a\n", r"my_net.py: TypeError: one() missing 1 required positional argument: 'a'"),
        ("one = 1\n", "my_net.py: TypeError: 'int' object is not callable"),
        ("def one():\n\n    return [][1]\n", "my_net.py, line 3: IndexError: list index out of range"),
    ],
)  # fmt: skip
def test_what_fails_is_told_with_its_file_and_line(write, text, sentence):
    write("broken.py", "x = 1\ny\n")
    write("wrong.py", "x = 1\nx x\n")
    path = write("my_net.py", text)
    with pytest.raises(ValueError, match=r"(my_net|broken|wrong)\.py") as caught:
        load_user_code(f"{path}:one", use=lambda function: function())
    assert sentence in str(caught.value)


@pytest.mark.parametrize("content", [b"one = '\xff\xfe'\n", b"one = 1\0\n", "one = 1\n".encode("utf-16")])
def test_bytes_that_are_no_text_are_told(tmp_path, content):
    (tmp_path / "my_net.py").write_bytes(content)
    with pytest.raises(ValueError, match=r"^my_net\.py"):
        load_user_code(f"{tmp_path / 'my_net.py'}:one")


def test_a_file_that_is_not_there_is_named(tmp_path):
    for text in (f"{tmp_path / 'no.py'}:f", f"{tmp_path}/folder.py:f"):
        (tmp_path / "folder.py").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError, match=r"^there is no file .*(no|folder)\.py$"):
            load_user_code(text)


def test_an_error_keeps_the_line_of_the_error_that_caused_it(write):
    path = write("my_net.py", "def fail():\n    raise KeyError('deep')\n")

    def use(function):
        try:
            function()
        except KeyError as error:
            raise ValueError(f"layer 3 of 5: {error}") from error

    with pytest.raises(ValueError, match=r"^my_net\.py, line 2: layer 3 of 5: 'deep'$"):
        load_user_code(f"{path}:fail", use)


def test_errors_that_are_not_the_users_stay_what_they_are(tmp_path):
    def fail():
        raise ZeroDivisionError

    for sources in ({}, {tmp_path / "my_net.py": b""}):
        with pytest.raises(ZeroDivisionError), errors_located(sources):
            fail()
    with pytest.raises(TypeError), errors_located({}):
        len(3)
    with pytest.raises(KeyboardInterrupt), errors_located({Path(__file__): b""}):
        raise KeyboardInterrupt
