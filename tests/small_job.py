"""A training small enough to be run by the dozen: its digits, and surroundings that do not depend on the machine."""

import os
from pathlib import Path

import numpy as np

from dataset.idx import write_idx

SCRIPTS = Path(__file__).parents[1] / "scripts"


def write_digits(folder, train=250, test=60, side=6):
    """A data set of one's own: three classes of 6x6 images, of which one third is brighter."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        t = rng.integers(0, 3, count)
        x = rng.integers(0, 80, (count, side, side))
        for image, label in zip(x, t, strict=True):
            image[label * 2 : label * 2 + 2] += 120
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", x.astype(np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte", t.astype(np.uint8))
    return folder


def environment(home, *, pictures=False, **changes):
    """Of the caller's settings none; no network; and no matplotlib unless asked for, since drawing takes longest."""
    hidden = home / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "matplotlib.py").write_text("raise ModuleNotFoundError", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DLSCRATCH", "XDG"))}
    without = {} if pictures else {"PYTHONPATH": str(hidden)}
    return kept | {"HOME": str(home), "DLSCRATCH_OFFLINE": "1"} | without | changes
