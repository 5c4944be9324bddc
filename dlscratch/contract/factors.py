"""Experiments on the size of a wrong gradient: which factor is it that is missing, or one too many?"""

import numpy as np

from dlscratch.contract.case import Case, similar
from dlscratch.contract.sameness import close


def coarse(case: Case) -> str:
    """Nothing can be said at all."""
    if case.trial.y.dtype == case.value.dtype:
        return ""
    return f"forward rounds to {case.trial.y.dtype}, too coarse for differences: see `float32`"


def never_filled(case: Case) -> str:
    """The gradients of parameters were full of NaN before."""
    if not np.isnan(case.given).any():
        return ""
    if not case.is_input:
        layer, q = case.trial.layer, case.quantity
        setattr(layer, f"d{q}", np.zeros_like(case.value))
        case.trial.call("backward_params", case.trial.dy.copy(), *map(np.array, case.trial.xs), y=case.trial.y.copy())
        filled = getattr(layer, f"d{q}")
        if similar(filled, case.slopes):
            return f"backward_params adds to what is in d{q}: fill it, with out=self.d{q} or self.d{q}[...] =, not +="
        if not np.any(filled):
            return f"backward_params never fills d{q}; it expects a line for each parameter, as out=self.d{q}"
    return "nan comes from 0/0, log(0), inf - inf, or from reading memory that nobody has filled (np.empty, out)"


def zero(case: Case) -> str:
    """0 everywhere."""
    if np.any(case.given):
        return ""
    return f"backward says that y does not depend on {case.quantity} at all, but forward does"


def unused(case: Case) -> str:
    """It should be 0 everywhere."""
    if np.any(case.slopes):
        return ""
    return f"forward does not use {case.quantity} at all, but {case.method} gives it a gradient"


def wrong_sign(case: Case) -> str:
    """A minus is missing, or one too many."""
    if not similar(case.given, -case.slopes):
        return ""
    return "the sign is wrong everywhere: forward falls where backward says that it grows; look for a minus"


def without_dy(case: Case) -> str:
    """dy is missing, or there twice, or bent."""
    dy, run = case.trial.dy, case.trial.run
    if dy.shape in (case.given.shape, ()):
        if similar(case.given * dy, case.slopes):
            return "it is the slope alone: multiply it by dy, the gradient that comes from the layers behind"
        if similar(case.given, case.slopes * dy):
            return "dy is multiplied in twice"
    if not close(run(case.trial.xs, 2 * dy)[case.name], 2 * case.trial.found[case.name]):
        return "it does not grow with dy as it should: see `linear in dy`"
    return ""


def constant_factor(case: Case) -> str:
    """given = c slopes, and c is a size or a simple number."""
    c = float(np.vdot(case.given, case.slopes) / np.vdot(case.slopes, case.slopes)) if case.slopes.any() else 0.0
    if not c or not similar(case.given, c * case.slopes):
        return ""
    for number, what in _sizes(case).items():
        if np.isclose(c, number):
            return (
                f"{number} times too large, and {number} is {what}: forward takes a mean, so the gradient is divided "
                f"by {number} too"
            )
        if np.isclose(c, 1 / number):
            return (
                f"{number} times too small, and {number} is {what}: forward takes a sum, or uses {case.quantity} "
                f"{number} times, so d{case.quantity} is a sum and no mean"
            )
    return (
        f"{c:.6g} times what it should be, everywhere: a constant of forward is missing in {case.method}, or is in it "
        "twice; d/dx x² is 2x, and ½ x² has the slope x"
    )


def _sizes(case: Case) -> dict[int, str]:
    """Numbers that a mean may have divided by."""
    x, y = case.trial.xs[0], case.trial.y
    sizes = {len(x): "the number of rows, the batch"} if x.ndim else {}
    for array, name in ((x, case.trial.names[0]), (y, "y"), (case.value, case.quantity)):
        for axis, length in enumerate(array.shape):
            sizes.setdefault(length, f"the length of axis {axis} of {name}")
        sizes.setdefault(array.size, f"how many numbers {name} has")
    return {number: what for number, what in sizes.items() if number > 2}


def missing_factor(case: Case) -> str:
    """A factor of an elementwise slope is missing, or too many."""
    x, y = case.trial.xs[0], case.trial.y
    if len(case.trial.xs) > 1 or not case.is_input or x.shape != y.shape:
        return ""
    q = case.quantity
    factors = {q: x, f"1 - {q}": 1 - x, f"{q}²": x * x, "y": y, "1 - y": 1 - y, "y²": y * y, "1 - y²": 1 - y * y}
    for what, factor in factors.items():
        if similar(case.given * factor, case.slopes):
            return f"the factor {what} is missing: a function of a function has a slope with a factor for each"
        if similar(case.given, case.slopes * factor):
            return f"the factor {what} is one too many"
    return ""
