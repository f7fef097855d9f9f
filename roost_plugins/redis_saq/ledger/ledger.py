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
from roost_plugins.redis_saq.ledger.explaining import RedisExplaining
from roost_plugins.redis_saq.ledger.finding import RedisFinding
from roost_plugins.redis_saq.ledger.reading import RedisReading
from roost_plugins.redis_saq.ledger.renewer import NEEDED, RedisRenewer
from roost_plugins.redis_saq.ledger.transitions import RedisTransitions


class RedisLedger(
    RedisTransitions, RedisExplaining, RedisFinding, RedisReading, RedisControl, Ledger
):
    """One queue on a Redis or Valkey server."""

    def renewer(self) -> Renewer:
        """Return a renewer with its own connection."""
        # It is for a thread, and what a thread needs is imported before the thread starts.
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
