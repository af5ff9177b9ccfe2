"""The model that a learner loaded last, kept while it is asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LastLoaded(Generic[T]):
    """Loads models and keeps the last one."""

    def __init__(self, load: Callable[[Path, Mapping[str, Any]], T]) -> None:
        """Keep what loads a model's folder with the learner's section of the configuration."""
        self._load = load
        self._last: tuple[tuple[Any, ...], T] | None = None

    def get(self, model: Path, files: Iterable[Path], settings: Mapping[str, Any]) -> T:
        """Return a model: the last one while its folder, files and settings are the same.

        Args:
            model: folder of the model.
            files: its files of weights; where one was replaced, the model is loaded anew. Those
                that are missing are left for ``load`` to refuse.
            settings: the learner's section of the configuration.
        """
        key = (model, tuple(map(_stamp, files)), repr(sorted(settings.items())))
        if self._last is None or self._last[0] != key:
            self._last = (key, self._load(model, settings))
        return self._last[1]


def _stamp(path: Path) -> tuple[int, int] | None:
    if not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns
