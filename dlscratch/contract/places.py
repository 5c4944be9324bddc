"""Experiments on the place of a wrong gradient: right at another place, or wrong at some places only."""

import numpy as np

from dlscratch.contract.case import Case, similar
from dlscratch.contract.fault import quantity
from dlscratch.contract.trial import Trial
from dlscratch.functions import Array


def swapped(case: Case) -> str:
    """Each is the gradient of the other."""
    found = case.trial.found
    others = [name for name in found if name != case.name and found[name].shape == case.given.shape]
    for name in others:
        if similar(found[name], case.slopes) and similar(case.given, _slopes(case.trial, name)):
            return f"it is the gradient of {quantity(name)}: the two are swapped"
    return ""


def _slopes(trial: Trial, name: str) -> Array:
    value = trial.value(name)
    return trial.compare(name, np.zeros_like(value)).slopes.reshape(value.shape)


def transposed(case: Case) -> str:
    """Right at [j, i]."""
    if case.given.ndim != 2 or case.given.shape[0] != case.given.shape[1] or not similar(case.given.T, case.slopes):
        return ""
    return (
        f"its transpose is right: d{case.quantity}[i, j] belongs to {case.quantity}[i, j]; swap the factors, or .T one"
    )


def transposed_parameter(case: Case) -> str:
    """Right once a square parameter is transposed."""
    layer = case.trial.layer
    for name, value in layer.params.items():
        if value.ndim == 2 and value.shape[0] == value.shape[1] and case.is_input:
            trial = Trial(case.trial.original, case.trial.xs)
            y = trial.forward(trial.xs)
            setattr(trial.layer, name, value.T.copy())
            if similar(trial.gradients(case.trial.dy, trial.xs, y)[case.name], case.slopes):
                return (
                    f"it is right once {name} is transposed: where forward multiplies by {name}, backward has {name}.T"
                )
    return ""


def x_for_y(case: Case) -> str:
    """Right once y is given for x, or x for y: they were mistaken for each other."""
    trial, x = case.trial, case.trial.xs[0]
    if len(trial.xs) > 1 or x.shape != trial.y.shape:
        return ""
    trial.forward(trial.xs)
    if similar(trial.gradients(trial.dy, (trial.y,), trial.y)[case.name], case.slopes):
        return f"it is right once {case.method} is given y in place of x: use the output y where it uses x"
    if similar(trial.gradients(trial.dy, trial.xs, x)[case.name], case.slopes):
        return f"it is right once {case.method} is given x in place of y: use the input x where it uses y"
    return ""


def one_side(case: Case) -> str:
    """Right for some x and wrong beyond: a branch of the formula is missing."""
    right, wrong = case.value[~case.wrong], case.value[case.wrong]
    if not case.is_input or case.value.shape != case.trial.y.shape or not right.size or wrong.size < 2:
        return ""
    below, above = wrong[wrong < right.min()], wrong[wrong > right.max()]
    if below.size + above.size < wrong.size:
        return ""
    sides = [f"{case.quantity} < {_edge(below.max(), right.min())}"] if below.size else []
    sides += [f"{case.quantity} > {_edge(right.max(), above.min())}"] if above.size else []
    given, dy = case.given[case.wrong], case.trial.dy[case.wrong]
    gives = "0" if not given.any() else "dy as it is" if similar(given, dy) else "something else"
    return (
        f"wrong where {' and where '.join(sides)}, where it gives {gives}, and right elsewhere: forward has another "
        "formula there, and so has its slope (a mask, np.where)"
    )


def _edge(low: float, high: float) -> str:
    return "0" if low <= 0 <= high else f"{(low + high) / 2:.2g}"


def one_line(case: Case) -> str:
    """Wrong in few places, or in one row or column of several."""
    for axis in range(case.value.ndim):
        lines = np.unique(np.nonzero(case.wrong)[axis])
        if case.value.shape[axis] > 1 and len(lines) == 1:
            return f"only numbers with index {lines[0]} along axis {axis} are wrong: how is that axis cut or summed?"
    return ""


def dependence(case: Case) -> str:
    """Which numbers of y move with one number of x, and of which dy backward makes its gradient."""
    trial = case.trial
    if trial.y.ndim == 0 or trial.y.size > 400:
        return ""
    index = tuple(int(i) for i in np.argwhere(case.wrong)[0])
    moved, heard = _moved(case, index), _heard(case, index)
    at, q = f"{case.quantity}[{', '.join(map(str, index))}]", case.quantity
    if missed := _first(moved & ~heard):
        return (
            f"{at} acts on {np.count_nonzero(moved)} numbers of y, y{missed} among them, but d{at} takes in nothing of "
            f"dy{missed}: d{q} is a sum over all that {q} acts on"
        )
    if extra := _first(heard & ~moved):
        return f"d{at} takes in dy{extra}, but {at} does not act on y{extra}: is there a sum along the wrong axis?"
    return ""


def _moved(case: Case, index: tuple[int, ...]) -> Array:
    old = case.value[index].copy()
    case.value[index] = old + 0.1
    try:
        return case.trial.forward(case.trial.xs) != case.trial.y
    finally:
        case.value[index] = old


def _heard(case: Case, index: tuple[int, ...]) -> Array:
    heard = np.zeros(case.trial.y.shape, bool)  # for a gradient that is linear in dy, as was made sure
    for place in np.ndindex(heard.shape):
        dy = np.zeros_like(case.trial.y)
        dy[place] = 1
        heard[place] = abs(case.trial.run(case.trial.xs, dy)[case.name][index]) > 0
    return heard


def _first(mask: Array) -> list[int]:
    return [int(i) for i in np.argwhere(mask)[0]] if mask.any() else []
