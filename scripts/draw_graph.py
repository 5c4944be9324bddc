"""Draw a computation graph, with the value above each arrow and the gradient below it.

GRAPH is shop (the book's apples and oranges), residual-block, a net by its name, the folder of a run, or
FILE.py:FUNCTION that returns a Graph, a Variable or a Network. A net is drawn after one batch has gone
through it, there and back; its function may ask for what train.py offers, and for the settings below.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import inspect
import sys
from dataclasses import fields
from pathlib import Path

try:
    from dlscratch.command import (
        DATA,
        DONE,
        INTERRUPTED,
        ending_in,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        run_command,
    )
    from dlscratch.settings import CHOICES, NETS, Settings, given, option_of
    from dlscratch.user_code import is_user_code
except ModuleNotFoundError as error:
    sys.exit(f"draw_graph.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, DATA, INTERRUPTED)
    option = parser.add_argument
    option("graph", nargs="?", default="shop", type=filled, metavar="GRAPH",
           help=f"shop (default), residual-block, {', '.join(NETS)}, RUN, or FILE.py:FUNCTION")  # fmt: skip
    option("--out", default="graph.svg", type=ending_in(".svg", ".dot"), metavar="FILE",
           help=".svg, or .dot for Graphviz (%(default)s)")  # fmt: skip
    option("--dataset", type=filled, default=argparse.SUPPRESS, metavar="NAME",
           help="the data that a net reads (strokes; mnist if --data-dir is given; that of the run)")  # fmt: skip
    for each in fields(Settings):
        if each.name in ("data_dir", "batch_size", *CHOICES):
            option(option_of(each.name), default=argparse.SUPPRESS, **each.metadata)
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    limit_blas_threads(1)
    with interrupted_later():
        from dataset.files import replacing
    graph = graph_of(options)
    text = graph.to_dot() if options.out.suffix.lower() == ".dot" else graph.to_svg()
    with replacing(options.out) as file:
        file.write(text.encode("utf-8"))
    print(f"drawn in {options.out}")
    return DONE


def graph_of(options):
    """The Graph or Network that is asked for, with values and gradients."""
    with interrupted_later():
        from dlscratch.user_code import load_user_code

    name, asked, graph = options.graph, given(options), None
    chosen = [choice for choice in CHOICES if choice in asked]
    if name in EXAMPLES:
        graph = made_by(EXAMPLES[name], name)
    elif is_user_code(name) and not chosen:
        graph = load_user_code(name, lambda function: made_by(function, name)).value
    if graph is None and (name in NETS or is_user_code(name)):
        return net_of(name, asked)
    if graph is None and not Path(name).is_dir():
        known = ", ".join([*EXAMPLES, *NETS])
        raise ValueError(f"expects {known}, the folder of a run, or FILE.py:FUNCTION, got {name!r}")
    if unused := chosen if graph is None else asked:
        raise ValueError(f"{', '.join(map(option_of, unused))} means nothing to {name}; leave it out")
    return graph or of_run(name, asked)


def made_by(function, name):
    """The Graph that a function returns which needs random numbers at most, run there and back; None for a net's."""
    from dlscratch.graph import Graph, Variable
    from dlscratch.network import Network
    from dlscratch.training import Streams
    from dlscratch.user_code import call_with

    wanted = inspect.signature(function).parameters.values()
    if any(each.default is each.empty and each.name != "rng" for each in wanted):
        return None
    result = call_with(function, {"rng": Streams.from_seed(0).weights})
    if isinstance(result, Network):
        return None
    if not isinstance(result, Graph | Variable):
        raise ValueError(f"{name} expects to return a Graph, a Variable or a Network, returned {result!r}")
    graph = Graph(result) if isinstance(result, Variable) else result
    if not graph.forward_done and all(leaf.value is not None for leaf in graph.leaves):
        graph.forward()
        graph.backward()
    return graph


def net_of(name, asked):
    """The net that a name or a function stands for with these settings, made as for a training."""
    from dlscratch.build import build_net
    from dlscratch.training import Streams

    settings = Settings().changed({**asked, "model": name})
    x, t = images(settings)
    net = build_net(settings, x.shape[1:], 1 + int(t.max()), Streams.from_seed(settings.seed)).net
    return learned(net, x, t, settings)


def images(settings):
    """Images for a net, as bytes (N, C, H, W), of all classes, and their labels (N,)."""
    from dataset.load import load_dataset
    from dataset.strokes import load_strokes

    if name := settings.dataset or (settings.data_dir and "mnist"):
        return load_dataset(name, data_dir=settings.data_dir, normalize=False, flatten=False)[0]
    return load_strokes(normalize=False, flatten=False, train_size=max(settings.batch_size, 10), test_size=0)[0]


def learned(net, x, t, settings):
    """The net, after the first of these images have gone through it as rows of pixels, there and back."""
    x, t = x[: settings.batch_size], t[: settings.batch_size]
    net.loss(x.reshape(len(x), -1), t)
    net.backward()
    return net


def of_run(folder, asked):
    """The net of a run, after the first images that it learned from."""
    from dlscratch.data import check_data, load_data
    from dlscratch.runs import Run
    from dlscratch.saved_net import load_net

    run = Run.open(folder)
    net = load_net(run)
    settings = Settings.from_config(run.config).changed({"batch_size": 100, **asked})
    data = load_data(settings)
    check_data(run, data)
    return learned(net, *data.train, settings)


def shop():
    from dlscratch.graph import Variable

    prices = [("apple", 100), ("apples", 2), ("orange", 150), ("oranges", 3), ("tax", 1.1)]
    apple, apples, orange, oranges, tax = (Variable(name, value) for name, value in prices)
    price = (apple * apples + orange * oranges) * tax
    price.name = "price"
    return price


def residual_block(rng):
    from dlscratch.graph import Variable
    from dlscratch.layers import Affine, ReLU

    x = Variable("x", rng.standard_normal((5, 8), "float32"))
    y = x + ReLU()(Affine(8, 8, rng=rng)(x))
    y.name = "y"
    return y


EXAMPLES = {"shop": shop, "residual-block": residual_block}

if __name__ == "__main__":
    run_command(main)
