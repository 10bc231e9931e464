"""`humanclap train` on the nodes of a Ray cluster.

    ray job submit --working-dir . -- python on_ray.py --nodes 2 -- targets.csv -o /data/runs/first

An actor on each node starts torchrun there, with the arguments behind `--`. All meet at the address
of the first node, which also holds the run's folder. Each node needs humanclap[train] and the files
that the arguments name. If a job failed, start it again with `--resume`, and with `--first ADDRESS`
if no disk is shared.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

WAIT_S = 300.0


@ray.remote
class Node:
    """One node's launcher."""

    def address(self) -> tuple[str, int]:
        """This node's address, and a port that is free there."""
        with socket.socket() as found:
            found.bind(("", 0))
            return ray.util.get_node_ip_address(), found.getsockname()[1]

    def train(self, launcher: Sequence[str]) -> int:
        """Run torchrun, which ends with this actor; its exit code."""
        die_with_parent = ctypes.CDLL(None).prctl
        return subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", *launcher],
            preexec_fn=lambda: die_with_parent(1, signal.SIGTERM),
        ).returncode


def main() -> None:
    """Reserve the nodes, start torchrun on each, and end with 1 where one of them failed."""
    own, training = sys.argv[1:], []
    if "--" in own:
        place = own.index("--")
        own, training = own[:place], own[place + 1 :]
    parser = argparse.ArgumentParser(description="humanclap train on the nodes of a Ray cluster")
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--per-node", type=int, default=1, help="Processes, one per GPU.")
    parser.add_argument("--cpus", type=float, default=1, help="CPUs to reserve on each node.")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs to reserve on each node.")
    parser.add_argument("--first", help="Address of the node that writes.  [default: any]")
    options = parser.parse_args(own)
    ray.init()
    bundle = {"CPU": options.cpus} | ({"GPU": options.gpus} if options.gpus else {})
    bundles = [dict(bundle) for _ in range(options.nodes)]
    if options.first:
        bundles[0][f"node:{options.first}"] = 0.001
    group = placement_group(bundles, strategy="STRICT_SPREAD")
    if not group.wait(WAIT_S):
        sys.exit(f"{options.nodes} nodes with {bundle} did not become free in {WAIT_S:g} s")
    nodes = [
        Node.options(
            num_cpus=options.cpus,
            num_gpus=options.gpus,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, number),
        ).remote()
        for number in range(options.nodes)
    ]
    address, port = ray.get(nodes[0].address.remote())
    print(f"the first node, which writes, is {address}", flush=True)
    launched = [
        node.train.remote(
            [
                *("--nnodes", str(options.nodes), "--node-rank", str(rank)),
                *("--nproc-per-node", str(options.per_node)),
                *("--master-addr", address, "--master-port", str(port)),
                *("-m", "humanclap", "train", *training),
            ]
        )
        for rank, node in enumerate(nodes)
    ]
    sys.exit(int(any(ray.get(launched))))  # one that was killed has a negative code


if __name__ == "__main__":
    main()
