"""Against PyTorch: the same results within rounding, and docs/pytorch.md lists all that is compared.

Without PyTorch these tests are skipped, but CI must have it: there the imports fail.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

if not os.environ.get("CI"):
    pytest.importorskip("torch", reason="compares with PyTorch: python -m pip install 'dlscratch[torch]'")

import torch
from agreement import distance, rounding
from torch_layers import COUNTERPARTS
from torch_optimizers import OPTIMIZERS, SCHEDULERS
from torch_table import COMPARISONS

from dlscratch import layers, optim
from dlscratch.schedules import SCHEDULES

PAGE = (Path(__file__).parents[1] / "docs" / "pytorch.md").read_text(encoding="utf-8")
ALONE = {
    layers.Dropout: "draws other random numbers", layers.SparseAffine: "is held to `Affine`, on bytes",
    optim.Lion: "PyTorch has none",
}  # fmt: skip
CASES = [(comparison, dtype) for comparison in COMPARISONS for dtype in comparison.dtypes]
NAMES = [f"{comparison.name}-{dtype.__name__}".replace("`", "") for comparison, dtype in CASES]


@pytest.mark.parametrize(("comparison", "dtype"), CASES, ids=NAMES)
def test_results_agree_with_pytorch_within_rounding(comparison, dtype):
    distances, allowed = comparison.distances(dtype), comparison.allowed(dtype)
    assert distances
    assert {what: far for what, far in distances.items() if not far <= allowed} == {}, f"more than {allowed:.1g}"


def test_every_layer_optimizer_and_schedule_is_compared_unless_there_is_a_reason():
    catalogue = {getattr(layers, name) for name in layers.__all__} - {layers.Layer}
    assert {*COUNTERPARTS, *OPTIMIZERS, *ALONE} == catalogue | {*optim.OPTIMIZERS}
    assert {*SCHEDULERS} == {*SCHEDULES, "warm-up"}
    assert not hasattr(torch.optim, "Lion")


def test_the_table_in_the_docs_lists_all_that_is_compared_and_says_what_is_not():
    listed = re.findall(r"^\| (.+) \| (.+) \| .* \| .* \|$", PAGE, re.MULTILINE)
    assert listed[1:] == [(each.name, each.counterpart) for each in COMPARISONS]
    assert all(f"`{kind.__name__}`: {reason}" in PAGE for kind, reason in ALONE.items())


def test_what_dropout_keeps_is_scaled_as_pytorch_scales_it(rng):
    ours = layers.Dropout(0.2, rng=rng).forward(np.ones((50, 50), np.float32))
    theirs = torch.nn.functional.dropout(torch.ones(50, 50), 0.2)
    assert np.unique(ours).tolist() == theirs.unique().tolist() == [0, 1.25]


def test_distances_are_relative_to_the_largest_number_and_never_between_dtypes_or_shapes():
    assert distance(np.array([1.0, 4.5]), np.array([1.0, 5.0])) == pytest.approx(0.1)
    assert distance(np.array([0.5]), np.zeros(1)) == 0.5
    for other in (np.ones(2, np.float32), np.ones((1, 2))):
        with pytest.raises(AssertionError):
            distance(np.ones(2), other)
    assert rounding(np.float32, terms=100) == pytest.approx(80 * 2**-23)
