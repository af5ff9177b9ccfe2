"""The library without the workflow: its notebook, and its wheel in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

import decomp_core

ROOT = Path(__file__).resolve().parents[2]
INSIDE = """
def check_inside(found, size):
    for i, chosen in found.items():
        covered = np.zeros(maps[i][0].shape, int)
        for region in chosen:
            assert region.size == size and covered[region.slices].shape == size
            assert (maps[i][0][region.slices] == region.cls).sum() == region.score
            covered[region.slices] += 1
        assert len(chosen) == 3 and covered.max() == 1

"""
# What must hold after the cell that fills a variable, found by other means than the library's.
CHECKS = {
    "windows": INSIDE + "check_inside(windows, (32, 32))\n"
    "for i, (first, *_) in windows.items():\n"
    "    held = np.lib.stride_tricks.sliding_window_view(maps[i][0] == first.cls, (32, 32))\n"
    "    assert held.sum((2, 3)).max() == first.score\n"
    "best = sum(w * np.minimum([(m[0] == c).sum() for m in maps], 1228.8)\n"
    "           for c, w in enumerate(weights))\n"
    "assert best[[*windows]].min() >= np.sort(best)[-4] - 1e-6\n",
    "sliced": "check_inside(sliced, (1, 16, 16))\n",
    "rois": "for i, (first, *_) in rois.items():\n"
    "    cls = softmax[i][first].argmax()\n"
    "    assert softmax[i][first, cls] == softmax[i][softmax[i].argmax(1) == cls, cls].max()\n"
    "    assert len(set(rois[i])) == 4\n",
    "curves": "assert curves['random'][0] == curves['decomp'][0]\n"
    "assert curves['decomp'][1:].mean() > curves['random'][1:].mean() + 0.03\n",
}


def notebook() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "docs" / "library.ipynb", as_version=4)


def shown(cell: nbformat.NotebookNode) -> str:
    """What a cell printed and returned; printed text may come in parts."""
    return "".join(out.get("text") or out["data"]["text/plain"] for out in cell.outputs)


@pytest.mark.slow
def test_notebook_shows_what_it_computes_and_computes_it_right() -> None:
    run, kept = notebook(), [c for c in notebook().cells if c.cell_type == "code"]
    cells = [c for c in run.cells if c.cell_type == "code"]
    for name, check in CHECKS.items():
        (cell,) = [c for c in cells if f"\n{name} = {{}}\n" in f"\n{c.source}"]
        checked = nbformat.v4.new_code_cell(check)
        run.cells.insert(run.cells.index(cell) + 1, checked)
    NotebookClient(
        run, timeout=600, config=Config({"KernelManager": {"transport": "ipc"}})
    ).execute()
    assert [shown(cell) for cell in cells] == [shown(cell) for cell in kept]
    assert not any("/" in shown(cell) for cell in kept)


def test_page_of_the_api_has_every_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    wanted = {f"decomp_core.{module}.{name}" for name, module in decomp_core._MODULES.items()}
    assert sorted(re.findall("^::: (.+)$", page, re.MULTILINE)) == sorted(wanted)


@pytest.mark.slow
def test_wheel_with_its_own_dependencies_runs_the_notebook(tmp_path: Path) -> None:
    def call(*words: str | Path) -> str:
        done = subprocess.run(
            words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["NUMBA_CACHE_DIR"] = str(tmp_path / "numba")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--timeout=10"]
    asked = subprocess.run([*pip, "--retries=0", "index", "versions", "numba"], capture_output=True)
    if asked.returncode:
        pytest.skip("no package index is reached")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "decomp_core", tmp_path / "decomp_core", ignore=shutil.ignore_patterns("__pycache__")
    )
    call(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir=wheels", ".")
    shutil.rmtree(tmp_path / "decomp_core")
    (wheel,) = (tmp_path / "wheels").iterdir()
    call(sys.executable, "-m", "venv", "alone")
    python = tmp_path / "alone" / "bin" / "python"
    call(python, *pip[1:], "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    cells = [cell for cell in notebook().cells if cell.cell_type == "code"]
    readme = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "script.py").write_text("\n".join([*readme, *(cell.source for cell in cells)]))
    assert call(python, "-I", "script.py") == shown(cells[-1])
