"""Where machine code is kept, and that many processes can share it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TWICE = "from decomp_core.compiling import compiled\n\n@compiled\ndef twice(x):\n    return 2 * x\n"
CALLER = (
    "from decomp_core.compiling import compiled\nfrom .inner import twice\n\n"
    "@compiled\ndef outer(x):\n    return twice(x) + 1\n"
)
SHOW = "print(f(%s), sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values()))"


@pytest.fixture
def package(tmp_path):
    """A package of two modules with compiled functions, one of which calls the other's."""
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "inner.py").write_text(TWICE)
    (folder / "caller.py").write_text(CALLER)
    return folder


def start(package, code, **environment):
    """Start a process that sees the package."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    path = os.pathsep.join([str(package.parent), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shown(process):
    """What a process printed, as words; it has told of what it compiled, once."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    words = out.split()
    assert err.count("compiling for this processor") == any(int(n) for n in words[2::3]), err
    return words


def run(package, module, name, argument, **environment):
    code = f"from pack.{module} import {name} as f; " + SHOW % argument
    return shown(start(package, code, **environment))


@pytest.mark.slow
def test_a_second_process_compiles_nothing(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(package, "inner", "twice", "21", **kept) == ["42", "0", "1"]
    assert run(package, "inner", "twice", "21", **kept) == ["42", "1", "0"]
    assert run(package, "caller", "outer", "5", **kept) == ["11", "0", "1"]
    (package / "inner.py").write_text(TWICE.replace("2 * x", "3 * x"))
    assert run(package, "caller", "outer", "5", **kept) == ["16", "0", "1"]


@pytest.mark.slow
def test_many_processes_at_once_with_other_signatures_and_processors(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    arguments = {"7": "15", "7.0": "15.0"}
    code = "from pack.caller import outer as f; "
    started = [
        (start(package, code + SHOW % text, **environment), expected)
        for text, expected in arguments.items()
        for environment in (kept, kept | plain)
    ]
    for process, expected in started:
        assert shown(process)[0] == expected
    for _ in range(2):  # what one of them lost is there in the end
        found = shown(start(package, code + ";".join(SHOW % text for text in arguments), **kept))
    assert found == ["15", "1", "0", "15.0", "2", "0"]


def test_code_of_another_signature_under_a_number_is_not_taken(package, tmp_path):
    """What two writers leave that took the same number: the index of one, the code of the other."""
    found = []
    for name, argument in (("one", "21"), ("other", "1.5")):
        kept = {"NUMBA_CACHE_DIR": str(tmp_path / name)}
        run(package, "inner", "twice", argument, **kept)
        found += (tmp_path / name).rglob("inner.twice*.nbc")
    shutil.copy(found[1], found[0])
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "one")}
    assert run(package, "inner", "twice", "21", **kept) == ["42", "0", "1"]
    assert run(package, "inner", "twice", "21", **kept) == ["42", "1", "0"]


def test_a_damaged_file_is_replaced(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    run(package, "inner", "twice", "21", **kept)
    for kind, content in (("nbi", b"nothing of the kind"), ("nbc", b"")):
        (file,) = (tmp_path / "kept").rglob(f"inner.twice*.{kind}")
        file.write_bytes(content)
        assert run(package, "inner", "twice", "21", **kept) == ["42", "0", "1"]
    assert run(package, "inner", "twice", "21", **kept) == ["42", "1", "0"]


def test_without_a_folder_that_can_be_written_the_code_still_runs(package, tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    for place in ({"NUMBA_CACHE_DIR": str(file)}, {"XDG_CACHE_HOME": str(file)}):
        assert run(package, "inner", "twice", "21", **place) == ["42", "0", "1"]
    assert not list(package.rglob("*.nb?"))


def test_a_full_disk_costs_a_compilation_only(package, tmp_path):
    code = (
        "from numba.core import caching\n"
        "def full(*_): raise OSError(28, 'No space left on device')\n"
        "caching.IndexDataCacheFile._save_data = full\n"
        "from pack.inner import twice as f; " + SHOW % "21"
    )
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert shown(start(package, code, **kept)) == ["42", "0", "1"]
