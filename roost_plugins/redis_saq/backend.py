"""The backend: the scripts behind the core's interface."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roost_core import codec
from roost_core.backend import (
    Ack,
    Alone,
    Backend,
    Claim,
    ClaimBatch,
    ClaimRequest,
    Commit,
    Enqueued,
    EnqueueOutcome,
    Failure,
    Finding,
    ListQuery,
    NewWork,
    Purged,
    Renewer,
    Repaired,
    ServePlan,
    StoredWork,
    Then,
)
from roost_core.errors import BackendError, BackendUnavailable, CodecError
from roost_core.models import TERMINAL_STATES, ErrorRecord, Event, Lease, State
from roost_core.settings import Settings
from roost_plugins.redis_saq import diagnosis, giving_up, records, scripts, trail
from roost_plugins.redis_saq.connection.calls import Calls
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.refusals import is_lasting, translated
from roost_plugins.redis_saq.connection.subscription import Heard, Subscription, subscribe
from roost_plugins.redis_saq.keys import PLACES, Keys
from roost_plugins.redis_saq.lanes.tickets import Ticket
from roost_plugins.redis_saq.renewer import NEEDED, RedisRenewer
from roost_plugins.redis_saq.waiting import Endings, Tail

if TYPE_CHECKING:
    from roost_plugins.redis_saq.lanes.lanes import Lanes

_log = logging.getLogger("roost.worker")

#: A worker that has been silent for so many of its own lease times does not count as live.
_SILENT_TTLS = 3
#: Workers that have been silent for a day are forgotten. Milliseconds.
_FORGET_WORKERS_MS = 86_400_000
#: As in the stepper: a look-up in each step's way.
_RUNNING = State.RUNNING
_CONTINUE = Then.CONTINUE
#: A lease's token has so many random bytes.
_TOKEN_BYTES = 8
#: How many members one call of the ``list`` script looks at.
_SCAN = 10_000
#: What stands for the engines of a lane for which nothing need be looked for.
_NO_LOOKING = "-"
#: No entry of a stream can come after this one.
_LAST_EVENT = f"{2**64 - 1}-{2**64 - 1}"
#: So many events one call looks through for those of one work item.
_LOOK_AT = 1_000
#: Listing order: soonest first where the set is ordered by due time or place in the line.
_FORWARD = frozenset({State.QUEUED, State.SLEEPING, State.RETRY_WAIT, State.BLOCKED})


def _mode(request: ClaimRequest) -> str:
    is_unable = request.alone is Alone.NEVER and not request.can_drain
    return "unable" if is_unable else request.alone.value


class RedisSaqBackend(Backend):
    """One queue on a Redis or Valkey server, its lanes run by SAQ's worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: The names of this queue's keys.
        self.keys = Keys(settings.redis_prefix, settings.namespace, settings.queue)
        #: Where the server is.
        self.endpoint = Endpoint(settings)
        self._calls = Calls(self.endpoint)
        self._scripts = scripts.Scripts(self.keys, settings.events_kept, settings.events_bytes)
        self._endings = Endings(self.endpoint, self.keys, self._calls)
        self._tail = Tail(self.endpoint, self.keys.key("events"))
        #: The lanes that this process serves, if it is a worker.
        self.lanes: Lanes | None = None

    @property
    def description(self) -> str:
        """Where the data is, for people; no password in it."""
        return f"{self.endpoint.description}, {self.keys.tag}"

    @property
    def client(self) -> Any:
        """The redis-py client, for diagnosis."""
        return self._calls.client

    async def open(self) -> None:
        """Connect and check the server's version."""
        await self._calls.open()
        try:
            try:
                info = diagnosis.parse_info(await self._calls.plain("INFO", "server"))
            except BackendUnavailable as error:
                kind = BackendError if is_lasting(error) else BackendUnavailable
                raise kind(f"{error}; {self.endpoint.advice}") from error
            refusal = diagnosis.refused_version(info)
            if refusal:
                raise BackendError(f"{self.endpoint.description}: {refusal}")
        except BaseException:
            await self.close()
            raise

    def nothing_here(self) -> str | None:
        """Tell whether the embedded server was never started in this home."""
        return self.endpoint.nothing_here()

    async def close(self) -> None:
        """Give back every connection."""
        await self._endings.close()
        await self._tail.close()
        await self._calls.close()

    def _call(self, name: str, *args: Any) -> Awaitable[Any]:
        return self._calls(self._scripts[name], *args)

    async def call(self, script: scripts.Script, *args: Any) -> Any:
        """Call a script, for the repair."""
        return await self._calls(script, *args)

    # -- transitions -----------------------------------------------------------------------

    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, pipelined."""
        answers = await asyncio.gather(*(self._enqueue(work) for work in works))
        return [
            Enqueued(EnqueueOutcome(outcome.decode()), records.text(work_id))
            for outcome, work_id in answers
        ]

    async def _enqueue(self, work: NewWork) -> Any:
        return await self._call(
            "enqueue",
            work.work_id,
            work.engine,
            work.priority,
            work.nonce,
            work.digest,
            work.idempotency_key or "",
            work.delay_ms,
            0 if work.deadline_ms is None else max(1, work.deadline_ms),
            work.max_attempts,
            work.max_recoveries,
            work.max_steps,
            " ".join(sorted(work.resources)),
            work.item,
        )

    async def claim(
        self,
        request: ClaimRequest,
        *,
        was_idle: bool = True,
        ticket: Ticket | None = None,
        unanswered: Sequence[Ticket] = (),
    ) -> ClaimBatch:
        """Take leases.

        :param was_idle: whether the worker may stand in the register of idle ones.
        :param ticket: under which the claim is remembered, in case its answer gets lost.
        :param unanswered: tickets of claims whose answers were lost: what they have leased is
            taken back without blame.
        """
        asked_at = time.monotonic()
        mine = ticket or Ticket.new(1)
        tokens = secrets.token_hex(_TOKEN_BYTES * request.limit)
        next_wake, dead, rows, left, drain = await self._calls(
            self._scripts["claim"],
            request.worker_id,
            request.lease_ttl_ms,
            request.limit,
            " ".join(request.engines),
            int(was_idle),
            _mode(request),
            mine.slot,
            mine.claim_id,
            " ".join(map(str, unanswered)),
            *(tokens[at : at + 2 * _TOKEN_BYTES] for at in range(0, len(tokens), 2 * _TOKEN_BYTES)),
            # Lanes wait for it, and those that run now would hold up its way out.
            at_once=True,
        )
        claims, broken = records.claims(rows, request.worker_id, asked_at)
        dead_letters = [records.text(work_id) for work_id in dead]
        for one in broken:
            with contextlib.suppress(BackendUnavailable):  # Its lease runs out, and it comes again.
                await self._bury(one, request.worker_id)
                dead_letters.append(records.text(one.work_id))
        return ClaimBatch(
            claims=claims,
            dead_letters=tuple(dead_letters),
            next_wake_ms=None if next_wake < 0 else next_wake,
            left=left,
            drain=drain == 1,
        )

    async def _bury(self, one: records.BrokenClaim, worker_id: str) -> None:
        """Dead-letter a claim that no worker can be given, for itself alone."""
        error = codec.encode_model(ErrorRecord("corrupt", one.reason, worker_id=worker_id))
        await self._call("fail", one.work_id, one.token, "f0", error, 1, 0, worker_id, _NO_LOOKING)

    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step."""
        step = (
            lease.work_id,
            lease.token,
            commit.commit_id,
            commit.expected_version,
            commit.snapshot,
            commit.step,
        )
        then = commit.then
        if then is _CONTINUE:
            answer = await self._calls(
                self._scripts["advance"], *step, commit.lease_ttl_ms, *commit.events
            )
            if answer != b"late":
                return self._acknowledged(lease, answer)
            # Its deadline has passed: the next claim is to find that out.
            then = Then.YIELD
        answer = await self._calls(
            self._scripts["commit"],
            *step,
            then.value,
            commit.delay_ms,
            lease.worker_id,
            self._engines_to_ask_for(lease),
            *commit.events,
        )
        return self._acknowledged(lease, answer)

    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt."""
        engines = self._engines_to_ask_for(lease)
        answer = await self._call("fail", *giving_up.fail(lease, failure, engines))
        return self._acknowledged(lease, answer)

    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Give the work back without blame."""
        return await self._interrupt(lease, commit_id, reason, delay_ms)

    async def leave(self, lease: Lease, commit_id: str, layout: int) -> Ack:
        """Give work back that a newer Roost has written, set aside for a worker that knows it."""
        reason = f"a newer Roost wrote it: layout {layout}"
        return await self._interrupt(lease, commit_id, reason, None, layout)

    async def _interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None, layout: int = 0
    ) -> Ack:
        engines = self._engines_to_ask_for(lease)
        answer = await self._call(
            "interrupt",
            *giving_up.interrupt(lease, commit_id, reason, delay_ms, engines, layout),
        )
        return self._acknowledged(lease, answer)

    def _engines_to_ask_for(self, lease: Lease) -> str:
        """Return the engines of which a script that ends the lease is to look for work."""
        return self.lanes.lease_ends(lease.token) if self.lanes is not None else ""

    def _acknowledged(self, lease: Lease, answer: Any) -> Ack:
        ack, claim_in = records.ack(answer, lease.work_id)
        if self.lanes is not None:
            if ack.state is _RUNNING:
                self.lanes.step_accepted(lease.token)
            else:
                self.lanes.lease_ended(lease.token, claim_in)
        return ack

    def renewer(self) -> Renewer:
        """Return a renewer with a connection of its own."""
        # It is for a thread, and what a thread needs is imported before the thread is there.
        self.endpoint.import_for_threads()
        ready = {name: self._scripts[name] for name in NEEDED}
        return RedisRenewer(self.endpoint, ready)

    async def retire(self, worker_id: str) -> None:
        """Strike a worker that has stopped from the register."""
        engines = self.lanes.engines if self.lanes is not None else ()
        unanswered = self.lanes.unanswered if self.lanes is not None else ()
        await self._call("retire", worker_id, " ".join(engines), " ".join(map(str, unanswered)))

    async def purge(
        self,
        retention_ms: int,
        dead_letter_retention_ms: int | None,
        limit: int,
        forgotten: Sequence[Purged] = (),
    ) -> Sequence[Purged]:
        """Remove work items that are terminal for longer than the retention."""
        gone = await self._call(
            "purge",
            retention_ms,
            -1 if dead_letter_retention_ms is None else dead_letter_retention_ms,
            limit,
            _FORGET_WORKERS_MS,
            *(f"{one.life or 0} {one.work_id}" for one in forgotten),
        )
        return [records.purged(member) for member in gone]

    # -- reading ---------------------------------------------------------------------------

    async def read(self, work_id: str) -> StoredWork | None:
        """Return one work item, read at one moment, or None."""
        row = await self._call("read", work_id)
        return None if row is None else records.stored_work(row)

    async def list(self, query: ListQuery) -> Sequence[StoredWork]:
        """Return a page of work items."""
        place = "created" if query.state is None else PLACES[query.state]
        script = scripts.with_index(self._scripts["list"], self.keys, place)
        reverse = int(query.state not in _FORWARD)
        rank, skip = (0, query.offset) if query.engine else (query.offset, 0)
        found: list[StoredWork] = []
        while rank >= 0 and len(found) < skip + query.limit:
            wanted = skip + query.limit - len(found)
            rank, rows = await self._calls(script, rank, wanted, reverse, query.engine or "", _SCAN)
            found.extend(records.stored_work(row) for row in rows)
        return found[skip:]

    async def counts(self) -> Mapping[State, int]:
        """Return how many work items are in each state."""
        pipeline = self._calls.client.pipeline(transaction=True)
        for place in PLACES.values():
            pipeline.zcard(self.keys.key(place))
        with translated(self.endpoint.description):
            return dict(zip(PLACES, await pipeline.execute(), strict=True))

    async def events(
        self,
        *,
        after: str | None = None,
        work_id: str | None = None,
        limit: int = 100,
        block_ms: int | None = None,
    ) -> Sequence[Event]:
        """Return events in order."""
        if after is None:
            return await self._newest_events(work_id, limit)
        found: list[Event] = []
        deadline = time.monotonic() + (block_ms or 0) / 1000
        while len(found) < limit:
            count = self._tail.count
            page = await self._events_after(after, limit)
            if page:
                after = page[-1].event_id
                found.extend(one for one in page if work_id in (None, one.work_id))
                continue
            left = deadline - time.monotonic()
            if found or left <= 0:
                break
            await self._tail.beyond(after, count, left)
        return found[:limit]

    async def _events_after(self, after: str, limit: int) -> Sequence[Event]:
        if after == _LAST_EVENT:
            return []
        # Over the one connection for calls: there may be any number of followers.
        page = ("XRANGE", self.keys.key("events"), f"({after}", "+", "COUNT", str(max(limit, 100)))
        return [
            records.event((event_id, dict(zip(fields[::2], fields[1::2], strict=True))))
            for event_id, fields in await self._calls.plain(*page)
        ]

    async def trail(self, work_id: str) -> Sequence[Event] | None:
        """Return what a work item keeps of its own past, in one call."""
        found = await self._call("trail", work_id)
        return None if found is None else trail.events(*found)

    async def _newest_of(self, work_id: str, limit: int) -> Sequence[Event]:
        """Look through the stream for one work item's events; only those come over the wire."""
        found: list[Event] = []
        before: Any = "+"
        while before and len(found) < limit:
            before, page = await self._call("story", work_id, before, _LOOK_AT)
            found.extend(records.event((at, {b"event": text})) for at, text in page)
        return found[:limit][::-1]

    async def _newest_events(self, work_id: str | None, limit: int) -> Sequence[Event]:
        if work_id is not None:
            return await self._newest_of(work_id, limit)
        key = self.keys.key("events")
        found: list[Event] = []
        before = "+"
        while len(found) < limit:
            with translated(self.endpoint.description):
                entries: Any = await self._calls.client.xrevrange(key, before, "-", 1000)
            if not entries:
                break
            before = f"({entries[-1][0].decode()}"
            found.extend(records.event(entry) for entry in entries)
        return found[limit - 1 :: -1] if len(found) > limit else found[::-1]

    async def wait_terminal(self, work_id: str, timeout: float | None) -> StoredWork | None:
        """Wait until a work item is terminal, told by the server."""
        work = await self.read(work_id)
        if work is None or work.state in TERMINAL_STATES or timeout == 0:
            return work
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        with self._endings.of(work_id) as wait:
            while work is not None and work.state not in TERMINAL_STATES:
                try:
                    async with asyncio.timeout_at(deadline):
                        await wait.until_told()
                except TimeoutError:
                    return await self.read(work_id)
                work = await self.read(work_id)
        return work

    async def subscribe(self, channels: Sequence[str], heard: Heard) -> Subscription:
        """Listen to channels over a connection of its own; see there."""
        return await subscribe(self.endpoint, channels, heard)

    async def workers(self) -> Sequence[tuple[bytes, int]]:
        """Return live workers and when each was last seen."""
        pipeline = self._calls.client.pipeline(transaction=True)
        pipeline.hgetall(self.keys.key("workers"))
        pipeline.zrange(self.keys.key("seen"), 0, -1, withscores=True)
        pipeline.time()
        with translated(self.endpoint.description):
            infos, seen, (seconds, microseconds) = await pipeline.execute()
        now = seconds * 1000 + microseconds // 1000
        live = []
        for worker_id, at in seen:
            info = infos.get(worker_id)
            # What lies in the future is damaged: a worker that lives puts it right.
            if info is not None and abs(now - at) <= _silence_allowed_ms(info):
                live.append((info, records.time_of(at)))
        return live

    async def worker(self, worker_id: str) -> bytes | None:
        """Return one worker's own words, or None."""
        found: bytes | None = await self._calls.plain("HGET", self.keys.key("workers"), worker_id)
        return found

    async def now_ms(self) -> int:
        """Return the server's clock."""
        with translated(self.endpoint.description):
            seconds, microseconds = await self._calls.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def diagnose(self) -> Sequence[Finding]:
        """Look for what would lose data."""
        with translated(self.endpoint.description):
            client = self._calls.client
            found = [
                *await diagnosis.findings(client, self.endpoint),
                *await diagnosis.disagreements(client, self.keys),
            ]
            if any(one.subject == "damage" and one.level == "problem" for one in found):
                return found  # A key of another type cannot be asked.
            return [*found, *await diagnosis.left_for_newer(client, self.keys.key("newer"))]

    def repair_log(self) -> Sequence[Finding]:
        """Cut off what is damaged at the end of the embedded server's file; keep a copy."""
        if not self.endpoint.is_embedded:
            return super().repair_log()
        from roost_plugins.redis_saq.embedded import server as embedded

        mended = embedded.repair_log(self._settings.home)
        nothing = self.nothing_here()
        if nothing is not None:
            return [Finding("info", "log", f"nothing to repair: {nothing}")]
        if mended is None:
            return [Finding("ok", "log", "the append-only file ends whole; nothing was changed")]
        damage, copy = mended
        text = f"cut off {damage.cut} bytes: {damage}; the file as it was is {copy}"
        return [Finding("warning", "log", text)]

    async def repair(
        self, *, dry_run: bool, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Put indexes, holds and idempotency keys right from the records."""
        from roost_plugins.redis_saq.repair import Repair

        lease_ttl_ms = round(self._settings.lease_ttl * 1000)
        return await Repair(
            self, self._scripts, lease_ttl_ms, dry_run=dry_run, progress=progress
        ).run()

    # -- serving ---------------------------------------------------------------------------

    async def serve(
        self,
        plan: ServePlan,
        handle: Callable[[Claim], Awaitable[None]],
        on_dead_letters: Callable[[Sequence[str]], Awaitable[None]],
        upkeep: Callable[[], Awaitable[None]],
    ) -> None:
        """Run a worker's lanes with SAQ's worker."""
        from roost_plugins.redis_saq.lanes import queue
        from roost_plugins.redis_saq.lanes.lanes import Lanes

        await self._check_eviction(plan.stopping)
        self.lanes = Lanes(self, plan, on_dead_letters)
        try:
            await queue.run_lanes(self, self.lanes, plan, handle, upkeep)
        finally:
            await self.lanes.close()
            # The lanes stay known until the worker has retired: they name its engines.

    async def _check_eviction(self, stopping: asyncio.Event) -> None:
        """Refuse a server that would evict work; one that has just gone is waited for."""
        refusal, pause = None, 0.1
        while not stopping.is_set():
            try:
                with translated(self.endpoint.description):
                    refusal = await diagnosis.refused_eviction(self._calls.client)
                break
            except BackendUnavailable as error:
                if pause == 0.1:
                    _log.warning("cannot begin, trying again: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stopping.wait()
                pause = min(pause * 2, 2.0)
        if refusal:
            raise BackendError(f"{self.endpoint.description}: {refusal}")


def _silence_allowed_ms(info: bytes) -> float:
    try:
        plain: Any = codec.loads(info, "the words of a worker", codec.MAX_PAYLOAD_BYTES)
        return max(5.0, _SILENT_TTLS * float(plain["lease_ttl_seconds"])) * 1000
    except (CodecError, KeyError, TypeError, ValueError, OverflowError):
        return 60_000.0
