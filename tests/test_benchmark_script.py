"""scripts/benchmark.py: what it prints; the figures themselves are nobody's test."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "scripts" / "benchmark.py"


@pytest.mark.parametrize("model", ["two-layer", "simple-convnet"])
def test_every_contender_gets_a_row_with_its_ratio(model):
    options = ["--model", model, "--rounds", "2", "--block", "2", "--hidden", "16", "--batch-size", "10"]
    done = subprocess.run([sys.executable, BENCHMARK, *options], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line[:22].strip(): line[22:].split() for line in done.stdout.splitlines()}
    assert rows["dlscratch"][-1] == "1.000"
    assert 0 < float(rows["bare matrix products"][0]) < float(rows["dlscratch"][0])
    assert "PyTorch eager" in rows or "PyTorch is not installed and left out" in done.stdout
    assert f"{model}, 16 hidden, batch 10, 1 thread(s)" in done.stdout
