"""A Redis Cluster of three primaries on this machine, gone at the end."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import attrs

from benchmarks.measuring.server import LOOPBACK, Server, running
from roost_core import Settings
from roost_plugins.redis_saq.keys import Keys
from roost_plugins.redis_saq.settings import RedisSettings

#: How many nodes there are; fewer than three primaries make no cluster.
COUNT: Final = 3
_SLOTS: Final = 16_384
#: Nodes wait some seconds by themselves before they take work.
_PATIENCE: Final = 30.0


@attrs.frozen
class Node:
    """A server of the cluster, and the slots that are its own."""

    server: Server
    slots: range

    def has(self, queue: str) -> bool:
        """Return whether this node has the queue of this name."""
        defaults = Settings()
        tag = Keys(defaults.of(RedisSettings).prefix, defaults.namespace, queue).tag
        slot: Any = self.server.client.execute_command("CLUSTER KEYSLOT", tag)
        return slot in self.slots

    def queues(self, word: str) -> Iterator[str]:
        """Yield names of queues that this node has, for ever."""
        return filter(self.has, (f"{word}-{number}" for number in itertools.count()))

    def refusals(self) -> dict[str, int]:
        """Return how often the node refused a client because of a key's slot, by kind of error."""
        found: Any = self.server.client.info("errorstats")
        kinds = ("MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN")
        counts = {kind: found.get(f"errorstat_{kind}", {}).get("count", 0) for kind in kinds}
        return {kind: count for kind, count in counts.items() if count}


@contextmanager
def cluster(binary: str | None, fsync: str) -> Iterator[Sequence[Node]]:
    """Start a cluster on free ports of the loopback interface.

    :raises RuntimeError: it does not form.
    """
    ports = _free_ports(2 * COUNT)
    bounds = [index * _SLOTS // COUNT for index in range(COUNT + 1)]
    with ExitStack() as stack:
        servers = []
        for port, bus in zip(ports[:COUNT], ports[COUNT:], strict=True):
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
            servers.append(stack.enter_context(running(binary, fsync, port=port, options=options)))
        nodes = [
            Node(server, range(*ends))
            for server, ends in zip(servers, itertools.pairwise(bounds), strict=True)
        ]
        for number, node in enumerate(nodes, 1):
            call = node.server.client.execute_command
            call("CLUSTER SET-CONFIG-EPOCH", number)
            call("CLUSTER ADDSLOTSRANGE", node.slots[0], node.slots[-1])
        for port, bus in zip(ports[1:COUNT], ports[COUNT + 1 :], strict=True):
            servers[0].client.execute_command("CLUSTER MEET", LOOPBACK, port, bus)
        _await_agreement(servers)
        # What was refused while they met does not matter.
        for server in servers:
            server.client.config_resetstat()
        yield nodes


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        # All are held until all are found, so that none is found twice.
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]


def _await_agreement(servers: Sequence[Server]) -> None:
    deadline = time.monotonic() + _PATIENCE
    for server in servers:
        while not _agrees(server):
            if time.monotonic() > deadline:
                raise RuntimeError("the cluster did not come together in time")
            time.sleep(0.05)


def _agrees(server: Server) -> bool:
    text: Any = server.client.execute_command("CLUSTER INFO")
    # Some versions of the client parse it already.
    if isinstance(text, bytes):
        text = dict(line.split(":", 1) for line in text.decode().split())
    return (
        text["cluster_state"] == "ok"
        and int(text["cluster_slots_ok"]) == _SLOTS
        and int(text["cluster_known_nodes"]) == COUNT
    )
