"""Which processes there are, as Linux tells it; tests that ask are skipped elsewhere."""

import sys
from pathlib import Path

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def lives(pid):
    """Whether a process is there, and no zombie, which waits for whoever counts the dead."""
    stat = _stat(pid)
    return bool(stat) and stat[0] != "Z"


def workers_of(caller):
    """The processes that an experiment works with."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    children = [pid for pid in pids if (stat := _stat(pid)) and int(stat[1]) == caller]
    return [pid for pid in children if "spawn_main" in _read(pid, "cmdline")]


def _stat(pid):
    """State, parent and more; nothing if the process is gone."""
    return _read(pid, "stat").rpartition(")")[2].split()  # in brackets before it stands the name


def _read(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
