"""Compiled functions, whose machine code is kept on disk between processes.

numba's own cache is made for one writer at a time. Where many jobs start at once it can hand the
code of one signature, or of one kind of processor, to a process that asked for another (files are
numbered, and two processes can take the same number); it does not notice a change in a compiled
function that another file calls; and a full disk ends the job. Here the name of a file says all
that its content depends on, the content comes whole by rename, and whatever fails is compiled anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching

_IMPORTS = re.compile(r"^from \.(\w*) import (.*)", re.MULTILINE)


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
        dispatcher._cache = _Cache(function)
    return dispatcher


@functools.cache
def _sources(file: Path) -> str:
    """Hash of a module and of all that it imports from beside itself."""
    found, waiting = {file}, [file]
    while waiting:
        text = waiting.pop().read_text(encoding="utf-8")
        for module, names in _IMPORTS.findall(text):
            for name in [module] if module else re.findall(r"\w+", names):
                path = file.parent / f"{name}.py"
                if path not in found and path.exists():
                    found.add(path)
                    waiting.append(path)
    parts = [path.name.encode() + b"\0" + path.read_bytes() for path in sorted(found)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class _TemporaryFolder(caching.UserWideCacheLocator):
    """A folder of the user's own among the temporary files, if nobody else could write to it."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._own = Path(tempfile.gettempdir()) / f"decomp_core-{os.getuid()}"
        self._cache_path = str(self._own / self.get_suitable_cache_subpath(py_file))

    def ensure_cache_path(self) -> None:
        self._own.mkdir(mode=0o700, exist_ok=True)
        found = self._own.lstat()
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or others:
            raise PermissionError(f"{self._own} is not this user's alone")
        super().ensure_cache_path()


class _Places(caching.CompileResultCacheImpl):
    _locator_classes = (
        caching.UserProvidedCacheLocator,
        caching.InTreeCacheLocator,
        caching.UserWideCacheLocator,
        *([_TemporaryFolder] if hasattr(os, "getuid") else []),
    )


class _Files(caching.IndexDataCacheFile):
    """Machine code under the hash of all that it depends on; the index is for people only."""

    def save(self, key: Any, data: Any) -> None:
        name = self._name(key)
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})

    def load(self, key: Any) -> Any:
        try:
            return self._load_data(self._name(key))
        except Exception:  # absent, cut short, or of a version that cannot be read
            return None

    def _name(self, key: Any) -> str:
        text = repr((self._version, self._source_stamp, key))
        base = self._index_name.removesuffix(".nbi")
        return f"{base}.{hashlib.sha256(text.encode()).hexdigest()[:32]}.nbc"


class _Cache(caching.FunctionCache):
    _impl_class = _Places

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        stamp = _sources(Path(py_func.__code__.co_filename).resolve())
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with contextlib.suppress(OSError):  # a full disk costs a compilation, never a job
            yield
