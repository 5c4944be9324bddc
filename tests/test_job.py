"""A job that is stopped and restored equals one that was left alone; and what it learns from, records and refuses."""

import json
import re
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interruptions import without_seconds
from small_job import write_digits
from user_nets import write_net

from dataset import DataError
from dataset.idx import read_idx, write_idx
from dlscratch.checkpoint import Checkpoint
from dlscratch.data import load_data
from dlscratch.job import Job
from dlscratch.models import MultiLayerNet
from dlscratch.network import Network
from dlscratch.optim import OPTIMIZERS, Adam
from dlscratch.runs import Run
from dlscratch.saved_net import load_net
from dlscratch.settings import Settings
from dlscratch.training import Diverged

pytestmark = pytest.mark.usefixtures("no_waiting")

# 8 steps an epoch, its last batch smaller when shuffled; the indices of 16 random batches are drawn at once
STEPS, EXAMPLES, BATCH = 27, 50, 7
STOPS = (0, 1, 8, 13, 16, 27)  # the very first, within, ends of an epoch, of a round, and of the run
SAMPLERS = "choice", "shuffle"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"), train=EXAMPLES, test=20)


@pytest.fixture(scope="module")
def settings(digits):
    return Settings(dataset=str(digits), hidden="6x5", steps=STEPS, batch_size=BATCH, checkpoint_every=5)


@pytest.fixture(scope="module")
def data(settings):
    return load_data(settings)


def stop_at_once():
    raise KeyboardInterrupt


def record(folder, settings, data, stop=None, *, politely=False, then=stop_at_once, code=Path("none")):
    """Begin a run or go on with it, and stop after that step: at once, as if killed, or with a checkpoint."""
    run = Run.open(folder) if folder.exists() else None
    folder.mkdir(exist_ok=True)
    job, interrupts = Job(settings, data, settings.copies_in(code)), []
    with suppress(KeyboardInterrupt), job.recorder(folder, run) as recorder:
        for _ in job.record(recorder, interrupts):
            step = job.step
            if step == stop and not politely:
                then()
            if politely and step == stop - 1:
                interrupts.append(step)
    return folder


def assert_equal_runs(one, other):
    for table in ("steps.csv", "epochs.csv"):
        assert without_seconds(one / table) == without_seconds(other / table), table
        assert np.all(np.diff(getattr(Run.open(one), table[:-4])["seconds"]) >= 0)
    assert (one / "model.npz").read_bytes() == (other / "model.npz").read_bytes()
    states = [Checkpoint.load(folder / "checkpoint.npz") for folder in (one, other)]
    assert states[0].arrays.keys() == states[1].arrays.keys()
    assert all(np.array_equal(array, states[1].arrays[name]) for name, array in states[0].arrays.items())
    assert [state.facts["batches"] for state in states[1:]] == [states[0].facts["batches"]]
    assert [Run.open(folder).status for folder in (one, other)] == ["finished"] * 2


# Stopped and restored


@pytest.mark.parametrize(
    ("optimizer", "sampler", "stops"),
    [("Adam", sampler, STOPS) for sampler in SAMPLERS]  # which remembers most
    + [(kind.__name__, sampler, (8, 13)) for kind in OPTIMIZERS if kind is not Adam for sampler in SAMPLERS],
)
def test_stopped_at_any_step_and_restored_equals_left_alone(optimizer, sampler, stops, settings, data, tmp_path):
    settings = replace(settings, sampler=sampler, optimizer=optimizer, weight_decay=1e-3)
    alone = record(tmp_path / "alone", settings, data)
    for stop in stops:
        stopped = record(tmp_path / f"{stop}", settings, data, stop, politely=stop in (1, 16))
        if (stopped / "steps.csv").exists():
            with (stopped / "steps.csv").open("ab") as file:
                file.write(b"29,3.6,0.")  # a row that was being written
        assert_equal_runs(record(stopped, settings, data), alone)


def test_a_run_that_is_stopped_again_and_again_equals_one_left_alone(settings, data, tmp_path):
    settings = replace(settings, sampler="shuffle", optimizer="Adam")
    alone = record(tmp_path / "alone", settings, data)
    for stop in range(1, STEPS, 3):
        record(tmp_path / "often", settings, data, stop, politely=True)
    assert_equal_runs(record(tmp_path / "often", settings, data), alone)
    assert len(Run.open(tmp_path / "often").facts["resumed"]) == 9


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("first", [1, 8, 13, 16])
def test_a_run_that_is_extended_equals_the_longer_one(sampler, first, settings, data, tmp_path):
    settings = replace(settings, sampler=sampler, optimizer="Adam")
    longer = record(tmp_path / "longer", settings, data)
    short = record(tmp_path / "short", replace(settings, steps=first), data)
    assert Run.open(short).epochs["step"].tolist() == [step for step in (0, 8, 16) if step < first] + [first]
    assert_equal_runs(record(short, settings, data), longer)


def test_what_may_change_on_resuming_changes_no_number(settings, data, tmp_path):
    alone = record(tmp_path / "alone", settings, data)
    stopped = record(tmp_path / "stopped", settings, data, 13)
    changes = {"epochs": 27, "checkpoint_every": 1, "data_dir": str(tmp_path)}
    assert_equal_runs(record(stopped, replace(settings.resumed(changes), steps=STEPS, epochs=None), data), alone)
    assert Run.open(stopped).config["checkpoint_every"] == 1


def test_a_request_to_stop_lets_the_step_be_finished_and_saved(settings, data, tmp_path):
    stopped = record(tmp_path / "run", settings, data, 3, politely=True)
    assert Run.open(stopped).status == "interrupted"
    assert Run.open(stopped).steps["step"].tolist() == [1, 2, 3]
    assert Checkpoint.load(stopped / "checkpoint.npz").facts["step"] == 3


@pytest.mark.parametrize("killed_in", ["dlscratch.network.Network.save", "dlscratch.recorder.Recorder.checkpoint"])
def test_killed_between_the_last_checkpoint_and_the_net_equals_left_alone(
    killed_in, settings, data, tmp_path, monkeypatch
):
    settings = replace(settings, checkpoint_every=None)
    alone = record(tmp_path / "alone", settings, data)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        record(tmp_path / "run", settings, data, STEPS - 1, then=lambda: patch.setattr(killed_in, full))
    assert_equal_runs(record(tmp_path / "run", settings, data), alone)


def full(*_):
    raise OSError(28, "No space left on device", "a file")


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(settings, data, tmp_path):
    seeds = {"a": 5, "b": 5, "c": 6}
    a, b, c = (record(tmp_path / name, replace(settings, seed=seed), data) for name, seed in seeds.items())
    assert_equal_runs(a, b)
    assert (a / "model.npz").read_bytes() != (c / "model.npz").read_bytes()


def test_a_seed_gives_the_same_net_ten_times_of_ten(settings, data, tmp_path):
    folders = [record(tmp_path / str(i), replace(settings, sampler="shuffle"), data) for i in range(10)]
    assert len({(folder / "model.npz").read_bytes() for folder in folders}) == 1


# Nets of every kind

WITH_ALL = [
    {"model": "two-layer", "hidden": "5"},
    {"model": "multi-layer", "batch_norm": True, "dropout": 0.3, "label_smoothing": 0.1},
    {"model": "simple-convnet", "hidden": "5", "schedule": "cosine", "warm_up": 4},
    {"model": "deep-convnet", "hidden": "5", "batch_norm": True, "schedule": "one-cycle", "optimizer": "Adam"},
    {"model": "residual-mlp", "hidden": "5x5x5", "dropout": 0.3, "schedule": "step", "clip": 0.5},
]


@pytest.mark.parametrize("changes", WITH_ALL, ids=lambda changes: changes["model"])
def test_every_net_is_resumed_to_the_last_bit(changes, tmp_path):
    """With what the layers remember besides parameters: averages of batches, the noise of dropout; and the schedule."""
    digits = write_digits(tmp_path / "digits", train=20, test=6, side=7)
    settings = replace(Settings(dataset=str(digits), steps=9, batch_size=6, sampler="shuffle"), **changes)
    data = load_data(settings)
    alone = record(tmp_path / "alone", settings, data)
    for stop in (3, 5):
        stopped = record(tmp_path / f"{stop}", settings, data, stop, politely=True)
        assert_equal_runs(record(stopped, settings, data), alone)
    saved, job = Checkpoint.load(alone / "checkpoint.npz"), Job(settings, data)
    assert len(saved.facts["noise"]) == (1 if changes.get("dropout") or changes["model"] == "deep-convnet" else 0)
    assert {*job.net.named_buffers} <= {*saved.arrays}
    assert any(name.startswith("running_mean") for name in saved.arrays) == bool(changes.get("batch_norm"))


def test_the_learning_rate_of_each_step_is_that_of_the_schedule(settings, data, tmp_path):
    run = record(
        tmp_path / "run", replace(settings, schedule="linear", warm_up=3, lr=0.2, steps=10), data, 6, politely=True
    )
    lr = Run.open(record(run, replace(settings, schedule="linear", warm_up=3, lr=0.2, steps=10), data)).steps["lr"]
    np.testing.assert_allclose(lr, 0.2 * (1 - np.arange(10) / 10) * np.minimum(1, np.arange(1, 11) / 3))


def test_a_schedule_is_not_stretched(settings, data, tmp_path):
    settings = replace(settings, schedule="cosine")
    run = record(tmp_path / "run", settings, data, 9)
    refused(run, replace(settings, steps=STEPS + 1), data, "was laid out for 27 steps, so this run cannot go on to 28")


@pytest.mark.parametrize("batch", [1, 49])
def test_a_last_batch_that_is_too_small_for_the_net_is_told_before_anything(settings, data, batch):
    settings = replace(settings, batch_norm=True, sampler="shuffle", batch_size=batch)
    with pytest.raises(ValueError, match=r"^layer 2 of 8: BatchNormalization\(6\) takes .* got x of shape \(1, 6\)"):
        Job(settings, data)
    assert Job(replace(settings, batch_size=24), data)


# Nets of the user's

BLOCKS = """\
class Swish(Layer):
    def forward(self, x, out=None):
        return np.divide(x, 1 + np.exp(-x), out=out)

    def backward(self, dy, x, y, out=None):
        p = 1 / (1 + np.exp(-x))
        return np.multiply(dy, p + y * (1 - p), out=out)
"""
NET = """
from blocks import Swish

def make_net(rng, image_shape, classes, hidden=(6,)):
    size = math.prod(image_shape)
    own = np.random.default_rng(5)
    return Sequential(Affine(size, *hidden, rng=rng), BatchNormalization(6), Swish(), Dropout(0.2, rng=rng),
                      Dropout(0.2, rng=own), Affine(6, classes, rng=rng))
"""


@pytest.fixture
def own_net(settings, tmp_path):
    """Settings with a net of the user's, whose layers draw from streams of its own choice."""
    write_net(tmp_path / "nets" / "blocks.py", BLOCKS)
    path = write_net(tmp_path / "nets" / "my_net.py", NET)
    return replace(settings, model=f"{path}:make_net", hidden=None)


def test_a_run_carries_the_files_of_its_net_and_goes_on_with_them(own_net, data, tmp_path):
    alone = record(tmp_path / "alone", own_net, data)
    stopped = [record(tmp_path / str(stop), own_net, data, stop, politely=stop == 13) for stop in (13, 16)]
    kept = {path.name: path.read_bytes() for path in (alone / "code").iterdir()}
    assert kept == {path.name: path.read_bytes() for path in (tmp_path / "nets").glob("*.py")}
    for change in (
        lambda: write_net(tmp_path / "nets" / "my_net.py", "oops"),
        lambda: shutil.rmtree(tmp_path / "nets"),
    ):
        change()
        run = stopped.pop()
        assert_equal_runs(record(run, own_net, data, code=run / "code"), alone)
        assert load_net(Run.open(run)).predict(data.test[0]).shape == (20, 3)
    assert Run.open(alone).facts["code"].keys() == {"my_net.py", "blocks.py"}
    assert Run.open(alone).config["hidden"] == "6"


@pytest.mark.parametrize("name", ["my_net.py", "blocks.py"])
def test_code_that_has_changed_since_a_run_began_is_noticed(own_net, data, tmp_path, name):
    run = record(tmp_path / "run", own_net, data, 9)
    with (tmp_path / "nets" / name).open("a", encoding="utf-8") as file:
        file.write("# another\n")
    refused(run, own_net, data, f"run was begun with another {name}: bring back what it was")
    shutil.copyfile(tmp_path / "nets" / name, run / "code" / name)
    with pytest.raises(ValueError, match=f"run was begun with another {name}"):
        load_net(Run.open(run))


def test_a_stream_that_a_checkpoint_cannot_hold_is_refused(own_net, data, tmp_path):
    net = NET.replace("np.random.default_rng(5)", "np.random.Generator(np.random.MT19937(5))")
    write_net(tmp_path / "nets" / "my_net.py", net)
    with pytest.raises(ValueError, match=r"a checkpoint holds no MT19937; let layers draw from np\.random"):
        Job(own_net, data)


def test_a_run_whose_code_is_gone_says_so(own_net, data, tmp_path):
    run = record(tmp_path / "run", own_net, data, 9)
    shutil.rmtree(run / "code")
    assert load_net(Run.open(run))  # the file itself is still what it was
    shutil.rmtree(tmp_path / "nets")
    with pytest.raises(FileNotFoundError, match=r"^there is no file .*my_net\.py$"):
        load_net(Run.open(run))


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (BLOCKS.replace("dy, p +", "dyy, p +"), "blocks.py, line 13: NameError: name 'dyy' is not defined"),
        (BLOCKS.replace("1 + np.exp(-x)", "np.ones(3)"), "blocks.py, line 9: layer 3 of 7, Swish(), cannot take"),
        (BLOCKS.replace(", out=None", "", 1),
         "layer 3 of 7, Swish(), cannot take (2, 6): Swish.forward() got an unexpected keyword argument 'out'"),
        (BLOCKS.partition("    def backward")[0],
         "AttributeError: layer 3 of 7, Swish(): 'Swish' object has no attribute 'backward'"),
        (BLOCKS.replace("return np.multiply", "np.multiply"), "Swish().backward expects to return gradients of the"),
        (BLOCKS.replace("dy, p +", "dy, np.ones(4) +"),
         "blocks.py, line 13: layer 3 of 7, Swish(): operands could not be broadcast"),
    ],
)  # fmt: skip
def test_a_layer_that_fails_is_told_before_anything(own_net, data, tmp_path, blocks, sentence):
    write_net(tmp_path / "nets" / "blocks.py", blocks)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Job(own_net, data)


def test_a_layer_that_fails_in_training_is_told_with_its_line_and_leaves_a_run(own_net, data, tmp_path):
    blocks = BLOCKS.replace("    def backward", "    calls = 0\n\n    def backward").replace(
        "        p =", "        Swish.calls += 1\n        [][0] if Swish.calls == 14 else 0\n        p ="
    )
    write_net(tmp_path / "nets" / "blocks.py", blocks)
    with pytest.raises(ValueError, match=r"^blocks\.py, line 15: IndexError: list index out of range$"):
        record(tmp_path / "run", own_net, data)
    run = Run.open(tmp_path / "run")
    assert (run.status, len(run.steps["step"])) == ("failed", 12)
    assert run.facts["reason"].startswith("blocks.py, line 15")


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ("Affine(35, 8, rng=rng)", "layer 1 of 2: Affine(35 -> 8) expects x of shape (N, 35), got (2, 36)"),
        ("Affine(36, 8, rng=rng), Affine(9, 3, rng=rng)",
         "layer 2 of 3: Affine(9 -> 3) expects x of shape (N, 9), got (2, 8)"),
        ("Reshape(1, 6, 6), Convolution(1, 2, 3, rng=rng), Affine(16, 3, rng=rng)",
         "layer 3 of 4: Affine(16 -> 3) expects x of shape (N, 16), got (2, 2, 4, 4)"),
        ("Reshape(1, 6, 6), Convolution(3, 2, 3, rng=rng), Flatten(), Affine(32, 3, rng=rng)",
         "layer 2 of 5: Convolution(3 -> 2, 3x3) expects x of shape (N, 3, H, W), H and W at least 3, got (2, 1, 6"),
        ("Reshape(1, 7, 7)", "layer 1 of 3: Reshape(1, 7, 7) expects x with 49 numbers in each row, got (2, 36)"),
        ("Affine(36, 8, rng=rng), BatchNormalization(9)", "layer 2 of 3: BatchNormalization(9) expects x of shape (N"),
        ("Affine(36, 2, rng=rng)", "SoftmaxWithLoss(), cannot take (2, 2) and (2,): labels for 2 classes are 0 to 1"),
    ],
)  # fmt: skip
def test_a_shape_that_does_not_fit_names_the_layer(settings, data, tmp_path, layers, sentence):
    code = f"def make(rng): return Sequential({layers}" + (", Affine(49, 3, rng=rng))" if "7, 7" in layers else ")")
    path = write_net(tmp_path / "my_net.py", code)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Job(replace(settings, model=f"{path}:make", hidden=None), data)


# Runs from before some settings were there


def make_early(run):
    """What a run was before there were other nets than one."""
    for name, later in (("config.json", ["model", "batch_norm", "dropout", "schedule", "warm_up", "clip"]),
                        ("run.json", ["code"])):  # fmt: skip
        content = json.loads((run / name).read_bytes())
        content = {key: value for key, value in content.items() if key not in later}
        if name == "run.json":
            content["data"] = {key: content["data"][key] for key in ("name", "sha256", "train", "test")}
        (run / name).write_text(json.dumps(content), encoding="utf-8")
    checkpoint = Checkpoint.load(run / "checkpoint.npz")
    facts = {key: value for key, value in checkpoint.facts.items() if key != "noise"}
    facts["settings"] = json.loads((run / "config.json").read_bytes())
    Checkpoint(checkpoint.arrays, facts).save(run / "checkpoint.npz")
    return run


def test_an_early_run_can_be_repeated_but_neither_resumed_nor_reported(settings, data, tmp_path):
    alone = record(tmp_path / "alone", settings, data)
    early = make_early(record(tmp_path / "early", settings, data, 9))
    repeated = Settings.read(early / "config.json")
    assert_equal_runs(record(tmp_path / "again", repeated, data), alone)
    refused(early, repeated, data, "is of another version: it lacks 'noise'; start anew")
    with pytest.raises(ValueError, match="does not say what images its net reads; train anew"):
        load_net(Run.open(early))


# What cannot be resumed


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder, settings, data, sentence):
    before = contents(folder)
    with pytest.raises(ValueError, match=sentence):
        record(folder, settings, data)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"optimizer": "Adam"}, "--optimizer Adam"), ({"lr": 0.2}, "--lr 0.2"), ({"hidden": "7"}, "--hidden 7"),
        ({"sampler": "shuffle"}, "--sampler shuffle"), ({"seed": 1}, "--seed 1"), ({"threads": 2}, "--threads 2"),
        ({"activation": "Tanh"}, "--activation Tanh"), ({"batch_size": 8}, "--batch-size 8"),
        ({"weight_decay": 0.1}, "--weight-decay 0.1"), ({"init": "0.01"}, "--init 0.01"),
        ({"model": "residual-mlp", "hidden": "6x6"}, "--model residual-mlp"), ({"dropout": 0.1}, "--dropout 0.1"),
        ({"batch_norm": True}, "--batch-norm True"), ({"label_smoothing": 0.1}, "--label-smoothing 0.1"),
        ({"schedule": "cosine"}, "--schedule cosine"), ({"warm_up": 3}, "--warm-up 3"), ({"clip": 1.0}, "--clip 1.0"),
    ],
)  # fmt: skip
def test_settings_that_somebody_has_edited_are_noticed(changes, option, settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 9)
    refused(run, replace(settings, **changes), data, f"^{option} would make it another run")


def test_fewer_steps_than_were_taken_are_refused(settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 9)
    refused(run, replace(settings, steps=5), data, "the run has taken 8 steps already, and cannot go back to 5")


def test_other_data_under_the_same_name_are_noticed(settings, data, tmp_path, digits):
    run = record(tmp_path / "run", settings, data, 9)
    own = shutil.copytree(digits, tmp_path / "own")
    write_idx(own / "train-labels-idx1-ubyte", 2 - read_idx(digits / "train-labels-idx1-ubyte"))
    refused(run, settings, load_data(replace(settings, dataset=str(own))), "run learned from other data")


def test_the_same_data_elsewhere_are_the_same_data(settings, data, tmp_path, digits):
    alone = record(tmp_path / "alone", settings, data)
    run = record(tmp_path / "run", settings, data, 9)
    moved = replace(settings, dataset=str(shutil.copytree(digits, tmp_path / "moved")))
    assert_equal_runs(record(run, moved, load_data(moved)), alone)


def test_a_run_that_does_not_say_what_it_learned_from_is_refused(settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 9)
    for facts in ({}, {"data": 3}, {"data": None}, {"data": []}, {"data": {}}, {"data": {"sha256": 4}}):
        (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
        refused(run, settings, data, "does not say which data it learned from")


def test_whoever_is_refused_does_not_keep_others_out(settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 9)
    with pytest.raises(ValueError, match="--seed 1") as caught:  # which holds on to all that was there
        record(run, replace(settings, seed=1), data)
    record(run, settings, data)
    assert caught


# What is recorded


def test_the_net_is_evaluated_before_the_first_step_at_each_epoch_and_at_the_end(settings, data, tmp_path):
    run = Run.open(record(tmp_path / "run", settings, data))
    assert run.epochs["step"].tolist() == [0, 8, 16, 24, 27]
    np.testing.assert_array_equal(run.epochs["epoch"], [0, 1, 2, 3, 27 / 8])
    net = load_net(run)
    assert net.evaluate(*data.test) == (run.epochs["test_loss"][-1], run.epochs["test_acc"][-1])
    assert (run.facts["test_loss"], run.facts["test_accuracy"]) == net.evaluate(*data.test)


def test_examples_count_the_smaller_batch_at_the_end_of_a_shuffled_epoch(settings, data, tmp_path):
    for sampler, examples in (("shuffle", 3 * EXAMPLES + 3 * BATCH), ("choice", 27 * BATCH)):
        run = Run.open(record(tmp_path / sampler, replace(settings, sampler=sampler), data))
        assert run.steps["examples"][-1] == run.epochs["examples"][-1] == examples


def test_every_setting_is_in_the_config_and_none_that_matters_is_left_open(data, settings, tmp_path):
    run = Run.open(record(tmp_path / "run", Settings(settings.dataset, epochs=2, optimizer="Adam"), data))
    assert run.config == {
        "dataset": settings.dataset, "data_dir": None, "examples": None, "validation": 0, "model": "multi-layer",
        "hidden": "50", "activation": "ReLU", "init": "he", "batch_norm": False, "dropout": 0.0, "sparse": False,
        "label_smoothing": 0.0, "steps": 2, "epochs": None, "batch_size": 100, "optimizer": "Adam", "lr": 0.001,
        "schedule": "constant", "warm_up": 0, "clip": 0.0, "weight_decay": 0.0, "sampler": "choice", "seed": 0,
        "threads": 1, "checkpoint_every": None,
    }  # fmt: skip
    assert Settings.from_config(run.config).as_config() == run.config
    assert Job(Settings.from_config(run.config), data).settings.as_config() == run.config


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": "shuffle", "batch_size": 64, "epochs": 3, "steps": None},
        {"init": "0.01", "weight_decay": 0.001},
        {"init": "xavier", "optimizer": "RMSprop", "lr": 1e-3},
        {"batch_size": 1000},
        {"hidden": "20x10", "activation": "Tanh", "examples": 40},
    ],
    ids=repr,
)
def test_settings_go_together(options, settings, tmp_path):
    settings = replace(settings, **options)
    assert Run.open(record(tmp_path / "run", settings, load_data(settings))).status == "finished"


def test_weight_decay_shrinks_weights_and_leaves_biases_alone(settings, data, tmp_path):
    settings = replace(settings, steps=100, batch_size=50, hidden="50")
    runs = [record(tmp_path / str(decay), replace(settings, weight_decay=decay), data) for decay in (0.0, 0.5)]
    plain, decayed = (load_net(Run.open(run)).named_params for run in runs)
    assert np.linalg.norm(decayed["W1"]) < 0.1 * np.linalg.norm(plain["W1"])
    assert np.linalg.norm(decayed["b2"]) > 0.1 * np.linalg.norm(plain["b2"])


def test_what_is_held_back_is_watched_at_each_epoch_and_not_learned_from(settings, tmp_path, digits):
    own = shutil.copytree(digits, tmp_path / "own")
    labels = read_idx(own / "train-labels-idx1-ubyte")
    labels[-10:] = 7  # a class that only validation has
    write_idx(own / "train-labels-idx1-ubyte", labels)
    settings = replace(settings, dataset=str(own), validation=10, hidden="20", steps=300)
    run = Run.open(record(tmp_path / "run", settings, load_data(settings)))
    assert run.epochs["step"][:3].tolist() == [0, 6, 12]
    assert run.epochs["train_acc"][-1] > 0.9
    assert run.epochs["val_acc"][-1] == 0
    assert load_net(run).named_params["b2"].shape == (8,)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_loss_that_is_not_finite_at_the_end_is_a_divergence_too(settings, data, tmp_path):
    with pytest.raises(Diverged, match="after step 1"):
        record(tmp_path / "run", replace(settings, lr=1e300, steps=1), data)
    assert Run.open(tmp_path / "run").status == "diverged"


def test_a_diverged_job_keeps_the_net_of_its_last_checkpoint(settings, data, tmp_path, monkeypatch):
    with pytest.raises(Diverged, match="at step 9"):
        record(
            tmp_path / "run", settings, data, 8, then=lambda: monkeypatch.setattr(Network, "loss", lambda *_: np.nan)
        )
    run = Run.open(tmp_path / "run")
    assert (run.status, len(run.steps["step"])) == ("diverged", 8)
    assert load_net(run).evaluate(*data.test)[0] == run.epochs["test_loss"][-1]
    assert run.epochs["step"][-1] == 8


def test_seconds_count_training_and_neither_evaluation_nor_what_the_reader_does(settings, data, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dlscratch.job.perf_counter", lambda: now[0])
    evaluate = Network.evaluate

    def slowly(*args):
        now[0] += 100
        return evaluate(*args)

    loss = Network.loss

    def at_work(*args):
        now[0] += 1
        return loss(*args)

    monkeypatch.setattr(Network, "evaluate", slowly)
    monkeypatch.setattr(Network, "loss", at_work)
    run = record(tmp_path / "run", settings, data, 13, politely=True)
    now[0] += 1000
    record(run, settings, data)
    assert Run.open(run).steps["seconds"].tolist() == [*range(1, STEPS + 1)]
    assert Run.open(run).epochs["seconds"].tolist() == [0, 8, 16, 24, 27]


def test_the_facts_name_the_data_by_their_checksum(settings, data, tmp_path, digits):
    assert data.facts["data"] == {
        "name": str(digits), "sha256": data.sha256, "train": 50, "test": 20, "image_shape": (1, 6, 6), "classes": 3,
    }  # fmt: skip
    assert (
        Run.open(record(tmp_path / "run", settings, data)).facts["data"] == json.loads(json.dumps(data.facts))["data"]
    )


# Data


def test_examples_are_the_first_images_and_validation_the_last(settings, data):
    (x, _), part = data.train, load_data(replace(settings, examples=10, validation=20))
    np.testing.assert_array_equal(part.train[0], x[:10])
    np.testing.assert_array_equal(part.watched[0], x[30:])
    assert (part.watched_as, len(part.test[0])) == ("val", 20)
    assert part.facts["data"] == {**data.facts["data"], "train": 10, "val": 20}
    assert len(load_data(replace(settings, examples=1000, validation=20)).train[0]) == 30


def test_validation_leaves_something_to_learn_from(settings):
    for count in (50, 51):
        with pytest.raises(
            ValueError, match=f"--validation {count} leaves none of 50 training images; hold back fewer"
        ):
            load_data(replace(settings, validation=count))


def test_the_current_folder_may_be_the_data_set(settings, data, digits, monkeypatch):
    monkeypatch.chdir(digits)
    assert load_data(replace(settings, dataset=".")).sha256 == data.sha256


def test_data_that_were_asked_for_are_not_replaced():
    with pytest.raises(DataError, match="there is no data set 'imagenet'"):
        load_data(Settings(dataset="imagenet"))


# The net of a run


def test_the_net_of_a_run_is_built_from_what_it_left(settings, data, tmp_path):
    for hidden, activation in (("6", "ReLU"), ("6x5", "Tanh"), ("4x5x6", "Sigmoid")):
        changed = replace(settings, hidden=hidden, activation=activation, steps=9)
        job = Job(changed, data)
        (tmp_path / hidden).mkdir()
        with job.recorder(tmp_path / hidden) as recorder:
            list(job.record(recorder))
        net = load_net(Run.open(tmp_path / hidden))
        np.testing.assert_array_equal(net.predict(data.test[0]), job.net.predict(data.test[0]))


def test_a_run_without_a_net_says_so(settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 3)
    (run / "model.npz").unlink()
    with pytest.raises(ValueError, match=r"run holds no model\.npz: resume that run, or train anew"):
        load_net(Run.open(run))


@pytest.mark.parametrize(
    "arrays",
    [{}, {"W1": np.ones(3)}, {"W1": np.ones((3, 4)), "b1": np.ones(5)}, {"W1": np.ones((3, 4)), "W2": np.ones((9, 2))},
     {"W1": np.ones((0, 4)), "b1": np.ones(4)}, {"W1": np.array([["a"]])}, {"W1": np.full((3, 4), np.nan)}],
    ids=repr,
)  # fmt: skip
def test_a_file_that_is_no_net_is_told_in_a_sentence(arrays, settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 3)
    np.savez(run / "model.npz", **arrays)
    with pytest.raises(ValueError, match=r"model\.npz"):
        load_net(Run.open(run))


def test_a_settings_file_with_an_unknown_name_is_told_when_its_net_is_loaded(settings, data, tmp_path):
    run = record(tmp_path / "run", settings, data, 3)
    (run / "config.json").write_text(json.dumps({"hiden": 50}), encoding="utf-8")
    with pytest.raises(ValueError, match="there is no setting 'hiden'"):
        load_net(Run.open(run))


def test_one_hidden_layer_has_the_parameters_of_the_two_layer_net(settings, data):
    net = Job(replace(settings, hidden="6"), data).net
    assert isinstance(net, MultiLayerNet)
    assert {name: value.shape for name, value in net.named_params.items()} == {
        "W1": (36, 6), "b1": (6,), "W2": (6, 3), "b2": (3,),
    }  # fmt: skip
