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


def test_page_of_strategies_has_every_entry_and_its_cost() -> None:
    from al.strategies import needs_of
    from tests.strategies.contract import ENTRIES, definition

    def cost(name: str) -> tuple[str, bool]:
        needs = needs_of(definition(name))
        kinds = {"ensemble": "pass of each member", "features": "features"}
        dear = [kind for need, kind in kinds.items() if need in needs]
        cheap = "pass" if needs - {"truth"} else "none"
        return dear[0] if dear else cheap, "truth" in needs

    page = (ROOT / "docs/strategies.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| ([\w ]+) \|$", page, re.MULTILINE)
    told = [(name, (costs, "reads ground truth" in text)) for name, text, costs in rows]
    assert told == [(name, cost(name)) for name in ENTRIES if name != "diverse"]
