"""Two hosts on one machine: network namespaces with a cable, a name and a store of their own.

Where these need rights that the user lacks, two stores at 127.0.0.1 stand in for them; `Hosts.kind`
says which. Made for the tests of training on several nodes and for two_hosts.py.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

NAMESPACES, STORES = "two network namespaces", "two stores at 127.0.0.1"


def may_make_namespaces() -> bool:
    """Whether this user can make network namespaces, and the tools for it are here."""
    if not (shutil.which("ip") and shutil.which("unshare")):
        return False
    name = f"hc-probe-{os.getpid()}"
    try:
        if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
            return False
        inside = ["ip", "netns", "exec", name, "unshare", "--uts", "hostname", name]
        return subprocess.run(inside, capture_output=True).returncode == 0
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Hosts:
    """`host-a` and `host-b`, each with a folder of its own; a context manager.

    folders: of each host, at unlike depths, so that no path of one is right on the other.
    """

    def __init__(self, *, namespaces: bool | None = None) -> None:
        """namespaces: False for two stores at 127.0.0.1; where possible if None."""
        wanted = may_make_namespaces() if namespaces is None else namespaces
        self.kind = NAMESPACES if wanted else STORES
        self._temporary = Path(tempfile.mkdtemp(prefix="two-hosts-"))
        self.folders = [self._temporary / "a", self._temporary / "b" / "data" / "copy"]
        self._spaces = [f"hc-{os.getpid()}-{letter}" for letter in "ab"]
        self._running: list[subprocess.Popen[str]] = []
        self.address = "10.213.77.1" if wanted else "127.0.0.1"

    def __enter__(self) -> Self:
        for folder in self.folders:
            (folder / "home").mkdir(parents=True)
        if self.kind == NAMESPACES:
            self._lay_cable()
        return self

    def __exit__(self, *unused: object) -> None:
        for process in self._running:
            if process.poll() is None:
                self.kill(process)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        if self.kind == NAMESPACES:
            for space in self._spaces:
                subprocess.run(["ip", "netns", "del", space], capture_output=True)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _lay_cable(self) -> None:
        ends = [f"hc{os.getpid()}{letter}" for letter in "ab"]
        for space in self._spaces:
            _ip("netns", "add", space)
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for number, (space, end) in enumerate(zip(self._spaces, ends, strict=True), start=1):
            _ip("link", "set", end, "netns", space, "name", "cable")
            _ip("-n", space, "addr", "add", f"10.213.77.{number}/24", "dev", "cable")
            _ip("-n", space, "link", "set", "cable", "up")
            _ip("-n", space, "link", "set", "lo", "up")

    def cut(self) -> None:
        """Pull the cable: no connection is closed, and nothing comes through any more."""
        _ip("-n", self._spaces[1], "link", "set", "cable", "down")

    def give(self, source: Path) -> None:
        """Copy a folder's files to both hosts."""
        for folder in self.folders:
            shutil.copytree(source, folder, dirs_exist_ok=True)

    def start(self, host: int, command: Sequence[str], **variables: str) -> subprocess.Popen[str]:
        """Run a command in a host's folder, with its streams as text, in a group of its own."""
        inside: list[str] = []
        if self.kind == NAMESPACES:
            name = f'hostname host-{"ab"[host]}; exec "$@"'
            inside = ["ip", "netns", "exec", self._spaces[host], "unshare", "--uts"]
            inside += ["sh", "-c", name, "sh"]
        launchers = ("TORCHELASTIC", "MASTER_", "XDG_", "HUMANCLAP_", "RANK", "LOCAL_RANK", "WORLD")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(launchers)}
        home = str(self.folders[host] / "home")
        process = subprocess.Popen(
            [*inside, *command],
            cwd=self.folders[host],
            env={**kept, "HOME": home, "OMP_NUM_THREADS": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def train(
        self,
        arguments: Sequence[str],
        *,
        per_host: int = 1,
        outputs: Sequence[str] = ("run", "run"),
        launcher: str = "torchrun",
        program: Sequence[str] = ("-m", "humanclap"),
        **variables: str,
    ) -> list[subprocess.Popen[str]]:
        """`humanclap train ARGUMENTS -o OUTPUT` on both hosts, by torchrun or accelerate.

        program: what runs `train`.
        """
        port = free_port()
        return [
            self.start(
                host,
                [
                    *launch(launcher, host, 2, per_host, self.address, port),
                    *(*program, "train", *arguments, "-o", outputs[host]),
                ],
                **variables,
            )
            for host in range(2)
        ]

    @staticmethod
    def kill(process: subprocess.Popen[Any]) -> None:
        """SIGKILL to a host's launcher and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        for child in _below(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, 9)
        process.wait()


def launch(
    launcher: str, host: int, hosts: int, per_host: int, address: str, port: int
) -> list[str]:
    """The command line of torchrun or `accelerate launch` on one of the hosts."""
    if launcher == "torchrun":
        return [
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes", str(hosts)),
            *("--node-rank", str(host), "--nproc-per-node", str(per_host)),
            *("--master-addr", address, "--master-port", str(port)),
        ]
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--same_network"),
        *("--num_machines", str(hosts), "--machine_rank", str(host)),
        *("--num_processes", str(hosts * per_host), "--main_process_ip", address),
        *("--main_process_port", str(port)),
    ]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _below(parent: int) -> list[int]:
    """All descendants of a process; torchrun starts its workers in sessions of their own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found += [int(folder.name), *_below(int(folder.name))]
    return found
