"""Storage that fails, on file systems that are really full, read-only, stale or out of quota."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from al.io.files import atomic_path, sweep, write_text
from al.io.storage import AGAIN, FAILURES, StorageError, check_storage, explain

SCRIPTS = Path(__file__).parents[2] / "scripts"
NOBODY = 65534
Mount = Callable[..., Path]

# A job that writes a big file by rename, its log beside it; arguments: the working folder, the
# folder of the scripts, and the user that it runs as (0: as it is).
JOB = """
import os, sys
os.chdir(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from al.io.files import write_text
from al.cluster.job import log_to
user = int(sys.argv[3])
if user:
    os.setgid(user)
    os.setuid(user)
log_to(["logs/tiny/job.log"])
print("at work")
write_text("results/table.csv", "x" * 4_000_000)
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return a function that mounts a small file system in a folder; all are gone at the end."""
    mounted = []

    def do(options: str, folder: Path | None = None, kind: str = "tmpfs") -> Path:
        folder = folder or tmp_path / "disk"
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", kind, "-o", options, kind, str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if done.returncode:
            pytest.skip(f"mounting {kind} is not possible here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield do
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use up all space that is left with a file, which is returned."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    return ballast


def run_job(folder: Path, program: str = JOB, user: int = 0) -> tuple[int, str, str]:
    """Run a job; returns its exit code, its log and what it wrote to Snakemake's console."""
    command = [sys.executable, "-c", program, str(folder), str(SCRIPTS), str(user)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    log = folder / "logs/tiny/job.log"
    return done.returncode, log.read_text() if log.exists() else "", done.stderr


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def check_told(text: str, number: int, *words: str) -> None:
    """The last paragraph names what happened, where, and what to do."""
    reason, todo = text.strip().splitlines()[-2:]
    assert reason.startswith(f"Storage: {FAILURES[number][0]} ("), text
    assert todo == f"To do: {FAILURES[number][1]}. {AGAIN}"
    for word in words:
        assert word in reason


def test_full_disk_is_told_on_the_console_where_the_log_is_full(mount: Mount) -> None:
    disk = mount("size=1m")
    ballast = fill(disk)
    code, log, console = run_job(disk)
    assert code == 1
    assert not log
    check_told(console, errno.ENOSPC, f"full now: {disk}")
    ballast.unlink()

    code, log, console = run_job(disk)  # there is space for the log, not for the table
    assert code == 1
    assert "at work" in log and "Traceback" in log
    for text in (log, console):
        check_told(text, errno.ENOSPC, "while results/table.csv was written")
    assert not any("table" in name for name in names(disk))

    subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
    assert run_job(disk)[0] == 0
    assert (disk / "results/table.csv").read_text() == "x" * 4_000_000


def test_read_only_folder_is_told(mount: Mount) -> None:
    disk = mount("size=8m,ro")
    code, _, console = run_job(disk)
    assert code == 1
    check_told(console, errno.EROFS, "logs")
    with pytest.raises(StorageError, match="results/tiny cannot be written.*read-only"):
        check_storage([disk / "results/tiny"])
    with pytest.raises(OSError) as caught:
        write_text(disk / "table.csv", "x")
    check_told(explain(caught.value) or "", errno.EROFS, str(disk / "table.csv"))


def test_quota_that_is_used_up_is_told(mount: Mount) -> None:
    disk = mount("size=16m,usrquota,usrquota_block_hardlimit=1m,mode=777")
    code, log, console = run_job(disk, user=NOBODY)
    assert code == 1
    check_told(console, errno.EDQUOT, "while results/table.csv was written")
    assert not any("table" in name for name in names(disk))


def test_missing_right_to_write_is_told(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to start a process as another user")
    for part in (tmp_path, *list(tmp_path.parents)[:2]):  # pytest closes its folders to others
        part.chmod(0o755)
    code, _, console = run_job(tmp_path, user=NOBODY)
    assert code == 1
    check_told(console, errno.EACCES, "logs")


@pytest.mark.parametrize("number", sorted(FAILURES))
def test_every_failure_has_its_explanation(number: int) -> None:
    check_told(explain(OSError(number, "x", "some/file.csv")) or "", number, "some/file.csv")


def test_a_failure_ends_the_job_with_its_explanation(tmp_path: Path) -> None:
    program = JOB + "raise OSError(5, 'Input/output error', 'some/file.csv')\n"
    (tmp_path / "results").mkdir()
    code, log, console = run_job(tmp_path, program)
    assert code == 1
    assert "Traceback" in log and "Traceback" not in console
    for text in (log, console):
        check_told(text, errno.EIO, "some/file.csv")


def test_a_mistake_of_the_data_ends_the_job_without_a_traceback(tmp_path: Path) -> None:
    program = JOB + "from al.io.errors import DataError\nraise DataError('x.png: cut off')\n"
    code, log, console = run_job(tmp_path, program)
    assert code == 1
    for text in (log, console):
        assert text.endswith("\nx.png: cut off\n") and "Traceback" not in text


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    code, log, console = run_job(tmp_path, JOB + "open('absent.csv')\n")
    assert code == 1 and console == ""
    assert log.rstrip().endswith("No such file or directory: 'absent.csv'")
    assert explain(ValueError("no")) is None
    assert explain(PermissionError(errno.EPERM, "no such right to a process")) is None


def test_error_behind_another_one_is_found() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            error.add_note("while a.csv was written")
            raise RuntimeError("unexpected pos 64 vs 42") from None
    except RuntimeError as error:
        assert explain(error) is None  # whoever raised it so had told the reason
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "a.csv")
        finally:
            raise OSError(errno.EIO, "Input/output error")
    except OSError as error:
        check_told(explain(error) or "", errno.ENOSPC, "a.csv")


def test_check_storage_refuses_no_space_and_no_files(mount: Mount, tmp_path: Path) -> None:
    disk = mount("size=32m")
    (warning,) = check_storage([disk / "results/tiny", disk / "work/tiny"])
    assert "only 34 MB are free" in warning and str(disk) in warning
    assert list(disk.iterdir()) == [], "the check left something behind"
    ballast = fill(disk)
    os.truncate(ballast, 30 << 20)  # a small file fits, no run does
    with pytest.raises(StorageError, match="work/tiny cannot be written.*the disk is full"):
        check_storage([tmp_path, disk / "work/tiny"])
    assert names(disk) == {"ballast"}

    small = mount("size=32m,nr_inodes=3", tmp_path / "small")
    (small / "last").touch()
    (small / "very_last").touch()
    with pytest.raises(StorageError, match="(?s)the disk is full.*full now.*df -i"):
        check_storage([small])


def test_check_storage_names_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / "unmounted")
    with pytest.raises(StorageError, match="(?s)results/tiny cannot be written.*a folder"):
        check_storage([tmp_path / "results/tiny"])


def test_sweep_removes_what_the_killed_left_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nsys.path.insert(0, sys.argv[2])\n"
        "from al.io.files import atomic_path\n"
        "with atomic_path(sys.argv[1] + '/labels/a.png') as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert run_job(tmp_path, program)[0] == -9
    (left,) = (tmp_path / "labels").iterdir()
    foreign = {".nfs0000000000000001", ".hidden", ".a.png.part-1", "a.part-abcdefgh.png"}
    for name in foreign:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))

    assert sweep(tmp_path) == 0, "it is young"
    with atomic_path(tmp_path / "b.csv") as temporary:
        temporary.write_text("b")
        for file in (left, temporary):
            os.utime(file, (time.time() - 100,) * 2)
        assert sweep(tmp_path) == 1
        assert not left.exists()
    assert names(tmp_path) == {*foreign, "b.csv"}
