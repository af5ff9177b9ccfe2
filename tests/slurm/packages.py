"""SLURM from Debian's packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.debian import apt_install

PACKAGES = ("slurm-wlm", "slurmdbd", "munge", "mariadb-server")
PROGRAMS = (
    "slurmctld",
    "slurmd",
    "slurmdbd",
    "munged",
    "mariadbd",
    "mariadb-install-db",
    "sacctmgr",
)


def unavailable() -> str | None:
    """Why no cluster can be started here; None where it can."""
    if os.geteuid() != 0:
        return "SLURM's daemons are started as root"
    missing = [program for program in PROGRAMS if shutil.which(program, path=search_path()) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def search_path() -> str:
    """PATH with the folders that hold daemons."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def install() -> str | None:
    """Install Debian's packages unless they are there; returns why that was not possible."""
    if unavailable() is None:
        return None
    # Debian would start the services at once, with configurations that are not ours.
    policy = Path("/usr/sbin/policy-rc.d")
    own = not policy.exists() and os.geteuid() == 0
    if own:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        return apt_install(PACKAGES) or unavailable()
    finally:
        if own:
            policy.unlink()
