"""scripts/scale.py and scripts/scale_model.py: what is measured is whole, and a machine that is known is recognized."""

import json
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from extras import need
from small_job import SCRIPTS, environment

SMALL = "--batch-sizes", "3,20", "--hidden", "8", "--lengths", "2,1000", "--rounds", "2", "--block", "3"
JSON = "--json", "scale.json"
PARTS = "gather", "compute", "wait", "Allreduce", "optimizer"


@pytest.fixture
def run(tmp_path):
    def run(*command):
        surroundings = environment(tmp_path)
        pipes = {"text": True, "capture_output": True, "timeout": 120}
        done = subprocess.run(command, cwd=tmp_path, env=surroundings, check=False, **pipes)
        return done.returncode, done.stdout, done.stderr

    return run


def figures_in(folder):
    return json.loads((folder / "scale.json").read_text(encoding="utf-8"))


def test_one_rank_is_measured_without_mpi_and_is_too_few_for_a_model(run, tmp_path):
    code, out, err = run(sys.executable, SCRIPTS / "scale.py", *SMALL, *JSON)
    assert (code, err) == (0, "")
    assert "ranks share" not in out.splitlines()[0]
    for row, batch_size in zip(figures_in(tmp_path)["steps"], (3, 20), strict=True):
        assert (row["batch_size"], row["hidden"], row["ranks"], row["Allreduce"]) == (batch_size, 8, 1, 0)
        assert 0 < row["step"] <= row["median"]
        assert sum(row[part] for part in PARTS) == pytest.approx(row["step"])
    code, out, err = run(sys.executable, SCRIPTS / "scale_model.py", "scale.json")
    assert (code, out) == (1, "")
    assert err == "scale_model.py: scale.json tells nothing of two ranks with a core each; measure them first\n"


def test_the_ranks_of_mpiexec_take_turns(run, tmp_path):
    need("mpi4py", extra="mpi")
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = shutil.which("mpiexec", path=places), "-n", "3", sys.executable, "-m", "mpi4py", SCRIPTS / "scale.py"
    code, out, err = run(*command, "--distributed", "mpi", *SMALL, *JSON)
    assert (code, err) == (0, "")
    measured = figures_in(tmp_path)
    assert [(row["batch_size"], row["ranks"]) for row in measured["steps"]] == [*product((3, 20), (1, 2, 3))]
    assert [(row["numbers"], row["ranks"]) for row in measured["messages"]] == [*product((2, 1000), (2, 3))]
    assert ("which 3 ranks share" in out.splitlines()[0]) == (measured["cores"] < 3)
    assert all((row["Allreduce"] > 0) == (row["ranks"] > 1) for row in measured["steps"])


def step_of(batch, hidden, ranks):
    """Seconds of a machine that is known."""
    n = batch / ranks
    parts = {
        "gather": 1e-5 + 1e-8 * batch + 2e-7 * n,
        "compute": (1.25 if ranks > 1 else 1) * (1e-4 + 1e-6 * n + 3e-7 * hidden + 2e-11 * 3196 * n * hidden),
        "wait": 0,
        "Allreduce": 5e-6 + 1e-9 * 4 * (795 * hidden + 12) if ranks > 1 else 0,
        "optimizer": 1e-5 + 4e-7 * hidden,
    }
    return parts | {"step": sum(parts.values())}


@pytest.fixture
def known(tmp_path):
    grid = product((50, 1000), (25, 100, 800, 3200), (1, 2))
    steps = [
        {"batch_size": batch, "hidden": hidden, "ranks": ranks, **step_of(batch, hidden, ranks)}
        for hidden, batch, ranks in grid
    ]
    sums = [{"numbers": n, "ranks": 2, "seconds": 5e-6 + 1e-9 * 4 * n} for n in (2, 1000, 100_000)]
    content = json.dumps({"cores": 2, "steps": steps, "messages": sums})
    (tmp_path / "known.json").write_text(content, encoding="utf-8")


def test_the_constants_of_a_machine_that_is_known_are_found(run, known):
    code, out, err = run(sys.executable, SCRIPTS / "scale_model.py", "known.json", "--ranks", "2")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines() if " ± " in line]
    assert {(part, term): float(value) for part, term, value, *_ in lines} == {
        ("gather", "fixed"): 1e-5, ("gather", "draw"): 1e-8, ("gather", "copy"): 2e-7,
        ("compute", "fixed"): 1e-4, ("compute", "image"): 1e-6, ("compute", "unit"): 3e-7,
        ("compute", "operation"): 2e-11, ("compute", "crowd"): 1.25,
        ("Allreduce", "stage"): 5e-6, ("Allreduce", "byte"): 1e-9,
        ("optimizer", "fixed"): 1e-5, ("optimizer", "unit"): 4e-7,
    }  # fmt: skip
    assert out.count("predicted / measured 1.00, eight of ten from 1.00 to 1.00") == 2


def test_more_ranks_are_predicted_by_the_formula(run, known):
    network = "--latency", "1e-4", "--bandwidth", "1e8"
    code, out, err = run(sys.executable, SCRIPTS / "scale_model.py", "known.json", "--ranks", "2,16", *network)
    assert (code, err) == (0, "")
    width, pays_from, *cells = out.splitlines()[-2].split()
    assert (width, len(cells)) == ("50", 4)

    def seconds(batch, ranks):
        parts = step_of(batch, 50, ranks)
        return parts["gather"] + parts["compute"] + parts["optimizer"] + allreduce * (ranks > 1)

    allreduce = 1e-4 * 4 + 2 * 15 / 16 * 4 * (795 * 50 + 12) / 1e8  # 2 ** 4 ranks
    assert cells == [f"{seconds(batch, 1) / seconds(batch, 16):.2f}" for batch in (25, 100, 800, 3200)]
    batch = int(pays_from)
    assert seconds(batch, 16) < seconds(batch, 1)
    assert seconds(batch - 1, 16) >= seconds(batch - 1, 1)
