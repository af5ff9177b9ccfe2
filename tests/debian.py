"""Debian's packages that tests need: installed by root, elsewhere the tests say what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence


def apt_install(packages: Sequence[str]) -> str | None:
    """Install packages, with a new list of them if need be; returns why that was not possible."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"{', '.join(packages)}: installed with apt-get and as root only"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    words = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for command in (words, ["apt-get", "update", "-q"], words):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode == 0 and command is words:
            return None
    return f"apt-get install failed: {done.stderr[-500:]}"
