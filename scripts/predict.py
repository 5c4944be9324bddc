"""Read the digit in pictures of your own with the net of a run, and show what it saw.

A picture is one digit, dark on light or light on dark, of any size: PNG, JPEG or whatever Pillow reads, or a .npy.
One that cannot be read does not stop the others.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until run_command hears it, Ctrl-C just ends the program

import argparse
import sys

try:
    from dlscratch.command import (
        DONE,
        ERROR,
        INTERRUPTED,
        filled,
        interrupted_later,
        limit_blas_threads,
        new_parser,
        run_command,
    )
except ModuleNotFoundError as error:
    sys.exit(f"predict.py: {error}; in the folder that holds setup.cfg, run: python -m pip install -e .")

ANSWERS, BAR = 3, 30  # classes shown for a picture; columns of a bar that stands for certainty


def parse_options() -> argparse.Namespace:
    parser = new_parser(__doc__, INTERRUPTED)
    option = parser.add_argument
    option("run", type=filled, metavar="RUN", help="the folder of a run; python scripts/train.py makes one")
    option("pictures", type=filled, metavar="PICTURE", nargs="+", help="a picture of one digit")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--ink", choices=("dark", "light"), help="the digit is darker or lighter than its paper (found out)"
    )
    how.add_argument(
        "--as-is", action="store_true", help="28 x 28 pixels, white on black, placed as in MNIST: leave it so"
    )
    option("--quiet", action="store_true", help="print a line for each picture: its name, a colon, the digit")
    return parser.parse_args()


def load(folder: str):
    """The net of the run; ValueError if it reads anything but images like those of MNIST."""
    from dataset.strokes import SIDE
    from dlscratch.runs import Run
    from dlscratch.saved_net import load_net

    try:
        run = Run.open(folder)
    except ValueError as error:
        raise ValueError(f"{error}; python scripts/train.py makes one") from None
    net = load_net(run)
    shape = run.facts["data"]["image_shape"]
    if shape != [1, SIDE, SIDE]:
        raise ValueError(
            f"{folder} learned from images of {' x '.join(map(str, shape))} numbers, and pictures are made "
            f"1 x {SIDE} x {SIDE}, as those of MNIST; name a run that learned from such images"
        )
    return net


def read_image(path: str, options: argparse.Namespace):
    """The picture as an image (28, 28) for the net; ValueError if there is no digit in it."""
    import numpy as np

    from dataset.ink import as_digit
    from dataset.pictures import read_picture
    from dataset.strokes import SIDE

    grey = read_picture(path)
    if not options.as_is:
        try:
            return as_digit(grey, light_ink=options.ink and options.ink == "light")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    if grey.shape != (SIDE, SIDE):
        height, width = grey.shape
        raise ValueError(f"{path}: --as-is takes {SIDE} x {SIDE} pixels, got {width} x {height}; leave it out")
    return np.rint(255 * grey).astype(np.uint8)


def answer(path: str, image, p) -> str:
    """What the net makes of an image (28, 28): the likeliest classes of the probabilities p (K,), beside the image."""
    from dlscratch.report_text import drawing

    lines = ["", f"{path}: {p.argmax()}", ""]
    lines += [f"{k}  {p[k]:7.2%}  {'#' * round(BAR * p[k])}" for k in (-p).argsort(kind="stable")[:ANSWERS]]
    drawn = drawing(image)
    lines += [""] * (len(drawn) - len(lines))
    return "\n".join(f"  {row}   {line}".rstrip() for row, line in zip(drawn, lines, strict=True))


def main() -> int:
    options = parse_options()
    limit_blas_threads(1)
    with interrupted_later():
        from dlscratch.functions import softmax
    net = load(options.run)
    code = DONE
    for path in options.pictures:
        try:
            image = read_image(path, options)
        except (ValueError, OSError, ImportError) as error:
            told = f"{path}: {error.strerror}" if isinstance(error, OSError) else error
            print(f"predict.py: {told}", file=sys.stderr)
            code = ERROR
            continue
        p = softmax(net.predict(image.reshape(1, -1)))[0]
        print(f"{path}: {p.argmax()}" if options.quiet else answer(path, image, p), flush=True)
    return code


if __name__ == "__main__":
    run_command(main)
