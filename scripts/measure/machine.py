"""What is measured on: the processor, the libraries, and how busy it is."""

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dlscratch.provenance import provenance

PACKAGES = "torch", "jax", "scikit-learn"


def machine() -> dict[str, Any]:
    """Facts for the JSON; load: processes that are ready to run, on average over 1, 5 and 15 minutes."""
    facts = provenance()
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            facts["versions"][package] = version(package)
    load = [round(each, 2) for each in os.getloadavg()] if hasattr(os, "getloadavg") else None
    return {"processor": processor(), "cores": os.cpu_count(), "load": load, **facts}


def processor() -> str:
    """Its name, as far as the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor()


def sentence(facts: Mapping[str, Any]) -> str:
    """The same for a reader."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['machine']}, load {facts['load']} at the start; "
        f"{versions}; {facts['blas']}; commit {facts['commit']}"
    )
