"""Numbers into pictures. The one room that imports matplotlib, which the extra `plot` brings."""

import json
from os import PathLike
from pathlib import Path

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("matplotlib is not installed; python -m pip install 'dlscratch[plot]'") from error

from dlscratch.runs import read_table

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#bbbbbb"  # of Okabe and Ito's colours, told apart by everybody


def save_curves(run: str | PathLike[str], path: str | PathLike[str]) -> None:
    """Draw loss and accuracy of the run in folder `run` over its epochs; the ending of `path` gives the format."""
    steps, epochs = read_table(Path(run, "steps.csv")), read_table(Path(run, "epochs.csv"))
    config = json.loads(Path(run, "config.json").read_text(encoding="utf-8"))
    held = "val" if "val_loss" in epochs else "test"
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    loss.plot(steps["epoch"], steps["loss"], color=GREY, linewidth=0.4, label="each step")
    for axes, quantity in ((loss, "loss"), (accuracy, "acc")):
        axes.plot(epochs["epoch"], epochs[f"train_{quantity}"], color=BLUE, label="training set")
        axes.plot(epochs["epoch"], epochs[f"{held}_{quantity}"], color=ORANGE, linestyle="--", label=f"{held} set")
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee")
    loss.set(ylabel="loss", yscale="log")
    learned = epochs["train_acc"][1:], epochs[f"{held}_acc"][1:]  # what comes before training would flatten the rest
    accuracy.set(ylabel="accuracy", ylim=(min((float(a.min()) for a in learned if a.size), default=0) - 0.01, 1))
    loss.legend(frameon=False)
    figure.suptitle(
        f"{config['dataset']}, {config['hidden']} hidden, {config['optimizer']} lr {config['lr']:g}, "
        f"batch {config['batch_size']}",
        fontsize="medium",
    )
    figure.savefig(path, dpi=150)
