"""Small generated datasets in the very layouts of the real ones, for the demo and the tests."""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, DataError, nearest
from al.io.files import write_json

__all__ = ["GENERATORS", "check_section", "folder_of", "generate", "sizes_in"]

GENERATORS = ("bracs_mini", "cityscapes_mini", "kits23_mini")
MARK = "generated.json"
VERSION = 1


def sizes_in(section: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes that the configuration section ``generate`` asks for, often none."""
    return {key: section[key] for key in sorted(section) if key not in ("name", "seed")}


def folder_of(dataset: str, section: Mapping[str, Any]) -> str:
    """Return the name of the folder for a generated dataset, its own for each choice of sizes.

    So two runs with different sizes never take, or replace, each other's images.
    """
    return "-".join([dataset, *(f"{key}{value}" for key, value in sizes_in(section).items())])


def check_section(section: Mapping[str, Any]) -> None:
    """Refuse a section ``generate`` with a name or a size that no generator takes.

    Raises:
        ConfigError: naming the key, the nearest valid one and what this generator allows.
    """
    _check_name(section["name"])
    if not (sizes := sizes_in(section)):
        return  # without loading what the generator needs
    write = import_module(f"{__name__}.{section['name']}").write
    allowed = [key for key in inspect.signature(write).parameters if key not in ("root", "seed")]
    for key in sizes:
        if key not in allowed:
            raise ConfigError(
                f"generate.{key}: no size of {section['name']}; {nearest(key, allowed)}"
            )


def _check_name(name: str) -> None:
    if name not in GENERATORS:
        raise ConfigError(f"generate: unknown '{name}'; {nearest(name, GENERATORS)}")


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
    _check_name(name)
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
