"""The same work on many images, in order, on one thread or a few."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
PROGRESS = 20.0  # seconds between two lines


def in_order(function: Callable[[A], B], items: Iterable[A], threads: int = 1) -> Iterator[B]:
    """Yield ``function(item)`` of each item, in the order of the items, as ``map`` does.

    It pays where the function leaves Python's lock, as reading, decompressing and compiled code do.

    Args:
        function: called on ``threads`` threads, so it must not change what another call reads.
        items: taken in this thread as they are needed: of items and results together at most
            ``threads + 1`` are held beside the one that was yielded.
        threads: 1 starts none, and takes an item only when its result is asked for.

    Raises:
        Exception: what a call raised, when its result is due; nothing is begun after it.
    """
    if threads < 2:
        yield from map(function, items)
        return
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                del item
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def with_progress(items: Iterable[A], total: int, what: str) -> Iterator[A]:
    """Yield items; where they take long, print ``5 of 9 WHAT``, 9 being ``total``."""
    told = monotonic()
    for number, item in enumerate(items, 1):
        yield item
        if monotonic() > told + PROGRESS:
            told = monotonic()
            print(f"  {number} of {total} {what}", flush=True)
