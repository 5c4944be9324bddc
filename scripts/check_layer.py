"""Is a layer right? Hold it to its contract: its gradients, and all else that graphs, networks and optimizers rely on.

LAYER is a class in a file of your own, my_layer.py:Swish, or a layer of the catalogue, such as ReLU.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import ast
import inspect
import sys

try:
    from dlscratch.command import (
        DONE,
        ERROR,
        INTERRUPTED,
        USAGE,
        accepted_by,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        number,
        run_command,
    )
    from dlscratch.user_code import is_user_code, load_user_code
except ModuleNotFoundError as error:
    sys.exit(f"check_layer.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, INTERRUPTED)
    option = parser.add_argument
    option("layer", type=filled, metavar="LAYER", help="FILE.py:CLASS, or the name of a layer of the catalogue")
    option(
        "--shape", dest="inputs", action="append", type=accepted_by(floats), metavar="N,D",
        help="an input of floats of this shape, or `scalar` (5,4); once for each input, in their order",
    )  # fmt: skip
    option(
        "--labels", dest="inputs", action="append", type=accepted_by(labels), metavar="N,K",
        help="an input of N labels, whole numbers from 0 to K - 1",
    )  # fmt: skip
    option(
        "--with", dest="arguments", type=accepted_by(arguments), metavar="ARGS", default=((), {}),
        help="what the class is called with, such as 'in_size=4, out_size=3'; rng is supplied",
    )  # fmt: skip
    option("--range", type=accepted_by(bounds), metavar="A,B", help="draw floats from A to B (normally distributed)")
    option("--seed", type=number(int, least=0), default=0, help="seed of all that is drawn (0)")
    return parser.parse_args()


def floats(text: str) -> tuple[str, tuple[int, ...]]:
    return "floats", () if text == "scalar" else sizes(text, "5,4")


def labels(text: str) -> tuple[str, tuple[int, ...]]:
    shape = sizes(text, "5,10")
    if len(shape) < 2:
        raise ValueError(f"expects how many labels, and of how many classes, such as 5,10, got {text!r}")
    return "labels", shape


def sizes(text: str, example: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ValueError(f"expects whole numbers from 1 up, such as {example}, got {text!r}")
    return tuple(map(int, parts))


def bounds(text: str) -> tuple[float, float]:
    low, comma, high = text.partition(",")
    try:
        if comma and -float("inf") < float(low) < float(high) < float("inf"):
            return float(low), float(high)
    except ValueError:
        pass
    raise ValueError(f"expects two numbers, the smaller one first, such as 0.5,2, got {text!r}")


def arguments(text: str) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments of a call; they are literals, and nothing is computed."""
    try:
        call = ast.parse(f"made_with({text})", mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
            if len(named) == len(call.keywords):
                return tuple(map(ast.literal_eval, call.args)), named
    except (SyntaxError, ValueError, TypeError):
        pass
    raise ValueError(f"expects numbers, texts and the like, such as 'in_size=4, out_size=3', got {text!r}")


def main() -> int:
    options = parse_options()
    limit_blas_threads(1)
    with interrupted_later():
        import numpy as np

        from dlscratch.contract import examine_layer

    rng = np.random.default_rng(options.seed)
    try:
        layer = load_layer(options.layer, options.arguments, rng)
        inputs = [draw(*given, options.range, rng) for given in options.inputs or [floats("5,4")]]
        found = examine_layer(layer, *inputs)
    except (ValueError, OSError) as error:  # nothing was examined, so the exit code is not that of a fault
        print(f"check_layer.py: {error}", file=sys.stderr)
        return USAGE
    print(f"{options.layer} at {', '.join(f'{x.dtype} {x.shape}' for x in inputs)}", *found, sep="\n")
    broken = sum(item.kept is False for item in found)
    print(f"{broken} of {len(found)} promises broken" if broken else "all is right")
    return ERROR if broken else DONE


def load_layer(text, arguments, rng):
    """The layer that `text` names, made with these arguments and, where its class takes one, this generator."""
    from dlscratch import layers

    def make(kind):
        if not (isinstance(kind, type) and issubclass(kind, layers.Layer)):
            raise ValueError(f"{text} is no layer: expected a class that is derived from dlscratch.layers.Layer")
        (positional, named), signature = arguments, inspect.signature(kind)
        named = {"rng": rng} | named if "rng" in signature.parameters else named
        try:
            signature.bind(*positional, **named)
        except TypeError as error:
            takes = ", ".join(name for name in signature.parameters if name != "rng") or "nothing"
            raise ValueError(f"{kind.__name__} is made with {takes}: {error}; see --with") from None
        return kind(*positional, **named)

    if is_user_code(text):
        return load_user_code(text, make).value
    catalogue = [name for name in layers.__all__ if name != "Layer"]
    if text not in catalogue:
        raise ValueError(
            f"expects FILE.py:CLASS, such as my_layer.py:Swish, or one of {', '.join(catalogue)}; got {text}"
        )
    try:
        return make(getattr(layers, text))
    except TypeError as error:
        raise ValueError(f"{text} cannot be made: {error}") from error


def draw(kind, shape, bounds, rng):
    """An input, drawn at random."""
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    return rng.uniform(*bounds, shape) if bounds else rng.standard_normal(shape)


if __name__ == "__main__":
    run_command(main)
