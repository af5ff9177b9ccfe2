"""What a cycle costs beside its rules' own work, on a SLURM cluster on this machine.

    python -m tests.benchmarks.overhead [--cycles 10] [--chain 10] [--spread 0] [--source FOLDER]

One strategy runs ``cycles`` cycles after the first; the wall time of that command, less what the
rules themselves took (Snakemake's benchmark files), is shared out among the cycles. ``--defaults``
takes the executor's own defaults for polling (first look after 40 s, sacct); ``--source`` is the
folder of another version of the project, for comparison; ``--work`` gives its rules' seconds per
cycle where it has no benchmark files for all of them.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.slurm.cluster import Cluster

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "dataset": "cityscapes_mini",
    "run": "overhead",
    "strategies": "decomp",
    "references": "none",
    "seeds": "1",
    "budget": "2x3",
    "steps": "5",
}
PLAIN = {
    "executor": "slurm",
    "jobs": 64,
    "rerun-triggers": ["input", "mtime", "params"],
    "latency-wait": 60,
}
ASKED = {"mem_mb": 1500, "cpus_per_task": 2, "runtime": 30, "slurm_partition": "a100"}


def profile_in(folder: Path, source: Path, defaults: bool) -> Path:
    """Write the shipped profile for small nodes, or the bare executor with its defaults."""
    if defaults:
        profile = {**PLAIN, "default-resources": ASKED}
    else:
        profile = yaml.safe_load((source / "profiles/slurm/config.yaml").read_text())
        small = {key: ASKED[key] for key in ("mem_mb", "cpus_per_task")}
        profile["default-resources"] |= small
        for held in profile["set-resources"].values():
            held |= small if "slurm_partition" not in held and "mem_mb" in held else {}
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(profile))
    return folder


def run(cluster: Cluster, source: Path, folder: Path, target: str, **changes: str) -> float:
    """Seconds that Snakemake takes for one target."""
    pairs = [f"{key}={value}" for key, value in {**SETTINGS, **changes}.items()]
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(source / "Snakefile")]
    words += ["--directory", str(folder), "--profile", str(folder / "profile"), target]
    environment = {**cluster.environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source)}
    began = time.monotonic()
    done = subprocess.run(
        [*words, "--config", *pairs], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return time.monotonic() - began


def own_work(folder: Path) -> float:
    """Seconds of the rules of all cycles of the strategy, one after the other."""
    total = 0.0
    for path in (folder / "benchmarks/overhead/2x3/decomp").rglob("*.tsv"):
        with path.open(newline="") as file:
            total += sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
    return total


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--chain", type=int)
    parser.add_argument("--source", type=Path, default=ROOT)
    parser.add_argument("--defaults", action="store_true")
    parser.add_argument("--work", type=float, help="seconds per cycle of the rules themselves")
    arguments = parser.parse_args()
    changes = {} if arguments.chain is None else {"chain": str(arguments.chain)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        cluster = Cluster(folder / "cluster")
        cluster.start()
        try:
            profile_in(folder / "profile", arguments.source.resolve(), arguments.defaults)
            last = arguments.cycles + 1
            first = "results/overhead/2x3/initial/seed-0/cycle-001"
            goal = f"results/overhead/2x3/decomp/seed-0/cycle-{last:03d}/metrics.json"
            source = arguments.source.resolve()
            changes["cycles"] = str(last)
            run(cluster, source, folder, f"{first}/images.csv", **changes)
            run(cluster, source, folder, f"{first}/metrics.json", **changes)
            wall = run(cluster, source, folder, goal, **changes)
            work = own_work(folder)
        finally:
            cluster.stop()
    work = arguments.work * arguments.cycles if arguments.work else work
    count = arguments.cycles
    print(
        f"{count} cycles, chain {arguments.chain or '-'}: {wall:.1f} s, rules {work:.1f} s, "
        f"overhead {(wall - work) / count:.2f} s per cycle ({os.cpu_count()} cores)"
    )


if __name__ == "__main__":
    main()
