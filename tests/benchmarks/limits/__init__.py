"""Benchmarks of selection and of what stands next to it, each against a named alternative."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(p) for p in (ROOT, ROOT / "scripts") if str(p) not in sys.path]
