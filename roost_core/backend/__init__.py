"""The interfaces that backends and artifact stores implement, and their vocabulary.

A backend deals in bytes and numbers: it stores encoded items and snapshots
without looking inside, decides by its own clock, and guarantees the invariants.
The models around the bytes are the core's business. Times that cross this
border are whole milliseconds since the epoch by the server's clock, and
durations are whole milliseconds.
"""

from __future__ import annotations

import abc
import asyncio
import enum
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import attrs

from roost_core.errors import BackendError
from roost_core.models import WORD, Artifact, Event, Lease, State, matching
from roost_core.values import Value

#: So many workers that died over a step, or are silent, make work suspected: from then on it
#: runs apart from other work, in groups or alone, until a step of it is accepted.
SUSPECTED_AFTER: Final = 2


@attrs.frozen(eq=False, repr=False)
class NewWork(Value):
    """A work item to store.

    ``nonce`` makes a repeated request recognizable: the same id with the same
    nonce is one enqueue whose reply was lost. ``digest`` stands for engine and
    payload, and is what an idempotency key is compared by. ``max_steps`` is how many steps
    may be accepted in a row without a delay; 0 is any number.
    """

    work_id: str
    engine: str
    item: bytes
    nonce: str
    digest: str
    priority: int = 0
    resources: tuple[str, ...] = ()
    idempotency_key: str | None = None
    delay_ms: int = 0
    deadline_ms: int | None = None
    max_attempts: int = 5
    max_recoveries: int = 3
    max_steps: int = 0


class EnqueueOutcome(enum.StrEnum):
    """What became of a :class:`NewWork`."""

    CREATED = "created"
    EXISTING = "existing"  #: the idempotency key stands for a stored item: its id is returned
    TAKEN = "taken"  #: the id belongs to another item, which was left alone
    CONFLICT = "conflict"  #: the idempotency key was used for another engine or payload


@attrs.frozen(eq=False, repr=False)
class Enqueued(Value):
    """The answer to one :class:`NewWork`."""

    outcome: EnqueueOutcome
    work_id: str


class Alone(enum.StrEnum):
    """Whether what a claim brings is all that the worker's process runs.

    Only then is the death of the process that work's own.
    """

    NEVER = "never"  #: it runs, or may soon run, other work, too
    MAY = (
        "may"  #: it runs nothing, and will not until a suspected work item has had a step accepted
    )
    ALWAYS = "always"  #: it never runs more than one at a time


@attrs.frozen(eq=False, repr=False)
class ClaimRequest(Value):
    """A worker's request for up to ``limit`` leases on work of its ``engines``.

    A worker id is one word: visible ASCII characters without spaces. Work over which
    workers have died more than once is suspected: it is leased only where it is ``alone``.
    With ``Alone.MAY`` that goes before all else, and nothing else comes with it; up to
    half of ``limit`` such come together after two deaths, a quarter after three, and so on.
    Who ``can_drain`` may be asked to let its work end, so that it is; a worker whose steps
    do not end cannot.
    """

    worker_id: str = attrs.field(validator=matching(WORD, "worker id"))
    engines: tuple[str, ...]
    limit: int
    lease_ttl_ms: int
    alone: Alone = Alone.NEVER
    can_drain: bool = True


@attrs.frozen(eq=False, repr=False)
class Claim(Value):
    """A leased work item with everything needed to run its next step.

    ``recoveries`` are the deaths of workers that ran nothing but this step. ``is_solo`` tells
    that it is suspected, and nothing else may be leased until a step was accepted of it, and of
    each that came with it.

    ``committed_ms`` is when its snapshot was accepted, or None if it has none.
    ``asked_at`` is this process's monotonic clock, in seconds, from before the
    request went out: the lease cannot have begun earlier.
    """

    lease: Lease
    engine: str
    version: int
    attempts: int
    recoveries: int
    created_ms: int
    committed_ms: int | None
    deadline_ms: int | None
    item: bytes = attrs.field(repr=False)
    snapshot: bytes | None = attrs.field(repr=False)
    asked_at: float
    is_solo: bool = False


@attrs.frozen(eq=False, repr=False)
class ClaimBatch(Value):
    """The answer to a :class:`ClaimRequest`.

    ``dead_letters`` are the ids that this claim dead-lettered on the way, for
    the observers. ``next_wake_ms`` is 0 if more is ready than was taken. For a claim
    that took less than it might, it is how long until something becomes due or a lease
    expires, or None if nothing is known to. ``left`` is how many work items were found that
    a newer Roost has written; they are left for a worker that knows how. ``drain`` asks the
    worker to let its work end before it claims more, because something suspected has
    waited for a worker that runs nothing else.
    """

    claims: tuple[Claim, ...]
    dead_letters: tuple[str, ...] = ()
    next_wake_ms: int | None = None
    left: int = 0
    drain: bool = False


class Then(enum.StrEnum):
    """What a commit asks for next."""

    CONTINUE = "continue"  #: keep the lease, the next step follows at once
    YIELD = "yield"  #: give the lease back, stand in the ready queue again
    SLEEP = "sleep"  #: give the lease back, come back after ``delay_ms``
    FINISH = "finish"  #: give the lease back, the work is done


@attrs.frozen(eq=False, repr=False)
class Commit(Value):
    """A step's outcome to be made durable.

    ``commit_id`` names this commit, in one word without a semicolon: repeating it gives the
    recorded answer.
    ``expected_version`` is the version that the step started from; the stored
    one becomes ``expected_version + 1``. With ``lease_ttl_ms`` a lease that goes on is
    extended by so much from now; 0 leaves its expiry alone. ``events`` are the engine's own.
    """

    commit_id: str
    expected_version: int
    snapshot: bytes = attrs.field(repr=False)
    step: str
    then: Then
    delay_ms: int = 0
    lease_ttl_ms: int = 0
    events: tuple[bytes, ...] = ()


@attrs.frozen(eq=False, repr=False)
class Failure(Value):
    """A failed attempt. ``error`` is an encoded ``ErrorRecord``; ``commit_id`` as in a commit."""

    commit_id: str
    error: bytes
    permanent: bool
    delay_ms: int


@attrs.frozen(eq=False, repr=False)
class Ack(Value):
    """The answer to a commit, a failure or an interrupt: where the work stands now.

    ``state`` is ``running`` if the lease goes on; else the lease has ended.
    """

    state: State
    version: int
    attempts: int
    at_ms: int
    due_ms: int | None = None


@attrs.frozen(eq=False, repr=False)
class Beat(Value):
    """One lease to renew, with an engine's newest heartbeat if there is one to store."""

    work_id: str
    token: str = attrs.field(repr=False)
    heartbeat: bytes | None = None


@attrs.frozen(eq=False, repr=False)
class StoredWork(Value):
    """A work item as it stands in the backend. Missing bytes are None.

    ``error`` is the latest one and goes with the next accepted step; ``heartbeat``
    is the running step's and goes with its end. ``recoveries`` are the workers that died over
    the current step while they ran nothing else, ``suspicions`` those that died, or are
    silent, over this and other work; ``steps_in_row`` are the steps since the last delay.
    ``leased_ms`` and ``leased_version`` tell when, and at which version, the newest lease
    began. With a ``newer_layout`` a newer Roost has written the work item, and only its id,
    engine and state can be told.
    """

    work_id: str
    engine: str
    state: State
    priority: int = 0
    version: int = 0
    step: str | None = None
    attempts: int = 0
    max_attempts: int = 0
    recoveries: int = 0
    max_recoveries: int = 0
    suspicions: int = 0
    steps_in_row: int = 0
    max_steps: int = 0
    leased_ms: int | None = None
    leased_version: int = 0
    fence: int = 0
    worker_id: str | None = None
    expires_ms: int | None = None
    due_ms: int | None = None
    deadline_ms: int | None = None
    blocked_on: str | None = None
    created_ms: int = 0
    updated_ms: int = 0
    finished_ms: int | None = None
    started_ms: int | None = None
    committed_ms: int | None = None
    newer_layout: int | None = None
    item: bytes | None = attrs.field(default=None, repr=False)
    snapshot: bytes | None = attrs.field(default=None, repr=False)
    error: bytes | None = attrs.field(default=None, repr=False)
    heartbeat: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen(eq=False, repr=False)
class Purged(Value):
    """A work item that is gone, and whose artifacts and workspaces are to be forgotten.

    ``life`` tells it from another work item that has the same id later: when it was created,
    in milliseconds by the server's clock. None if that is not known: then it stands for all.
    """

    work_id: str
    life: int | None


@attrs.frozen(eq=False, repr=False)
class ListQuery(Value):
    """Which work items to list: newest first, or next first where a state waits for its turn."""

    state: State | None = None
    engine: str | None = None
    limit: int = 50
    offset: int = 0


@attrs.frozen(eq=False, repr=False)
class Finding(Value):
    """One line of a diagnosis. ``level`` is ``ok``, ``info``, ``warning`` or ``problem``.

    A problem is something that would lose data or stop work.
    """

    level: str
    subject: str
    message: str


@attrs.define(eq=False)
class LostLanes:
    """What a worker has lost to steps that go on although they were ended.

    ``lanes`` counts lanes that wait for such steps: a backend runs so many more, up to
    ``bound``. ``threads`` counts threads that go on. ``ended`` has the tokens of leases that
    have ended, or are given up, while their steps go on. ``changed`` is set after each change.
    """

    bound: int
    threads: Callable[[], int]
    lanes: int = 0
    ended: set[str] = attrs.field(factory=set)
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def count(self) -> int:
        """How many lanes and threads are lost."""
        return self.lanes + self.threads()

    @property
    def is_full(self) -> bool:
        """Whether more is lost than is made up for: the worker must claim no more."""
        return self.count > self.bound


@attrs.frozen(eq=False, repr=False)
class Repaired(Value):
    """One kind of thing that a repair found, and how often.

    ``outcome`` is ``mended``, ``found`` (it would be mended, were it no dry run) or ``left``: only
    a person can put that right. ``examples`` are up to three ids or names.
    """

    outcome: str
    subject: str
    message: str
    count: int
    examples: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class ServePlan(Value):
    """How a worker wants its lanes run.

    ``stopping`` ends claiming when it is set; steps in flight then have
    ``drain_timeout`` seconds before they are cancelled. With ``burst`` the lanes
    also end when nothing is ready. ``lost`` says which lanes are to be made up for.
    """

    worker_id: str
    engines: tuple[str, ...]
    concurrency: int
    lease_ttl_ms: int
    drain_timeout: float
    burst: bool
    stopping: asyncio.Event
    lost: LostLanes | None = None


class Renewer(abc.ABC):
    """Keeps one worker's leases, and its registration, alive.

    It is used from a thread of its own, so it is synchronous and shares no
    connection with the event loop. When that loop hangs, the thread ends leases on
    its behalf with :meth:`fail` and :meth:`interrupt`; a renewer that does not offer
    these leaves such leases to run out.
    """

    @abc.abstractmethod
    def renew(self, info: bytes, beats: Sequence[Beat], lease_ttl_ms: int) -> Sequence[str]:
        """Extend all leases at once and announce the worker, in one command.

        :param info: the encoded ``WorkerInfo``.
        :returns: the tokens of the leases that are lost.
        :raises BackendUnavailable: no answer; nothing may be concluded.
        """

    def fail(self, lease: Lease, failure: Failure) -> Ack:  # noqa: ARG002 - for those who offer it
        """Give up an attempt, as :meth:`Backend.fail` does.

        :raises BackendUnavailable: no answer.
        :raises BackendError: this renewer does not offer it.
        :raises LeaseLost: the token is not current.
        """
        raise BackendError(f"{type(self).__name__} does not end leases")

    def interrupt(
        self,
        lease: Lease,  # noqa: ARG002 - for those who offer it
        commit_id: str,  # noqa: ARG002 - as above
        reason: str,  # noqa: ARG002 - as above
        delay_ms: int | None,  # noqa: ARG002 - as above
    ) -> Ack:
        """Give work back without blame, as :meth:`Backend.interrupt` does.

        :raises BackendUnavailable: no answer.
        :raises BackendError: this renewer does not offer it.
        :raises LeaseLost: the token is not current.
        """
        raise BackendError(f"{type(self).__name__} does not end leases")

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection."""


class Backend(abc.ABC):
    """The durable ledger of one queue.

    Every method is atomic and durable when it returns. A method that raises
    :class:`~roost_core.errors.BackendUnavailable` may or may not have taken
    effect and can be repeated safely, with the same ids.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, start a server if that is this backend's way, check its version.

        :raises BackendUnavailable: one line that says where it tried and what to do.
        """

    def nothing_here(self) -> str | None:
        """Return why there cannot be any work yet, in one line, or None. Blocks briefly.

        Asked before :meth:`open` by who only wants to read, and must not make a place for
        work. A backend whose ``open`` makes nothing does not need it.
        """
        return None

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back every connection. May be called twice."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the data is, for people; no password in it."""

    # -- transitions -----------------------------------------------------------------------

    @abc.abstractmethod
    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, pipelined; each by itself is all or nothing."""

    @abc.abstractmethod
    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Take leases: recover expired ones, promote what is due, take the first ones ready."""

    @abc.abstractmethod
    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step.

        :raises LeaseLost: the token is not current.
        :raises VersionConflict: the stored version is not the expected one.
        """

    @abc.abstractmethod
    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt: retry later, or dead-letter if it was the last.

        :raises LeaseLost: the token is not current.
        """

    @abc.abstractmethod
    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Give the work back without blame, to its old place in the queue.

        :param delay_ms: None to be ready at once, else sleep so long.
        :raises LeaseLost: the token is not current.
        """

    async def leave(self, lease: Lease, commit_id: str, layout: int) -> Ack:
        """Give work back that a newer Roost has written: only a worker that knows it may take it.

        By default it only sleeps for a minute, so that workers which do not know it meet it no
        oftener than that.

        :param layout: the number of the layout that reading it takes.
        :raises LeaseLost: the token is not current.
        """
        reason = f"a newer Roost wrote it: layout {layout}"
        return await self.interrupt(lease, commit_id, reason, 60_000)

    @abc.abstractmethod
    def renewer(self) -> Renewer:
        """Return a renewer with a connection of its own; call after :meth:`open`."""

    @abc.abstractmethod
    async def retire(self, worker_id: str) -> None:
        """Strike a worker that has stopped from the register."""

    @abc.abstractmethod
    async def purge(
        self,
        retention_ms: int,
        dead_letter_retention_ms: int | None,
        limit: int,
        forgotten: Sequence[Purged] = (),
    ) -> Sequence[Purged]:
        """Remove up to ``limit`` work items that are terminal for longer than the retention.

        What is gone stays on record until it is said to be forgotten, so that no lost answer and
        no worker that dies in between leaves its artifacts behind for ever.

        :param dead_letter_retention_ms: None keeps dead letters for ever.
        :param forgotten: what was returned before, and has no artifacts or workspaces any more.
        :returns: up to ``limit`` that are gone and not forgotten yet, also of earlier calls and
            of other workers; those first that were not returned for the longest time.
        """

    # -- reading ---------------------------------------------------------------------------

    @abc.abstractmethod
    async def read(self, work_id: str) -> StoredWork | None:
        """Return one work item with all its bytes, read at one moment, or None."""

    @abc.abstractmethod
    async def list(self, query: ListQuery) -> Sequence[StoredWork]:
        """Return a page of work items, with item bytes but without snapshots."""

    @abc.abstractmethod
    async def counts(self) -> Mapping[State, int]:
        """Return how many work items are in each state; states without any are there as 0."""

    @abc.abstractmethod
    async def events(
        self,
        *,
        after: str | None = None,
        work_id: str | None = None,
        limit: int = 100,
        block_ms: int | None = None,
    ) -> Sequence[Event]:
        """Return events in order.

        The stream is shared and bounded: of one work item it may have none any more; its
        :meth:`trail` has the rest.

        :param after: an event id; only later ones. None: the newest ``limit``.
        :param block_ms: wait so long for the first one; None does not wait.
        """

    async def trail(self, work_id: str) -> Sequence[Event] | None:
        """Return what a work item keeps of its own past, oldest first, read in one call.

        However busy other work is, it has the item's ``enqueued``, one ``leased`` for each
        lease, and each event that is neither a claim nor a commit: the newest 160 at most, and
        fewer if they are long. A ``leased`` comes after the last event under it, and has its
        id. Data is cut to a few hundred bytes.

        By default it is what the stream still has.

        :returns: None if no work item has this id.
        """
        if await self.read(work_id) is None:
            return None
        return await self.events(work_id=work_id)

    @abc.abstractmethod
    async def wait_terminal(self, work_id: str, timeout: float | None) -> StoredWork | None:
        """Wait until a work item is terminal, without polling, and return it.

        :param timeout: seconds; None waits for ever.
        :returns: its last known standing, terminal or not; None if it does not exist.
        """

    @abc.abstractmethod
    async def workers(self) -> Sequence[tuple[bytes, int]]:
        """Return live workers: encoded ``WorkerInfo`` and when each was last seen (ms)."""

    async def worker(self, worker_id: str) -> bytes | None:
        """Return a worker's encoded ``WorkerInfo``, or None if it is not known.

        Backends with a quicker way than :meth:`workers` have their own.
        """
        for raw, _ in await self.workers():
            try:
                found = json.loads(raw)
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("worker_id") == worker_id:
                return raw
        return None

    @abc.abstractmethod
    async def now_ms(self) -> int:
        """Return the server's clock."""

    @abc.abstractmethod
    async def diagnose(self) -> Sequence[Finding]:
        """Look for what would lose data: version, persistence, eviction policy, clock."""

    def repair_log(self) -> Sequence[Finding]:
        """Cut off damage that keeps a server of Roost's own from starting; keep a copy.

        Called instead of, or before, :meth:`open`. It may block.

        :raises BackendError: it cannot be repaired; nothing was changed.
        """
        return [Finding("info", "log", "this server looks after its files itself")]

    async def repair(
        self, *, dry_run: bool, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Put right, from the records of the work, whatever else is derived from them.

        It goes in small steps and is safe while workers run. A backend in which nothing can
        disagree need not have it.

        :param dry_run: only say what would be done.
        :param progress: called now and then with how many work items were looked at so far.
        :raises BackendError: this backend does not offer it.
        """
        del dry_run, progress
        raise BackendError(f"there is no repair for this backend: {self.description}")

    # -- serving ---------------------------------------------------------------------------

    @abc.abstractmethod
    async def serve(
        self,
        plan: ServePlan,
        handle: Callable[[Claim], Awaitable[None]],
        on_dead_letters: Callable[[Sequence[str]], Awaitable[None]],
        upkeep: Callable[[], Awaitable[None]],
    ) -> None:
        """Run a worker's lanes until ``plan.stopping`` is set and they are empty.

        Each claim goes to ``handle``, at most ``plan.concurrency`` at a time; a
        handle that is still running at the end of the drain is cancelled and
        must give its work back. ``upkeep`` is called about once a minute. A
        server that is away is waited for; only a bug ends the lanes early.
        """


class ArtifactStore(abc.ABC):
    """Bytes by their SHA-256. Synchronous: callers on an event loop use a thread."""

    @abc.abstractmethod
    def put(
        self,
        data: bytes,
        *,
        work_id: str,
        life: int | None = None,
        ext: str = "bin",
        name: str | None = None,
    ) -> Artifact:
        """Store bytes durably and note that the work item refers to them.

        :param life: of the work item, as in :class:`Purged`. None belongs to every life.

        Storing the same bytes again, from any number of processes, is one blob.

        :raises ArtifactError: they could not be made durable; nothing half-written is visible.
        """

    @abc.abstractmethod
    def get(self, artifact_id: str) -> bytes:
        """Return the bytes, verified.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactNotFound: no such artifact.
        :raises ArtifactCorrupt: the bytes do not hash to their name.
        """

    @abc.abstractmethod
    def exists(self, artifact_id: str) -> bool:
        """Return whether the artifact is there; its content is not read."""

    @abc.abstractmethod
    def describe(self, artifact_id: str) -> Sequence[tuple[str, Artifact]]:
        """Return who refers to an artifact: pairs of work id and that work's metadata."""

    @abc.abstractmethod
    def of_work(self, work_id: str) -> Sequence[Artifact]:
        """Return the metadata of everything a work item produced, sorted by artifact id."""

    @abc.abstractmethod
    def forget(self, work_id: str, life: int | None = None) -> None:
        """Drop a purged work item's metadata, and blobs that nobody refers to any more.

        May be repeated, and may come late: what was put in another life of the id stays.

        :param life: as in :class:`Purged`; None is all of them.
        """

    @abc.abstractmethod
    def diagnose(self) -> Sequence[Finding]:
        """Look for what would lose data: a folder that cannot be written, wrong modes."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the artifacts are, for people."""
