"""The products of an Affine layer with images as bytes, most of which are zero; sparse.c, in C, explains them."""

import ctypes
from functools import cache
from operator import is_
from pathlib import Path

import numpy as np

from dlscratch.compiled import compiled
from dlscratch.functions import BYTE, Array

PIXELS, ROWS, LANES = 4, 128, 8  # of a group; of a block; floats in a vector
WIDEST = 8  # vectors in a row of a tile: more would not fit the registers


def takes(x: Array, y: Array | None, W: Array, b: Array, dW: Array, db: Array) -> bool:
    """Whether x (N, D) are bytes, D a multiple of 4, the others float32 of fitting shapes, and all of them in rows."""
    D, M = W.shape
    return (
        isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.shape[1:] == (D,) and x.flags.c_contiguous
        and len(x) > 0 and D % PIXELS == 0 and (y is None or _are_floats(y, len(x), M))
        and _are_floats(W, D, M) and _are_floats(dW, D, M) and _are_floats(b, M) and _are_floats(db, M)
    )  # fmt: skip


class Product:
    """y = x W / 255 + b in the memory of these arrays, once it `takes` them, and the gradients dW and db.

    It may be computed as often as they change. To ask all arrays for their addresses each time would be 5 % of a step.
    """

    def __init__(self, x: Array, y: Array, W: Array, b: Array, dW: Array, db: Array) -> None:
        (N, D), M = x.shape, len(b)
        self.arrays = x, y, W, b, dW, db
        self._library = library(M)
        self._lists = np.empty((-(-N // ROWS), D // PIXELS, 1 + ROWS), np.uint8)  # of images, for each group of pixels
        self._given = N, D, M, BYTE, _address(x), _address(self._lists)
        self._forward = [_address(array) for array in (W, b, y)]
        self._backward = [_address(array) for array in (dW, db)]

    def is_of(self, *arrays: Array | None) -> bool:
        """Whether these are its arrays, in the order of the constructor."""
        return all(map(is_, self.arrays, arrays))

    def forward(self) -> Array:
        """Compute and return y."""
        self._library.forward(*self._given, *self._forward)
        return self.arrays[1]

    def __reduce__(self) -> tuple[type["Product"], tuple[Array, ...]]:
        """A copy is made anew from copies of the arrays, which lie elsewhere."""
        return Product, self.arrays

    def backward(self, dy: Array) -> None:
        """dW = xᵀ dy / 255 (D, M) and db = Σ_n dy_n (M,) from dy (N, M), after `forward`."""
        dy = np.ascontiguousarray(dy, np.float32)
        self._library.backward(*self._given, _address(dy), *self._backward)


@cache
def library(columns: int) -> ctypes.CDLL:
    """The compiled functions, for a W of so many columns; ValueError where there is no C compiler."""
    tiles = -(-columns // (WIDEST * LANES))
    vectors = -(-columns // (tiles * LANES))
    functions = compiled(Path(__file__).with_suffix(".c"), PIXELS=PIXELS, ROWS=ROWS, LANES=LANES, VECTORS=vectors)
    given = [ctypes.c_int64] * 3 + [ctypes.c_float] + [ctypes.c_void_p] * 2
    functions.forward.argtypes = functions.backward.argtypes = given + [ctypes.c_void_p] * 3
    return functions


def _are_floats(array: Array, *shape: int) -> bool:
    """Whether this is float32 in rows, of this shape, and may be written."""
    return isinstance(array, np.ndarray) and array.dtype == np.float32 and array.shape == shape and array.flags.carray


def _address(array: Array) -> int:
    """Of its memory. `array.ctypes` knows that of every array, but takes three times as long."""
    if not array.flags.writeable:
        return array.ctypes.data
    return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]  # arrays are buffers
