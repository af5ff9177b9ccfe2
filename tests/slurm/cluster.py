"""A real SLURM cluster on this machine: accounting, a controller and nodes with pretended GPUs.

    python -m tests.slurm.cluster install | start FOLDER | stop FOLDER | env FOLDER

Everything lives in ``FOLDER`` and listens on loopback; Debian's packages and root are needed. The
nodes share the machine's cores, which each of them pretends to have many of.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .packages import install, search_path, unavailable

WAIT = 60.0
CPUS, MEMORY = 8, 8000  # of a node, as it pretends; MB


class Unavailable(RuntimeError):
    """What keeps a cluster from running here."""


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]


@dataclass
class Cluster:
    """One cluster in one folder.

    Attributes:
        folder: where its configuration, state, logs and sockets lie.
        nodes: names of the nodes; each has ``gpus`` GPUs of type a100.
        settings: lines that are added to slurm.conf, by key.
    """

    folder: Path
    nodes: tuple[str, ...] = ("n1", "n2")
    gpus: int = 1
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which SLURM's commands talk to this cluster."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        return {
            **own,
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder}/bin{os.pathsep}{search_path()}",
        }

    # Starting and stopping

    def start(self) -> None:
        """Start all daemons and wait until every node is idle.

        Raises:
            Unavailable: a daemon did not come up; says which, with the end of its log.
        """
        reason = unavailable()
        if reason:
            raise Unavailable(reason)
        for name in ("bin", "run", "log", "state", "spool", "db"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._configure()
        try:
            self._start_munge()
            self._start_database()
            self.start_daemon("slurmdbd")
            self._until(
                "slurmdbd", lambda: self.ask("sacctmgr", "-n", "list", "cluster") is not None
            )
            self._register()
            self.start_daemon("slurmctld")
            self._until("slurmctld", lambda: self.ask("sinfo", "-h") is not None)
            for node in self.nodes:
                self.start_daemon("slurmd", node)
            self._until("slurmd", lambda: all(self.state(n) == "IDLE" for n in self.nodes))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every job and every daemon of this cluster, and what its jobs left running."""
        if (self.folder / "slurm.conf").exists():
            self.ask("scancel", "--user", pwd.getpwuid(os.geteuid()).pw_name)
        limit = time.monotonic() + 20
        while found := list(self._processes()):
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.kill() if time.monotonic() > limit else process.terminate()
            psutil.wait_procs(found, timeout=3)

    def _processes(self) -> Iterator[psutil.Process]:
        """Daemons and what jobs left: their environment names this cluster."""
        own = psutil.Process()
        spared = {own.pid, *(parent.pid for parent in own.parents())}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid in spared or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                held = process.environ()
                ours = held.get("SLURM_CONF") == str(self.folder / "slurm.conf")
                if ours and ("SLURM_JOB_ID" in held or "DECOMP_CLUSTER" in held):
                    yield process

    def start_daemon(self, name: str, node: str = "") -> None:
        """Start slurmdbd, slurmctld, or the slurmd of a node."""
        words = {
            "slurmdbd": ["slurmdbd", "-D"],
            "slurmctld": ["slurmctld", "-D", "-f", str(self.folder / "slurm.conf")],
            "slurmd": ["slurmd", "-D", "-N", node, "-f", str(self.folder / "slurm.conf")],
        }[name]
        self._daemon(words, node or name)

    def lose(self, node: str) -> None:
        """Take a node down as a power cut does: its slurmd, its steps and all their processes.

        Those that could still tell the controller about the end of the others go first.
        """
        of_jobs = []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SLURMD_NODENAME") == node:
                    of_jobs.append(process)
        above = {parent for process in of_jobs for parent in process.parents()}
        # Step managers write their title over their environment; they stand above the jobs.
        stepds = [process for process in above if process.name().startswith("slurmstepd")]
        for process in [*self.daemons("slurmd", node), *stepds, *of_jobs]:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def stop_daemon(self, name: str, node: str = "", number: int = signal.SIGTERM) -> None:
        """Stop a daemon; the jobs of a node go on without their slurmd."""
        for process in self.daemons(name, node):
            process.send_signal(number)
            process.wait(WAIT)

    def daemons(self, name: str, node: str = "") -> list[psutil.Process]:
        """Living processes of a daemon."""
        found = []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if Path(words[0]).name == name and (not node or node in words):
                    found.append(process)
        return found

    def _daemon(self, words: list[str], log: str) -> None:
        with (self.folder / "log" / f"{log}.log").open("ab") as out:
            subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=self.folder,
                env={**self.environment, "DECOMP_CLUSTER": str(self.folder)},
            )

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        if not key.exists():
            key.touch(0o600)
            key.write_bytes(os.urandom(128))
        socket_path = self.folder / "run/munge.socket"
        self._daemon(
            ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_path}",
             f"--pid-file={self.folder}/run/munged.pid", f"--log-file={self.folder}/log/munged.log",
             f"--seed-file={self.folder}/run/munged.seed"],
            "munged",
        )  # fmt: skip
        self._until("munged", socket_path.exists)

    def _start_database(self) -> None:
        data, socket_path = self.folder / "db", self.folder / "run/mysql.socket"
        if not (data / "mysql").exists():
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root",
                 "--skip-test-db", "--auth-root-authentication-method=normal"],
                check=True, capture_output=True, env=self.environment,
            )  # fmt: skip
        self._daemon(
            ["mariadbd", "--no-defaults", f"--datadir={data}", "--user=root",
             f"--socket={socket_path}", f"--port={self._ports['mysql']}",
             "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M",
             "--innodb-lock-wait-timeout=900",
             f"--pid-file={self.folder}/run/mysql.pid", "--skip-log-bin"],
            "mariadbd",
        )  # fmt: skip

        def answers() -> bool:
            words = ["mariadb", "--no-defaults", "-u", "root", f"--socket={socket_path}", "-e"]
            sql = (
                "CREATE DATABASE IF NOT EXISTS slurm; "
                "CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED BY 'slurm'; "
                "CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'slurm'; "
                "GRANT ALL ON slurm.* TO slurm@localhost; GRANT ALL ON slurm.* TO slurm@'127.0.0.1'"
            )
            return subprocess.run([*words, sql], capture_output=True).returncode == 0

        self._until("mariadbd", answers)

    def _register(self) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        for words in (
            ("add", "cluster", "test"),
            ("add", "account", "lab", "cluster=test"),
            ("add", "user", user, "account=lab", "defaultaccount=lab"),
            ("add", "qos", "urgent", "preempt=normal", "priority=100"),
            ("modify", "user", user, "set", "qos=normal,urgent", "defaultqos=normal"),
        ):
            self.ask("sacctmgr", "-i", *words)

    def _configure(self) -> None:
        """Write slurm.conf, slurmdbd.conf, gres.conf and the wrapper of srun."""
        host = socket.gethostname()
        names = ("ctld", "dbd", "mysql", *self.nodes)
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        (self.folder / "slurm.conf").write_text(self._slurm_conf(host))
        database = self.folder / "slurmdbd.conf"
        database.touch(0o600)
        database.chmod(0o600)
        database.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={self.folder}/run/munge.socket\n"
            f"DbdHost={host}\nDbdAddr=127.0.0.1\nDbdPort={self._ports['dbd']}\nSlurmUser=root\n"
            f"PidFile={self.folder}/run/slurmdbd.pid\n"
            "StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\n"
            f"StoragePort={self._ports['mysql']}\nStorageUser=slurm\nStoragePass=slurm\n"
            "StorageLoc=slurm\n"
        )
        # Any character device passes for a GPU; nothing opens it.
        gres = [
            f"NodeName={node} Name=gpu Type=a100 File=/dev/tty{k * self.gpus + i + 1}"
            for k, node in enumerate(self.nodes)
            for i in range(self.gpus)
        ]
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n")
        # The executor's inner srun is started without SLURM_CONF.
        wrapper = self.folder / "bin/srun"
        real = shutil.which("srun", path=search_path())
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
        wrapper.chmod(0o755)

    def _slurm_conf(self, host: str) -> str:
        settings = {
            "ClusterName": "test",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": "root",
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self.folder}/run/munge.socket",
            "SlurmctldPort": str(self._ports["ctld"]),
            "SlurmctldPidFile": f"{self.folder}/run/slurmctld.pid",
            "SlurmdPidFile": f"{self.folder}/run/slurmd-%n.pid",
            "SlurmdSpoolDir": f"{self.folder}/spool/%n",
            "StateSaveLocation": f"{self.folder}/state",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "GresTypes": "gpu",
            "SlurmdParameters": "config_overrides",  # more cores than there are
            "ReturnToService": "2",
            "JobAcctGatherType": "jobacct_gather/linux",
            "JobAcctGatherFrequency": "task=1",
            "JobAcctGatherParams": "OverMemoryKill",
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": host,
            "AccountingStoragePort": str(self._ports["dbd"]),
            "AccountingStoragePass": f"{self.folder}/run/munge.socket",
            "AccountingStorageTRES": "gres/gpu",
            "PreemptType": "preempt/partition_prio",
            "PreemptMode": "REQUEUE",
            "JobRequeue": "1",
            "KillWait": "5",
            "MinJobAge": "3600",
            "SlurmdTimeout": "10",
            "SlurmctldTimeout": "10",
            "InactiveLimit": "0",
            "BatchStartTimeout": "20",
            "SchedulerParameters": "sched_min_interval=200000,batch_sched_delay=0",
            "SlurmctldDebug": "info",
            "SlurmdDebug": "info",
            **self.settings,
        }
        lines = [f"{key}={value}" for key, value in settings.items()]
        for node in self.nodes:
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self._ports[node]} "
                f"CPUs={CPUS} RealMemory={MEMORY} Gres=gpu:a100:{self.gpus} State=UNKNOWN"
            )
        everyone = ",".join(self.nodes)
        lines += [
            f"PartitionName=a100 Nodes={everyone} MaxTime=24:00:00 DefaultTime=00:10:00 "
            "PriorityTier=1 PreemptMode=REQUEUE GraceTime=5 State=UP",
            f"PartitionName=work Nodes={everyone} Default=YES MaxTime=24:00:00 "
            "DefaultTime=00:10:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=5 State=UP",
            f"PartitionName=urgent Nodes={everyone} MaxTime=24:00:00 PriorityTier=10 "
            "PreemptMode=OFF State=UP",
        ]
        return "\n".join(lines) + "\n"

    # Asking

    def ask(self, *words: str) -> str | None:
        """Output of one of SLURM's commands; None where it fails or takes longer than 20 s."""
        try:
            done = subprocess.run(
                words, env=self.environment, capture_output=True, text=True, timeout=20,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (subprocess.TimeoutExpired, FileNotFoundError):
            return None
        return done.stdout if done.returncode == 0 else None

    def state(self, node: str) -> str:
        """State of a node as scontrol gives it, upper case, e.g. ``IDLE``."""
        printed = self.ask("scontrol", "-o", "show", "node", node) or ""
        return next((w[6:] for w in printed.split() if w.startswith("State=")), "")

    def log(self, name: str) -> str:
        """What a daemon, or the slurmd of a node, has written so far."""
        return (self.folder / "log" / f"{name}.log").read_text(errors="replace")

    def jobs(self, *states: str) -> list[tuple[str, str, str]]:
        """Id, state and node of the jobs that are known, all states if none is named."""
        wanted = ",".join(states) or "all"
        printed = self.ask("squeue", "-h", "-t", wanted, "-o", "%i|%T|%N") or ""
        return [tuple(line.split("|")) for line in printed.splitlines()]  # type: ignore[misc]

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        limit = time.monotonic() + WAIT
        while not ready():
            if time.monotonic() > limit:
                logs = [p.read_text(errors="replace")[-800:] for p in self._logs(name)]
                raise Unavailable(f"{name} did not come up in {WAIT:g} s\n" + "\n".join(logs))
            time.sleep(0.2)

    def _logs(self, name: str) -> list[Path]:
        names = self.nodes if name == "slurmd" else (name,)
        return [p for n in names if (p := self.folder / "log" / f"{n}.log").exists()]


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("install", "start", "stop", "env"))
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.action == "install":
        reason = install()
        print(reason or "SLURM is installed")
        return 1 if reason else 0
    if arguments.folder is None:
        parser.error("FOLDER is missing")
    cluster = Cluster(arguments.folder.resolve())
    if arguments.action == "env":
        for key in ("SLURM_CONF", "PATH"):
            print(f"export {key}='{cluster.environment[key]}'")
    else:
        getattr(cluster, arguments.action)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
