"""scripts/check_layer.py as a person meets it: right layers, wrong ones, and what is no layer at all."""

import runpy
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from small_job import SCRIPTS, environment

from dlscratch.contract import examine_layer

FILE = '''"""Layers of somebody's own."""

import numpy as np

from dlscratch.layers import Layer


class Cube(Layer):
    """y = factor x³"""

    def __init__(self, factor=1.0, *, rng=None):
        super().__init__()
        if factor == 0:
            raise ValueError("a factor of 0 leaves nothing")
        self.factor, self.rng = factor, rng

    def forward(self, x, out=None):
        return np.multiply(x**3, self.factor, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, 3 * self.factor * x**2, out=out)


class Wrong(Cube):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, self.factor * x**2, out=out)


class Stumbles(Cube):
    def forward(self, x, out=None):
        return x / nothing


def cube():
    return Cube()
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "mine.py").write_text(FILE, encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def script():
    """The functions of the script, in this process; what Ctrl-C does stays as it was."""
    old = signal.getsignal(signal.SIGINT)
    try:
        return SimpleNamespace(**runpy.run_path(str(SCRIPTS / "check_layer.py")))
    finally:
        signal.signal(signal.SIGINT, old)


def check(home, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPTS / "check_layer.py", *arguments], text=True, capture_output=True, check=False, cwd=home,
        env=environment(home),
    )  # fmt: skip


def test_a_right_layer_is_told_so(home):
    done = check(home, "Div", "--shape", "2,3,4", "--shape", "scalar", "--range", "0.5,2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Div at float64 (2, 3, 4), float64 ()\nok     declared ")
    assert "ok     gradient of " in done.stdout
    assert "FAULT" not in done.stdout
    assert done.stdout.endswith("\nall is right\n")


def test_a_wrong_layer_is_told_what_is_wrong_and_where_to_look(home):
    done = check(home, "mine.py:Wrong")
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAULT  gradient of x       x[" in done.stdout
    assert "-> 0.333333 times what it should be, everywhere" in done.stdout
    assert done.stdout.endswith("\n1 of 15 promises broken\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("Add", "--shape", "5,4"),
            "an input for each of a, b, and got 1; with scripts/check_layer.py, say --shape once",
        ),
        (("ReLU", "--range", "2,1"), "expects two numbers, the smaller one first"),
    ],
)
def test_what_cannot_be_checked_is_told_in_one_sentence(home, arguments, sentence):
    done = check(home, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 or done.stderr.startswith("usage: ")


def test_an_error_in_the_layer_is_a_fault_with_its_place(home, script, rng):
    layer = script.load_layer(f"{home / 'mine.py'}:Stumbles", ((), {}), rng)
    *_, fault = map(str, examine_layer(layer, np.ones((5, 4))))
    assert fault.startswith("FAULT  forward             forward raises NameError: name 'nothing' is not defined")
    assert fault.endswith("-> mine.py, line 31: return x / nothing")


def test_a_layer_is_made_with_what_is_given_and_with_a_generator_if_it_takes_one(home, script, rng):
    affine = script.load_layer("Affine", script.arguments("4, out_size=3"), rng)
    assert repr(affine) == "Affine(4 -> 3)"
    cube = script.load_layer(f"{home / 'mine.py'}:Cube", script.arguments("factor=2.0"), rng)
    assert (cube.factor, cube.rng) == (2.0, rng)
    assert repr(script.load_layer("ReLU", script.arguments(""), rng)) == "ReLU()"


@pytest.mark.parametrize(
    ("layer", "arguments", "sentence"),
    [
        ("yours.py:Cube", "", "there is no file .*yours.py"),
        ("mine.py:cube", "", "mine.py:cube is no layer: expected a class that is derived from dlscratch.layers.Layer"),
        ("mine.py:Cube", "factor=0", "mine.py, line 14: a factor of 0 leaves nothing"),
        ("mine.py:Cube", "size=3", "Cube is made with factor: got an unexpected keyword argument 'size'"),
        ("Affine", "", "Affine is made with in_size, out_size, "),
        ("Foo", "", "expects FILE.py:CLASS, such as my_layer.py:Swish, or one of "),
    ],
)
def test_what_is_no_layer_is_told_in_one_sentence(home, script, rng, layer, arguments, sentence):
    place = f"{home / layer}" if ":" in layer else layer
    with pytest.raises((ValueError, OSError), match=sentence):
        script.load_layer(place, script.arguments(arguments), rng)


def test_inputs_are_drawn_as_they_are_asked_for(script, rng):
    assert script.draw(*script.floats("2,3,4"), None, rng).shape == (2, 3, 4)
    assert np.shape(script.draw(*script.floats("scalar"), None, rng)) == ()
    x = script.draw(*script.floats("50,4"), script.bounds("0.5, 2"), rng)
    assert 0.5 <= x.min() < 0.7 < 1.8 < x.max() <= 2
    t = script.draw(*script.labels("50,4"), None, rng)
    assert (t.shape, t.dtype.kind, set(t)) == ((50,), "i", {0, 1, 2, 3})


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("floats", "5,-4", "expects whole numbers from 1 up, such as 5,4, got '5,-4'"),
        ("floats", "", "expects whole numbers from 1 up"),
        ("labels", "5", "expects how many labels, and of how many classes"),
        ("bounds", "2,1", "expects two numbers, the smaller one first"),
        ("bounds", "2", "expects two numbers, the smaller one first"),
        ("arguments", "x=open('y')", "expects numbers, texts and the like"),
        ("arguments", "1) + (2", "expects numbers, texts and the like"),
        ("arguments", "**{}", "expects numbers, texts and the like"),
    ],
)
def test_an_option_that_makes_no_sense_is_told_in_one_sentence(script, option, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        getattr(script, option)(text)
