"""Begin a layer of your own: a file with a layer that is right as it stands, to be changed, and the test of it."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import keyword
import re
import shlex
import sys
from pathlib import Path

try:
    from dlscratch.command import DONE, accepted_by, filled, new_parser, run_command
except ModuleNotFoundError as error:
    sys.exit(f"new_layer.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")

LAYER = '''"""{name}, a layer of my own."""

import numpy as np

from dlscratch.layers import Layer


class {name}(Layer):
    """y = x²    TODO: your formula"""

    def forward(self, x, out=None):
        return np.square(x, out=out)  # TODO: y of x

    def backward(self, dy, x, y, out=None):
        slope = 2 * x  # TODO: dy/dx, from x or y
        return np.multiply(dy, slope, out=out)
'''

LAYER_WITH_PARAMETERS = '''"""{name}, a layer of my own, with parameters that are learned."""

import numpy as np

from dlscratch.layers import Layer


class {name}(Layer):
    """y = w x    x (N, D), w (D,) -> y (N, D)    TODO: your formula"""

    def __init__(self, size, dtype=np.float32):
        super().__init__(w=np.ones(size, dtype))  # TODO: every parameter, by its name

    def forward(self, x, out=None):
        return np.multiply(x, self.w, out=out)  # TODO: y of x

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, self.w, out=out)  # TODO: the gradient of x

    def backward_params(self, dy, x, y):
        np.sum(dy * x, axis=0, out=self.dw)  # TODO: the gradient of every parameter
'''

TEST = '''"""{name} keeps the contract of a layer."""

{imports}


def test_{module}_keeps_the_contract_of_a_layer():
    x = np.random.default_rng(0).standard_normal((5, 4))
    check_layer({name}({arguments}), x)
'''


ROOT = Path(__file__).resolve().parents[1]


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__)
    option = parser.add_argument
    option("name", type=accepted_by(class_name), metavar="NAME", help="what the layer is called, such as Swish")
    option("--params", action="store_true", help="a layer with parameters, which are learned")
    option("--out", type=filled, metavar="DIR", default=".", help="the folder for both files (this one)")
    return parser.parse_args()


def class_name(text: str) -> str:
    """A name for a class whose module hides no other."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", text) or keyword.iskeyword(text):
        raise ValueError(f"expects a capital letter, then letters and digits, such as Swish, got {text!r}")
    if module_name(text) in {*sys.stdlib_module_names, "numpy", "dlscratch", "dataset", "pytest", "conftest"}:
        raise ValueError(f"expects another name: {module_name(text)}.py would hide the module {module_name(text)}")
    return text


def module_name(name: str) -> str:
    """LeakySwish -> leaky_swish"""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def imports(name: str, folder: Path) -> str:
    """The imports of the test, sorted as this project has them: in its own folder, the layer is one of its modules."""
    numpy, kit = "import numpy as np", "from dlscratch.contract import check_layer"
    layer = f"from {module_name(name)} import {name}"
    ours = folder.resolve() == ROOT
    return "\n".join([numpy, "", *sorted([kit, layer])] if ours else [numpy, layer, "", kit])


def main() -> int:
    options = parse_options()
    folder, module = Path(options.out).expanduser(), module_name(options.name)
    texts = {f"{module}.py": LAYER_WITH_PARAMETERS if options.params else LAYER, f"test_{module}.py": TEST}
    for name in texts:
        if (folder / name).exists():
            raise ValueError(f"{folder / name} exists already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    arguments = "size=4" if options.params else ""
    for name, text in texts.items():
        with (folder / name).open("x", encoding="utf-8") as file:
            names = {"name": options.name, "module": module, "imports": imports(options.name, folder)}
            file.write(text.format(**names, arguments=arguments))
    check = ["python", "scripts/check_layer.py", f"{folder / module}.py:{options.name}", "--shape", "5,4"]
    check += ["--with", arguments] if arguments else []
    print(f"{folder / module}.py is a layer that is right as it stands. Change what is marked TODO, then:")
    print(f"  {shlex.join(check)}")
    print(f"  {shlex.join(['python', '-m', 'pytest', str(folder / f'test_{module}.py')])}")
    return DONE


if __name__ == "__main__":
    run_command(main)
