"""The ledger of one queue: the scripts behind the core's interface."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from roost_core.backend import (
    LOOK,
    Finding,
    Ledger,
    Purged,
    Renewer,
    Repaired,
)
from roost_plugins.redis_saq import diagnosis
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.ledger.reading import RedisReading

if TYPE_CHECKING:
    from roost_core.backend import (
        Ack,
        ClaimBatch,
        ClaimRequest,
        Commit,
        Counted,
        Enqueued,
        Facts,
        Failure,
        Found,
        Halt,
        NewWork,
        Order,
        OrderAnswer,
        Rewind,
        Survey,
    )
    from roost_core.models import Actor, Lease
    from roost_core.query import By, Query
    from roost_plugins.redis_saq.ledger.tickets import Ticket
    from roost_plugins.redis_saq.ledger.transitions import RedisTransitions


class RedisLedger(RedisReading, Ledger):
    """One queue on a Redis or Valkey server.

    What changes work, and what people ask for now and then, is imported then: most commands read.
    """

    takes_changes: ClassVar[bool] = True

    @cached_property
    def _transitions(self) -> RedisTransitions:
        from roost_plugins.redis_saq.ledger.transitions import RedisTransitions

        return RedisTransitions(self)

    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, pipelined."""
        return await self._transitions.enqueue(works)

    def claim(
        self,
        request: ClaimRequest,
        *,
        was_idle: bool = True,
        ticket: Ticket | None = None,
        unanswered: Sequence[Ticket] = (),
    ) -> Coroutine[Any, Any, ClaimBatch]:
        """Take leases: see :meth:`RedisTransitions.claim`."""
        return self._transitions.claim(
            request, was_idle=was_idle, ticket=ticket, unanswered=unanswered
        )

    def commit(self, lease: Lease, commit: Commit) -> Coroutine[Any, Any, Ack]:
        """Accept a step."""
        return self._transitions.commit(lease, commit)

    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt."""
        return await self._transitions.fail(lease, failure)

    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Give the work back without blame."""
        return await self._transitions.interrupt(lease, commit_id, reason, delay_ms)

    async def leave(self, lease: Lease, commit_id: str, layout: int) -> Ack:
        """Give back work that a newer Roost wrote, set aside for a worker that knows it."""
        return await self._transitions.leave(lease, commit_id, layout)

    async def retire(self, worker_id: str) -> None:
        """Remove a stopped worker from the register."""
        await self._transitions.retire(worker_id)

    async def purge(
        self,
        retention_ms: int,
        dead_letter_retention_ms: int | None,
        limit: int,
        forgotten: Sequence[Purged] = (),
    ) -> Sequence[Purged]:
        """Remove work items that have been terminal for longer than the retention."""
        return await self._transitions.purge(
            retention_ms, dead_letter_retention_ms, limit, forgotten
        )

    async def facts(self, work_id: str) -> Facts | None:
        """Return what decides when a work item runs, read atomically, or None."""
        from roost_plugins.redis_saq.ledger.explaining import RedisExplaining

        return await RedisExplaining(self).facts(work_id)

    async def survey(self) -> Survey:
        """Return what is known of the whole queue: four scripts, sent together."""
        from roost_plugins.redis_saq.ledger.surveying import RedisSurveying

        return await RedisSurveying(self).survey()

    async def find(
        self,
        query: Query,
        *,
        now_ms: int = 0,
        limit: int = 50,
        cursor: str | None = None,
        look: int = LOOK,
        reverse: bool = False,
    ) -> Found:
        """Return a page of what a query is true of."""
        from roost_plugins.redis_saq.ledger.finding import RedisFinding

        found = RedisFinding(self)
        return await found.find(
            query, now_ms=now_ms, limit=limit, cursor=cursor, look=look, reverse=reverse
        )

    async def count(
        self, query: Query, by: By | None = None, *, now_ms: int = 0, look: int = LOOK
    ) -> Counted:
        """Count what a query is true of; by the index if that tells."""
        from roost_plugins.redis_saq.ledger.finding import RedisFinding

        return await RedisFinding(self).count(query, by, now_ms=now_ms, look=look)

    async def order(self, work_id: str, order: Order) -> OrderAnswer:
        """Do to a work item what a person wants."""
        from roost_plugins.redis_saq.ledger.control import RedisControl

        return await RedisControl(self).order(work_id, order)

    async def rewind(self, work_id: str, rewind: Rewind) -> OrderAnswer:
        """Put a work item back to an earlier version."""
        from roost_plugins.redis_saq.ledger.control import RedisControl

        return await RedisControl(self).rewind(work_id, rewind)

    async def halt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Hold an engine, and let the steps that run be the last of their leases."""
        from roost_plugins.redis_saq.ledger.control import RedisControl

        return await RedisControl(self).halt(engine, actor, request_id)

    async def unhalt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Let the work of a held engine continue."""
        from roost_plugins.redis_saq.ledger.control import RedisControl

        return await RedisControl(self).unhalt(engine, actor, request_id)

    async def halts(self) -> Sequence[Halt]:
        """Return the engines that are held, by name."""
        from roost_plugins.redis_saq.ledger.control import RedisControl

        return await RedisControl(self).halts()

    def renewer(self) -> Renewer:
        """Return a renewer with its own connection."""
        # It is for a thread, and what a thread needs is imported before the thread starts.
        from roost_plugins.redis_saq.ledger.renewer import NEEDED, RedisRenewer

        self.endpoint.import_for_threads()
        ready = {name: self.scripts[name] for name in NEEDED}
        return RedisRenewer(self.endpoint, ready)

    async def diagnose(self) -> Sequence[Finding]:
        """Check for what disagrees in this queue, and for what was left for newer workers."""
        with translated(self.endpoint.description):
            found = await diagnosis.disagreements(self.client, self.keys)
            if any(one.subject == "damage" and one.level == "problem" for one in found):
                return found  # A key of the wrong type cannot be queried.
            found = [*found, *await diagnosis.index_gaps(self.client, self.keys)]
            return [*found, *await diagnosis.left_for_newer(self.client, self.keys.key("newer"))]

    async def repair(
        self, *, dry_run: bool, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Repair indexes, holds and idempotency keys from the records."""
        from roost_plugins.redis_saq.repair import Repair

        return await Repair(self, self._lease_ttl_ms, dry_run=dry_run, progress=progress).run()
