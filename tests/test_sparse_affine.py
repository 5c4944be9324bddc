"""SparseAffine: the numbers of Affine, from bytes, with what is zero left out; and what it needs to be compiled."""

import copy
import json
import stat
import subprocess
import sys
import tempfile
from itertools import islice

import numpy as np
import pytest
from extras import without_compiler
from layer_examples import gradients
from small_job import SCRIPTS, environment
from user_nets import write_net

from dlscratch import sparse
from dlscratch.build import build_net
from dlscratch.compiled import compiled, compiler
from dlscratch.graph import Variable
from dlscratch.layers import Affine, SoftmaxWithLoss, SparseAffine
from dlscratch.models import Sequential, TwoLayerNet
from dlscratch.network import Network
from dlscratch.optim import SGD
from dlscratch.runs import Run
from dlscratch.sampler import random_batches
from dlscratch.saved_net import load_net
from dlscratch.settings import Settings
from dlscratch.training import Streams

pytestmark = without_compiler

NETS = {
    "two-layer": {"hidden": "50"},
    "multi-layer": {"hidden": "20x9", "batch_norm": True},
    "residual-mlp": {"hidden": "12x12x12"},
}


def twins(in_size, out_size, rng):
    """A SparseAffine and an Affine with the same parameters."""
    sparse = SparseAffine(in_size, out_size, rng=rng)
    dense = Affine(in_size, out_size, rng=rng)
    sparse.b[...] = rng.standard_normal(out_size)
    dense.W, dense.b = sparse.W.copy(), sparse.b.copy()
    return sparse, dense


def sparse_bytes(rng, *shape, share=0.2):
    """So many bytes in each place, most of them zero."""
    return (rng.integers(1, 256, shape) * (rng.random(shape) < share)).astype(np.uint8)


def assert_close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max()))


# By hand


def test_sparse_affine_by_hand(rng):
    layer = SparseAffine(4, 2, rng=rng)
    layer.W[...] = [[1, 2], [3, 4], [5, 6], [7, 8]]
    layer.b[...] = [0.5, -1]
    x, dy = np.array([[0, 255, 0, 0], [0, 0, 0, 0], [51, 0, 0, 102]], np.uint8), np.float32([[1, 0], [2, 3], [5, 10]])
    y, (dx,) = gradients(layer, x, dy=dy)
    np.testing.assert_allclose(y, [[3.5, 3], [0.5, -1], [3.5, 2.6]], rtol=1e-6)
    np.testing.assert_allclose(layer.dW, [[1, 2], [1, 0], [0, 0], [2, 4]], rtol=1e-6)
    np.testing.assert_array_equal(layer.db, [8, 13])
    np.testing.assert_array_equal(dx, dy @ layer.W.T)


# For every size: blocks of rows, tiles of columns, and what is left over of both


@pytest.mark.parametrize("rows", [1, 2, 100, 127, 128, 129, 300])
@pytest.mark.parametrize("columns", [1, 7, 8, 50, 64, 65, 130])
def test_it_computes_what_affine_does(rows, columns, rng):
    sparse, dense = twins(36, columns, rng)
    x, dy = sparse_bytes(rng, rows, 36), rng.standard_normal((rows, columns), np.float32)
    results = [gradients(layer, x / np.float32(255) if layer is dense else x, dy=dy) for layer in (sparse, dense)]
    for (y, (dx,)), layer in zip(results, (sparse, dense), strict=True):
        assert y.dtype == dx.dtype == layer.dW.dtype == np.float32
    for a, b in [*zip(*results, strict=True), (sparse.dW, dense.dW), (sparse.db, dense.db)]:
        assert_close(np.squeeze(a), np.squeeze(b))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
def test_any_share_of_zeros_will_do(share, rng):
    sparse, dense = twins(784, 50, rng)
    x, dy = sparse_bytes(rng, 140, 784, share=share), rng.standard_normal((140, 50), np.float32)
    (y, _), (wanted, _) = (gradients(layer, each, dy=dy) for layer, each in ((sparse, x), (dense, np.float32(x) / 255)))
    assert_close(y, wanted)
    assert_close(sparse.dW, dense.dW)


ARRAYS = {
    "floats": lambda x: np.float32(x) / 255,
    "every second column of a wider array": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "columns first": np.asfortranarray,
    "a memory that is only read": lambda x: np.frombuffer(x.tobytes(), np.uint8).reshape(x.shape),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_it_takes_every_array_that_affine_takes(name, rng):
    sparse, dense = twins(36, 5, rng)
    x, dy = sparse_bytes(rng, 20, 36), rng.standard_normal((20, 5), np.float32)
    (y, _), (wanted, _) = gradients(sparse, ARRAYS[name](x), dy=dy), gradients(dense, np.float32(x) / 255, dy=dy)
    assert_close(y, wanted)
    assert_close(sparse.dW, dense.dW)


def test_gradients_in_any_order_of_memory_are_taken(rng):
    sparse, dense = twins(36, 6, rng)
    x, dy = sparse_bytes(rng, 20, 36), np.asfortranarray(rng.standard_normal((20, 6)))
    gradients(sparse, x, dy=dy), gradients(dense, np.float32(x) / 255, dy=dy)
    assert_close(sparse.dW, dense.dW)


@pytest.mark.parametrize("out", [np.empty((6, 20), np.float32).T, np.empty((20, 6)), np.empty((20, 12))[:, ::2]],
                         ids=["columns first", "float64", "strided"])  # fmt: skip
def test_it_fills_every_out(out, rng):
    sparse, _ = twins(36, 6, rng)
    x = sparse_bytes(rng, 20, 36)
    assert sparse.forward(x, out=out) is out
    assert_close(out, sparse.forward(x))


@pytest.mark.parametrize("size", [3, 37])
def test_sizes_that_are_no_multiple_of_four_are_computed_too(size, rng):
    sparse, dense = twins(size, 5, rng)
    x = sparse_bytes(rng, 9, size)
    assert_close(sparse.forward(x), dense.forward(np.float32(x) / 255))


def test_in_double_precision_it_is_affine_on_bytes(rng):
    sparse, dense = (layer.copy(np.float64) for layer in twins(36, 5, rng))
    x, dy = sparse_bytes(rng, 9, 36), rng.standard_normal((9, 5))
    (y, _), (wanted, _) = gradients(sparse, x, dy=dy), gradients(dense, x / 255, dy=dy)
    np.testing.assert_allclose(y, wanted, rtol=1e-14)
    np.testing.assert_allclose(sparse.dW, dense.dW, rtol=1e-13)


def test_of_no_images_at_all_the_gradients_are_zero(rng):
    layer, x = SparseAffine(36, 5, rng=rng), np.zeros((0, 36), np.uint8)
    layer.dW[...] = layer.db[...] = np.nan
    y, _ = gradients(layer, x, dy=np.zeros((0, 5), np.float32))
    assert y.shape == (0, 5)
    assert not layer.dW.any()
    assert not layer.db.any()


def test_it_goes_back_from_what_it_is_given_and_not_from_what_it_saw_last(rng):
    sparse, dense = twins(36, 5, rng)
    x, dy = sparse_bytes(rng, 9, 36), rng.standard_normal((9, 5), np.float32)
    y = sparse.forward(x)
    sparse.forward(sparse_bytes(rng, 9, 36))
    sparse.backward_params(dy, x, y)
    gradients(dense, np.float32(x) / 255, dy=dy)
    assert_close(sparse.dW, dense.dW)


@pytest.mark.parametrize("name", ["W", "b", "dW", "db"])
def test_its_parameters_and_their_gradients_may_be_of_any_type(name, rng):
    sparse, dense = twins(36, 5, rng)
    x, dy = sparse_bytes(rng, 9, 36), rng.standard_normal((9, 5), np.float32)
    setattr(sparse, name, getattr(sparse, name).astype(np.float64))
    (y, _), (wanted, _) = gradients(sparse, x, dy=dy), gradients(dense, np.float32(x) / 255, dy=dy)
    assert_close(y, wanted)
    assert_close(sparse.dW, dense.dW)
    assert_close(sparse.db, dense.db)


def test_nothing_is_read_or_written_beyond_an_array_or_where_only_reading_is_allowed(rng):
    layer, x, out = SparseAffine(36, 5, rng=rng), sparse_bytes(rng, 9, 36), np.zeros((9, 5), np.float32)
    y = layer.forward(x)
    with pytest.raises(ValueError, match="mismatch"):
        layer.backward_params(np.zeros((8, 5), np.float32), x, y)
    with pytest.raises(ValueError, match=r"mismatch|shape"):
        layer.forward(x, out=out[:8])
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        layer.forward(x, out=out)


def test_it_tells_of_a_wrong_shape_as_affine_does(rng):
    with pytest.raises(ValueError, match=r"SparseAffine\(36 -> 5\) expects x of shape \(N, 36\), got \(9, 35\)"):
        SparseAffine(36, 5, rng=rng).forward(np.zeros((9, 35), np.uint8))


# In nets


@pytest.mark.parametrize("name", NETS)
def test_a_net_learns_the_same_with_it(name, rng):
    x, t = sparse_bytes(rng, 500, 36), rng.integers(0, 3, 500)
    kinds = [Settings(model=name, sparse=sparse, **NETS[name]) for sparse in (False, True)]
    nets = [build_net(kind, (1, 6, 6), 3, Streams.from_seed(3)).net for kind in kinds]
    assert [sum(isinstance(layer, SparseAffine) for layer in net.layers) for net in nets] == [0, 1]
    losses = []
    for net in nets:
        optimizer = SGD(net.params, net.grads, lr=0.1)
        losses.append([])
        for rows in (slice(0, 100), slice(100, 330), slice(330, 500), slice(0, 100), slice(0, 70)):
            losses[-1].append(net.loss(x[rows], t[rows]))
            net.backward()
            optimizer.step()
    assert [net.x.value.dtype for net in nets] == [np.float32, np.uint8]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    np.testing.assert_allclose(nets[0].params, nets[1].params, atol=1e-5)
    np.testing.assert_allclose(*(net.evaluate(x, t) for net in nets), rtol=1e-5)
    np.testing.assert_allclose(*(net.predict(x) for net in nets), atol=1e-5)
    np.testing.assert_allclose(nets[1].copy().predict(x), nets[1].predict(np.float32(x) / 255), atol=1e-5)


def test_bytes_enter_as_they_are_only_where_all_layers_take_them(rng):
    x, t = Variable("x", requires_grad=False), Variable("t", requires_grad=False)
    scores = SparseAffine(4, 3, rng=rng)(x) + Affine(4, 3, rng=rng)(x)
    net = Network(x, t, scores, SoftmaxWithLoss()(scores, t))
    net.loss(np.full((2, 4), 255, np.uint8), np.array([0, 1]))
    np.testing.assert_array_equal(x.value, np.ones((2, 4), np.float32))


def test_predict_between_loss_and_backward_harms_nothing(rng):
    x, t = sparse_bytes(rng, 60, 36), rng.integers(0, 3, 60)
    net = TwoLayerNet(36, 5, 3, rng=rng, sparse=True)
    net.loss(x, t)
    net.backward()
    wanted = net.grads.copy()
    net.loss(x, t)
    net.predict(sparse_bytes(rng, 60, 36))
    net.backward()
    np.testing.assert_array_equal(net.grads, wanted)


def test_a_deep_copy_computes_with_arrays_of_its_own(rng):
    x = sparse_bytes(rng, 60, 36)
    layer = Sequential(SparseAffine(36, 3, rng=rng)).layers[0]
    y = layer.forward(x).copy()
    twin = copy.deepcopy(layer)
    layer.W[...] = 0
    np.testing.assert_array_equal(twin.forward(x), y)
    twin.backward_params(y, x, twin.forward(x))
    assert twin.dW.any()
    assert not layer.dW.any()


@pytest.mark.parametrize("batch_size", [20, 300])
def test_batches_lie_where_the_last_one_lay(batch_size, rng):
    x, t = sparse_bytes(rng, 50, 36), rng.integers(0, 3, 50)
    net = TwoLayerNet(36, 5, 3, rng=rng, sparse=True)
    products = []
    for images, labels in islice(random_batches(x, t, batch_size, rng=rng), 4):
        net.loss(images, labels)
        products.append(net.layers[0].product)
    assert all(product is products[0] for product in products)


# Compiling


@pytest.fixture
def anew():
    """Compile again what was compiled before, in this test and after it."""

    def forget():
        compiled.cache_clear()
        sparse.library.cache_clear()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("anew")
def test_without_a_compiler_it_says_what_is_missing(monkeypatch, tmp_path, rng):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ValueError, match=r"sparse\.c has to be compiled, and there is no C compiler here \(none of cc"):
        SparseAffine(4, 3, rng=rng)


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first >&2; echo it broke >&2; exit 1", "it broke"),
        ("echo 'a.h: fatal error: no file' >&2; echo ended. >&2; exit 1", "a.h: fatal error: no file"),
        ("exit 3", "exit status 3"),
        ("echo >&2; exit 3", "exit status 3"),
        ("exit 0", "sparse.so"),  # and has written nothing
    ],
)
def test_a_compiler_that_fails_is_named_with_its_error_or_its_last_words(script, reason, monkeypatch, tmp_path):
    broken = tmp_path / "broken-cc"
    broken.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(ValueError, match=rf"broken-cc, CC in .*, could not make sparse\.c run: .*{reason}"):
        sparse.library(5)


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(("command", "reason"), [('gcc "', "No closing quotation"), ("no-such-cc", "No such file")])
def test_a_compiler_that_cannot_be_called_is_named(command, reason, monkeypatch):
    monkeypatch.setenv("CC", command)
    with pytest.raises(ValueError, match=rf"{command}, CC in .*, could not make sparse\.c run: .*{reason}"):
        sparse.library(5)


@pytest.mark.usefixtures("anew")
def test_no_temporary_folder_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(ValueError, match=r"could not make sparse\.c run: .*/no/such/folder"):
        sparse.library(5)


@pytest.mark.usefixtures("anew")
def test_the_compiler_may_be_named_with_options(monkeypatch):
    monkeypatch.setenv("CC", f"env {compiler()}")
    sparse.library(5)


# End to end


def train(folder, digits, *options, **changes):
    command = [sys.executable, SCRIPTS / "train.py", "--dataset", digits, "--steps", "60", "--quiet", *options]
    env = environment(folder, **changes)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_run_with_it_keeps_the_setting_and_learns_the_same(digits, tmp_path):
    accuracies = []
    for options in (["--out", "dense"], ["--out", "sparse", "--sparse", "yes"]):
        done = train(tmp_path, digits, *options)
        assert (done.returncode, done.stderr) == (0, "")
        accuracies.append(done.stdout)
    assert accuracies[0].splitlines()[-2:-1] == accuracies[1].splitlines()[-2:-1]
    configs = [
        json.loads((tmp_path / name / "config.json").read_text(encoding="utf-8")) for name in ("dense", "sparse")
    ]
    assert [config["sparse"] for config in configs] == [False, True]
    net = load_net(Run.open(tmp_path / "sparse"))  # as a report wants it, where there may be no compiler
    assert not any(isinstance(layer, SparseAffine) for layer in net.layers)


def test_a_run_may_go_on_where_there_is_no_compiler(digits, tmp_path):
    assert train(tmp_path, digits, "--sparse", "yes", "--out", "run").returncode == 0
    resume = ["--resume", "run", "--steps", "90"]
    without = {"PATH": str(tmp_path), "CC": ""}
    command = [sys.executable, SCRIPTS / "train.py", "--quiet", *resume]
    env = environment(tmp_path, **without)
    done = [
        subprocess.run([*command, *more], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        for more in ([], ["--sparse", "no"])
    ]
    assert [each.returncode for each in done] == [1, 0]
    assert "there is no C compiler here" in done[0].stderr
    assert Run.open(tmp_path / "run").facts["status"] == "finished"


def test_a_function_of_ones_own_is_told_of_it_only_when_it_is_asked_for(tmp_path):
    code = """
import math
from dlscratch.layers import Affine, SparseAffine
from dlscratch.models import Sequential
def make(rng, image_shape, classes, sparse=True):
    return Sequential((SparseAffine if sparse else Affine)(math.prod(image_shape), classes, rng=rng))
"""
    model = f"{write_net(tmp_path / 'own.py', code)}:make"
    for settings in (Settings(model=model), Settings(model=model, sparse=True)):
        net = build_net(settings, (1, 6, 6), 3, Streams.from_seed(0)).net
        assert isinstance(net.layers[0], SparseAffine)


def test_a_run_without_a_compiler_ends_with_one_sentence_and_writes_nothing(digits, tmp_path):
    done = train(tmp_path, digits, "--sparse", "yes", "--out", "run", PATH=str(tmp_path), CC="")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "there is no C compiler here" in done.stderr
    assert "--sparse no" in done.stderr
    assert not (tmp_path / "run").exists()
