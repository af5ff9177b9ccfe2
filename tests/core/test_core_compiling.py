"""Where machine code is kept, and that many processes can share it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from decomp_core import code_files, compiling

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
    """What a process printed, as words."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split()


def run(package, module, name, argument, **environment):
    code = f"from pack.{module} import {name} as f; " + SHOW % argument
    return shown(start(package, code, **environment))


def test_a_second_process_compiles_nothing(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(package, "inner", "twice", "21", **kept) == ["42", "0", "1"]
    assert run(package, "inner", "twice", "21", **kept) == ["42", "1", "0"]
    assert run(package, "inner", "twice", "1.5", **kept) == ["3.0", "0", "1"]
    assert len(list((tmp_path / "kept").rglob("inner.twice*.nbc"))) == 2


def test_a_change_in_a_file_that_is_imported_is_noticed(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(package, "caller", "outer", "5", **kept) == ["11", "0", "1"]
    assert run(package, "caller", "outer", "5", **kept) == ["11", "1", "0"]
    (package / "inner.py").write_text(TWICE.replace("2 * x", "3 * x"))
    assert run(package, "caller", "outer", "5", **kept) == ["16", "0", "1"]


def test_many_processes_at_once_with_other_signatures_and_processors(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    arguments = {"7": "15", "7.0": "15.0", "7j": "(1+14j)"}
    for _ in range(2):
        started = [
            (start(package, "from pack.caller import outer as f; " + SHOW % text, **environment), e)
            for text, e in arguments.items()
            for environment in (kept, kept | plain)
        ]
        for process, expected in started:
            assert shown(process)[0] == expected
    # each signature and processor has code of its own, none was lost
    assert len(list((tmp_path / "kept").rglob("caller.outer*.nbc"))) == 6
    for text, expected in arguments.items():
        assert run(package, "caller", "outer", text, **kept) == [expected, "1", "0"]


def test_code_that_was_cut_short_is_compiled_anew(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    run(package, "inner", "twice", "21", **kept)
    (file,) = (tmp_path / "kept").rglob("inner.twice*.nbc")
    for content in (b"", file.read_bytes()[:100], b"nothing of the kind"):
        file.write_bytes(content)
        assert run(package, "inner", "twice", "21", **kept) == ["42", "0", "1"]
    assert run(package, "inner", "twice", "21", **kept) == ["42", "1", "0"]


def test_a_damaged_index_does_no_harm(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    run(package, "inner", "twice", "21", **kept)
    (file,) = (tmp_path / "kept").rglob("inner.twice*.nbi")
    for content, argument in ((b"", "1.5"), (b"nothing of the kind", "2j")):
        file.write_bytes(content)
        assert run(package, "inner", "twice", "21", **kept) == ["42", "1", "0"]
        assert run(package, "inner", "twice", argument, **kept)[1:] == ["0", "1"]


@pytest.mark.parametrize(
    "words",
    [
        "from .consts import K",
        "from .consts import (\n    K,\n)",
        "from . import (\n    consts,\n)\nK = consts.K",
        "from pack.consts import K",
        "import pack.consts as c\nK = c.K",
    ],
)
def test_a_constant_from_another_file_is_noticed(package, tmp_path, words):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    body = "\n\n@compiled\ndef plus(x):\n    return x + K\n"
    (package / "user.py").write_text(f"{TWICE.splitlines()[0]}\n{words}{body}")
    for value in (1, 100):
        (package / "consts.py").write_text(f"K = {value}\n")
        assert run(package, "user", "plus", "1", **kept) == [str(1 + value), "0", "1"]
        assert run(package, "user", "plus", "1", **kept) == [str(1 + value), "1", "0"]


def test_code_of_long_ago_is_removed(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    run(package, "inner", "twice", "21", **kept)
    (old,) = (tmp_path / "kept").rglob("inner.twice*.nbc")
    os.utime(old, (0, 0))
    run(package, "inner", "twice", "1.5", **kept)
    assert not old.exists() and len(list((tmp_path / "kept").rglob("inner.twice*.nbc"))) == 1


def test_with_a_numba_whose_cache_is_another(package, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    gone = "from numba.core import caching; del caching.UserWideCacheLocator; "
    code = gone + "from pack.inner import twice as f; " + SHOW % "21"
    for hits in ("0", "1"):
        assert shown(start(package, code, **kept))[:2] == ["42", hits]


def read_only(package, tmp_path):
    """An environment in which neither the source's folder nor the home can be written."""
    (tmp_path / "home").write_text("in the way")
    for folder in (package, package.parent):
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    (package / "__pycache__").write_text("in the way")
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)
    home = str(tmp_path / "home")
    return {"HOME": home, "XDG_CACHE_HOME": home, "TMPDIR": str(temporary)}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no user ids on this system")
def test_a_home_that_cannot_be_written(package, tmp_path):
    environment = read_only(package, tmp_path)
    assert run(package, "inner", "twice", "21", **environment) == ["42", "0", "1"]
    own = tmp_path / "temporary" / f"decomp_core-{os.getuid()}"
    assert own.stat().st_mode & 0o777 == 0o700
    assert run(package, "inner", "twice", "21", **environment) == ["42", "1", "0"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no user ids on this system")
def test_a_temporary_folder_that_others_can_write_is_not_trusted(package, tmp_path):
    environment = read_only(package, tmp_path)
    own = tmp_path / "temporary" / f"decomp_core-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    for _ in range(2):
        assert run(package, "inner", "twice", "21", **environment)[0] == "42"
    assert not list(own.iterdir())
    own.rmdir()
    own.symlink_to(tmp_path)
    assert run(package, "inner", "twice", "21", **environment)[0] == "42"
    assert not list(tmp_path.rglob("*.nbc"))


def test_a_full_disk_costs_a_compilation_only(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(code_files._Files, "_save_data", full)

    @compiling.compiled
    def thrice(x):
        return 3 * x

    assert thrice(4) == 12
