"""scripts/predict.py as a person meets it: pictures in, digits and what the net saw out."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from small_job import SCRIPTS, environment, write_digits
from user_nets import write_net

from dataset.strokes import draw_digits

LABELS = np.array([0, 3, 2, 6, 7])


def call(script, *arguments, home, **kwargs):
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *map(str, arguments)], text=True, capture_output=True, check=False,
        cwd=home, env=environment(home, **kwargs),
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run that has learned from strokes, and pictures: 0.npy to 4.npy, large and dark on light."""
    home = tmp_path_factory.mktemp("home")
    done = call("train.py", "--dataset", "strokes", "--steps", 400, "--out", "trained", "--quiet", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    for number, digit in enumerate(draw_digits(LABELS, rng=np.random.default_rng(30))):
        np.save(home / f"{number}.npy", np.kron(255 - digit, np.ones((5, 5), np.uint8)))
        np.save(home / f"mnist{number}.npy", digit)
    np.save(home / "blank.npy", np.full((90, 80), 200, np.uint8))
    return home


@pytest.fixture
def predict(home):
    return lambda *arguments, **kwargs: call("predict.py", *arguments, home=home, **kwargs)


@pytest.mark.parametrize(
    ("options", "name"),
    [([], "{}.npy"), (["--ink", "dark"], "{}.npy"), (["--as-is"], "mnist{}.npy"), ([], "mnist{}.npy")],
)
def test_a_line_for_each_picture_holds_its_digit(predict, options, name):
    pictures = [name.format(number) for number in range(5)]
    done = predict("--quiet", *options, "trained", *pictures)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{each}: {t}" for each, t in zip(pictures, LABELS, strict=True)]


def test_the_answer_is_shown_beside_what_the_net_saw_in_plain_characters(predict):
    done = predict("trained", "4.npy", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 14
    assert max(map(len, lines)) <= 80
    assert "   4.npy: 7" in lines[1]
    likeliest = lines[3].split()
    assert likeliest[-3] == "7"
    assert float(likeliest[-2].rstrip("%")) > 50
    assert "@" in "".join(line[:30] for line in lines)


def test_a_bad_picture_does_not_stop_the_others(predict, home):
    (home / "text.png").write_text("seven", encoding="utf-8")
    done = predict("--quiet", "trained", "0.npy", "none.png", "blank.npy", "trained", "text.png", "4.npy")
    assert (done.returncode, done.stdout) == (1, "0.npy: 0\n4.npy: 7\n")
    missing, blank, folder, text = done.stderr.splitlines()
    assert missing == "predict.py: none.png: No such file or directory"
    assert blank.startswith("predict.py: blank.npy: no ink stands out from the paper")
    assert folder == "predict.py: trained is a folder; expected a picture"
    assert "text.png: this is no picture" in text or "Pillow is not installed" in text


def test_without_pillow_arrays_are_read_and_the_extra_is_named_for_the_rest(predict, home):
    (home / "hidden" / "PIL.py").write_text("raise ModuleNotFoundError", encoding="utf-8")
    (home / "a.png").write_bytes(b"\x89PNG")
    try:
        done = predict("--quiet", "trained", "a.png", "0.npy")
    finally:
        (home / "hidden" / "PIL.py").unlink()
    assert (done.returncode, done.stdout) == (1, "0.npy: 0\n")
    assert done.stderr == "predict.py: Pillow is not installed; python -m pip install 'dlscratch[plot]'\n"


def test_a_picture_file_is_read(predict, home):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.load(home / "2.npy")).save(home / "two.jpg")
    assert predict("--quiet", "trained", home / "two.jpg").stdout == f"{home / 'two.jpg'}: 2\n"


def test_as_is_wants_the_size_that_the_net_reads(predict):
    done = predict("--as-is", "trained", "0.npy")
    assert done.returncode == 1
    assert done.stderr == "predict.py: 0.npy: --as-is takes 28 x 28 pixels, got 140 x 140; leave it out\n"


def lose_run(run):
    shutil.rmtree(run)


def lose_net(run):
    (run / "model.npz").unlink()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [(lose_run, "run is no folder"), (lose_run, "python scripts/train.py makes one"), (lose_net, "holds no model.npz")],
)
def test_what_is_no_run_is_told_in_one_line(predict, home, tmp_path, fault, sentence):
    run = shutil.copytree(home / "trained", tmp_path / "run")
    fault(run)
    done = predict(run, "0.npy")
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_convolution_net_of_the_users_reads_pictures_too(predict, home):
    layers = "Convolution(1, 6, 5, stride=3, rng=rng), ReLU(), Flatten(), Affine(6 * 8 * 8, classes, rng=rng)"
    code = f"def make_net(rng, image_shape, classes): return Sequential(Reshape(*image_shape), {layers})"
    own = write_net(home / "own.py", code)
    options = "--dataset", "strokes", "--model", "own.py:make_net", "--examples", 3000, "--batch-size", 30
    done = call("train.py", *options, "--steps", 100, "--optimizer", "Adam", "--out", "own", "--quiet", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    own.unlink()
    done = predict("--quiet", "own", "0.npy", "4.npy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.npy: 0\n4.npy: 7\n", "")


def test_a_run_from_before_it_was_said_what_images_a_net_reads_is_told_in_one_line(predict, home, tmp_path):
    run = shutil.copytree(home / "trained", tmp_path / "run")
    facts = json.loads((run / "run.json").read_bytes())
    del facts["data"]["image_shape"]
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    done = predict(run, "0.npy")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("does not say what images its net reads; train anew (--config repeats a run)\n")
    assert done.stderr.count("\n") == 1


def test_a_run_on_other_images_is_told_in_one_line(predict, home):
    options = "--dataset", write_digits(home / "digits"), "--steps", 5, "--hidden", 8, "--out", "small", "--quiet"
    assert call("train.py", *options, home=home).returncode == 0
    done = predict("small", "0.npy")
    assert (done.returncode, done.stdout) == (1, "")
    assert "small learned from images of 1 x 6 x 6 numbers" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_answers_and_usage_is_told(predict):
    assert "--ink {dark,light}" in predict("--help").stdout
    assert predict("trained").returncode == 2
    assert predict("--as-is", "--ink", "dark", "trained", "0.npy").returncode == 2
