"""Compiled functions, whose machine code is kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Compile on first call; keep the machine code on disk where a cache folder can be written."""
    if function is None:
        return partial(compiled, **options)
    try:
        return njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # numba found no writable folder
        return njit(nogil=True, **options)(function)
