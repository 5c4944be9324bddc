"""The contract of a layer: all that graphs, networks and optimizers rely on, asked of one layer at a time.

`check_layer` raises a LayerError that lists what is broken and where to look for the reason; `examine_layer` just
tells.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from textwrap import fill

import numpy as np
import numpy.typing as npt

from dlscratch.contract import memory, nets, numbers
from dlscratch.contract.diagnosis import diagnose
from dlscratch.contract.fault import Fault, NotAsked, place, quantity
from dlscratch.contract.trial import Trial
from dlscratch.layers import Layer

WIDTH = 100  # columns of a terminal
MOST = 5000  # numbers to differentiate: a matter of seconds

Question = Callable[[Trial], str]


class LayerError(AssertionError):
    """A layer that breaks its contract."""


@dataclass(frozen=True)
class Promise:
    """One promise of a layer: kept (True), broken (False) or not asked of it (None); what was seen; where to look."""

    name: str
    kept: bool | None
    detail: str
    advice: str = ""

    def __str__(self) -> str:
        verdict = {True: "ok", False: "FAULT", None: "-"}[self.kept]
        head, indent = f"{verdict:5}  {self.name:20}", " " * 27
        detail = fill(self.detail, WIDTH, initial_indent=head, subsequent_indent=indent)
        advice = fill(self.advice, WIDTH, initial_indent=indent + "-> ", subsequent_indent=indent + "   ")
        return f"{detail}\n{advice}" if advice else detail


FORWARD: dict[str, Question] = {"rows apart": numbers.rows, "predict": numbers.predict}
BACKWARD: dict[str, Question] = {
    "linear in dy": numbers.linear,
    "arguments only read": memory.reads_only,
    "out": memory.out,
    "memory order": memory.memory_order,
    "called twice": memory.called_twice,
    "float32": numbers.dtype,
    "in a branch": nets.in_branch,
    "used twice": nets.used_twice,
    "saved and loaded": nets.saved,
}
AFTER = {  # what need not be asked once something else is broken
    "memory order": ("out",),
    "in a branch": ("arguments only read", "out"),
    "used twice": ("arguments only read", "out", "called twice", "in a branch"),
}


def check_layer(layer: Layer, *inputs: npt.ArrayLike) -> list[Promise]:
    """Hold `layer` to its contract at these inputs; a LayerError lists every promise that it breaks.

    Gradients are checked in float64: of each parameter, and of each input of floats. Integers (labels), and inputs
    whose gradient is None, are not differentiated. The layer stays as it is; what is examined is a copy.
    """
    found = examine_layer(layer, *inputs)
    if broken := [item for item in found if item.kept is False]:
        told = "".join(
            f"\n{item.name}: {item.detail}" + f"\n    -> {item.advice}" * bool(item.advice) for item in broken
        )
        raise LayerError(f"{type(layer).__name__} breaks its contract{told}")
    return found


def examine_layer(layer: Layer, *inputs: npt.ArrayLike) -> list[Promise]:
    """The promises of `layer`, kept, broken or not asked, at these inputs.

    ValueError if these are not as many as forward takes, or if there are no floats to differentiate, or too many.
    Where the layer fails in a way that leaves nothing to ask, the list ends.
    """
    _check_kind(layer)
    with np.errstate(all="ignore"):
        return list(_examine(layer, inputs))


def _check_kind(layer: object) -> None:
    if not isinstance(layer, Layer):
        hint = f"; make one: {layer.__name__}(...)" if isinstance(layer, type) else ""
        raise ValueError(f"check_layer expects a layer, got {layer!r}{hint}")


def _check_size(layer: Layer, inputs: tuple[npt.ArrayLike, ...]) -> None:
    arrays = [np.asarray(x) for x in (*inputs, *layer.params.values())]
    count = sum(x.size for x in arrays if x.dtype.kind == "f")
    if not inputs or not count:
        raise ValueError(f"check_layer expects inputs of floats, some numbers at least, to check {layer} at")
    if count > MOST:
        raise ValueError(
            f"each of {count:,} numbers takes two forward passes, and {MOST:,} are the limit; a small layer and input "
            "tell as much, as one of shape (5, 4) does (--shape 5,4)"
        )


def _examine(layer: Layer, inputs: tuple[npt.ArrayLike, ...]) -> Iterator[Promise]:
    yield (item := _ask("declared", lambda: numbers.declared(layer)))
    if item.kept is False:
        return
    _check_size(layer, inputs)
    trial = Trial(layer, inputs)
    yield (item := _ask("forward", lambda: numbers.forward(trial)))
    if not item.kept:
        return
    yield (item := _ask("backward", lambda: numbers.backward(trial)))
    if item.kept:
        yield from (_ask(f"gradient of {quantity(name)}", partial(_gradient, trial, name)) for name in trial.found)
        broken = []
        for name, question in BACKWARD.items():
            cause = next((other for other in AFTER.get(name, ()) if other in broken), "")
            item = Promise(name, None, f"see {cause}") if cause else _ask(name, partial(question, trial))
            broken += [name] if item.kept is False else []
            yield item
    yield from (_ask(name, partial(question, trial)) for name, question in FORWARD.items())


def _ask(name: str, question: Callable[[], str]) -> Promise:
    try:
        return Promise(name, True, question())
    except NotAsked as reason:
        return Promise(name, None, str(reason))
    except Fault as fault:
        return Promise(name, False, fault.detail, fault.advice)
    except Exception as error:  # of the layer's: calls by hand are watched in Trial, those of a graph are not
        return Promise(name, False, f"raises {type(error).__name__}: {' '.join(str(error).split())}", place(error))


def _gradient(trial: Trial, name: str) -> str:
    """The gradient is that which differences of forward give, in every number."""
    comparison = trial.compare(name, trial.found[name])
    if comparison.fault:
        raise Fault(quantity(name) + comparison.fault, diagnose(trial, comparison))
    return comparison.figures
