"""scripts/train.py as a person meets it: its options, what it prints and writes, and every way in which it can end."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from interruptions import compare
from small_job import SCRIPTS, environment
from user_nets import write_net

from dlscratch.checkpoint import Checkpoint
from dlscratch.models import TwoLayerNet
from dlscratch.optim import OPTIMIZERS
from dlscratch.runs import Run, find_runs, read_table

TRAIN = SCRIPTS / "train.py"

posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits as POSIX has them")


@pytest.fixture
def train(tmp_path, digits):
    def run(*options, dataset=digits, **kwargs):
        options = [*(["--dataset", dataset] if dataset else []), *options]
        return subprocess.run(
            [sys.executable, TRAIN, *map(str, options)], text=True, capture_output=True, check=False,
            **{"cwd": tmp_path, "env": environment(tmp_path), **kwargs},
        )  # fmt: skip

    return run


def load_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


# A run


def test_a_run_learns_and_records_everything_in_its_folder(train, tmp_path):
    pictures = environment(tmp_path, pictures=True)
    done = train("--steps", 200, "--batch-size", 20, "--hidden", 8, "--out", "run", env=pictures)
    assert done.returncode == 0
    assert done.stderr in ("", "Matplotlib is building the font cache; this may take a moment.\n")  # once in its life
    last = done.stdout.splitlines()[-1]
    assert last.startswith("test accuracy ")
    assert float(last.split()[-1]) > 0.9
    assert "MultiLayerNet with 323 parameters" in done.stdout
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


def test_options_go_together_and_quiet_prints_the_last_line_only(train):
    weights, step = ["--init", "xavier", "--hidden", "20x10"], ["--optimizer", "rmsprop", "--lr", "1e-3"]
    rest = ["--weight-decay", "0.001", "--activation", "tanh", "--threads", 2, "--examples", 90, "--steps", 20]
    done = train(*weights, *step, *rest, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("test accuracy ")
    assert done.stdout.count("\n") == 1


def test_the_number_of_threads_reaches_the_matrix_products(digits):
    options = ["train.py", "--dataset", str(digits), "--dry-run", "--threads", "2"]
    script = f"import os, runpy, sys; sys.argv = {options}\n"
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


def test_without_out_every_run_gets_a_fresh_folder(train, tmp_path):
    count = 3
    with ThreadPoolExecutor(count) as pool:  # started at once, in the same second or nearly so
        done = list(pool.map(lambda _: train("--steps", 2, "--quiet"), range(count)))
    assert [(run.returncode, run.stderr) for run in done] == [(0, "")] * count
    runs = find_runs([tmp_path / "runs"])
    assert len(runs) == count
    assert all(run.status == "finished" and len(run.steps["step"]) == 2 for run in runs)


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
        (["--resume", "a", "--out", "b"], "a run is resumed in its own folder: leave out --out, or copy the folder"),
        (["--resume", "a", "--config", "b"], "argument --config: not allowed with argument --resume"),
        (["--optimizer", "tiger"], "argument --optimizer: expects one of SGD, Momentum, Nesterov"),
        (["--out", ""], "argument --out: expects a name, got ''"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_option_is_a_usage_error(train, options, sentence):
    done = train(*options)
    assert done.returncode == 2
    assert sentence in done.stderr


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


# Runs from runs


@pytest.fixture(scope="module")
def original(digits, tmp_path_factory):
    """A run of 30 steps."""
    home = tmp_path_factory.mktemp("original")
    options = "--steps", "30", "--sampler", "shuffle", "--optimizer", "Adam", "--quiet", "--out", "run"
    command = [sys.executable, TRAIN, "--dataset", digits, *options]
    subprocess.run(command, cwd=home, env=environment(home), check=True, stdout=subprocess.DEVNULL)
    return home / "run"


@pytest.fixture
def run(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def test_the_config_of_a_run_repeats_it(train, run, tmp_path):
    assert train("--config", run / "config.json", "--out", "again", "--quiet", dataset=None).returncode == 0
    compare(Run.open(tmp_path / "again"), Run.open(run))


def test_the_command_line_goes_over_the_config(train, run):
    done = train("--config", run / "config.json", "--optimizer", "SGD", "--epochs", 5, "--dry-run", dataset=None)
    assert "SGD(lr=0.1), 15 steps of 100 images: 5 epochs" in done.stdout  # its own lr, not the one that Adam chose


def test_a_finished_run_trains_on_when_it_is_given_more_steps(train, run, tmp_path):
    done = train("--resume", run, "--quiet", dataset=None)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{run} is finished; a larger number of --steps trains on\n"
    assert train("--resume", run, "--steps", 40, "--quiet", dataset=None).returncode == 0
    assert train("--config", run / "config.json", "--out", "alone", "--quiet", dataset=None).returncode == 0
    compare(Run.open(run), Run.open(tmp_path / "alone"))


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--resume", "nowhere"], 1, "nowhere is no folder; expected the folder of a run, which holds a config.json"),
        (["--config", "."], 1, "config.json: No such file or directory"),
    ],
)
@posix
def test_what_is_no_run_is_told_in_a_sentence(train, options, code, sentence):
    done = train(*options, dataset=None)
    assert (done.returncode, done.stderr) == (code, f"train.py: {sentence}\n")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", b"[", "run/config.json is damaged: it is no JSON"),
        ("run.json", b"{}", "run does not say which data it learned from; start a new run"),
        ("checkpoint.npz", b"PK", "run/checkpoint.npz is no checkpoint, or a damaged one (it is not whole)"),
    ],
)
@posix
def test_whatever_of_a_run_is_damaged_is_told_in_a_sentence(train, run, name, content, sentence):
    (run / name).write_bytes(content)
    done = train("--resume", "run", dataset=None)
    assert done.returncode == 1
    assert done.stderr.startswith(f"train.py: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_change_that_would_make_another_run_is_refused_by_name(train, run):
    before = (run / "config.json").read_bytes()
    done = train("--resume", run, "--lr", 0.5, dataset=None)
    assert done.returncode == 1
    assert done.stderr.startswith("train.py: --lr 0.5 would make it another run, it was begun with 0.001; ")
    assert (run / "config.json").read_bytes() == before


def test_another_library_than_the_run_began_with_is_noted(train, run):
    facts = load_json(run / "run.json")
    facts["versions"]["numpy"] = "1.0"
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    done = train("--resume", run, "--steps", 40, "--quiet", dataset=None)
    assert done.returncode == 0
    assert done.stderr.startswith("note: the run began with versions {")
    assert done.stderr.count("\n") == 1


# Nets of the user's

OWN = "def make_net(rng, noise, classes, hidden=(8,)): return Sequential(Affine(36, *hidden, rng=rng), Swish(), "
OWN += "Dropout(0.1, rng=noise), Affine(8, classes, rng=rng))"
SWISH = """\
class Swish(Layer):
    def forward(self, x, out=None):
        return np.divide(x, 1 + np.exp(-x), out=out)

    def backward(self, dy, x, y, out=None):
        p = 1 / (1 + np.exp(-x))
        return np.multiply(dy, p + y * (1 - p), out=out)
"""


@pytest.fixture
def own_net(tmp_path):
    write_net(tmp_path / "ネット" / "swish.py", SWISH)
    return write_net(tmp_path / "ネット" / "my_net.py", f"from swish import Swish\n{OWN}").relative_to(tmp_path)


def test_a_net_of_the_users_is_trained_resumed_and_repeated_from_the_runs_own_copy(train, own_net, tmp_path):
    model = "--model", f"{own_net}:make_net"
    done = train(*model, "--steps", 20, "--sampler", "shuffle", "--out", "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"\n  Swish\(\) +8\n  Dropout\(0\.1\) +8\n  Affine\(8 -> 3\) +3 +27\n", done.stdout)
    assert {path.name for path in (tmp_path / "run" / "code").iterdir()} == {"my_net.py", "swish.py"}
    assert not list(tmp_path.rglob("__pycache__"))

    (tmp_path / own_net).write_text("oops", encoding="utf-8")
    done = train("--resume", "run", "--steps", 30, "--quiet", *model, dataset=None)
    assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(tmp_path / "ネット")
    assert train("--config", "run", "--out", "again", "--quiet", dataset=None).returncode == 0
    compare(Run.open(tmp_path / "run"), Run.open(tmp_path / "again"))
    done = train("--config", "run", *model, "--dry-run", dataset=None)  # which asks for the file itself
    assert (done.returncode, done.stderr) == (1, f"train.py: there is no file {own_net}\n")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def make_net(rng): return Sequential(Affine(36, 8, rng=rng), Affine(9, 3, rng=rng))",
         "layer 2 of 3: Affine(9 -> 3) expects x of shape (N, 9), got (2, 8)"),
        (SWISH.replace("dy, p", "dy, q") + OWN, "my_net.py, line 13: NameError: name 'q' is not defined"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_net_is_told_before_any_folder_is_made(train, tmp_path, code, sentence):
    write_net(tmp_path / "my_net.py", code)
    done = train("--model", "my_net.py:make_net")
    assert (done.returncode, done.stderr) == (1, f"train.py: {sentence}\n")
    assert {path.name for path in tmp_path.iterdir()} == {"hidden", "my_net.py"}


def test_a_named_net_is_described_with_its_shapes(train):
    done = train("--model", "deep-convnet", "--batch-norm", "yes", "--schedule", "one-cycle", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"\n  Convolution\(1 -> 16, 3x3, pad 1\) +16x6x6 +160\n  BatchNorm.* +16x6x6 +32\n", done.stdout)


# Ways to end


def test_divergence_stops_the_run_and_keeps_its_record(train, tmp_path):
    done = train("--lr", "1e30", "--out", "run", "--quiet")
    assert done.returncode == 3
    assert done.stderr.startswith("train.py: the loss is ")
    assert done.stderr.count("\n") == 1
    assert load_json(tmp_path / "run" / "run.json")["status"] == "diverged"
    assert np.all(np.isfinite(read_table(tmp_path / "run" / "steps.csv")["loss"]))


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
    assert told == f"train.py: interrupted; python {TRAIN} --resume run goes on from there\n"
    run = Run.open(tmp_path / "run")
    assert run.status == "interrupted"
    assert len(run.steps["step"]) > 10
    TwoLayerNet(36, 50, 3, rng=np.random.default_rng(0)).load(tmp_path / "run" / "model.npz")
    assert Checkpoint.load(tmp_path / "run" / "checkpoint.npz").facts["step"] == len(run.steps["step"])


@posix
def test_kill_minus_nine_leaves_whole_rows(endless, tmp_path):
    endless.kill()
    endless.communicate(timeout=30)
    steps = read_table(tmp_path / "run" / "steps.csv")
    np.testing.assert_array_equal(steps["step"], np.arange(1, len(steps["step"]) + 1))
    assert Run.open(tmp_path / "run").status == "killed"


@posix
def test_a_run_that_is_still_running_cannot_be_resumed_and_can_be_asked_to_end(endless, train, tmp_path):
    assert Run.open(tmp_path / "run").status == "running"
    done = train("--resume", "run", dataset=None)
    assert done.returncode == 1
    assert done.stderr == "train.py: run is being recorded by another process; wait for its end, or end it\n"
    assert endless.poll() is None
    endless.terminate()  # a request to end, which is heard as Ctrl-C is
    endless.communicate(timeout=30)
    assert endless.returncode == 130
    assert Run.open(tmp_path / "run").status == "interrupted"


@posix
def test_a_full_disk_is_named_and_the_rows_before_it_stay_whole(train, tmp_path):
    resource = pytest.importorskip("resource")

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    settings = "--steps", 200, "--hidden", 4, "--quiet"
    done = train(*settings, "--out", "run", preexec_fn=little_room)
    assert done.returncode == 1
    assert done.stderr == "train.py: run/steps.csv: File too large\n"
    run = Run.open(tmp_path / "run")
    assert run.status == "failed"
    assert 50 < len(run.steps["step"]) < 200

    assert train("--resume", "run", "--quiet", dataset=None).returncode == 0
    assert train(*settings, "--out", "alone").returncode == 0
    compare(Run.open(tmp_path / "run"), Run.open(tmp_path / "alone"))


@posix
def test_ctrl_c_while_libraries_load_is_no_traceback(tmp_path, digits):
    command = [sys.executable, TRAIN, "--dataset", digits, "--steps", "1000000000", "--out", "run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hear_ctrl_c = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), **pipes, **hear_ctrl_c) as process:
        time.sleep(0.2)
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


def test_help_needs_nothing_that_is_slow_to_import_and_lists_every_optimizer():
    script = f"""import runpy, sys
sys.argv = ["train.py", "--help"]
try:
    runpy.run_path({str(TRAIN)!r}, run_name="__main__")
except SystemExit:
    print({{"numpy", "tqdm", "dlscratch.mpi"}} & set(sys.modules))
"""
    out = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert out.startswith("usage: train.py")
    assert out.splitlines()[-1] == "set()"
    assert ", ".join(kind.__name__ for kind in OPTIMIZERS) + " (SGD)" in " ".join(out.split())


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
