"""Compiled functions, whose machine code is kept on disk between processes.

numba keeps the code of each signature in a file with a number, and the numbers in an index. Two
processes that compile for other arguments at the same time, on one node or on two that share a
home, can take the same number, and then one is handed the code of the other (numba issue 4807).
Locks do not hold on every shared file system, so none is needed here:

- the folder is named by all that code depends on but the signature: processor, versions, sources;
- files come whole, by rename (numba does that);
- what is loaded says for which signature it is. Where that is not the one asked for, or where a
  file is absent or damaged, the code is compiled anew and takes the place of what was there.

A folder that cannot be written or a full disk costs a compilation, never a job. The first
compilation of a process is told in a line, as a search takes seconds to compile.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from llvmlite import binding
from numba import config, njit
from numba.core import sigutils


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Compile on first call, without the interpreter's lock; keep the machine code on disk.

    It is kept where the environment variable NUMBA_CACHE_DIR says, else in the user's cache
    folder. Where that cannot be written, each process compiles for itself.

    Args:
        function: to compile. It may use what its own folder and this library hold.
        **options: of ``numba.njit``.
    """
    if function is None:
        return partial(compiled, **options)
    folder = _folder(Path(function.__code__.co_filename).resolve().parent)
    if folder is None:
        dispatcher = njit(nogil=True, **options)(function)
        _watch(dispatcher._cache)
        return dispatcher
    given, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        dispatcher = njit(nogil=True, cache=True, **options)(function)
    finally:
        config.CACHE_DIR = given
    _watch(dispatcher._cache)
    return dispatcher


def _watch(kept: Any) -> None:
    """Make a dispatcher's cache check the signature of what it loads, tell, and raise nothing."""
    load, save = kept.load_overload, kept.save_overload

    def load_overload(signature: Any, context: Any) -> Any:
        try:
            found = load(signature, context)
        except Exception:  # whatever reading a damaged file raises
            with contextlib.suppress(Exception):
                kept.flush()
            found = None
        asked, _ = sigutils.normalize_signature(signature)
        if found is not None and found.signature.args == asked:
            return found
        _tell()
        return None

    def save_overload(signature: Any, code: Any) -> None:
        with contextlib.suppress(Exception):
            save(signature, code)

    kept.load_overload, kept.save_overload = load_overload, save_overload


@cache
def _tell() -> None:
    """Say that something is compiled, once a process; a warning, as others are shown to nobody."""
    folder = _folder(Path(__file__).resolve().parent)
    kept = f"kept in {folder}" if folder else "for this process alone; NUMBA_CACHE_DIR keeps it"
    logging.getLogger("decomp_core").warning(
        "decomp_core: compiling for this processor, which takes up to half a minute; %s", kept
    )


@cache
def _folder(sources: Path) -> Path | None:
    """The folder for code of the functions in a folder of sources; None if it cannot be written."""
    try:
        chosen = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
        folder = Path(chosen or Path.home() / ".cache") / "decomp_core" / _key(sources)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None


def _key(sources: Path) -> str:
    """Hash of all that machine code depends on but its signature."""
    parts = [
        platform.python_version(),
        numba.__version__,
        llvmlite.__version__,
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
        os.environ.get("NUMBA_CPU_NAME", ""),
        os.environ.get("NUMBA_CPU_FEATURES", ""),
    ]
    for folder in (Path(__file__).resolve().parent, sources):
        parts += [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
