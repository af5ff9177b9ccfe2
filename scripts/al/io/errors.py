"""Mistakes of the configuration or the data, told without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class DataError(ValueError):
    """The data on disk cannot be used; the message names the file, what was found and allowed."""


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key, what was found and allowed."""


def nearest(name: object, allowed: Iterable[object]) -> str:
    """Say what is allowed, the most similar name first."""
    names = sorted(str(a) for a in allowed)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(names) or 'nothing'}"


def shortened(items: Sequence[str], most: int = 10) -> list[str]:
    """Return the first ``most`` items, and how many more there are as one."""
    more = len(items) - most
    return [*items[:most], f"and {more} more"] if more > 0 else list(items)
