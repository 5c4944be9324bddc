"""scripts/experiment.py as a person meets it: fair arms, and a command that can be repeated."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from interruptions import kill_workers
from small_job import SCRIPTS, environment
from system import linux_only
from user_nets import write_net

from dlscratch.folder import LOCK
from dlscratch.lock import hold
from dlscratch.runs import Run, find_runs


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
    assert {run.config["lr"] for run in find_runs([tmp_path / "runs"])} == {0.01, 0.001}


def test_what_is_finished_is_not_trained_again_and_more_seeds_are_added(experiment, begun, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/steps.csv")}
    done = experiment("--vary", "lr=0.1,0.2", "--seeds", 2)
    assert done.stdout.startswith("2 of 4 runs had ended before\n")
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
    assert "2 of 2 runs had ended before" in experiment("--vary", "lr=1e30,0.1").stdout


def test_runs_of_other_settings_are_not_mixed_in(experiment, begun):
    done = experiment("--vary", "lr=0.1,0.2", "--hidden", 9)
    assert done.returncode == 1
    assert "--hidden 9 would make it another run" in done.stderr
    assert done.stderr.endswith("--out names another folder for the runs\n")


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(command, experiment, tmp_path):
    long = "--vary", "lr=0.1,0.2", "--steps", 9000, "--batch-size", 1  # since workers look now and then whether to stop
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
    assert said.endswith("experiment.py: interrupted; the same command, with --out runs, goes on from there\n")
    assert Run.open(table.parent).status == "interrupted"
    assert experiment(*long).returncode == 0
    run = Run.open(table.parent)
    assert run.status == "finished"
    assert len(run.facts["resumed"]) == 1
    np.testing.assert_array_equal(run.steps["step"], np.arange(1, 9001))


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
    first = {run.name: run.steps["loss"][0] for run in find_runs([tmp_path / "runs"])}
    for each in ("activation=ReLU,seed=0", "activation=own.py_Swish,seed=0"):  # the same weights, the same batches
        assert first[f"model=two-layer,{each}"] == first[f"model=own.py_make_net,{each}"]
    assert "4 of 4 runs had ended before" in experiment(*command).stdout

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
    line += ["--model", "two-layer", "--dropout", "0.5"]
    done = subprocess.run(line, cwd=tmp_path, text=True, capture_output=True, check=False, env=environment(tmp_path))
    assert "--dropout means nothing to two-layer" in done.stderr
    assert list((tmp_path / "runs").iterdir()) == [folder]  # a mistake leaves none


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


def test_any_number_of_jobs_gives_the_same_runs_to_the_last_bit_as_one_run_after_the_other(
    experiment, digits, tmp_path
):
    vary = "--vary", "batch_size=20,30", "--seeds", 2
    assert experiment(*vary, "--jobs", 1, "--out", "one").returncode == 0
    assert experiment(*vary, "--jobs", 3, "--out", "three").returncode == 0
    alone = [sys.executable, SCRIPTS / "train.py", "--dataset", digits, "--steps", "30", "--batch-size", "30"]
    alone += ["--hidden", "8", "--seed", "1", "--out", "alone"]
    subprocess.run(alone, cwd=tmp_path, env=environment(tmp_path), check=True, stdout=subprocess.DEVNULL)
    names = [f"batch_size={size},seed={seed}" for size in (20, 30) for seed in (0, 1)]
    nets = [(tmp_path / "one" / name / "model.npz").read_bytes() for name in names]
    assert nets == [(tmp_path / "three" / name / "model.npz").read_bytes() for name in names]
    assert nets[3] == (tmp_path / "alone" / "model.npz").read_bytes()
    assert len(set(nets)) == 4


def test_a_run_that_fails_costs_itself_and_is_tried_again_by_the_same_command(experiment, tmp_path):
    (tmp_path / "runs" / "lr=0.2,seed=0").mkdir(parents=True)
    (tmp_path / "runs" / "lr=0.2,seed=0" / "letter.txt").write_text("dear", encoding="utf-8")
    done = experiment("--vary", "lr=0.1,0.2,0.3")
    assert done.returncode == 1
    assert done.stderr.startswith("lr=0.2,seed=0 failed: ")
    why, then = done.stderr.splitlines()
    assert why.endswith("is not empty, and a run wants a folder of its own; name a new one")
    assert then == "experiment.py: 1 of 3 runs failed; the same command tries them again"
    assert {run.config["lr"] for run in find_runs([tmp_path / "runs"])} == {0.1, 0.3}
    (tmp_path / "runs" / "lr=0.2,seed=0" / "letter.txt").unlink()
    done = experiment("--vary", "lr=0.1,0.2,0.3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 3 runs had ended before\n[3/3] lr=0.2,seed=0: accuracy" in done.stdout


@linux_only
def test_workers_that_are_killed_lose_no_finished_run(tmp_path):
    assert kill_workers(tmp_path, runs=8, kills=4) == 4


def test_a_search_halves_its_arms_continues_the_best_and_opens_the_test_set_for_the_winner_alone(experiment, tmp_path):
    search = "--vary", "lr=log:0.001..1", "--trials", 9, "--halving", 3, "--validation", 50, "--steps", 90
    done = experiment(*search)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.endswith(("steps", "end"))] == [
        "9 arms go to 1/9 of their steps", "3 arms go to 1/3 of their steps", "1 arm goes to the end",
    ]  # fmt: skip
    runs = find_runs([tmp_path / "runs"])
    taken = sorted(len(run.steps["step"]) for run in runs)
    assert taken == [10] * 6 + [30] * 2 + [90]
    assert sorted(run.status for run in runs) == ["finished"] + ["paused"] * 8
    (winner,) = [run for run in runs if run.status == "finished"]
    assert not any("test_accuracy" in run.facts for run in runs)
    told = json.loads((tmp_path / "runs" / "winner.json").read_text(encoding="utf-8"))
    assert (told["arm"], told["compared"]) == ({"lr": winner.config["lr"]}, 9)
    assert lines[-1].startswith(f"the best of 9 on the validation images is lr={winner.config['lr']}: ")

    before = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/*")}
    again = experiment(*search)
    assert again.stdout.splitlines()[-1] == lines[-1]
    assert again.stdout.count(" runs had ended before") == 3
    assert {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/*")} == before

    alone = tmp_path / "alone"
    assert (
        experiment("--arm", f"lr={winner.config['lr']}", "--validation", 50, "--steps", 90, "--out", alone).returncode
        == 0
    )
    model = next(alone.glob("*/model.npz"))
    assert model.read_bytes() == (winner.folder / "model.npz").read_bytes()


def test_a_search_with_other_rounds_is_refused_before_anything_is_trained(experiment, tmp_path):
    search = "--vary", "lr=0.01,0.1,0.2", "--validation", 50
    assert experiment(*search).returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/*")}
    done = experiment(*search, "--halving", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert "went past step 15 without an evaluation there, so it cannot be ranked" in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/*")} == before


def test_more_trials_keep_the_points_of_before(experiment, tmp_path):
    search = "--vary", "lr=log:0.001..1", "--validation", 50
    assert experiment(*search, "--trials", 2).returncode == 0
    done = experiment(*search, "--trials", 4)
    assert done.stdout.startswith("2 of 4 runs had ended before\n")
    assert len(find_runs([tmp_path / "runs"])) == 4


def test_a_grid_with_validation_names_its_winner(experiment, tmp_path):
    done = experiment("--vary", "lr=0.001,0.1", "--validation", 50, "--seeds", 2)
    assert done.returncode == 0
    assert "the best of 2 on the validation images is lr=0.1: " in done.stdout
    told = json.loads((tmp_path / "runs" / "winner.json").read_text(encoding="utf-8"))
    assert set(told["test_accuracy"]) == {"0", "1"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--vary", "lr=log:0.1..1"], "lr is a range; --trials N says how many points to draw from it"),
        (["--vary", "lr=log:0.1..1", "--trials", "2"], "give --validation N, such as 10000"),
        (["--vary", "lr=0.1,0.2", "--trials", "2", "--validation", "9"], "--trials 2 draws from ranges, and there is"),
        (["--vary", "lr=0.1,0.2", "--halving", "2"], "give --validation N, such as 10000"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_anything_is_trained(experiment, tmp_path, options, sentence):
    done = experiment(*options)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert sentence in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("executor", ["threads", "dask:", "mpi:4", "processes:2"])
def test_an_executor_that_is_none_is_told(experiment, executor):
    done = experiment("--executor", executor)
    assert done.returncode == 2
    assert f"expects processes, dask, dask:ADDRESS or mpi, got '{executor}'" in done.stderr


def test_two_experiments_do_not_work_in_one_folder(experiment, tmp_path):
    (tmp_path / "runs").mkdir()
    with hold(tmp_path / "runs" / LOCK):
        done = experiment("--vary", "lr=0.1,0.2")
    assert (done.returncode, done.stderr) == (
        1, "experiment.py: another experiment is at work in runs; wait for its end, or name another folder\n"
    )  # fmt: skip
