"""scripts/draw_graph.py: the pictures of docs/, nets, runs and code of the user's, and what is wrong told."""

import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_job import SCRIPTS, environment, write_digits
from svg_geometry import Picture

from dataset import DataError

DOCS = Path(__file__).parents[1] / "docs"

MINE = """
from dlscratch.graph import Graph, Variable
from dlscratch.layers import Affine, ReLU, Tanh
from dlscratch.models import Sequential

def graph():
    return Graph(Variable("distance", 6.0) * Variable("speed", 7.0))

def variable():
    return Variable("unknown") + 1

def net(rng, classes, hidden=(5,)):
    return Sequential(Affine(784, *hidden, rng=rng), ReLU(), Affine(*hidden, classes, rng=rng))

def deep(depth):
    return Sequential()

def small(rng):
    return Sequential(Affine(9, 5, rng=rng))

def number():
    return 42

def broken():
    return 1 / 0
"""


def call(script, *arguments, home):
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *map(str, arguments)], text=True, capture_output=True, check=False,
        cwd=home, env=environment(home), encoding="utf-8",
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data, code of the user's, and a folder that has the name of a graph."""
    home = tmp_path_factory.mktemp("home")
    write_digits(home / "digits")
    (home / "mine.py").write_text(MINE, encoding="utf-8")
    (home / "shop").mkdir()
    return home


@pytest.fixture(scope="module")
def script():
    script = runpy.run_path(str(SCRIPTS / "draw_graph.py"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as it was
    return script


@pytest.fixture
def draw(script, home, monkeypatch):
    """What the script draws when it is called like this; in process, since that is done in no time."""
    monkeypatch.chdir(home)
    monkeypatch.setattr("os.environ", environment(home))

    def draw(*arguments):
        monkeypatch.setattr(sys, "argv", ["draw_graph.py", *arguments])
        return Picture(script["graph_of"](script["parse_options"]()).to_svg())

    return draw


def test_without_options_it_is_the_shop_of_the_docs(home):
    done = call("draw_graph.py", home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "drawn in graph.svg\n", "")
    assert (home / "graph.svg").read_bytes() == (DOCS / "shop.svg").read_bytes()


@pytest.mark.parametrize(("graph", "name"), [("residual-block", "residual_block"), ("two-layer", "two_layer_net")])
def test_the_other_pictures_of_the_docs_say_what_is_drawn_today(draw, graph, name):
    """But for numbers with digits that depend on the BLAS library."""
    committed = Picture((DOCS / f"{name}.svg").read_text(encoding="utf-8"))
    told, today = ([words for words in each.words if not re.search("[.±]", words)] for each in (committed, draw(graph)))
    assert told == today


def test_the_ending_tells_the_form(home):
    assert call("draw_graph.py", "shop", "--out", "shop.dot", home=home).stdout == "drawn in shop.dot\n"
    assert (home / "shop.dot").read_text(encoding="utf-8").startswith("digraph {\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deep-convnet", "--batch-size", "2"], {"MaxPooling", "Dropout", "(2, 784)"}),
        (["two-layer", "--dataset", "digits", "--batch-size", "1"], {"36 → 50", "50 → 3", "(1, 36)"}),
        (["mine.py:graph"], {"distance", "speed", "42", "7", "6"}),
        (["mine.py:variable"], {"unknown", "+", "1"}),
        (["mine.py:net"], {"784 → 5", "5 → 10", "loss", "scores", "(100, 784)"}),
        (["mine.py:net", "--hidden", "9"], {"784 → 9", "9 → 10"}),
        (
            ["multi-layer", "--hidden", "20x30", "--batch-norm", "yes", "--dropout", "0.25", "--activation", "Tanh"],
            {"20 → 30", "BatchNormalization", "Dropout", "0.25", "Tanh"},
        ),
    ],
)
def test_nets_and_code_are_drawn(draw, arguments, words):
    assert words <= set(draw(*arguments).words)


def test_a_run_is_drawn_with_its_own_data(draw, home):
    done = call("train.py", "--dataset", "digits", "--steps", 2, "--hidden", 8, "--out", "run", "--quiet", home=home)
    assert done.stderr == ""
    assert {"36 → 8", "loss", "(100, 36)"} <= set(draw("run").words)
    with pytest.raises(ValueError, match="--hidden means nothing to run"):
        draw("run", "--hidden", "9")
    with pytest.raises(ValueError, match="run learned from other data"):
        draw("run", "--dataset", str(write_digits(home / "others", train=20)))


def test_images_are_loaded_for_nets_only(draw, monkeypatch):
    monkeypatch.setattr("dataset.strokes.load_strokes", lambda **_: pytest.fail("loaded"))
    for graph in ("shop", "residual-block", "mine.py:graph"):
        draw(graph)
        with pytest.raises(ValueError, match=f"--data-dir, --batch-size means nothing to {graph}; leave it out"):
            draw(graph, "--data-dir", "digits", "--batch-size", "5")


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (["nonsense"], ValueError, "expects shop, residual-block, two-layer, multi-layer"),
        (["two-layer", "--dataset", "nothing"], DataError, "there is no data set 'nothing'"),
        (["two-layer", "--data-dir", "shop"], DataError, "mnist"),
        (["mine.py:number"], ValueError, "mine.py:number expects to return a Graph, a Variable or a Network, returned"),
        (["mine.py:deep"], ValueError, "mine.py:deep asks for depth; without a default there are rng, noise"),
        (["mine.py:graph", "--init", "he"], ValueError, "--init means nothing to mine.py:graph: it takes nothing"),
        (["two-layer", "--dropout", "0.5"], ValueError, "--dropout means nothing to two-layer: it takes"),
        (["shop", "--hidden", "9"], ValueError, "--hidden means nothing to shop; leave it out"),
        (["mine.py:broken"], ValueError, "mine.py, line 25: ZeroDivisionError"),
        (["mine.py:small"], ValueError, "Affine(9 -> 5) expects x of shape (N, 9), got (100, 784)"),
        (["gone.py:net"], OSError, "gone.py"),
        (["digits"], ValueError, "digits"),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, arguments, kind, sentence):
    with pytest.raises(kind, match=re.escape(sentence)):
        draw(*arguments)


@pytest.mark.parametrize(("arguments", "code"), [(["nonsense"], 1), (["--out", "a.png"], 2)])
def test_wrong_input_is_one_sentence(home, arguments, code):
    done = call("draw_graph.py", *arguments, home=home)
    assert (done.returncode, done.stdout) == (code, "")
    assert "expects" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
