"""The three outcomes: what was read, a refusal in the project's own words, or a failure."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import TypeVar

from hypothesis import event

from al.io.errors import ConfigError, DataError

Found = TypeVar("Found")
MOST_MEMORY = 2 << 30


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def tried(read: Callable[[], Found], *named: str) -> Found | None:
    """Return what is read, or ``None`` where it is refused with one of ``named`` in the message.

    Any other exception passes: it is a failure, as is taking 2 GB.
    """
    before = _peak()
    try:
        found = read()
    except (DataError, ConfigError) as refusal:
        told = str(refusal)
        assert not named or any(name in told for name in named), f"nothing named: {told}"
        event("refused")
        return None
    finally:
        assert _peak() - before < MOST_MEMORY, "took more than 2 GB"
    event("read")
    return found
