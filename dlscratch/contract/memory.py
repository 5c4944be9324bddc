"""What a layer promises about memory: its own, that of its arguments, and that which it is given to write into.

One function each: it returns what was seen, or raises Fault or NotAsked.
"""

import numpy as np

from dlscratch.contract.fault import Fault, NotAsked, quantity, say, selves
from dlscratch.contract.sameness import changed, close
from dlscratch.contract.trial import Arrays, Trial
from dlscratch.functions import Array
from dlscratch.layers import Layer
from dlscratch.variable import made_here


def reads_only(trial: Trial) -> str:
    """Arguments are read, never written."""
    inputs, layer = dict(zip(trial.names, trial.xs, strict=True)), trial.layer
    back = {"dy": trial.dy, **inputs, "y": trial.y}
    trial.rewind()
    _watch(trial, "forward", inputs)
    if layer.param_names:
        _watch(trial, "backward_params", back)
    if any(x.dtype.kind == "f" for x in trial.xs):
        _watch(trial, "backward", back)
    if type(layer).predict is not Layer.predict:
        _watch(trial, "predict", inputs)
    return f"{', '.join(trial.names)}, dy and y stay as they are"


def _watch(trial: Trial, method: str, arguments: dict[str, Array]) -> None:
    own = {name: x.copy() for name, x in arguments.items()}
    last = {"y": own["y"]} if "dy" in own else {}
    trial.call(method, *(x for name, x in own.items() if name not in last), **last)
    if written := changed(arguments, own):
        raise Fault(
            f"{method} writes into {' and '.join(written)}",
            "others still read it: compute into `out` or a new array, as y = 2 * y does, and not y *= 2 or x[mask] = 0",
        )


def out(trial: Trial) -> str:
    """With `out`, results are the same, and are `out`."""
    return _out(trial, trial.xs, trial.dy)


def memory_order(trial: Trial) -> str:
    """Inputs whose memory has the batch innermost, as that of a convolution's output has, give the same numbers."""
    if all(x.ndim < 2 for x in (*trial.xs, trial.y)):
        raise NotAsked("arrays of one dimension have only one order")
    xs, dy = tuple(map(_batch_innermost, trial.xs)), _batch_innermost(trial.dy)
    advice = (
        "reshape and ravel copy then, and what is written into a copy is lost: use ufuncs with out=, np.empty_like(x)"
    )
    if not close(trial.forward(xs), trial.y):
        raise Fault("forward gives other numbers where the batch is innermost in memory", advice)
    for name, gradient in trial.run(xs, dy).items():
        if not close(gradient, trial.found[name]):
            raise Fault(
                f"the gradient of {quantity(name)} is another one where the batch is innermost in memory", advice
            )
    try:
        _out(trial, xs, dy)
    except NotAsked:
        pass
    except Fault as fault:
        raise Fault(f"where the batch is innermost in memory, {fault.detail}", advice) from fault
    return "the batch may be innermost in memory"


def called_twice(trial: Trial) -> str:
    """A second call changes nothing for the first, neither its result nor its gradients, and owes nothing to it."""
    layer, xs, dy, left = trial.layer, trial.xs, trial.dy, selves(trial.left)
    y = trial.forward(xs)
    kept = y.copy()
    trial.forward(trial.others)
    if not close(y, kept):
        advice = "it is an array that forward keeps: return a new one, or that which is given as `out`"
        raise Fault("a second forward overwrites the output of the first", advice)
    if layer.remembers:
        trial.forward(xs)
    for name, gradient in trial.gradients(dy, xs, kept).items():
        if not close(gradient, trial.found[name]):
            raise Fault(
                f"the gradient of {quantity(name)} belongs to the last forward, not to the x and y that are given",
                f"it is made from {left}: compute it from x and y, or, if that is dear, "
                + say("remembers", layer.remembers, trial.left),
            )
    for name, gradient in trial.gradients(dy, xs, kept).items():
        if not close(gradient, trial.found[name]):
            advice = f"it changes {selves(layer.remembers) if layer.remembers else left}, which it may only read"
            raise Fault(f"a second backward gives another gradient of {quantity(name)}", advice)
    _owes_nothing(trial, left)
    return "the last forward counts" if layer.remembers else "each backward belongs to the x and y that it is given"


def _owes_nothing(trial: Trial, left: str) -> None:
    """A smaller batch that comes later is treated as if it came first."""
    n = len(trial.xs[0]) if trial.xs[0].ndim > 1 else 0
    if n < 3:
        return
    fewer = tuple(x[1:] if x.ndim and len(x) == n else x for x in trial.xs)
    if not close(trial.forward(fewer), Trial(trial.original, fewer).y):
        advice = f"forward goes by {left}, which an earlier call left there: make it anew each time"
        raise Fault("a smaller batch gives other numbers when it comes after a larger one", advice)


def _out(trial: Trial, xs: Arrays, dy: Array) -> str:
    """`out` is asked for where the graph gives it: for arrays that the layer made, not for scalars and views."""
    y = trial.forward(xs)
    kept, asked = y.copy(), []
    if made_here(y, trial.given):
        asked.append("y")
        _same_out("forward", y, buffer := np.full_like(y, np.nan), trial.forward(xs, out=buffer))
    dxs = trial.backward(dy, xs, kept)
    buffers = tuple(None if dx is None or not made_here(dx, trial.given) else np.full_like(dx, np.nan) for dx in dxs)
    trial.forward(xs)
    again = trial.backward(dy, xs, kept, out=buffers if len(xs) > 1 else buffers[0])
    for name, dx, memory, second in zip(trial.names, dxs, buffers, again, strict=True):
        if dx is not None and memory is not None:
            asked.append(f"the gradient of {name}")
            _same_out(f"backward, gradient of {name}", dx, memory, second)
    if not asked:
        raise NotAsked("results are scalars or views, for which no memory is kept")
    return f"{', '.join(asked)}: the same in memory that is given"


def _same_out(what: str, first: Array, buffer: Array, second: Array | None) -> None:
    if second is not buffer:
        advice = "hand it to the last NumPy function, as np.multiply(a, b, out=out), and return what that returns"
        raise Fault(f"{what}: `out` is given, but another array comes back", advice)
    if not close(first, buffer):
        advice = (
            "`out` holds anything before: fill all of it, and neither add to it nor read it"
            if np.isnan(buffer).any()
            else "is `out` written while something that is still needed lies in it?"
        )
        raise Fault(f"{what}: the numbers are others when `out` is given", advice)


def _batch_innermost(x: Array) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0) if x.ndim > 1 else x
