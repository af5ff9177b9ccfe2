"""What a finished run shows on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def print_summary(
    table: Path,
    figures: Sequence[Path],
    selection: Path | None = None,
    usage: Path | None = None,
) -> None:
    """Print the table (Markdown), the others without their notes, and where the figures lie.

    Raises:
        FileNotFoundError: a table is not there.
    """
    print(Path(table).read_text(encoding="utf-8"))
    for other in (selection, usage):
        if other is not None:
            print("\n".join([*_tables(other), "", f"What these numbers hold: {other}", ""]))
    print("Figures:" if figures else "No figures yet.")
    for figure in figures:
        print(f"  {figure}")


def _tables(file: Path) -> list[str]:
    """The tables of a Markdown file and their headings, an empty line between two."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    short = [line for line in lines if line.startswith(("#", "|"))]
    return [
        text
        for i, line in enumerate(short)
        for text in (["", line] if i and line.startswith("#") else [line])
    ]
