"""Ranks that are threads of one process: what several ranks compute, without a process for each."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor


class ThreadRanks:
    """One of `size` ranks. All share `slots`, where each lays down its array, and a barrier."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.size, self.slots, self.barrier, self.messages = rank, len(slots), slots, barrier, 0

    def sum(self, array):
        self.messages += 1
        total = sum(self._exchange(array.copy()))
        array[...] = total

    def from_first(self, make):
        return copy.deepcopy(self._exchange(None if self.rank else make())[0])

    def _exchange(self, value):
        self.slots[self.rank] = value
        self.barrier.wait(timeout=60)
        values = list(self.slots)
        self.barrier.wait(timeout=60)
        return values


def on_ranks(size, task):
    """What task(ranks) returns on each of so many ranks; the error of the first of them that fails on its own."""
    slots, barrier = [None] * size, threading.Barrier(size)

    def guarded(rank):
        try:
            return task(ThreadRanks(rank, slots, barrier))
        except Exception:  # not KeyboardInterrupt, to which all come together
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(guarded, rank) for rank in range(size)]
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [future.result() for future in futures]
