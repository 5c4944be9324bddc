"""Runs to compare, written down without training: what a short training would leave, with a loss of one's choice."""

import json

CONFIG = {
    "dataset": "mnist",
    "data_dir": None,
    "examples": None,
    "validation": 0,
    "model": "multi-layer",
    "hidden": "50",
    "activation": "ReLU",
    "init": "he",
    "batch_norm": False,
    "dropout": 0.0,
    "sparse": False,
    "label_smoothing": 0.0,
    "steps": 40,
    "epochs": None,
    "batch_size": 100,
    "optimizer": "SGD",
    "lr": 0.1,
    "schedule": "constant",
    "warm_up": 0,
    "clip": 0.0,
    "weight_decay": 0.0,
    "sampler": "choice",
    "seed": 0,
    "threads": 1,
    "checkpoint_every": None,
}
EPOCH = 10  # steps


def write_run(folder, losses=None, *, status="finished", sha256="0" * 64, code=(), **settings):
    """A run that had these losses, one a step, and was evaluated with them before training and after each epoch.

    code: the names of the user's files that it carries, and their checksums.
    """
    folder.mkdir(parents=True)
    config = CONFIG | settings
    losses = [(1 + 0.01 * config["seed"]) / (1 + step) for step in range(config["steps"])] if losses is None else losses
    held = "val" if config["validation"] else "test"
    steps = ["step,epoch,examples,seconds,loss,lr"]
    epochs = [f"epoch,step,examples,seconds,train_loss,train_acc,{held}_loss,{held}_acc"]
    for step, loss in enumerate(losses):
        if step % EPOCH == 0:
            accuracy = 1 - min(loss, 1) / 2
            epochs.append(f"{step / EPOCH},{step},{step * 100},{step / 100},{loss},{accuracy},{loss},{accuracy - 0.01}")
        steps.append(f"{step + 1},{(step + 1) / EPOCH},{(step + 1) * 100},{(step + 1) / 100},{loss},{config['lr']}")
    facts = {"status": status, "data": {"name": config["dataset"], "sha256": sha256, "train": 60000, "test": 10000}}
    facts["code"] = dict(code)
    for name, text in (("steps.csv", "\n".join(steps) + "\n"), ("epochs.csv", "\n".join(epochs) + "\n")):
        (folder / name).write_text(text, encoding="utf-8")
    for name, content in (("run.json", facts), ("config.json", config)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_groups(folder):
    """Two groups of three runs each."""
    for lr in (0.1, 0.5):
        for seed in range(3):
            write_run(folder / f"{lr}-{seed}", lr=lr, seed=seed)
    return folder


def write_arms(folder, count):
    """As many groups of one run, with learning rates of 1, 2, ...: each is better than the one before."""
    for i in range(count):
        write_run(folder / f"{i:04}", [1 - 0.5 * i / count], steps=1, lr=1.0 + i)
    return folder
