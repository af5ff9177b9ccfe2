"""What was read, kept while memory allows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """Values by key; threads may ask at once.

    The first are kept, not the last: who goes through all again and again would find none of those
    that were used last.
    """

    def __init__(self, limit: float, size_of: Callable[[T], int]) -> None:
        """Take a number of bytes, and what counts those of a value."""
        self.limit, self.size_of = limit, size_of
        self.size = 0
        self.held: dict[Hashable, T] = {}
        self.lock = Lock()

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return the value of a key, loaded when it is not held."""
        if key in self.held:
            return self.held[key]
        value = load()
        size = self.size_of(value)
        with self.lock:
            if self.size + size <= self.limit and key not in self.held:
                self.held[key] = value
                self.size += size
        return value
