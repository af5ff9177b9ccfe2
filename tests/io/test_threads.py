"""Ordered work on several threads: the same results, few at a time, and errors that pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from al.io.threads import in_order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_items(threads: int) -> None:
    pauses = np.random.default_rng(0).random(30) / 500

    def work(i: int) -> int:
        time.sleep(pauses[i])
        return i * i

    assert list(in_order(work, range(30), threads)) == [i * i for i in range(30)]
    assert list(in_order(work, [], threads)) == []


@pytest.mark.parametrize(("threads", "ahead"), [(1, 1), (2, 3), (5, 6)])
def test_few_are_taken_ahead(threads: int, ahead: int) -> None:
    taken = given = most = 0

    def items() -> Iterator[int]:
        nonlocal taken, most
        for i in range(40):
            taken += 1
            most = max(most, taken - given)
            yield i

    for _ in in_order(lambda i: i, items(), threads):
        given += 1
    assert most == ahead


def test_they_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3)
    assert len(list(in_order(lambda i: meeting.wait(20), range(3), 3))) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_passes_and_ends_the_work(threads: int) -> None:
    begun: list[int] = []

    def work(i: int) -> int:
        begun.append(i)
        if i == 4:
            raise KeyError(i)
        return i

    found = []
    with pytest.raises(KeyError, match="4"):
        for result in in_order(work, range(1000), threads):
            found.append(result)
    assert found == [0, 1, 2, 3] and len(begun) <= 5 + threads
    before = threading.active_count()
    stream = in_order(work, range(5, 1000), threads)
    next(stream)
    stream.close()  # a reader that stops early
    assert threading.active_count() == before and len(begun) <= 10 + 2 * threads


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_among_the_items_passes(threads: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(in_order(lambda i: i, items(), threads))
