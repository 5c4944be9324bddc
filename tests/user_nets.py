"""Files such as users write them, with all that they may want to import."""

IMPORTS = """\
import math
import numpy as np
from dlscratch.initializers import he, std
from dlscratch.layers import *
from dlscratch.models import Sequential

"""


def write_net(path, code):
    """A file of code; what is given begins in line 7."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(IMPORTS + code + "\n", encoding="utf-8")
    return path
