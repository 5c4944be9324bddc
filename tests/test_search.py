"""Which arms go on and which one is the best: rungs, rankings, and a search that is interrupted anywhere."""

import json
import os
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from comparable_runs import write_run
from small_job import write_digits

from dlscratch.arms import arms, run_name, varied
from dlscratch.data import load_data
from dlscratch.job import Job, Paused
from dlscratch.runs import Run
from dlscratch.saved_net import load_net
from dlscratch.search import Candidate, Rung, check_validation, judged, kept, ranking, rungs
from dlscratch.settings import Settings
from dlscratch.training import Diverged

pytestmark = pytest.mark.usefixtures("no_waiting")

SEEDS = 0, 1


# Rungs


@pytest.mark.parametrize(
    ("candidates", "keep_one_in", "expected"),
    [
        (9, 3, [(9, (1, 9), 3), (3, (1, 3), 1), (1, (1, 1), 1)]),
        (10, 2, [(10, (1, 8), 5), (5, (1, 4), 2), (2, (1, 2), 1), (1, (1, 1), 1)]),
        (8, 3, [(8, (1, 3), 2), (2, (1, 1), 1)]),
        (2, 3, [(2, (1, 1), 1)]),
        (1, 2, [(1, (1, 1), 1)]),
        (50, None, [(50, (1, 1), 1)]),
    ],
)
def test_rungs_worked_by_hand(candidates, keep_one_in, expected):
    assert rungs(candidates, keep_one_in) == [Rung(*each) for each in expected]


@pytest.mark.parametrize("eta", range(2, 8))
def test_each_rung_has_one_in_eta_of_the_candidates_and_eta_times_their_steps(eta):
    for n in range(1, 400):
        ladder = rungs(n, eta)
        assert [rung.candidates for rung in ladder] == [n // eta**k for k in range(len(ladder))]
        assert 1 <= ladder[-1].candidates < eta
        assert ladder[-1].share == (1, 1)
        assert ladder[-1].keep == 1
        for below, above in pairwise(ladder):
            assert below.keep == above.candidates
            assert below.share == (1, above.share[1] * eta)
        assert all(rung.candidates / rung.share[1] < eta for rung in ladder)  # so a rung costs fewer than eta runs


@pytest.mark.parametrize("keep_one_in", [1, 0, -3])
def test_keeping_all_is_refused(keep_one_in):
    with pytest.raises(ValueError, match=f"to keep one in {keep_one_in} would end nowhere; expected one in 2 or more"):
        rungs(9, keep_one_in)


def test_arms_are_chosen_by_the_same_images_held_back_from_training():
    check_validation([Settings(validation=10, seed=seed) for seed in SEEDS])
    with pytest.raises(ValueError, match="held back from training; give --validation N, such as 10000"):
        check_validation([Settings()])
    for other in (Settings(validation=20), Settings(validation=10, dataset="kmnist"), Settings()):
        with pytest.raises(ValueError, match="the same images for all; do not vary dataset or validation"):
            check_validation([Settings(validation=10), other])


# Rankings of runs that were written by hand: evaluated at steps 0, 10, 20, ... of 30


HALF = 1, 3  # of 30 steps is 10; the accuracy is 0.99 - loss / 2, and 0.49 where the loss is above 1


@pytest.fixture
def candidate(tmp_path):
    def write(name, *losses_at_10, steps=11, status="paused"):
        folders = tuple(tmp_path / f"{name},seed={seed}" for seed in range(len(losses_at_10)))
        for seed, (folder, loss) in enumerate(zip(folders, losses_at_10, strict=True)):
            write_run(folder, [1.0] * 10 + [loss] * (steps - 10), status=status, validation=5, seed=seed, steps=30)
        return Candidate({"name": name}, 30, folders)

    return write


def names(standings):
    return [standing.candidate.arm["name"] for standing in standings]


def test_the_best_mean_accuracy_is_first_then_the_smaller_loss_then_the_order(candidate):
    fields = [
        candidate("late", 3.0, 2.0), candidate("early", 3.0, 2.0), candidate("smaller", 2.0, 2.0),
        candidate("one good", 0.1, 0.8), candidate("both good", 0.4, 0.3),
    ]  # fmt: skip
    found = ranking(fields, HALF)
    assert names(found) == ["both good", "one good", "smaller", "late", "early"]
    assert found[0][1:] == pytest.approx((0.99 - 0.35 / 2, 0.35))
    assert kept(fields, Rung(5, HALF, 2)) == [fields[4], fields[3]]


def test_what_did_not_come_so_far_is_not_kept_however_few_are_left(candidate, tmp_path):
    diverged = candidate("diverged", 0.1, steps=9, status="diverged")
    one_is_missing = Candidate({"name": "missing"}, 30, (*candidate("there", 0.1).folders, tmp_path / "nowhere"))
    poor = candidate("poor", 9.0)
    assert kept([diverged, one_is_missing, poor], Rung(3, HALF, 2)) == [poor]
    with pytest.raises(ValueError, match="none of 2 arms came to 1/3 of their steps with all of its runs"):
        kept([diverged, one_is_missing], Rung(2, HALF, 1))


def test_what_a_run_did_after_the_rung_makes_no_difference(candidate):
    paused = [candidate("a", 0.2), candidate("b", 0.1), candidate("c", 0.3)]
    further = [candidate("a2", 0.2), candidate("b2", 0.1, steps=25, status="diverged"), candidate("c2", 0.3, steps=30)]
    assert [each[1:] for each in ranking(further, HALF)] == [each[1:] for each in ranking(paused, HALF)]
    assert names(ranking(further, HALF)) == ["b2", "a2", "c2"]


def test_a_share_of_the_steps_is_rounded_up(candidate):
    each = candidate("a", 0.2)
    assert ranking([each._replace(steps=28)], (1, 3))  # 9.33 is 10
    assert not ranking([each._replace(steps=31)], (1, 3))  # 10.33 is 11
    with pytest.raises(
        ValueError, match="went past step 9 without an evaluation there, so it cannot be ranked; a sear"
    ):
        ranking([each._replace(steps=27)], (1, 3))


def test_at_the_end_only_runs_that_finished_count(candidate):
    whole = [candidate(status, 0.2, status=status)._replace(steps=10) for status in ("failed", "finished", "running")]
    assert names(ranking(whole, (1, 1))) == ["finished"]


# Searches with real runs


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    digits = write_digits(tmp_path_factory.mktemp("digits"), train=70, test=30)
    return Settings(dataset=str(digits), hidden="4", steps=20, batch_size=7, validation=20)  # 8 steps an epoch


@pytest.fixture(scope="module")
def data(base):
    return load_data(base)


def train(folder, settings, data, share, interrupts):
    """Train a run up to its share, from where it stands; yield after each step."""
    run = Run.open(folder) if folder.exists() else None
    folder.mkdir(exist_ok=True, parents=True)
    job = Job(settings, data)
    with suppress(Paused, Diverged), job.recorder(folder, run) as recorder, np.errstate(all="ignore"):
        yield from job.record(recorder, interrupts, share=share, judged=False)


def search(out, base, data, patience=None, *, politely=True):
    """The best of 8 arms by successive halving; KeyboardInterrupt after so many steps of all runs together.

    Weights that decay so much grow instead: these arms are alive after 3 steps, and diverge within 5.
    """
    found, interrupts = arms([], [varied("lr=0.2,1.4"), varied("weight_decay=0,2e5,3e5,4e5")]), []
    candidates = [Candidate(arm, base.steps, tuple(out / run_name(arm, seed) for seed in SEEDS)) for arm in found]
    going, taken = candidates, 0
    for rung in rungs(len(candidates), 2):
        for candidate in going:
            for seed, folder in zip(SEEDS, candidate.folders, strict=True):
                settings = base.changed({**candidate.arm, "seed": seed})
                for _ in train(folder, settings, data, rung.share, interrupts):
                    if (taken := taken + 1) == patience:
                        interrupts.append(taken)
                        if not politely:
                            raise KeyboardInterrupt
        going = kept(going, rung)
    return going[0], candidates


def figures(out):
    """What the runs of a search wrote, but for the time it took."""
    return {
        run.name: (run.epochs["step"].tolist(), run.epochs["val_acc"].tolist(), (run.folder / "model.npz").read_bytes())
        for run in (Run.open(folder) for folder in sorted(out.iterdir()))
    }


@pytest.fixture(scope="module")
def original(base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        best, candidates = search(out, base, data)
    return out, best, candidates


def test_half_of_the_arms_take_twice_the_steps_and_none_is_begun_anew(original):
    _, best, candidates = original
    assert best.arm == {"lr": 1.4, "weight_decay": 0.0}
    taken = {
        tuple(each.arm.values()): [len(Run.open(run).steps["step"]) for run in each.folders] for each in candidates
    }
    assert {arm: taken[arm] for arm in ((1.4, 0), (0.2, 0))} == {(1.4, 0): [20, 20], (0.2, 0): [10, 10]}
    assert {arm for arm, steps in taken.items() if max(steps) in (4, 5)} == {(0.2, 2e5), (0.2, 3e5)}  # and diverged
    assert sum(steps == [3, 3] for steps in taken.values()) == 4
    run = Run.open(best.folders[0])
    assert run.steps["step"].tolist() == list(range(1, 21))
    assert run.epochs["step"].tolist() == [0, 3, 5, 8, 10, 16, 20]  # 1/8, 1/4, 1/2 and all of 20, and each epoch
    assert len(run.facts["resumed"]) == 3
    assert "test_accuracy" not in run.facts


@pytest.mark.parametrize("politely", [True, False])
@pytest.mark.parametrize("patience", [38, 71, 110])
def test_a_search_that_is_interrupted_and_repeated_equals_one_left_alone(
    patience, politely, original, base, data, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "runs", base, data, patience, politely=politely)
    best, _ = search(tmp_path / "runs", base, data)
    assert best.arm == original[1].arm
    assert figures(tmp_path / "runs") == figures(original[0])


def test_the_test_set_is_opened_once_for_the_winner(original, data, tmp_path):
    _, best, candidates = original
    opened = []

    def test():
        opened.append(True)
        return data.test

    winner = judged(best, len(candidates), tmp_path, test)
    assert winner.test_accuracy == {
        str(seed): load_net(Run.open(folder)).accuracy(*data.test)
        for seed, folder in zip(SEEDS, best.folders, strict=True)
    }
    assert winner.validation_accuracy == {
        str(seed): Run.open(folder).epochs["val_acc"][-1] for seed, folder in zip(SEEDS, best.folders, strict=True)
    }
    assert winner.ended == {str(seed): Run.open(best.folders[seed]).facts["ended"] for seed in SEEDS}
    assert Settings.from_config(winner.config | {"seed": 1}) == Settings.from_config(Run.open(best.folders[1]).config)
    assert "seed" not in winner.config
    assert json.loads((tmp_path / "winner.json").read_text(encoding="utf-8")) == winner._asdict()
    assert judged(best, len(candidates), tmp_path, test) == winner
    assert judged(best, 99, tmp_path, test) == winner._replace(compared=99)
    assert json.loads((tmp_path / "winner.json").read_text(encoding="utf-8"))["compared"] == 99
    assert len(opened) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["winner.json"]

    other = winner._asdict() | {"ended": dict.fromkeys("01", "earlier"), "test_accuracy": dict.fromkeys("01", 1.0)}
    (tmp_path / "winner.json").write_text(json.dumps(other), encoding="utf-8")
    assert judged(best, len(candidates), tmp_path, test) == winner
    assert len(opened) == 2


def test_the_winner_is_told_in_one_sentence(original, data, tmp_path):
    winner = judged(original[1], 8, tmp_path, lambda: data.test)
    shown = winner._replace(
        arm={"lr": 0.1, "clip": 1.0}, validation_accuracy={"0": 0.5, "1": 0.75}, test_accuracy={"0": 0.25, "1": 0.5}
    )
    assert str(shown) == (
        "the best of 8 on the validation images is lr=0.1,clip=1.0: validation accuracy 0.6250, test accuracy 0.3750 "
        "(means of 2 runs)"
    )
