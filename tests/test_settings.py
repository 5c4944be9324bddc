"""Settings: one list for options and config.json, read with suspicion, and changed only where that is harmless."""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from dlscratch import build, layers, schedules
from dlscratch.folder import config_of
from dlscratch.optim import OPTIMIZERS
from dlscratch.settings import (
    ACTIVATIONS,
    MAY_CHANGE,
    NETS,
    SCHEDULES,
    Settings,
    add_options,
    given,
    layer_sizes,
    option_of,
    parse_setting,
)

NAMES = [each.name for each in fields(Settings)]
ANOTHER = {
    "dataset": "strokes", "data_dir": "elsewhere", "examples": 70, "validation": 30, "model": "my_net.py:make_net",
    "hidden": "20x10", "activation": "swish.py:Swish", "init": "xavier", "batch_norm": True, "dropout": 0.25,
    "sparse": True, "label_smoothing": 0.1, "steps": 77, "epochs": 3, "batch_size": 7, "lr": 0.3, "optimizer": "Adam",
    "schedule": "cosine", "warm_up": 3, "clip": 2.0, "weight_decay": 1e-4, "sampler": "shuffle", "seed": 5,
    "threads": 2, "checkpoint_every": 11,
}  # fmt: skip

EACH = pytest.mark.parametrize("name", NAMES)


def parse(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return given(parser.parse_args(words))


def test_the_table_of_these_tests_knows_every_setting():
    assert set(ANOTHER) == set(NAMES)


# Options


def test_what_is_not_said_on_the_command_line_is_not_given():
    assert parse() == {}


@EACH
def test_every_setting_is_an_option_that_gives_what_config_json_gives(name):
    assert parse(option_of(name), str(ANOTHER[name])) == {name: ANOTHER[name]}
    assert getattr(Settings.from_config({name: ANOTHER[name]}), name) == ANOTHER[name]


@EACH
def test_every_option_is_explained_with_its_default(name):
    parser = argparse.ArgumentParser(formatter_class=lambda prog: argparse.HelpFormatter(prog, width=1000))
    add_options(parser)
    line = re.search(rf"^ *{option_of(name)} [A-Z]+ +(.+)", parser.format_help(), re.MULTILINE)[1]
    default = getattr(Settings(), name)
    told = "no" if default is False else f"{default:g}" if isinstance(default, float) else default
    assert default is None or f"({told})" in line


def test_every_optimizer_can_be_set():
    for kind in OPTIMIZERS:
        assert parse_setting("optimizer", kind.__name__.lower()) == kind.__name__


def test_every_net_schedule_and_activation_that_can_be_set_is_there():
    assert set(NETS) == set(build.NETS)
    assert set(SCHEDULES) == set(schedules.SCHEDULES)
    for name in ACTIVATIONS:
        assert isinstance(getattr(layers, parse_setting("activation", name.upper()))(), layers.Layer)


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("No", False), ("true", True), ("False", False)])
def test_yes_and_no_by_hand(text, value):
    assert parse_setting("batch_norm", text) is value


@pytest.mark.parametrize("text", ["Two-Layer", "net.py:make", "/a b/数字.py:f_1", "C:\\nets\\a.py:f"])
def test_a_net_is_one_of_the_named_ones_or_a_function_in_a_file(text):
    assert parse_setting("model", text) == (text if ":" in text else text.lower())


@pytest.mark.parametrize("text", ["three-layer", "net.py", "net.py:", "net.py:a.b", "net:make", ":make", "net.txt:f"])
def test_other_nets_are_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"residual-mlp, or FILE.py:FUNCTION, got {text!r}")):
        parse_setting("model", text)


def test_steps_and_epochs_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        parse("--steps", "5", "--epochs", "5")
    assert "argument --epochs: not allowed with argument --steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--steps", "0", "expects a whole number from 1 up, got '0'"),
        ("--batch-size", "-5", "expects a whole number from 1 up, got '-5'"),
        ("--hidden", "1.5", "expects hidden units such as 50, or 100x100 for two hidden layers, got '1.5'"),
        ("--activation", "GLU", "expects one of ReLU, Sigmoid, Tanh, LeakyReLU, ELU, GELU, SiLU, Softplus, Identity, "
                                "FILE.py:CLASS, got 'GLU'"),
        ("--batch-norm", "maybe", "expects one of yes, no, got 'maybe'"),
        ("--dropout", "1", "expects a number from 0 up and below 1, got '1'"),
        ("--label-smoothing", "-0.1", "expects a number from 0 up and below 1, got '-0.1'"),
        ("--schedule", "sine", "expects one of constant, step, linear, cosine, one-cycle, got 'sine'"),
        ("--warm-up", "1.5", "expects a whole number from 0 up, got '1.5'"),
        ("--clip", "-1", "expects a number from 0 up, got '-1'"),
        ("--lr", "nan", "expects a number above 0, got 'nan'"),
        ("--weight-decay", "-1", "expects a number from 0 up, got '-1'"),
        ("--optimizer", "tiger", "expects one of SGD, Momentum, Nesterov"),
        ("--sampler", "all", "expects one of choice, shuffle, got 'all'"),
        ("--init", "big", "expects he, xavier or a standard deviation such as 0.01, got 'big'"),
        ("--threads", "0", "expects a whole number from 1 up, got '0'"),
        ("--seed", "-1", "expects a whole number from 0 up, got '-1'"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_a_usage_error(option, value, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(option, value)
    assert stopped.value.code == 2
    assert f"argument {option}: {sentence}" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "sizes"), [("50", (50,)), ("100x20", (100, 20)), ("3x3x3", (3, 3, 3))])
def test_layer_sizes_by_hand(text, sizes):
    assert layer_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "x", "50x", "x50", "0", "-5", "1.5", "50 x 20", "1e3", "50X20", "²"])
def test_other_layer_sizes_are_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"such as 50, or 100x100 for two hidden layers, got {text!r}")):
        layer_sizes(text)


# config.json


@pytest.mark.parametrize("settings", [Settings(), Settings(**ANOTHER)])
def test_settings_come_back_from_json(settings):
    assert Settings.from_config(json.loads(json.dumps(settings.as_config()))) == settings


def test_a_config_from_before_some_settings_were_there_has_their_defaults():
    early = {"hidden": 50, "lr": 0.1, "batch_size": 20}
    assert Settings.from_config(early) == Settings(hidden="50", lr=0.1, batch_size=20)
    assert Settings.from_config(early).model == "multi-layer"  # as all nets were
    assert Settings.from_config(early).sparse is False  # so that such a run can be gone on with


@EACH
@pytest.mark.parametrize("value", [True, [], [1], {}, {"a": 1}, "", "nonsense", -1, 0.5, 1e400, float("nan")])
def test_values_of_the_wrong_kind_are_refused_with_the_name_of_the_setting(name, value):
    free = {"dataset", "data_dir"}  # any text, and so any value, names a folder
    fits = {name: [0.5] for name in ("lr", "weight_decay", "init", "dropout", "label_smoothing", "clip")}
    fits |= {name: [True] for name in ("batch_norm", "sparse")}
    if name in free or value in fits.get(name, []):
        return
    with pytest.raises(ValueError, match=f"^the setting {name} expects "):
        Settings.from_config({name: value})


def test_an_unknown_setting_is_named_and_the_known_ones_are_listed():
    with pytest.raises(ValueError, match=r"there is no setting 'learning_rate'; the settings are dataset, data_dir, "):
        Settings.from_config({"learning_rate": 0.1})


def test_whatever_is_wrong_in_a_file_is_told_with_its_name(tmp_path):
    path = tmp_path / "config.json"
    for content, fault in (('{"lr": -1}', "the setting lr"), ("{", "is damaged"), ('{"x": 1}', "there is no setting")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=fault) as caught:
            Settings.read(path)
        assert str(caught.value).count(str(path)) == 1
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Settings.read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is no run; expected the folder of a run"):
        config_of(tmp_path / "..")


# Changes


def test_changes_go_over_what_was_there():
    assert Settings(lr=0.1, seed=3).changed({"seed": 4, "steps": 9}) == Settings(lr=0.1, seed=4, steps=9)


def test_a_number_of_epochs_replaces_the_steps_that_were_there():
    assert Settings(steps=9).changed({"epochs": 2}) == Settings(epochs=2)


@EACH
def test_resuming_refuses_every_change_that_would_make_another_run(name):
    begun = Settings(dataset="mnist", steps=100, lr=0.1, hidden="50", activation="ReLU")
    changed = {name: ANOTHER[name]}
    if name in MAY_CHANGE:
        assert getattr(begun.resumed(changed), name) == ANOTHER[name]
        return
    with pytest.raises(ValueError, match=rf"^{option_of(name)} {ANOTHER[name]} would make it another run") as caught:
        begun.resumed(changed)
    assert f"begun with {getattr(begun, name)}" in str(caught.value)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_is_laid_out_for_its_steps(schedule):
    begun = Settings(steps=100, schedule=schedule, lr=0.1)
    assert begun.resumed({"steps": 100, "checkpoint_every": 5}).steps == 100
    if schedule == "constant":
        assert begun.resumed({"steps": 200}).steps == 200
    else:
        with pytest.raises(ValueError, match=f"{schedule} was laid out for 100 steps, so this run cannot go on to 200"):
            begun.resumed({"steps": 200})


def test_resuming_takes_what_was_said_before():
    begun = Settings(**{**ANOTHER, "epochs": None})
    assert begun.resumed(begun.as_config()) == begun
    assert begun.resumed({}) == begun


def test_what_may_change_are_settings():
    assert set(MAY_CHANGE) <= set(NAMES)
    assert replace(Settings(), **{name: ANOTHER[name] for name in MAY_CHANGE})


def test_settings_need_no_numpy():
    script = "import sys, dlscratch.settings; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


def test_what_a_net_or_an_optimizer_chose_is_left_open_for_another_one():
    run = Settings(model="multi-layer", hidden="50", dropout=0.0, optimizer="SGD", lr=0.1, seed=3)
    other = run.repeated({"model": "deep-convnet"})
    assert (other.hidden, other.dropout, other.lr, other.seed) == (None, None, 0.1, 3)
    other = run.repeated({"optimizer": "Adam"})
    assert (other.hidden, other.lr) == ("50", None)
    assert run.repeated({"optimizer": "Adam", "lr": 0.01, "hidden": "20"}).lr == 0.01
    assert run.repeated({"model": "multi-layer", "optimizer": "SGD"}) == run


def test_copies_of_the_users_files_are_named_where_there_are_any(tmp_path):
    (tmp_path / "my_net.py").touch()
    settings = Settings(model="far/my_net.py:make_net", activation="swish.py:Swish")
    assert settings.copies_in(tmp_path) == {"model": f"{tmp_path / 'my_net.py'}:make_net"}
    assert Settings().copies_in(tmp_path) == {}
