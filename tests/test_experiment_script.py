"""scripts/experiment.py as a person meets it: fair arms, and a command that can be repeated."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_job import SCRIPTS, environment, write_digits
from user_nets import write_net

from dlscratch.runs import Run, find_runs


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def command(digits):
    small = ["--dataset", digits, "--steps", 30, "--batch-size", 20, "--hidden", 8, "--out", "runs"]
    return lambda *options: list(map(str, [sys.executable, SCRIPTS / "experiment.py", *small, *options]))


@pytest.fixture(scope="module")
def original(command, tmp_path_factory):
    """The runs of an experiment, which tests begin with or look at."""
    home = tmp_path_factory.mktemp("original")
    line = command("--vary", "lr=0.1,0.2")
    subprocess.run(line, cwd=home, env=environment(home), check=True, stdout=subprocess.DEVNULL)
    return home / "runs"


@pytest.fixture
def begun(original, tmp_path):
    return shutil.copytree(original, tmp_path / "runs")


@pytest.fixture
def experiment(command, tmp_path):
    def run(*options, **kwargs):
        return subprocess.run(
            command(*options), cwd=tmp_path, text=True, capture_output=True, check=False,
            **{"env": environment(tmp_path), **kwargs},
        )  # fmt: skip

    return run


def test_every_combination_runs_for_every_seed_and_is_compared(experiment, tmp_path):
    done = experiment("--vary", "optimizer=SGD,Adam", "--vary", "batch_size=20,50", "--seeds", 2, "--seed", 5)
    assert done.returncode == 0
    runs = find_runs([tmp_path / "runs"])
    assert len(runs) == 8
    assert {run.status for run in runs} == {"finished"}
    assert {run.config["seed"] for run in runs} == {5, 6}
    assert "optimizer=Adam,batch_size=50,seed=6" in {run.name for run in runs}
    table = done.stdout[done.stdout.index("Comparison") :]
    words = [word for word in table.split() if word.startswith(("optimizer=", "batch_size="))]
    assert words == [f"{name}={value}" for optimizer in ("SGD", "Adam") for batch_size in (20, 50)
                     for name, value in (("batch_size", batch_size), ("optimizer", optimizer))]  # fmt: skip


def test_arms_of_one_seed_start_from_the_same_weights_and_see_the_same_batches(experiment, tmp_path):
    assert experiment("--vary", "optimizer=SGD,Adam,AdaGrad", "--seeds", 2).returncode == 0
    runs = [Run.open(tmp_path / "runs" / f"optimizer={name},seed={s}") for s in (0, 1) for name in ("SGD", "Adam")]
    first = [run.steps["loss"][0] for run in runs]
    assert first[0] == first[1] != first[2] == first[3]
    assert runs[0].epochs["test_loss"][0] == runs[1].epochs["test_loss"][0]
    assert np.any(runs[0].steps["loss"] != runs[1].steps["loss"])


def test_settings_that_belong_together_are_an_arm(experiment, tmp_path):
    assert experiment("--arm", "optimizer=SGD", "lr=0.01", "--arm", "optimizer=Adam").returncode == 0
    assert [run.config["lr"] for run in find_runs([tmp_path / "runs"])] == [0.01, 0.001]


def test_what_is_finished_is_not_trained_again_and_more_seeds_are_added(experiment, begun, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/steps.csv")}
    done = experiment("--vary", "lr=0.1,0.2", "--seeds", 2)
    assert done.stdout.count("finished before") == 2
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(find_runs([tmp_path / "runs"])) == 4


def test_more_steps_train_on_and_equal_an_experiment_that_had_them_from_the_start(experiment, begun, tmp_path):
    assert experiment("--vary", "lr=0.1,0.2", "--steps", 50).returncode == 0
    assert experiment("--vary", "lr=0.1,0.2", "--steps", 50, "--out", "again").returncode == 0
    for name in ("lr=0.1,seed=0", "lr=0.2,seed=0"):
        one, other = Run.open(tmp_path / "runs" / name), Run.open(tmp_path / "again" / name)
        assert (one.folder / "model.npz").read_bytes() == (other.folder / "model.npz").read_bytes()
        np.testing.assert_array_equal(one.epochs["test_loss"], other.epochs["test_loss"])


def test_an_arm_that_diverges_does_not_stop_the_others(experiment, tmp_path):
    done = experiment("--vary", "lr=1e30,0.1")
    assert done.returncode == 0
    assert "lr=1e+30,seed=0: diverged: the loss is" in done.stdout
    assert "diverged, and counted as far as they went" in done.stdout
    assert Run.open(tmp_path / "runs" / "lr=0.1,seed=0").status == "finished"
    assert "diverged before" in experiment("--vary", "lr=1e30,0.1").stdout


def test_runs_of_other_settings_are_not_mixed_in(experiment, begun):
    done = experiment("--vary", "lr=0.1,0.2", "--hidden", 9)
    assert done.returncode == 1
    assert "--hidden 9 would make it another run" in done.stderr
    assert done.stderr.endswith("--out names another folder for the runs\n")


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(command, experiment, tmp_path):
    long = "--vary", "lr=0.1,0.2", "--steps", 3000, "--batch-size", 1  # and few epochs, each of which is saved
    hear = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen(
        command(*long), cwd=tmp_path, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env=environment(tmp_path), **hear,
    ) as process:  # fmt: skip
        table = tmp_path / "runs" / "lr=0.1,seed=0" / "steps.csv"
        while not table.exists() or table.stat().st_size < 5_000:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.endswith("interrupted; the same command, with --out runs, goes on from there\n")
    assert Run.open(table.parent).status == "interrupted"
    assert experiment(*long).returncode == 0
    run = Run.open(table.parent)
    assert run.status == "finished"
    assert len(run.facts["resumed"]) == 1
    np.testing.assert_array_equal(run.steps["step"], np.arange(1, 3001))


def test_nets_and_activations_of_the_users_are_arms_like_any_other(experiment, tmp_path):
    own = write_net(
        tmp_path / "own.py", "class Swish(SiLU): pass\ndef make_net(rng, classes, hidden, activation): pass"
    )
    text = own.read_text(encoding="utf-8").replace("hidden, activation): pass", "hidden=(8,), activation=ReLU):")
    text += "    return Sequential(Affine(36, *hidden, rng=rng), activation(), Affine(8, classes, rng=rng))\n"
    own.write_text(text, encoding="utf-8")
    command = "--vary", "model=two-layer,own.py:make_net", "--vary", "activation=ReLU,own.py:Swish"
    done = experiment(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert {run.name for run in find_runs([tmp_path / "runs"])} == {
        f"model={model},activation={activation},seed=0"
        for model in ("two-layer", "own.py_make_net") for activation in ("ReLU", "own.py_Swish")
    }  # fmt: skip
    for word in ("model=two-layer", "model=own.py:make_net", "activation=ReLU", "activation=own.py:Swish"):
        assert done.stdout.split("Comparison")[1].split().count(word) == 2
    first = [run.steps["loss"][0] for run in find_runs([tmp_path / "runs"])]
    assert sorted(first) == sorted(first[:2] * 2)  # the same layers have the same weights and see the same batches
    assert experiment(*command).stdout.count("finished before") == 4

    own.write_text(text + "# another\n", encoding="utf-8")
    done = experiment(*command)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "was begun with another own.py: bring back what it was (run.json" in done.stderr


def test_a_mistake_in_the_last_arm_is_told_before_the_first_one_trains(experiment, tmp_path):
    write_net(tmp_path / "own.py", "def make_net(rng, hidden=(8,)): return Sequential(Affine(35, 3, rng=rng))")
    done = experiment("--vary", "model=two-layer,own.py:make_net")
    assert done.returncode == 1
    assert "layer 1 of 2: Affine(35 -> 3) expects x of shape (N, 35), got (2, 36)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--vary", "optimiser=SGD"], "there is no setting 'optimiser'; the settings are dataset, "),
        (["--vary", "lr=0.1,x"], "the setting lr expects a number above 0, got 'x'"),
        (["--vary", "lr"], "expects a setting and its value, such as lr=0.1, got 'lr'"),
        (["--vary", "batch-size=0,1"], "the setting batch_size expects a whole number from 1 up, got '0'"),
        (["--vary", "seed=1,2"], "seed is one for all runs"),
        (["--seeds", "0"], "expects a whole number from 1 up, got '0'"),
    ],
)
def test_wrong_input_is_one_sentence(experiment, options, sentence):
    done = experiment(*options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_picture_and_the_page_are_drawn_where_the_libraries_are(experiment, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    done = experiment("--vary", "lr=0.1,0.2", env=environment(tmp_path, pictures=True))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "lr=0.2" in (tmp_path / "runs" / "comparison.html").read_text(encoding="utf-8")


def test_a_folder_of_ones_own_choice_is_not_needed(command, tmp_path):
    line = [each for each in command("--vary", "lr=0.1,0.2") if each not in ("--out", "runs")]
    done = subprocess.run(line, cwd=tmp_path, text=True, capture_output=True, check=False, env=environment(tmp_path))
    assert done.returncode == 0
    assert len(find_runs([tmp_path / "runs"])) == 2
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("20")
    assert json.loads((folder / "lr=0.1,seed=0" / "config.json").read_text(encoding="utf-8"))["lr"] == 0.1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--vary", "lr=0.1", "--vary", "lr=0.2"],
            "lr is set twice; give all of its values at once, as in --vary lr=A,B",
        ),
        (["--arm", "lr=0.1", "--vary", "lr=0.2"], "lr is set twice"),
        (["--vary", "steps=1", "--vary", "epochs=1"], "steps and epochs both say how long to train"),
        (["--vary", "dataset=a/b,a_b"], "two arms would share a folder"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(experiment, options, sentence):
    done = experiment(*options)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_in_the_step_that_diverges_stops_the_experiment(monkeypatch, digits, tmp_path):
    """In process, since such a step is hard to hit: the first arm diverges, and with it comes the request to end."""
    import runpy

    from dlscratch.job import Job
    from dlscratch.training import Diverged

    def record(job, recorder, interrupts):
        signal.raise_signal(signal.SIGINT)
        raise Diverged("the loss is nan")
        yield

    monkeypatch.setattr(Job, "record", record)
    monkeypatch.chdir(tmp_path)
    experiment = runpy.run_path(str(SCRIPTS / "experiment.py"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as it was
    settings = experiment["Settings"](dataset=str(digits), hidden="2")
    with pytest.raises(KeyboardInterrupt):
        experiment["learn"]({tmp_path / "one": settings, tmp_path / "other": settings})
    assert not (tmp_path / "other").exists()
