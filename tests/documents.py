"""What README.md and the guides show, to be run: blocks of Python, and commands in a folder with digits."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from small_job import environment, write_digits

from dataset.strokes import draw_digits

ROOT = Path(__file__).parents[1]


def read(name):
    """The text of a document of this project."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text, language):
    """What stands between ```language and ```."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [content for name, content in found if name == language]


def commands(text):
    """The lines that call our scripts, but for those that want another machine."""
    lines = [line for block in blocks(text, "") for line in block.splitlines()]
    return [line for line in lines if line.startswith("python scripts/") and "HOST" not in line]


def furnish(folder, image):
    """Put into `folder` what the commands read: a small data set, and a drawn digit written by the library `image`."""
    write_digits(folder / "digits", train=60)
    image.fromarray(draw_digits([3], rng=np.random.default_rng(0))[0]).save(folder / "my_digit.png")
    return folder


def run(command, folder):
    """Run a command there. Trainings are cut short, to none at all where no later command needs their run."""
    script, *options = shlex.split(command, comments=True)[1:]
    if script.endswith("train.py") and "--out" not in options and "--resume" not in options:
        options += ["--dataset", "digits", "--validation", "10", "--dry-run"]
    elif script.endswith("train.py") and "--steps" in options:
        options += ["--steps", "50", "--examples", "1000"]
    elif script.endswith("train.py") and "--resume" not in options:
        options += ["--dataset", "digits", "--epochs" if "--epochs" in options else "--steps", "2"]
    if script.endswith("experiment.py"):
        seeds = "2" if "runs/try" in options else "1"  # which compare.py reads
        options += ["--dataset", "digits", "--epochs" if "--epochs" in options else "--steps", "2", "--seeds", seeds]
        options += ["--trials", "9", "--validation", "10"] if "--trials" in options else []
    if script.endswith("report.py"):
        options += ["--text"]  # its pictures are drawn in test_report_script
    surroundings = environment(folder, pictures="compare" in script)
    line = [sys.executable, ROOT / script, *options]
    return subprocess.run(line, cwd=folder, env=surroundings, text=True, capture_output=True, check=False)
