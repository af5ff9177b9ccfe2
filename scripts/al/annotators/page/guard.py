"""Files of images, compared with those that a run was begun with before people look at them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from al.io.errors import DataError
from al.io.fingerprints import compare, fingerprint, within
from al.io.tables import FileRow, PoolRow

from .bodies import Refusal


class Files:
    """Fingerprints of a dataset's files; of a file without one it is taken when it is first asked.

    Args:
        known: of ``data.csv``, by path.
        root: ``data_root``.
    """

    def __init__(self, known: Mapping[str, FileRow], root: str | Path) -> None:
        self.root = Path(root)
        self._known = dict(known)
        self._lock = Lock()

    def sha256(self, row: PoolRow) -> str:
        """Return the digest of an image's file.

        One of the size and time that are known is believed, another is read.

        Raises:
            Refusal: 409, the file has gone or its content is another.
            DataError: it cannot be read.
        """
        name = within(row.path, self.root)
        with self._lock:
            known = self._known.get(name)
            try:
                if known is None:
                    known = fingerprint(row.path, self.root)
                    self._known[name] = known
                    return known.sha256
                now, differ = compare([known], self.root)
            except DataError as error:
                if not Path(row.path).exists():
                    raise _changed(row, "is missing") from None
                raise error
            if differ:
                found = differ[name]
                told = found if found.startswith("is ") else f"has changed ({found})"
                raise _changed(row, told)
            self._known[name] = now[0]
            return now[0].sha256


def _changed(row: PoolRow, told: str) -> Refusal:
    return Refusal(
        409,
        f"{row.path} {told}. Put back the file that the run was begun with; "
        "what was drawn in it is kept.",
        reason="changed",
    )
