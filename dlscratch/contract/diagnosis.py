"""Why is a gradient wrong? Small experiments, the commonest mistake first; the first to explain it speaks."""

import numpy as np

from dlscratch.contract import factors, places
from dlscratch.contract.case import Case
from dlscratch.contract.fault import Fault, quantity
from dlscratch.contract.trial import Trial
from dlscratch.gradient_check import Comparison

EXPERIMENTS = (
    factors.coarse,
    factors.never_filled,
    factors.zero,
    factors.unused,
    places.swapped,
    factors.wrong_sign,
    factors.without_dy,
    factors.constant_factor,
    places.transposed,
    places.transposed_parameter,
    places.x_for_y,
    factors.missing_factor,
    places.one_side,
    places.one_line,
    places.dependence,
)


def diagnose(trial: Trial, comparison: Comparison) -> str:
    """A sentence that says where to look for the reason why this gradient is wrong."""
    value = trial.value(comparison.name)
    if not comparison.indices:
        return f"a gradient is checked at numbers, and {quantity(comparison.name)} is empty: take a larger one"
    if not comparison.wrong.any():
        return "take inputs at which the formula has a slope"

    given, slopes = (np.where(comparison.at_kink, 0, array) for array in (comparison.given, comparison.slopes))
    given, slopes, wrong = (array.reshape(value.shape) for array in (given, slopes, comparison.wrong))
    case = Case(trial, comparison.name, given, slopes, wrong, value)
    for experiment in EXPERIMENTS:
        try:
            if sentence := experiment(case):
                return sentence
        except Fault:  # an experiment calls the layer in ways that it need not bear
            continue
    return _at_the_worst(case)


def _at_the_worst(case: Case) -> str:
    """The last resort: the slope as it is and as it should be."""
    errors = np.where(case.wrong, np.abs(case.given - case.slopes), -1)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), errors.shape))
    rule = (
        f"derive d{case.quantity} again: a product has a term for each factor, a function of a function has a factor "
        "for each"
    )
    if case.value.shape != case.trial.y.shape or not case.is_input:
        return f"no simple reason was found; {rule}"
    dy = case.trial.dy[index]
    return (
        f"at {case.quantity} = {case.value[index]:.4g}, y = {case.trial.y[index]:.4g}, the slope is "
        f"{case.slopes[index] / dy:.4g}, backward has {case.given[index] / dy:.4g} (dy taken out); {rule}"
    )
