"""Where a result comes from: the versions, the BLAS library and the commit that made it."""

import functools
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch import __version__

ROOT = Path(__file__).parents[1]


def provenance() -> dict[str, Any]:
    """Facts for run.json. `commit` is None outside a clone of the project, and ends in -dirty in a changed one."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "versions": {"dlscratch": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "machine": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
    }


@functools.cache  # of a process that trains a thousand runs, the code is that of its beginning
def _commit() -> str | None:
    if not (ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
