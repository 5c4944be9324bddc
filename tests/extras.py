"""Tests that need a library which not everybody has: they are skipped without it, but CI must have it."""

import os

import pytest

from dlscratch.compiled import compiler


def need(library, extra):
    """Skip this test, or this file of tests, where the library is missing; in CI go on, and fail where it is used."""
    if not os.environ.get("CI"):
        install = f"python -m pip install 'dlscratch[{extra}]'"
        pytest.importorskip(library, reason=f"{library} is not installed; {install}", exc_type=ImportError)


without_compiler = pytest.mark.skipif(not compiler(), reason="there is no C compiler here")
