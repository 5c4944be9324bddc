"""Trainings that are interrupted at random moments, in short; `python tests/interruptions.py` does it at length."""

import os

import pytest
from interruptions import torture


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_interrupted_at_random_moments_and_resumed_equals_left_alone(tmp_path):
    seen = torture(tmp_path, count=4)
    assert sum(count for moment, count in seen.items() if moment != "had finished") == 4
