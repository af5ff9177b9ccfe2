"""Where things lie: the checkout, and the files of a run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the checkout

INITIAL = "initial"
REFERENCES = ("full", "full_same_steps")  # trained on all labels, in the order of tables
