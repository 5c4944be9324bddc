"""What a layer promises about its numbers, one function each: it returns what was seen, or raises Fault or NotAsked."""

from collections.abc import Callable

import numpy as np

from dlscratch.contract.fault import Fault, NotAsked, quantity, say, selves
from dlscratch.contract.sameness import changed, close, copied
from dlscratch.contract.trial import Arrays, Gradients, Trial
from dlscratch.functions import Array
from dlscratch.layers import Layer


def declared(layer: Layer) -> str:
    """Parameters, buffers and what is remembered are named where the base class looks for them; repr is one line."""
    if "\n" in repr(layer):
        raise Fault("repr has several lines", "a layer is one line of its network: let __repr__ return one")
    for kind, example in {"param_names": "W", "remembers": "mask", "buffer_names": "running_mean"}.items():
        if not isinstance(getattr(layer, kind), tuple):
            raise Fault(f"{kind} is {getattr(layer, kind)!r}", f"it is a tuple of names, such as {(example,)}")
    for name in (*layer.param_names, *layer.buffer_names):
        value = getattr(layer, name, None)
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise Fault(
                f"{name} is {_kind(value)}", "a parameter or buffer is an array of floats: np.zeros(3, np.float32)"
            )
    for name, value in vars(layer).items():
        _unseen(layer, name, value)
    layer.copy(np.float64)  # an error in it is told before anything relies on it
    arrays = ", ".join(f"{name} {value.shape}" for name, value in (layer.params | layer.buffers).items())
    return arrays or "neither parameters nor buffers"


def _unseen(layer: Layer, name: str, value: object) -> None:
    """What looks like a parameter is one: else no optimizer sees it, and it is not saved."""
    inner = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(part, Layer) and part.param_names for part in inner):
        raise Fault(
            f"self.{name} is a layer with parameters, which no optimizer sees",
            "connect layers in a function, y = second(first(x)), or hand the arrays to super().__init__",
        )
    if not isinstance(value, np.ndarray) or name in (*layer.param_names, *layer.remembers):
        return
    if f"d{name}" in vars(layer):
        raise Fault(
            f"self.{name} has a gradient self.d{name}, but no optimizer sees it, and it is not saved",
            f"hand it to the base class, which makes the gradient: super().__init__({name}={name})",
        )
    if hasattr(layer, "backward_params") and not layer.param_names:
        raise Fault(
            f"there is a backward_params, but no parameter; is it self.{name}?",
            f"hand it to the base class: super().__init__({name}={name})",
        )


def forward(trial: Trial) -> str:
    """forward returns an array of finite floats, the same for the same inputs, and leaves the parameters alone."""
    params = {name: value.copy() for name, value in trial.layer.params.items()}
    y = trial.y
    _check_finite("forward", y)
    again = trial.forward(trial.xs)
    if written := changed(params, trial.layer.params):
        advice = "only an optimizer does that: compute with a new array"
        raise Fault(f"forward changes the parameter {' and '.join(written)}", advice)
    if not close(again, y):
        advice = f"does it depend on {selves(trial.left)}? If it draws random numbers, their generator is self.rng"
        raise Fault("forward gives other numbers when it is called again with the same inputs", advice)
    return f"{', '.join(str(x.shape) for x in trial.xs)} -> {y.shape}"


def backward(trial: Trial) -> str:
    """backward returns a gradient for each input, backward_params fills one for each parameter, neither does more."""
    layer, y = trial.layer, trial.forward(trial.xs)
    before = copied(layer.params | layer.buffers)
    for method, run in (("backward_params", trial.dparams), ("backward", trial.backward)):
        run(trial.dy, trial.xs, y)
        if written := changed(before, layer.params | layer.buffers):
            advice = "parameters are changed by an optimizer, and buffers by forward: compute with a new array"
            raise Fault(f"{method} changes {selves(written)}", advice)
    for name, value in vars(trial.original).items():
        known = name in (*layer.param_names, *layer.remembers)
        if isinstance(value, np.ndarray | np.generic | float) and f"d{name}" in vars(layer) and not known:
            raise Fault(
                f"backward leaves self.d{name}, but {name} is no parameter: no optimizer sees it, and it is not saved",
                f"hand it to the base class, as an array: super().__init__({name}={name})",
            )
    return f"gradients of {', '.join(map(quantity, trial.found))}"


def linear(trial: Trial) -> str:
    """The gradients are linear in dy: three times dy gives three times the gradient, and 0 gives 0."""
    triple, nothing = trial.run(trial.xs, 3 * trial.dy), trial.run(trial.xs, 0 * trial.dy)
    for name, gradient in trial.found.items():
        if close(triple[name], 3 * gradient) and close(nothing[name], 0 * gradient):
            continue
        if close(triple[name], gradient):
            advice = "dy is not used: the chain rule multiplies the slope by dy, the gradient of the output"
        elif close(triple[name], 9 * gradient):
            advice = "dy stands in it squared: multiply by dy once"
        elif close(triple[name] - nothing[name], 3 * (gradient - nothing[name])):
            advice = "a term stands alone, without dy: multiply it by dy too, or leave it out"
        else:
            advice = "dy goes through something bent (a maximum, a sign, a clip); it may only be multiplied and summed"
        raise Fault(f"3 dy does not give 3 times the gradient of {quantity(name)}", advice)
    return "3 dy gives three times the gradients, 0 gives 0"


def dtype(trial: Trial) -> str:
    """float32 in, float32 out, and gradients in float32; the same with float64."""
    for kind in (np.float32, np.float64):
        twin = Trial(trial.original, tuple(map(_narrow, trial.xs)), kind)
        results: Gradients = {"y": twin.y, "y of predict": twin.predict(twin.xs)}
        results |= {f"the gradient of {quantity(name)}": gradient for name, gradient in twin.found.items()}
        for name, result in results.items():
            if result.dtype != kind:
                raise Fault(
                    f"{name} is {result.dtype} where inputs and parameters are {np.dtype(kind)}",
                    "a NumPy number or array brings a dtype of its own, float64 if nothing is said: let constants be "
                    "Python's (math.sqrt(2), float(c)), and new arrays like the input (np.zeros_like(x))",
                )
    return "float32 stays float32, float64 stays float64"


def rows(trial: Trial) -> str:
    """Row i of the output depends on row i of the inputs only, unless the layer says mixes_batch."""
    if trial.layer.mixes_batch:
        raise NotAsked("the layer says that it mixes the batch")
    if trial.y.ndim == 0 or trial.xs[0].ndim < 2 or len(trial.xs[0]) < 2:
        raise NotAsked("there is no batch of rows from which rows come")
    return _rows(trial, trial.forward, "forward")


def predict(trial: Trial) -> str:
    """predict gives the same each time, changes nothing on self, and is forward where the class has none of its own."""
    layer, inherited = trial.layer, type(trial.layer).predict is Layer.predict
    trial.forward(trial.others)
    before = copied(vars(layer))
    y = trial.predict(trial.xs).copy()
    if names := changed(before, vars(layer)):
        raise Fault(f"predict changes {selves(names)}", _why_predict_changes(layer, tuple(names)))
    _check_finite("predict", y)
    if y.shape != trial.y.shape:
        raise Fault(f"predict returns the shape {y.shape}, forward {trial.y.shape}", "only the numbers may differ")
    if inherited:
        return "the same as forward"
    if y.ndim and trial.xs[0].ndim > 1 and len(y) == len(trial.xs[0]) > 1:
        _rows(trial, trial.predict, "predict")
    return "has a formula of its own, and changes nothing"


def _why_predict_changes(layer: Layer, names: tuple[str, ...]) -> str:
    if type(layer).predict is not Layer.predict:
        return (
            "between forward and backward somebody may ask for the accuracy: only forward draws random numbers, "
            "counts or averages, and keeps things on self"
        )
    if not {"rng", *layer.buffer_names}.isdisjoint(names):
        return (
            "test time needs a formula of its own: write predict(self, x), which draws nothing and leaves buffers alone"
        )
    remember = say("remembers", layer.remembers, names)
    return f"predict is forward here, and keeps it: if backward needs it, {remember}; else make it anew each time"


def _check_finite(method: str, y: Array) -> None:
    if bad := y.size - np.count_nonzero(np.isfinite(y)):
        raise Fault(
            f"{method}: {bad} of {y.size} numbers of y are not finite",
            "is the formula defined at these inputs (a logarithm, a division)? If it is, look for exp of something "
            "large, 0/0 or log(0)",
        )


def _narrow(x: Array) -> Array:
    """Whole numbers in int16 if they fit, which float32 takes in and stays float32; int64 makes float64 of it."""
    narrow = x.astype(np.int16)
    return narrow if x.dtype.kind in "iu" and np.array_equal(narrow, x) else x


def _kind(value: object) -> str:
    if value is None:
        return "declared, but not there"
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"no array but {type(value).__name__}"


def _rows(trial: Trial, run: Callable[[Arrays], Array], method: str) -> str:
    """Change the last row, then leave it out: the other rows of y notice neither."""
    n, y = len(trial.xs[0]), run(trial.xs)
    advice = "is a sum, a mean or a maximum taken along axis 0, the batch? " + (
        "If the layer is meant to look at the whole batch, say mixes_batch = True in its class"
        if method == "forward"
        else "At test time somebody may predict a single image"
    )
    if len(y) != n:
        raise Fault(f"{method} makes {len(y)} rows of {n}", f"each row of x has its row in y; {advice}")
    batched = [x.ndim > 0 and len(x) == n for x in trial.xs]
    pairs = list(zip(trial.xs, trial.others, batched, strict=True))
    touched = run(tuple(np.concatenate([x[:-1], other[-1:]]) if b else x for x, other, b in pairs))
    for i in range(n - 1):
        if not close(touched[i], y[i]):
            raise Fault(f"{method}: row {i} of y changes when row {n - 1} of x does", advice)
    try:
        fewer = run(tuple(x[:-1] if b else x for x, _, b in pairs))
    except Fault as fault:
        raise Fault(f"with a row less, {fault.detail}", f"was the size of the batch kept? {fault.advice}") from fault
    if not hasattr(trial.layer, "rng") and not close(fewer, y[:-1]):  # other sizes draw other random numbers
        raise Fault(f"{method}: y changes when the last row of x is left out", advice)
    return "each row of y depends on its row of x"
