"""Compiled functions, whose machine code is kept on disk between processes.

numba's own cache is made for one writer at a time. Where many jobs start at once it can hand the
code of one signature, or of one kind of processor, to a process that asked for another (files are
numbered, and two processes can take the same number); it does not notice a change in a compiled
function that another file calls; and a full disk ends the job. Here the name of a file says all
that its content depends on, the content comes whole by rename, and whatever fails is compiled anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit

try:
    from .code_files import CodeFiles
except (ImportError, AttributeError):  # another numba, whose cache is made otherwise
    CodeFiles = None


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Compile on first call, without the interpreter's lock; keep the machine code on disk.

    It is kept where the environment variable NUMBA_CACHE_DIR says, else beside the source, else in
    the user's cache folder, else in a folder of the user's own among the temporary files: the
    first that can be written. Where none can, each process compiles anew.

    Args:
        function: to compile.
        **options: of ``numba.njit``.
    """
    if function is None:
        return partial(compiled, **options)
    dispatcher = njit(nogil=True, **options)(function)
    with contextlib.suppress(RuntimeError, OSError):  # no folder can be written
        if CodeFiles is None:
            dispatcher.enable_caching()
        else:
            dispatcher._cache = CodeFiles(function)
    return dispatcher
