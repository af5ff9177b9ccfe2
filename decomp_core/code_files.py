"""Files of machine code that any number of processes can share."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numba.core import caching

_IMPORTS = re.compile(
    r"^\s*(?:from\s+(\.*)([\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+([\w., ]+))",
    re.MULTILINE,
)
_KEPT = 60 * 24 * 3600  # seconds that code of another version is kept, at least


@functools.cache
def _sources(file: Path) -> str:
    """Hash of a module, of this library's way to compile, and of all that it imports from either.

    Imports are found by their words, wherever they stand; one too many does no harm.
    """
    library = Path(__file__).resolve().parent
    waiting = [file, library / "compiling.py", library / "code_files.py"]
    found = set(waiting)
    while waiting:
        path = waiting.pop()
        for name in _imported(path.read_text(encoding="utf-8")):
            for folder in (path.parent, library):
                near = folder / f"{name}.py"
                if near not in found and near.exists():
                    found.add(near)
                    waiting.append(near)
    parts = [str(path.name).encode() + b"\0" + path.read_bytes() for path in sorted(found)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _imported(text: str) -> set[str]:
    """The last words of all that a source imports: modules, or names in them."""
    words: set[str] = set()
    for _, module, names, plain in _IMPORTS.findall(text):
        words.update(re.findall(r"\w+", f"{module} {names} {plain}"))
    return words


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
        self._forget()

    def _forget(self) -> None:
        """Remove what other versions of the function left long ago."""
        base = self._index_name.removesuffix(".nbi")
        for path in Path(self._cache_path).glob(f"{base}.*.nbc"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _KEPT:
                    path.unlink()

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except Exception:  # as for load
            return {}

    def load(self, key: Any) -> Any:
        try:
            return self._load_data(self._name(key))
        except Exception:  # absent, cut short, or of a version that cannot be read
            return None

    def _name(self, key: Any) -> str:
        text = repr((self._version, self._source_stamp, key))
        base = self._index_name.removesuffix(".nbi")
        return f"{base}.{hashlib.sha256(text.encode()).hexdigest()[:32]}.nbc"


class CodeFiles(caching.FunctionCache):
    _impl_class = _Places

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        stamp = _sources(Path(py_func.__code__.co_filename).resolve())
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with contextlib.suppress(OSError):  # a full disk costs a compilation, never a job
            yield
