"""A batch that is spread over ranks: whatever their number, the curves of one rank, and the same net on all of them.

Here the ranks are threads; tests/test_mpi.py has real ones.
"""

from dataclasses import replace

import numpy as np
import pytest
from small_job import write_digits
from thread_ranks import on_ranks

from dlscratch import job
from dlscratch.build import build_net
from dlscratch.data import load_data
from dlscratch.folder import CHECKPOINT
from dlscratch.job import Job
from dlscratch.layers import Affine, BatchNormalization, Dropout, Layer, Mean, ReLU, Sum
from dlscratch.models import Sequential
from dlscratch.optim import OPTIMIZERS
from dlscratch.parallel import DataParallel, Part, share
from dlscratch.ranks import ALONE
from dlscratch.runs import Run
from dlscratch.settings import Settings
from dlscratch.training import Diverged

pytestmark = pytest.mark.usefixtures("no_waiting")

EXAMPLES, STEPS = 50, 27
RTOL = 1e-5


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"), train=EXAMPLES, test=21)


@pytest.fixture(scope="module")
def settings(digits):
    return Settings(dataset=str(digits), hidden="6x5", steps=STEPS, batch_size=7)


@pytest.fixture(scope="module")
def data(settings):
    return load_data(settings)


@pytest.fixture
def exact(monkeypatch):
    """Nets of float64. A few rows of float32, normalized, differ by more than the roundings that make them differ.

    The variance of three numbers may be almost nothing; and the gradient of a bias before it is nothing but roundings,
    which Adam takes as seriously as all others.
    """
    monkeypatch.setattr(job, "build_net", lambda *args: (built := build_net(*args))._replace(net=built.net.copy("f8")))


def train(settings, data, folder, size, hear=None, stop=None):
    """Begin a run or go on with it on so many ranks; the job of each. Rank `hear` is asked to stop after a step."""
    run = Run.open(folder) if folder.exists() else None
    folder.mkdir(exist_ok=True)

    def task(ranks):
        own, interrupts = Job(settings, data, ranks=ranks), []
        with own.recorder(folder, run) as recorder:
            for _ in own.record(recorder, interrupts):
                if ranks.rank == hear and own.step == stop - 1:
                    interrupts.append(1)
        return own

    return on_ranks(size, task) if size > 1 else [task(ALONE)]


def assert_same_curves(folder, other):
    one, two = Run.open(folder), Run.open(other)
    for table in ("steps", "epochs"):
        columns, others = getattr(one, table), getattr(two, table)
        assert columns.keys() == others.keys()
        for name in columns.keys() - {"seconds"}:
            np.testing.assert_allclose(others[name], columns[name], rtol=RTOL, err_msg=f"{table}, {name}")
    assert two.facts["test_loss"] == pytest.approx(one.facts["test_loss"], rel=RTOL)


def assert_equal_jobs(jobs):
    """Parameters, running averages, the optimizer and all random streams are the same on all ranks, to the last bit."""
    first, *others = (each.checkpoint() for each in jobs)
    for other in others:
        assert other.facts | {"seconds": 0} == first.facts | {"seconds": 0}
        assert other.arrays.keys() == first.arrays.keys()
        for name, array in first.arrays.items():
            np.testing.assert_array_equal(other.arrays[name], array, err_msg=name)


# The same curves


@pytest.mark.parametrize("optimizer", [kind.__name__ for kind in OPTIMIZERS])
def test_every_optimizer_learns_the_same_on_any_number_of_ranks(optimizer, settings, data, tmp_path):
    settings = replace(settings, optimizer=optimizer, clip=0.5, weight_decay=1e-3, schedule="cosine", sampler="shuffle")
    for size in (1, 2, 3, 4):
        jobs = train(settings, data, tmp_path / f"{size}", size)
        assert_equal_jobs(jobs)
        assert_same_curves(tmp_path / "1", tmp_path / f"{size}")


@pytest.mark.parametrize("sampler", ["choice", "shuffle"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_size_of_the_batch_need_not_fit_the_number_of_ranks(batch_size, sampler, settings, data, tmp_path):
    settings = replace(settings, batch_size=batch_size, sampler=sampler)
    for size in (1, 2, 4):
        assert_equal_jobs(train(settings, data, tmp_path / f"{size}", size))
        assert_same_curves(tmp_path / "1", tmp_path / f"{size}")


@pytest.mark.parametrize(
    "net",
    [
        {"model": "multi-layer", "batch_norm": True, "dropout": 0.3, "steps": 9},
        {"model": "deep-convnet", "hidden": "5", "batch_norm": True, "steps": 8},
        {"model": "residual-mlp", "hidden": "6x6x6", "dropout": 0.2, "label_smoothing": 0.1, "steps": 9},
    ],
    ids=lambda net: net["model"],
)
@pytest.mark.parametrize(("batch_size", "sampler"), [(8, "shuffle"), (3, "choice")])  # in the end fewer rows than ranks
def test_noise_and_averages_over_the_batch_are_the_same(net, batch_size, sampler, settings, data, tmp_path, exact):
    settings = replace(settings, **net, batch_size=batch_size, sampler=sampler)
    for size in (1, 3, 4):
        assert_equal_jobs(train(settings, data, tmp_path / f"{size}", size))
        assert_same_curves(tmp_path / "1", tmp_path / f"{size}")


def test_a_run_goes_on_with_another_number_of_ranks(settings, data, tmp_path, exact):
    settings = replace(settings, optimizer="Adam", model="multi-layer", batch_norm=True, dropout=0.2)
    train(settings, data, tmp_path / "alone", 1)
    for size, until in ((2, 6), (1, 13), (4, 20)):
        with pytest.raises(KeyboardInterrupt):
            train(settings, data, tmp_path / "often", size, hear=0, stop=until)
    assert_equal_jobs(train(settings, data, tmp_path / "often", 3))
    assert_same_curves(tmp_path / "alone", tmp_path / "often")
    assert Run.open(tmp_path / "often").facts["ranks"] == 3


def test_where_one_rank_is_asked_to_stop_all_stop_after_the_same_step(settings, data, tmp_path):
    for hear in (0, 2):
        with pytest.raises(KeyboardInterrupt):
            train(settings, data, tmp_path / f"{hear}", 3, hear=hear, stop=9)
        run = Run.open(tmp_path / f"{hear}")
        assert (run.status, len(run.steps["step"])) == ("interrupted", 9)
        assert (run.folder / CHECKPOINT).exists()


def test_all_ranks_diverge_in_the_same_step(settings, data, tmp_path):
    settings, steps = replace(settings, lr=1e30), []

    def task(ranks):
        own = Job(settings, data, ranks=ranks)
        with np.errstate(all="ignore"), pytest.raises(Diverged), own.recorder(tmp_path) as recorder:
            for _ in own.record(recorder):
                pass
        steps.append(own.step)

    on_ranks(3, task)
    assert len(steps) == 3
    assert len(set(steps)) == 1


def test_processors_that_round_differently_stand_together_again_at_each_checkpoint(settings, data, tmp_path):
    def task(ranks):
        own = Job(settings, data, ranks=ranks)
        with own.recorder(tmp_path) as recorder:
            for _ in own.record(recorder):
                own.net.params += 1e-3 * ranks.rank * (own.step < STEPS)
        return own

    assert_equal_jobs(on_ranks(2, task))


def test_a_step_is_one_message_and_so_is_an_evaluation(settings, data, tmp_path):
    tmp_path.joinpath("run").mkdir()

    def task(ranks):
        own = Job(settings, data, ranks=ranks)
        with own.recorder(tmp_path / "run") as recorder:
            losses = own.record(recorder)
            next(losses)  # on images learned from, and on those watched
            before = ranks.messages
            next(losses)
            return before, ranks.messages - before

    assert on_ranks(2, task) == [(2, 1)] * 2


def test_one_rank_goes_no_other_way_than_before(settings, data):
    own = Job(settings, data)
    assert own.trained is own.net
    assert all("batch" not in vars(layer) for layer in own.net.layers)


# Who has which rows


class Rank:
    def __init__(self, rank, size):
        self.rank, self.size = rank, size

    def sum(self, array):
        pass


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_shares_cover_the_batch_evenly(rows, size):
    shares = [share(Rank(rank, size), rows) for rank in range(size)]
    assert [row for each in shares for row in range(rows)[each]] == list(range(rows))
    lengths = [each.stop - each.start for each in shares]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
def test_who_has_no_rows_takes_one_that_counts_nothing(rows):
    parts = [Part(Rank(rank, 4)) for rank in range(4)]
    taken = [len(range(rows)[part.take(rows)]) for part in parts]
    assert min(taken) == max(1, rows // 4)
    assert sum(part.weight for part in parts) == 1
    assert sum(count for count, part in zip(taken, parts, strict=True) if part.weight) == rows
    assert all(part.sum(np.ones(2)).tolist() == [bool(part.weight)] * 2 for part in parts)


def test_whatever_sums_a_layer_has_are_summed_in_memory_of_one_order(rng):
    part, seen = Part(Rank(0, 2)), []
    part.ranks.sum = seen.append
    part.take(4)
    for array in (np.float32(3), rng.standard_normal((2, 3, 4)).transpose(1, 0, 2)[:, :, ::2], np.ones((2, 3)).T):
        before = np.array(array)
        np.testing.assert_array_equal(part.sum(array), before)
        assert isinstance(seen[-1], np.ndarray)
        assert seen[-1].flags.c_contiguous
        assert seen[-1].flags.writeable


def test_fewer_images_than_ranks_are_evaluated_by_those_that_have_one(rng):
    net = Sequential(Affine(4, 3, rng=rng))
    x, t = rng.standard_normal((3, 4)).astype(np.float32), np.array([0, 2, 1])
    want = net.evaluate(x, t)
    for found in on_ranks(4, lambda ranks: DataParallel(net, Part(ranks)).evaluate(x, t)):
        assert found == pytest.approx(want, rel=1e-6)


# Layers that know of it, and those that do not


def halves(make, x, dy):
    """y, dx and the sums of the parameters' gradients of a layer whose batch is on two ranks."""

    def task(ranks):
        layer, part = make(), Part(ranks)
        layer.batch, rows = part, part.take(len(x))
        y = layer.forward(x[rows])
        if layer.param_names:
            layer.backward_params(dy[rows], x[rows], y=y)
        return y, layer.backward(dy[rows], x[rows], y=y), layer

    (y, dx, first), (y2, dx2, second) = on_ranks(2, task)
    grads = {name: grad + second.grads[name] for name, grad in first.grads.items()}
    return np.concatenate([y, y2]), np.concatenate([dx, dx2]), grads, (first, second)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3), (5, 3, 2, 2)])
def test_batch_normalization_takes_the_batch_of_all_ranks(shape, rng):
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    whole = BatchNormalization(3, dtype=np.float64)
    whole.gamma[...] = [1, 2, 3]

    def make():
        return whole.copy()

    y, dx, grads, both = halves(make, x, dy)
    want = whole.forward(x)
    whole.backward_params(dy, x, y=want)
    np.testing.assert_allclose(y, want, rtol=1e-12)
    np.testing.assert_allclose(dx, whole.backward(dy, x, y=want), rtol=1e-9, atol=1e-12)
    for name, grad in whole.grads.items():
        np.testing.assert_allclose(grads[name], grad, rtol=1e-9)
    for layer in both:
        np.testing.assert_allclose(layer.running_mean, whole.running_mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var, whole.running_var, rtol=1e-12)


def test_dropout_draws_for_all_ranks_and_takes_its_rows():
    x = np.ones((5, 40))
    y, dx, _, both = halves(lambda: Dropout(rng=np.random.default_rng(3)), x, x)
    np.testing.assert_array_equal(y, Dropout(rng=np.random.default_rng(3)).forward(x))
    np.testing.assert_array_equal(dx, y)
    assert both[0].rng.bit_generator.state == both[1].rng.bit_generator.state


def test_a_copy_of_a_layer_is_on_its_own(rng):
    net = Sequential(BatchNormalization(4), Affine(4, 3, rng=rng))
    DataParallel(net, Part(Rank(1, 2)))
    assert net.copy().loss(np.ones((3, 4), np.float32), np.array([0, 1, 2])) > 0


class Mixes(ReLU):
    mixes_batch = True


class Draws(ReLU):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)


class Averages(ReLU):
    buffer_names = ("mean",)

    def __init__(self):
        super().__init__()
        self.mean = np.zeros(3)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Mixes, "looks at other rows"), (Draws, "draws random numbers"), (Averages, "keeps averages"),
        (lambda: Sum(axis=0), "looks at other rows"), (lambda: Mean(), "looks at other rows"),
    ],
)  # fmt: skip
def test_a_layer_that_does_not_know_of_ranks_is_refused_where_it_matters(make, what):
    class Net:
        layers = (ReLU(), make())

    with pytest.raises(ValueError, match=rf"{what}, and would learn something else on several ranks; train it on one"):
        DataParallel(Net, Part(Rank(0, 2)))


class MinusTheMean(Layer):
    """y = x - mean(x) over the batch, at test time too"""

    mixes_batch = shares_batch = True

    def forward(self, x, out=None):
        return np.subtract(x, self.batch.sum(x.sum(axis=0)) / self.batch.shape(x)[0], out=out)


def test_at_test_time_a_rank_looks_at_its_own_images_only(rng):
    net = Sequential(Affine(4, 3, rng=rng), MinusTheMean())
    x = rng.standard_normal((5, 4)).astype(np.float32)

    def task(ranks):
        own = net.copy()
        DataParallel(own, Part(ranks))
        return own.predict(x[: 1 + ranks.rank]) if ranks.rank else None

    np.testing.assert_array_equal(on_ranks(2, task)[1], net.predict(x[:2]))


def test_a_layer_of_ones_own_that_knows_of_ranks_is_taken():
    class Known(Mixes):
        shares_batch = True

    class Net:
        layers: tuple[Layer, ...] = (Known(),)

    part = Part(Rank(0, 2))
    DataParallel(Net, part)
    assert Net.layers[0].batch is part
