"""The ledger of one queue: the scripts behind the core's interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roost_core.backend import (
    Finding,
    Ledger,
    Renewer,
    Repaired,
)
from roost_plugins.redis_saq import diagnosis
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.ledger.control import RedisControl
from roost_plugins.redis_saq.ledger.reading import RedisReading
from roost_plugins.redis_saq.ledger.renewer import NEEDED, RedisRenewer
from roost_plugins.redis_saq.ledger.transitions import RedisTransitions


class RedisLedger(RedisTransitions, RedisReading, RedisControl, Ledger):
    """One queue on a Redis or Valkey server."""

    def renewer(self) -> Renewer:
        """Return a renewer with a connection of its own."""
        # It is for a thread, and what a thread needs is imported before the thread is there.
        self.endpoint.import_for_threads()
        ready = {name: self.scripts[name] for name in NEEDED}
        return RedisRenewer(self.endpoint, ready)

    async def diagnose(self) -> Sequence[Finding]:
        """Look for what disagrees in this queue, and what was left for newer workers."""
        with translated(self.endpoint.description):
            found = await diagnosis.disagreements(self.client, self.keys)
            if any(one.subject == "damage" and one.level == "problem" for one in found):
                return found  # A key of another type cannot be asked.
            return [*found, *await diagnosis.left_for_newer(self.client, self.keys.key("newer"))]

    async def repair(
        self, *, dry_run: bool, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Put indexes, holds and idempotency keys right from the records."""
        from roost_plugins.redis_saq.repair import Repair

        return await Repair(self, self._lease_ttl_ms, dry_run=dry_run, progress=progress).run()
