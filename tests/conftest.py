"""What every test may count on."""

from __future__ import annotations

import os
from pathlib import Path

# Programs that tests start find `al` as those of the Makefile do.
_scripts = str(Path(__file__).resolve().parents[1] / "scripts")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_scripts, os.environ.get("PYTHONPATH")]))
