"""scripts/train.py as a person meets it: its options, what it prints and writes, and every way in which it can end."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dataset.idx import read_idx, write_idx
from dlscratch.models import TwoLayerNet
from dlscratch.optim import OPTIMIZERS
from dlscratch.runs import read_table

TRAIN = Path(__file__).parents[1] / "scripts" / "train.py"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A data set of one's own: three classes of 6x6 images, of which one quarter is bright."""
    folder, rng = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    for name, count in (("train", 250), ("t10k", 60)):
        t = rng.integers(0, 3, count)
        x = rng.integers(0, 80, (count, 6, 6))
        for image, label in zip(x, t, strict=True):
            image[label * 2 : label * 2 + 2] += 120
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", x.astype(np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte", t.astype(np.uint8))
    return folder


@pytest.fixture
def train(tmp_path, digits):
    def run(*options, dataset=digits, **kwargs):
        options = [*(["--dataset", dataset] if dataset else []), *options]
        return subprocess.run(
            [sys.executable, TRAIN, *map(str, options)], text=True, capture_output=True, check=False,
            **{"cwd": tmp_path, "env": environment(tmp_path), **kwargs},
        )  # fmt: skip

    return run


def environment(home, *, pictures=False, **changes):
    """Of the caller's settings none; no network; and no matplotlib unless asked for, since drawing takes longest."""
    hidden = home / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "matplotlib.py").write_text("raise ModuleNotFoundError", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DLSCRATCH", "XDG"))}
    without = {} if pictures else {"PYTHONPATH": str(hidden)}
    return kept | {"HOME": str(home), "DLSCRATCH_OFFLINE": "1"} | without | changes


def load_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


# A run


def test_a_run_learns_and_records_everything_in_its_folder(train, tmp_path):
    pictures = environment(tmp_path, pictures=True)
    done = train("--steps", 200, "--batch-size", 20, "--hidden", 8, "--out", "run", env=pictures)
    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("test accuracy ")
    assert float(last.split()[-1]) > 0.9
    assert "TwoLayerNet with 323 parameters" in done.stdout
    assert "\r" not in done.stdout

    run = tmp_path / "run"
    steps, epochs = read_table(run / "steps.csv"), read_table(run / "epochs.csv")
    assert list(steps) == ["step", "epoch", "examples", "seconds", "loss", "lr"]
    np.testing.assert_array_equal(steps["step"], np.arange(1, 201))
    assert steps["examples"][-1] == 4000
    assert np.all(np.diff(steps["seconds"]) > 0)
    assert list(epochs)[4:] == ["train_loss", "train_acc", "test_loss", "test_acc"]
    np.testing.assert_allclose(epochs["epoch"], [*range(16), 200 / 13])
    assert epochs["test_acc"][-1] == pytest.approx(float(last.split()[-1]), abs=5e-5)
    net = TwoLayerNet(36, 8, 3, rng=np.random.default_rng(9))
    net.load(run / "model.npz")
    if importlib.util.find_spec("matplotlib"):
        assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    facts = load_json(run / "run.json")
    assert facts["status"] == "finished"
    assert facts["test_accuracy"] == pytest.approx(epochs["test_acc"][-1])
    assert facts["versions"]["numpy"] == np.__version__


def test_the_same_seed_repeats_a_run_and_another_seed_does_not(train, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert train("--steps", 30, "--seed", seed, "--out", name, "--quiet").returncode == 0
    losses = [read_table(tmp_path / name / "steps.csv")["loss"] for name in "abc"]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert np.any(losses[0] != losses[2])
    models = [np.load(tmp_path / name / "model.npz") for name in "ab"]
    assert all(np.array_equal(models[0][name], models[1][name]) for name in models[0].files)


def test_every_setting_is_in_the_config_defaults_included(train, tmp_path):
    assert train("--epochs", 2, "--optimizer", "adam", "--out", "run", "--quiet").returncode == 0
    config = load_json(tmp_path / "run" / "config.json")
    assert config | {"dataset": None} == {
        "dataset": None, "data_dir": None, "hidden": 50, "steps": 6, "epochs": None, "batch_size": 100, "lr": 0.001,
        "optimizer": "Adam", "init": "he", "weight_decay": 0.0, "sampler": "choice", "seed": 0, "validation": 0,
        "threads": 1,
    }  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_every_optimizer_can_be_asked_for(train, optimizer):
    done = train("--optimizer", optimizer.__name__, "--dry-run")
    assert done.returncode == 0
    assert f"{optimizer.__name__}(lr=" in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--sampler", "shuffle", "--batch-size", 64, "--epochs", 3),
        ("--init", "0.01", "--weight-decay", "0.001", "--steps", 20),
        ("--init", "xavier", "--threads", 2, "--optimizer", "RMSprop", "--lr", "1e-3", "--steps", 20),
        ("--batch-size", 1000, "--steps", 20),
    ],
)
def test_options_go_together(train, options):
    done = train("--quiet", *options)
    assert (done.returncode, done.stderr) == (0, "")


def test_examples_count_the_smaller_batch_at_the_end_of_a_shuffled_epoch(train, tmp_path):
    assert train("--sampler", "shuffle", "--epochs", 2, "--out", "run", "--quiet").returncode == 0
    np.testing.assert_array_equal(
        read_table(tmp_path / "run" / "steps.csv")["examples"], [100, 200, 250, 350, 450, 500]
    )


def test_weight_decay_shrinks_weights_and_leaves_biases_alone(train, tmp_path):
    for decay in ("0", "0.5"):
        assert train("--steps", 100, "--weight-decay", decay, "--out", decay, "--quiet").returncode == 0
    plain, decayed = (np.load(tmp_path / decay / "model.npz") for decay in ("0", "0.5"))
    assert np.linalg.norm(decayed["W1"]) < 0.1 * np.linalg.norm(plain["W1"])
    assert np.linalg.norm(decayed["b2"]) > 0.1 * np.linalg.norm(plain["b2"])


def test_validation_images_are_the_last_ones_and_not_trained_on(train, tmp_path, digits):
    own = tmp_path / "own"
    own.mkdir()
    for path in digits.iterdir():
        array = read_idx(path)
        if path.name.startswith("train-labels"):
            array[-50:] = 7  # a class that only validation has
        write_idx(own / path.name, array)
    assert train("--steps", 200, "--validation", 50, "--out", "run", "--quiet", dataset=own).returncode == 0
    epochs = read_table(tmp_path / "run" / "epochs.csv")
    assert epochs["train_acc"][-1] > 0.9
    assert epochs["val_acc"][-1] == 0
    np.testing.assert_allclose(epochs["epoch"][1:3], [1, 2])
    assert list(epochs["step"][1:3]) == [2, 4]
    assert np.load(tmp_path / "run" / "model.npz")["b2"].shape == (8,)


def test_the_number_of_threads_reaches_the_matrix_products(train):
    script = "import os, runpy, sys; sys.argv = ['train.py', '--dataset', 'strokes', '--dry-run', '--threads', '2']\n"
    script += f"try: runpy.run_path({str(TRAIN)!r}, run_name='__main__')\n"
    script += "except SystemExit: print(os.environ['OPENBLAS_NUM_THREADS'])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).splitlines()[-1] == "2"


def test_a_validation_set_is_watched_and_the_test_set_read_once_at_the_end(train, tmp_path):
    done = train("--steps", 20, "--validation", 50, "--out", "run")
    assert "200 training and 60 test images" in done.stdout
    assert "val acc" in done.stdout
    assert list(read_table(tmp_path / "run" / "epochs.csv"))[6:] == ["val_loss", "val_acc"]
    assert done.stdout.splitlines()[-1].startswith("test accuracy ")


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(train, tmp_path):
    done = train("--dry-run", "--out", "run")
    assert done.returncode == 0
    assert "10,000 steps of 100 images" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["hidden"]


def test_quiet_prints_the_last_line_only(train):
    done = train("--steps", 5, "--quiet")
    assert done.stderr == ""
    assert done.stdout.startswith("test accuracy ")
    assert done.stdout.count("\n") == 1


def test_without_out_every_run_gets_a_fresh_folder(train, tmp_path):
    for _ in range(2):
        assert train("--steps", 2, "--quiet").returncode == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


# MNIST that cannot be had


def test_without_mnist_it_says_why_and_learns_from_strokes(train, tmp_path):
    done = train("--steps", 5, "--out", "run", dataset=None)
    assert done.returncode == 0
    assert "MNIST is neither on this disk nor to be had, so this run learns from strokes instead" in done.stderr
    assert "its figures are not figures of MNIST. The reason: " in done.stderr.replace("\n", " ")
    assert done.stdout.splitlines()[-1].endswith("on strokes, not on MNIST")
    assert load_json(tmp_path / "run" / "config.json")["dataset"] == "strokes"
    assert "figures are not figures of MNIST" in load_json(tmp_path / "run" / "run.json")["note"]


def test_mnist_by_name_is_an_error_when_it_cannot_be_had(train, tmp_path):
    done = train(dataset="mnist")
    assert done.returncode == 4
    assert "train-images-idx3-ubyte" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_an_unreachable_mirror_is_no_traceback(train, tmp_path):
    nobody = environment(tmp_path, DLSCRATCH_OFFLINE="0", DLSCRATCH_MIRROR="http://127.0.0.1:9/", http_proxy="",
                         https_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")  # fmt: skip
    done = train(dataset="mnist", env=nobody)
    assert done.returncode == 4
    assert "http://127.0.0.1:9/" in done.stderr
    assert "Traceback" not in done.stderr


# Wrong input


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--steps", "0"], "argument --steps: expects a whole number from 1 up, got '0'"),
        (["--steps", "5", "--epochs", "2"], "argument --epochs: not allowed with argument --steps"),
        (["--batch-size", "-5"], "argument --batch-size: expects a whole number from 1 up, got '-5'"),
        (["--hidden", "1.5"], "argument --hidden: expects a whole number from 1 up, got '1.5'"),
        (["--lr", "nan"], "argument --lr: expects a number above 0, got 'nan'"),
        (["--weight-decay", "-1"], "argument --weight-decay: expects a number from 0 up, got '-1'"),
        (["--optimizer", "lion"], "argument --optimizer: expects one of SGD, Momentum, Nesterov"),
        (["--sampler", "all"], "argument --sampler: expects one of choice, shuffle, got 'all'"),
        (["--init", "big"], "argument --init: expects he, xavier or a standard deviation such as 0.01, got 'big'"),
        (["--threads", "0"], "argument --threads: expects a whole number from 1 up, got '0'"),
        (["--seed", "-1"], "argument --seed: expects a whole number from 0 up, got '-1'"),
        (["--out", ""], "argument --out: expects a name, got ''"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_option_is_a_usage_error(train, options, sentence):
    done = train(*options)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_the_current_folder_may_be_the_data_set(train, tmp_path, digits):
    assert train("--steps", 1, "--out", tmp_path / "run", "--quiet", dataset=".", cwd=digits).returncode == 0


def test_a_data_set_that_is_none_lists_the_choices(train):
    done = train(dataset="imagenet")
    assert done.returncode == 4
    assert done.stderr.startswith(
        "train.py: there is no data set 'imagenet'; choose mnist, fashion-mnist, kmnist, strokes"
    )


def test_a_damaged_data_set_is_named(train, tmp_path, digits):
    for path in digits.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-9])
    done = train(dataset=tmp_path)
    assert done.returncode == 4
    assert "train-images-idx3-ubyte.gz" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_holds_something_is_never_trained_into(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("thesis", encoding="utf-8")
    done = train("--out", "run")
    assert done.returncode == 1
    assert done.stderr == "train.py: run is not empty, and a run wants a folder of its own; name a new one\n"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious"]


def test_a_folder_that_cannot_be_made_is_named(train, tmp_path):
    (tmp_path / "file").touch()
    done = train("--out", "file/run")
    assert done.returncode == 1
    assert done.stderr == "train.py: file/run: Not a directory\n"
    done = train("--out", "file")
    assert done.returncode == 1
    assert done.stderr == "train.py: file is no folder, and a run wants a folder of its own; name a new one\n"


def test_validation_leaves_something_to_train_on(train):
    done = train("--validation", 250)
    assert done.returncode == 1
    assert done.stderr == "train.py: --validation 250 leaves none of 250 training images; hold back fewer\n"


# Ways to end


def test_divergence_stops_the_run_and_keeps_its_record(train, tmp_path):
    done = train("--lr", "1e30", "--out", "run", "--quiet")
    assert done.returncode == 3
    assert done.stderr.startswith("train.py: the loss is ")
    assert done.stderr.count("\n") == 1
    assert load_json(tmp_path / "run" / "run.json")["status"] == "diverged"
    assert np.all(np.isfinite(read_table(tmp_path / "run" / "steps.csv")["loss"]))


posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits as POSIX has them")


@pytest.fixture
def endless(tmp_path, digits):
    """A run that would never end, some steps after its start."""
    command = [sys.executable, TRAIN, "--dataset", digits, "--steps", "1000000000", "--out", "run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hear_ctrl_c = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # as a terminal would start it
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), **pipes, **hear_ctrl_c) as process:
        try:
            steps, deadline = tmp_path / "run" / "steps.csv", time.monotonic() + 30
            while not (steps.exists() and steps.stat().st_size > 1000):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


@posix
def test_ctrl_c_keeps_what_was_recorded(endless, tmp_path):
    endless.send_signal(signal.SIGINT)
    _, told = endless.communicate(timeout=30)
    assert endless.returncode == 130
    assert told == "train.py: interrupted; what was learned until then is in run\n"
    assert load_json(tmp_path / "run" / "run.json")["status"] == "interrupted"
    assert len(read_table(tmp_path / "run" / "steps.csv")["step"]) > 10
    TwoLayerNet(36, 50, 3, rng=np.random.default_rng(0)).load(tmp_path / "run" / "model.npz")


@posix
def test_kill_minus_nine_leaves_whole_rows(endless, tmp_path):
    endless.kill()
    endless.communicate(timeout=30)
    steps = read_table(tmp_path / "run" / "steps.csv")
    np.testing.assert_array_equal(steps["step"], np.arange(1, len(steps["step"]) + 1))
    assert load_json(tmp_path / "run" / "run.json")["status"] == "running"


@posix
def test_a_full_disk_is_named_and_the_rows_before_it_stay_whole(train, tmp_path):
    resource = pytest.importorskip("resource")

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    done = train("--out", "run", "--quiet", preexec_fn=little_room)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "run/" in done.stderr
    assert done.stderr.count("\n") == 1
    steps = read_table(tmp_path / "run" / "steps.csv")
    np.testing.assert_array_equal(steps["step"], np.arange(1, len(steps["step"]) + 1))
    assert load_json(tmp_path / "run" / "run.json")["status"] == "failed"


@posix
@pytest.mark.parametrize("delay", [0.1, 0.2, 0.3, 0.4])
def test_ctrl_c_at_any_moment_is_no_traceback(tmp_path, digits, delay):
    command = [sys.executable, TRAIN, "--dataset", digits, "--steps", "1000000000", "--out", "run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hear_ctrl_c = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), **pipes, **hear_ctrl_c) as process:
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:  # library code can swallow an exception; a person would press again
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    if "<frozen site>" in told:
        pytest.skip("Python itself had not started yet")
    assert process.returncode in (130, -signal.SIGINT)  # the second, which a shell calls 130, while Python itself loads
    assert 'train.py", line' not in told or "import signal" in told  # before that, Python's own start is not ours


@posix
def test_a_request_to_end_is_heard_as_ctrl_c_is(endless, tmp_path):
    endless.terminate()
    endless.communicate(timeout=30)
    assert endless.returncode == 130
    assert load_json(tmp_path / "run" / "run.json")["status"] == "interrupted"


def test_a_loss_that_is_not_finite_at_the_end_is_a_divergence_too(train, tmp_path):
    done = train("--lr", "1e300", "--steps", "1", "--out", "run", "--quiet")
    assert done.returncode == 3
    assert "is not finite after step 1" in done.stderr
    assert load_json(tmp_path / "run" / "run.json")["status"] == "diverged"


def test_a_picture_that_fails_costs_only_the_picture(train, tmp_path):
    done = train("--steps", 2, "--out", "run", env=environment(tmp_path, pictures=True, MPLBACKEND="nonsense"))
    assert done.returncode == 0
    assert "no picture: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("test accuracy ")


@posix
@pytest.mark.skipif(not str(TRAIN).isascii(), reason="Python itself cannot import from here without an encoding")
def test_names_that_the_encoding_lacks_are_no_failure(train, tmp_path, digits):
    shutil.copytree(digits, tmp_path / "数字")
    plain = environment(tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    done = train("--steps", 2, "--out", "実験", dataset="数字", env=plain)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("test accuracy ")
    assert load_json(tmp_path / "実験" / "run.json")["status"] == "finished"


# Around it


def test_help_needs_no_numpy(train):
    script = f"""import runpy, sys
sys.argv = ["train.py", "--help"]
try:
    runpy.run_path({str(TRAIN)!r}, run_name="__main__")
except SystemExit:
    print("numpy" in sys.modules)
"""
    out = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert out.startswith("usage: train.py")
    assert out.splitlines()[-1] == "False"


def test_the_option_lists_every_optimizer(train):
    assert ", ".join(kind.__name__ for kind in OPTIMIZERS[:-1]) + " or Adam" in train("--help").stdout.replace(
        "\n", " "
    )


def test_without_an_installation_it_says_how_to_install():
    done = subprocess.run([sys.executable, "-I", "-S", TRAIN], text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert (
        "No module named 'dlscratch'; in the folder that holds setup.cfg, run: python -m pip install -e ."
        in done.stderr
    )
    assert done.stderr.count("\n") == 1


def test_another_package_called_dataset_is_told_apart(train, tmp_path):
    (tmp_path / "other" / "dataset").mkdir(parents=True)
    (tmp_path / "other" / "dataset" / "__init__.py").touch()
    done = train(env=environment(tmp_path, PYTHONPATH=str(tmp_path / "other")))
    assert done.returncode == 1
    assert "this is not the dataset package of dlscratch but another one of that name" in done.stderr
    assert done.stderr.count("\n") == 1
