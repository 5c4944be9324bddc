"""Data sets for learning, as NumPy arrays: MNIST and its sister sets, IDX files of one's own, drawn strokes.

This package imports nothing else of the project and works alone.
"""


class DataError(ValueError):
    """A data file that is missing, damaged or not what it should be."""
