"""How large the first weights are: each initializer gives a standard deviation for a layer's two sizes."""

import math
from collections.abc import Callable

Initializer = Callable[[int, int], float]


def he(in_size: int, out_size: int) -> float:
    """sqrt(2 / in), which keeps the variance through ReLU (He et al. 2015)."""
    return float((2 / in_size) ** 0.5)


def xavier(in_size: int, out_size: int) -> float:
    """sqrt(2 / (in + out)), for sigmoid and tanh (Glorot and Bengio 2010); the book's shorter form is sqrt(1 / in)."""
    return float((2 / (in_size + out_size)) ** 0.5)


def std(value: float) -> Initializer:
    """The same standard deviation everywhere; the book's two-layer net has 0.01 (chapter 4)."""
    return lambda in_size, out_size: value


def named(text: str) -> Initializer:
    """The initializer that a command line means: `he`, `xavier`, or a number, the standard deviation."""
    rules: dict[str, Initializer] = {"he": he, "xavier": xavier}
    if text.lower() in rules:
        return rules[text.lower()]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"expects he, xavier or a standard deviation such as 0.01, got {text!r}")
    return std(value)
