"""The command line over a backend in memory, for unit tests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import attrs
import click
from click.testing import CliRunner, Result

from roost_core.backend import ClaimRequest, Commit, Failure, Finish, GoOn
from roost_core.cli.app import build
from roost_core.cli.session import Session
from roost_core.client.roost import Roost
from roost_core.codec.records import encode_model
from roost_core.codec.snapshots import encode_snapshot
from roost_core.markers import hookimpl
from roost_core.models import ErrorRecord, Snapshot, WorkRow
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from roost_core.testing import ManualClock, MemoryArtifactStore, MemoryServer


@attrs.define(eq=False)
class MemoryProvider:
    """A plugin with a backend and an artifact store that outlive a single command."""

    clock: ManualClock = attrs.field(factory=ManualClock)
    store: MemoryArtifactStore = attrs.field(factory=MemoryArtifactStore)
    memory: MemoryServer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.memory = MemoryServer(self.clock)

    @hookimpl
    def backend(self, settings):
        """Give the one backend."""
        return self.memory

    @hookimpl
    def artifact_store(self, settings):
        """Give the one store."""
        return self.store


class EchoEngine:
    """An engine to enqueue for; nothing here runs it."""

    engine_id = "echo"

    @hookimpl
    def step(self, snapshot):
        """Finish."""
        return snapshot.finish()


def command_names() -> list[str]:
    """Return the commands of what is installed, in the order of help."""
    group = build()
    return group.list_commands(click.Context(group))


class Bench:
    """A queue in memory, and the command line that talks to it."""

    def __init__(self) -> None:
        self.provider = MemoryProvider()
        self.server = self.provider.memory
        self.ledger = self.server.ledger("default")
        self.plugins = Plugins.empty()
        self.plugins.register(self.provider, "memory")
        self.plugins.register(EchoEngine(), "echo")
        # Nothing else is installed.
        self.plugins.is_complete = True

    def invoke(self, *args: str, stdin: str | bytes | None = None) -> Result:
        """Run one command line; an unexpected exception is the test's own failure."""
        session = Session(plugins=self.plugins)
        result = CliRunner().invoke(build(), args, input=stdin, obj=session, prog_name="roost")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def answered(self, *args: str, said: str) -> tuple[int, str, str]:
        """Run one command line that asks; return its exit code and what is on each stream."""
        result = self.invoke(*args, stdin=f"{said}\n")
        # Up to click 8.2 its runner shows what is typed, as a terminal would.
        return result.exit_code, result.stdout.removeprefix(f" {said}\n"), result.stderr

    def ok(self, *args: str, stdin: str | bytes | None = None) -> str:
        """Run one command line that has to succeed silently; return what it prints."""
        result = self.invoke(*args, stdin=stdin)
        assert (0, "") == (result.exit_code, result.stderr)
        return result.stdout

    def json(self, *args: str) -> Any:
        """Run one command line and read its output as JSON."""
        return json.loads(self.ok(*args))

    def roost(self, **fields: Any) -> Roost:
        """Return a client of the same queue."""
        return Roost.connect(Settings(**fields), plugins=self.plugins)

    def enqueue(self, **fields: Any) -> str:
        """Enqueue for the engine ``echo`` and return the id."""

        async def main() -> str:
            async with self.roost() as roost:
                return (await roost.enqueue("echo", **fields)).work_id

        return asyncio.run(main())

    def read(self, work_id: str) -> WorkRow:
        """Return a work item's standing."""

        async def main() -> WorkRow:
            async with self.roost() as roost:
                return await roost.work(work_id).row()

        return asyncio.run(main())

    def claim(self):
        """Lease the first work item that is ready, as a worker would."""
        request = ClaimRequest("worker-1", ("echo",), limit=1, lease_ttl_ms=15_000)
        return asyncio.run(self.ledger.claim(request)).claims[0]

    def finish(self, work_id: str, **fields: Any) -> None:
        """Accept one step of a ready work item, its last."""
        claim = self.claim()
        snapshot = Snapshot(work_id, "echo", version=1, is_finished=True, step="done", **fields)
        commit = Commit("c1", claim.version, encode_snapshot(snapshot), "done", Finish())
        asyncio.run(self.ledger.commit(claim.lease, commit))

    def steps(self, work_id: str, *snapshots: Snapshot, took_ms: int = 0) -> None:
        """Accept these as the versions of a ready work item, one a millisecond, under one lease."""
        claim = self.claim()
        for version, one in enumerate(snapshots, 1):
            self.provider.clock.advance(1)
            made = attrs.evolve(one, work_id=work_id, engine="echo", version=version)
            ahead = GoOn(60_000)
            commit = Commit(
                f"c{version}", version - 1, encode_snapshot(made), one.step, ahead, took_ms=took_ms
            )
            asyncio.run(self.ledger.commit(claim.lease, commit))

    def fail(self, message: str, **fields: Any) -> None:
        """Dead-letter the first work item that is ready."""
        claim = self.claim()
        error = encode_model(ErrorRecord(kind="permanent", message=message, **fields))
        asyncio.run(self.ledger.fail(claim.lease, Failure("c1", error, True, 0)))
