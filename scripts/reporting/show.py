"""What a finished run shows on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def print_summary(table: Path, figures: Sequence[Path]) -> None:
    """Print the table (Markdown) and where the figures lie.

    Raises:
        FileNotFoundError: the table is not there.
    """
    print(Path(table).read_text(encoding="utf-8"))
    print("Figures:" if figures else "No figures yet.")
    for figure in figures:
        print(f"  {figure}")
