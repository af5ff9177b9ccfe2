"""Jobs that are forked are what a Python of their own would make of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from snakemake.benchmark import BenchmarkRecord

from al.cluster.forking import Template

from ..workflow.launches import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="of Linux alone")


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    made = Template("convnet")
    yield made
    made.close()


def run(template: Template, file: Path, code: str, record: BenchmarkRecord | None = None) -> int:
    """Run code as a job with two threads that knows the file's place."""
    file = file.with_suffix(".tmp0.job.py")
    file.write_text(f"from pathlib import Path\nfile = Path({str(file)!r}).with_suffix('')\n{code}")
    return template.run(str(file), {"OMP_NUM_THREADS": "2"}, 2, record)


def told(file: Path) -> str:
    return file.with_suffix(".tmp0.job").read_text()


def test_a_job_is_a_python_of_its_own(template, tmp_path):
    record = BenchmarkRecord()
    code = """
import atexit, os, sys, threading, torch
atexit.register(file.write_text, f"{__name__} {os.environ['OMP_NUM_THREADS']} {os.getpid()}"
    f" {torch.get_num_threads()} {sys.argv[0] == __file__} {threading.active_count()}")
"""
    assert run(template, tmp_path / "a", code, record) == 0
    assert record.running_time > 0
    name, threads, pid, torch_threads, called, active = told(tmp_path / "a").split()
    assert (name, threads, torch_threads, called, active) == ("__main__", "2", "2", "True", "1")
    assert int(pid) != os.getpid()


@pytest.mark.parametrize(
    "code, expected",
    [
        ("import sys; sys.exit(3)", 3),
        ("raise ValueError('of the job')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_its_end_is_told(template, tmp_path, code, expected):
    log = f"import os; os.dup2(os.open({str(tmp_path / 'log')!r}, os.O_CREAT | os.O_WRONLY), 2)\n"
    assert run(template, tmp_path / "a", log + code) == expected
    lines = (tmp_path / "log").read_text().splitlines()
    assert (lines[:1] + lines[-1:] if "Value" in code else lines) == (
        ["Traceback (most recent call last):", "ValueError: of the job"] if "Value" in code else []
    )
    assert not any("runpy" in line or "multiprocessing" in line for line in lines)


def held(template: Template, file: Path) -> tuple[threading.Thread, list[int], psutil.Process]:
    """Start a job that waits to be ended; returns its thread, its code to come, its process."""
    codes: list[int] = []
    code = "import os, time\nfile.write_text(str(os.getpid()))\ntime.sleep(600)"
    thread = threading.Thread(target=lambda: codes.append(run(template, file, code)))
    thread.start()
    until(lambda: file.with_suffix(".tmp0.job").exists() and told(file) != "")
    return thread, codes, psutil.Process(int(told(file)))


def test_jobs_run_beside_each_other_and_outlive_the_template(template, tmp_path):
    one, two = held(template, tmp_path / "one"), held(template, tmp_path / "two")
    assert one[2].name() == "job" and one[2].ppid() == two[2].ppid() != os.getpid()
    os.kill(one[2].ppid(), signal.SIGTERM)  # as to the whole group: it is for the jobs
    os.kill(one[2].ppid(), signal.SIGINT)
    one[2].terminate()
    one[0].join()
    assert one[1] == [-signal.SIGTERM] and two[2].is_running()
    os.kill(two[2].ppid(), signal.SIGKILL)
    two[0].join()
    assert two[1] == [-signal.SIGKILL] and two[2].is_running()
    two[2].kill()
    assert run(template, tmp_path / "three", "file.write_text('of another template')") == 0
    assert told(tmp_path / "three") == "of another template"


def test_nothing_runs_in_the_template_that_a_fork_would_lose(template, tmp_path):
    code = "import os\nfile.write_text(str(os.getppid()))"
    run(template, tmp_path / "a", code)
    assert psutil.Process(int(told(tmp_path / "a"))).num_threads() == 1
