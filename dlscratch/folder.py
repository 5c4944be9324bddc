"""The folder of a run: what its files are called, and how those that hold names and values are read and written.

Neither NumPy nor anything else that takes its time is imported here: a command reads settings before it loads the rest.
"""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from dataset.files import replacing

CONFIG, FACTS, CHECKPOINT, MODEL, LOCK = "config.json", "run.json", "checkpoint.npz", "model.npz", ".lock"
STOP = "stop"  # in a folder of runs: a file that stops all that train there
CODE = "code"  # the folder with the user's own files that the net was made of


def config_of(path: str | PathLike[str]) -> Path:
    """The config.json in the folder of a run; ValueError if the folder is none."""
    folder = Path(path).expanduser()
    if not (folder / CONFIG).is_file():
        what = "is no run" if folder.is_dir() else "is no folder"
        raise ValueError(f"{folder} {what}; expected the folder of a run, which holds a {CONFIG}")
    return folder / CONFIG


def read_json(path: Path) -> dict[str, Any]:
    """The names and values in a file; ValueError if it is damaged, OSError if it cannot be read."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: expected names and values in braces, got a {type(content).__name__}")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write names and values, whole or not at all; OSError where the disk refuses."""
    with replacing(path) as file:
        file.write((json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
