"""An array type of our own that stands for CuPy: it answers NumPy's dispatch protocols and never becomes NumPy's."""

import numpy as np


class DuckArray(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, array):
        self.array = array

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is None:
            return _wrapped(getattr(ufunc, method)(*_unwrapped(inputs), **kwargs))
        getattr(ufunc, method)(*_unwrapped(inputs), out=_unwrapped(out), **kwargs)
        return out[0]

    def __array_function__(self, function, types, args, kwargs):
        result = function(*_unwrapped(args), **{name: _unwrapped(x) for name, x in kwargs.items()})
        return _wrapped(result) if kwargs.get("out") is None else kwargs["out"]

    def __array__(self, *args, **kwargs):
        raise TypeError("a DuckArray does not become a NumPy array by itself")

    def __getitem__(self, index):
        return DuckArray(self.array[_unwrapped(index)])

    def __setitem__(self, index, value):
        self.array[_unwrapped(index)] = _unwrapped(value)

    def __len__(self):
        return len(self.array)

    def __bool__(self):
        return bool(self.array)

    def __float__(self):
        return float(self.array)

    def __getattr__(self, name):  # shape, ndim, size, dtype, base, T, and methods
        if name == "array":
            raise AttributeError(name)
        value = getattr(self.array, name)
        return _wrapped(value) if not callable(value) else lambda *args, **kwargs: _wrapped(value(*args, **kwargs))


class DuckGenerator:
    """A random stream that draws the numbers of a NumPy generator into DuckArrays, as CuPy's does into its own."""

    def __init__(self, rng):
        self.rng = rng

    def standard_normal(self, *args):
        return DuckArray(self.rng.standard_normal(*args))

    def random(self, *args):
        return DuckArray(self.rng.random(*args))


def _unwrapped(x):
    if isinstance(x, tuple | list):
        return type(x)(_unwrapped(item) for item in x)
    return x.array if isinstance(x, DuckArray) else x


def _wrapped(x):
    if isinstance(x, list):
        return [_wrapped(item) for item in x]
    return DuckArray(x) if isinstance(x, np.ndarray | np.generic) else x
