"""The plan of the house: arrows between modules point one way, and nothing loads what it does not need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each module, and which of our own modules it may import.
ARROWS = {
    "dlscratch": set(),
    "dlscratch.functions": set(),
    "dlscratch.initializers": set(),
    "dlscratch.layers.base": {"dlscratch.functions", "dlscratch.variable"},  # the Variable for its type only
    "dlscratch.layers.affine": {"dlscratch.functions", "dlscratch.initializers", "dlscratch.layers.base"},
    "dlscratch.layers.convolution": {"dlscratch.functions", "dlscratch.initializers", "dlscratch.layers.base"},
    "dlscratch.layers.pooling": {"dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.activations": {"dlscratch", "dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.arithmetic": {"dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.loss": {"dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.shape": {"dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.normalization": {"dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.dropout": {"dlscratch.functions", "dlscratch.layers.base"},
    "dlscratch.layers.sparse_affine": {
        "dlscratch", "dlscratch.functions", "dlscratch.initializers", "dlscratch.layers.affine", "dlscratch.sparse",
    },
    "dlscratch.compiled": set(),
    "dlscratch.sparse": {"dlscratch.compiled", "dlscratch.functions"},
    "dlscratch.variable": {"dlscratch.functions", "dlscratch.layers"},
    "dlscratch.graph": {
        "dlscratch.graph_drawing.dot", "dlscratch.graph_drawing.svg", "dlscratch.layers", "dlscratch.variable",
    },  # it imports the drawing when it is asked for a picture
    "dlscratch.graph_drawing.glance": {"dlscratch.functions"},
    "dlscratch.graph_drawing.sketch": {
        "dlscratch.functions", "dlscratch.graph", "dlscratch.graph_drawing.glance", "dlscratch.layers",
        "dlscratch.variable",
    },
    "dlscratch.graph_drawing.columns": set(),
    "dlscratch.graph_drawing.order": {"dlscratch.graph_drawing.columns"},
    "dlscratch.graph_drawing.layout": {
        "dlscratch.functions", "dlscratch.graph_drawing.columns", "dlscratch.graph_drawing.order",
        "dlscratch.graph_drawing.spacing",
    },
    "dlscratch.graph_drawing.spacing": {"dlscratch.functions"},
    "dlscratch.graph_drawing.fold": {"dlscratch.graph_drawing.layout"},
    "dlscratch.graph_drawing.elements": {"dlscratch.functions", "dlscratch.graph_drawing.glance"},
    "dlscratch.graph_drawing.marks": {
        "dlscratch.functions", "dlscratch.graph_drawing.elements", "dlscratch.graph_drawing.layout",
        "dlscratch.graph_drawing.sketch",
    },
    "dlscratch.graph_drawing.svg": {
        "dlscratch.graph", "dlscratch.graph_drawing.elements", "dlscratch.graph_drawing.fold",
        "dlscratch.graph_drawing.layout", "dlscratch.graph_drawing.marks", "dlscratch.graph_drawing.sketch",
    },
    "dlscratch.graph_drawing.dot": {
        "dlscratch.graph", "dlscratch.graph_drawing.elements", "dlscratch.graph_drawing.sketch",
    },
    "dlscratch.npz": {"dlscratch.functions", "dataset.files"},
    "dlscratch.network": {
        "dlscratch.functions", "dlscratch.graph", "dlscratch.layers", "dlscratch.npz", "dlscratch.variable",
    },
    "dlscratch.models": {"dlscratch.graph", "dlscratch.initializers", "dlscratch.layers", "dlscratch.network"},
    "dlscratch.gradient_check": {"dlscratch.functions", "dlscratch.layers", "dlscratch.network"},
    "dlscratch.contract.fault": set(),
    "dlscratch.contract.sameness": {"dlscratch.functions", "dlscratch.layers"},
    "dlscratch.contract.trial": {
        "dlscratch.contract.fault", "dlscratch.contract.sameness", "dlscratch.functions", "dlscratch.gradient_check",
        "dlscratch.layers",
    },
    "dlscratch.contract.numbers": {
        "dlscratch.contract.fault", "dlscratch.contract.sameness", "dlscratch.contract.trial", "dlscratch.functions",
        "dlscratch.layers",
    },
    "dlscratch.contract.memory": {
        "dlscratch.contract.fault", "dlscratch.contract.sameness", "dlscratch.contract.trial", "dlscratch.functions",
        "dlscratch.layers", "dlscratch.variable",
    },
    "dlscratch.contract.nets": {
        "dlscratch.contract.fault", "dlscratch.contract.sameness", "dlscratch.contract.trial", "dlscratch.functions",
        "dlscratch.graph", "dlscratch.layers", "dlscratch.layers.base", "dlscratch.network",
    },
    "dlscratch.contract.case": {"dlscratch.contract.fault", "dlscratch.contract.trial", "dlscratch.functions"},
    "dlscratch.contract.factors": {"dlscratch.contract.case", "dlscratch.contract.sameness"},
    "dlscratch.contract.places": {
        "dlscratch.contract.case", "dlscratch.contract.fault", "dlscratch.contract.trial", "dlscratch.functions",
        "dlscratch.gradient_check",
    },
    "dlscratch.contract.diagnosis": {
        "dlscratch.contract", "dlscratch.contract.case", "dlscratch.contract.fault", "dlscratch.contract.trial",
        "dlscratch.gradient_check",
    },
    "dlscratch.contract.examination": {
        "dlscratch.contract", "dlscratch.contract.diagnosis", "dlscratch.contract.fault", "dlscratch.contract.trial",
        "dlscratch.gradient_check", "dlscratch.layers",
    },
    "dlscratch.optim": {"dlscratch.functions"},
    "dlscratch.schedules": set(),
    "dlscratch.sampler": {"dlscratch.functions"},
    "dlscratch.training": {"dlscratch.functions"},
    "dlscratch.folder": {"dataset.files"},
    "dlscratch.lock": set(),
    "dlscratch.provenance": {"dlscratch"},
    "dlscratch.checkpoint": {"dlscratch.functions", "dlscratch.npz"},
    "dlscratch.runs": {"dlscratch.folder", "dlscratch.functions", "dlscratch.lock"},
    "dlscratch.recorder": {
        "dataset.files", "dlscratch.checkpoint", "dlscratch.folder", "dlscratch.functions", "dlscratch.lock",
        "dlscratch.runs",
    },
    "dlscratch.user_code": set(),
    "dlscratch.settings": {
        "dlscratch.command", "dlscratch.folder", "dlscratch.initializers", "dlscratch.user_code",
    },
    "dlscratch.build": {
        "dlscratch", "dlscratch.initializers", "dlscratch.layers", "dlscratch.models", "dlscratch.network",
        "dlscratch.settings", "dlscratch.training", "dlscratch.user_code",
    },
    "dlscratch.data": {
        "dataset", "dataset.load", "dlscratch.build", "dlscratch.functions", "dlscratch.runs", "dlscratch.settings",
    },
    "dlscratch.ranks": {"dlscratch.functions"},  # for a type only
    "dlscratch.mpi": {"dlscratch.command", "dlscratch.functions", "dlscratch.ranks"},
    "dlscratch.parallel": {
        "dlscratch.functions", "dlscratch.layers", "dlscratch.layers.base", "dlscratch.network", "dlscratch.ranks",
        "dlscratch.recorder",
    },
    "dlscratch.state": {
        "dlscratch.checkpoint", "dlscratch.network", "dlscratch.optim", "dlscratch.sampler", "dlscratch.settings",
    },
    "dlscratch.saved_net": {
        "dlscratch.build", "dlscratch.folder", "dlscratch.network", "dlscratch.runs", "dlscratch.settings",
        "dlscratch.training", "dlscratch.user_code",
    },
    "dlscratch.job": {
        "dlscratch", "dlscratch.build", "dlscratch.checkpoint", "dlscratch.data", "dlscratch.folder",
        "dlscratch.network", "dlscratch.optim", "dlscratch.parallel", "dlscratch.provenance", "dlscratch.ranks",
        "dlscratch.recorder", "dlscratch.runs", "dlscratch.sampler", "dlscratch.saved_net", "dlscratch.settings",
        "dlscratch.state", "dlscratch.training", "dlscratch.user_code",
    },
    "dlscratch.curves": {"dlscratch.functions"},
    "dlscratch.table": set(),
    "dlscratch.groups": {"dlscratch.functions", "dlscratch.runs", "dlscratch.settings"},
    "dlscratch.scores": {"dlscratch.groups", "dlscratch.runs"},
    "dlscratch.score_table": {"dlscratch.scores", "dlscratch.table"},
    "dlscratch.work": {
        "dlscratch.command", "dlscratch.data", "dlscratch.folder", "dlscratch.job", "dlscratch.lock",
        "dlscratch.recorder", "dlscratch.runs", "dlscratch.settings", "dlscratch.training",
    },  # all but four of them once BLAS threads are set
    "dlscratch.processes": set(),
    "dlscratch.dask_cluster": {"dlscratch.command", "dlscratch.processes", "dlscratch.provenance"},
    "dlscratch.experiment": {
        "dlscratch.dask_cluster", "dlscratch.data", "dlscratch.folder", "dlscratch.job", "dlscratch.mpi",
        "dlscratch.processes", "dlscratch.runs", "dlscratch.saved_net", "dlscratch.settings", "dlscratch.work",
    },
    "dlscratch.arms": {"dlscratch.settings"},
    "dlscratch.search": {
        "dlscratch.arms", "dlscratch.folder", "dlscratch.functions", "dlscratch.groups",
        "dlscratch.job", "dlscratch.runs", "dlscratch.saved_net", "dlscratch.settings",
    },
    "dlscratch.compare": {
        "dlscratch.curves", "dlscratch.functions", "dlscratch.groups", "dlscratch.runs", "dlscratch.score_table",
        "dlscratch.scores", "dlscratch.table",
    },
    "dlscratch.drawing": {
        "dlscratch.compare", "dlscratch.curves", "dlscratch.functions", "dlscratch.runs", "dlscratch.scores",
        "dlscratch.slices",
    },
    "dlscratch.slices": {"dlscratch.compare", "dlscratch.functions", "dlscratch.groups", "dlscratch.scores"},
    "dlscratch.report": {"dlscratch.functions", "dlscratch.network", "dlscratch.runs"},
    "dlscratch.report_text": {"dlscratch.functions", "dlscratch.report", "dlscratch.table"},
    "dlscratch.plot": {
        "dataset.files", "dlscratch.compare", "dlscratch.drawing", "dlscratch.functions", "dlscratch.report",
        "dlscratch.runs", "dlscratch.slices",
    },
    "dlscratch.page": {
        "dataset.files", "dlscratch.compare", "dlscratch.drawing", "dlscratch.functions", "dlscratch.groups",
        "dlscratch.scores", "dlscratch.slices", "dlscratch.table",
    },
    "dlscratch.report_page": {
        "dataset.files", "dlscratch.plot", "dlscratch.report", "dlscratch.report_text", "dlscratch.table",
    },
    "dlscratch.command": {"dataset", "dlscratch.training"},
}  # fmt: skip


def modules(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path) for path in paths]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def ours(names):
    return {name for name in names if name.partition(".")[0] in ("dlscratch", "dataset", "scripts", "tests")}


@pytest.mark.parametrize(("name", "path"), modules("dlscratch"))
def test_arrows_in_dlscratch_point_one_way(name, path):
    allowed = ARROWS[name] if name in ARROWS else {other for other in ARROWS if other.startswith(name + ".")}
    assert ours(imports(path)) <= allowed


@pytest.mark.parametrize(("name", "path"), modules("dataset"))
def test_dataset_works_alone(name, path):
    assert all(other.partition(".")[0] == "dataset" for other in ours(imports(path)))


@pytest.mark.parametrize("package", ["dlscratch", "dataset", "scripts"])
def test_global_random_state_pickle_and_path_hacks_are_nowhere(package):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            assert text not in ("sys.path", "np.random.seed", "np.random.choice", "np.random.randn"), path
        assert not {"pickle", "random", "__future__"} & set(imports(path)), path


def loaded(statement):
    script = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    return set(subprocess.check_output([sys.executable, "-c", script], text=True).split())


def test_importing_the_package_does_no_work():
    assert "numpy" not in loaded("import dlscratch, dataset, dlscratch.command")


def test_the_core_loads_no_library_but_numpy():
    extras = "dlscratch.plot", "dlscratch.page", "dlscratch.report_page", "dlscratch.dask_cluster"
    everything = ", ".join(name for name, _ in modules("dlscratch") if name not in extras)
    assert not {"requests", "tqdm", "matplotlib", "plotly", "PIL", "distributed", "mpi4py"} & loaded(
        f"import {everything}, dataset.load, dataset.strokes"
    )
