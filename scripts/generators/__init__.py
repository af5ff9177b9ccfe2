"""Small generated datasets in the very layouts of the real ones, for the demo and the tests."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

from glue.errors import ConfigError, DataError, nearest
from glue.files import write_json

__all__ = ["GENERATORS", "generate"]

GENERATORS = ("bracs_mini", "cityscapes_mini", "kits23_mini")
MARK = "generated.json"
VERSION = 1


def generate(name: str, root: str | Path, seed: int, **sizes: int) -> None:
    """Write the dataset ``name`` into the folder ``root``; it appears by rename, whole.

    The same name, seed and sizes give the same files. A folder that an earlier call left is kept
    when it was made with the same arguments, else replaced.

    Args:
        name: one of ``GENERATORS``.
        root: folder to make.
        seed: of everything that is random.
        sizes: numbers of images and the like; see ``write`` in the generator's module.

    Raises:
        ConfigError: unknown name.
        DataError: ``root`` holds something that no generator wrote.
    """
    if name not in GENERATORS:
        raise ConfigError(f"generate: unknown '{name}'; {nearest(name, GENERATORS)}")
    root = Path(root)
    mark = {"name": name, "seed": seed, "sizes": dict(sorted(sizes.items())), "version": VERSION}
    if _already_there(root, mark):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        import_module(f"{__name__}.{name}").write(temporary, seed, **sizes)
        write_json(temporary / MARK, mark)
        temporary.chmod(0o755)
        if root.exists():
            shutil.rmtree(root)
        temporary.rename(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _already_there(root: Path, mark: dict) -> bool:
    """Tell whether ``root`` is this very dataset; raises DataError where it is not ours."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{root}: not replaced, it holds files that no generator wrote (no {MARK})"
        ) from error
    return found == mark
