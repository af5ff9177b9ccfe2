"""The page "add a strategy" works: copy the skeleton, add the entry, run the contract."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_skeleton_passes_the_contract_by_itself(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("scripts", "config", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    selectors = tmp_path / "scripts/al/strategies/selectors"
    shutil.copy(ROOT / "docs/skeleton_strategy.py", selectors / "mine.py")
    page = (ROOT / "docs/add-a-strategy.md").read_text()
    (entry,) = re.findall(r"```yaml\n(mine:.+?)```", page, re.DOTALL)
    with (tmp_path / "config/strategies.yaml").open("a") as file:
        file.write(entry)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    command += ["tests/strategies/test_contract.py", "-k", "mine", "-rs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 20  # every check for each of the three tasks


def test_every_selector_named_on_the_page_exists() -> None:
    from al.strategies import IMAGE_SELECTORS, REGION_SELECTORS

    page = (ROOT / "docs/add-a-strategy.md").read_text()
    for key, known in (("images", IMAGE_SELECTORS), ("regions", REGION_SELECTORS)):
        (listed,) = re.findall(rf"{key}: \w+ +# (.+\|.+)", page)
        assert set(listed.split(" | ")) <= set(known)
