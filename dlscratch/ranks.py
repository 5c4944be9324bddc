"""Processes that train one net together: each is a rank, counted from 0. The first alone reads, writes and prints.

All of them call the same methods in the same order, or wait for each other for ever. `dlscratch.mpi` has such ranks.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # ranks are there before the number of BLAS threads is set, which NumPy reads when it is imported
    from dlscratch.functions import Array

T = TypeVar("T")


class Ranks(Protocol):
    """What a training needs of the processes that share it."""

    rank: int  # of this process
    size: int  # how many there are

    def sum(self, array: "Array") -> None:
        """Add up the arrays of all ranks, in place: each has the sum then."""

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make()` returns on the first rank, which alone calls it."""


class Alone:
    """This process, and no other."""

    rank, size = 0, 1

    def sum(self, array: "Array") -> None:
        """The array is the sum."""

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make()` returns."""
        return make()


ALONE = Alone()
