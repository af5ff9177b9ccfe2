"""Jobs that are forked are what a Python of their own would make of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from snakemake.benchmark import BenchmarkRecord

from al.cluster.forking import EMBEDDED, Template

from ..workflow.launches import gone, until

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
    environment = {"OMP_NUM_THREADS": "2", "TMPDIR": str(file.parent)}
    code = template.run(str(file), environment, 2, record)
    assert code is not None
    return code


def told(file: Path) -> str:
    return file.with_suffix(".tmp0.job").read_text()


def test_a_job_is_a_python_of_its_own(template, tmp_path):
    record = BenchmarkRecord()
    code = """
import atexit, os, sys, tempfile, threading, torch
mkl = torch.__config__.parallel_info().partition("mkl_get_max_threads() : ")[2][:1] or "2"
assert (mkl, tempfile.gettempdir()) == ("2", str(file.parent)), (mkl, tempfile.gettempdir())
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


def test_jobs_run_beside_each_other_and_end_with_the_template(template, tmp_path):
    one, two = held(template, tmp_path / "one"), held(template, tmp_path / "two")
    assert one[2].name() == "job" and one[2].ppid() == two[2].ppid() != os.getpid()
    os.kill(one[2].ppid(), signal.SIGTERM)  # as to the whole group: it is for the jobs
    os.kill(one[2].ppid(), signal.SIGINT)
    one[2].terminate()
    one[0].join()
    assert one[1] == [-signal.SIGTERM] and two[2].is_running()
    os.kill(two[2].ppid(), signal.SIGKILL)
    two[0].join()
    assert two[1] == [-signal.SIGKILL]
    until(lambda: gone(two[2]))  # nobody would know when it ends, and it would be started again
    assert run(template, tmp_path / "three", "file.write_text('of another template')") == 0
    assert told(tmp_path / "three") == "of another template"


def test_jobs_draw_apart_and_end_though_their_children_live_on(template, tmp_path):
    code = """
import os, random, time, numpy, torch
file.write_text(f"{random.random()} {numpy.random.random()} {torch.rand(1).item()}")
if os.fork() == 0:
    time.sleep(5)
    os._exit(0)
os._exit(0)
"""
    start = time.monotonic()
    assert run(template, tmp_path / "a", code) == run(template, tmp_path / "b", code) == 0
    assert time.monotonic() < start + 5
    drawn = [told(tmp_path / name).split() for name in "ab"]
    assert not set(drawn[0]) & set(drawn[1])


def test_what_cannot_be_asked_of_a_template_is_left_to_another_python(template):
    assert template.run("x" * 2**17, {}, 1, None) is None


@pytest.mark.parametrize("learner", EMBEDDED)
def test_cuda_is_not_asked_before_the_fork(learner):
    code = f"""
import torch
from al.cluster.forking import _import_all
called = []
torch.cuda.is_available = torch.cuda.device_count = lambda: called.append(1) or 0
_import_all({learner!r})
assert not called and not torch.cuda.is_initialized()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_runs_in_the_template_that_a_fork_would_lose(template, tmp_path):
    code = "import os\nfile.write_text(str(os.getppid()))"
    run(template, tmp_path / "a", code)
    assert psutil.Process(int(told(tmp_path / "a"))).num_threads() == 1
