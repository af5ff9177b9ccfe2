"""What a finished run shows on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def print_summary(table: Path, figures: Sequence[Path], selection: Path | None = None) -> None:
    """Print the table (Markdown), that of selection without its notes, and where the figures lie.

    Raises:
        FileNotFoundError: a table is not there.
    """
    print(Path(table).read_text(encoding="utf-8"))
    if selection is not None:
        lines = Path(selection).read_text(encoding="utf-8").splitlines()
        short = [line for line in lines if line.startswith(("#", "|"))]
        print("\n".join([*short, "", f"What these numbers hold: {selection}", ""]))
    print("Figures:" if figures else "No figures yet.")
    for figure in figures:
        print(f"  {figure}")
