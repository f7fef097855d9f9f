"""What a ledger is asked to do, and its answers.

A ledger deals in bytes and numbers: it stores encoded items and snapshots without looking
inside, decides by its server's clock, and guarantees the invariants. The models around the
bytes belong to the core. Times that cross this boundary are whole milliseconds since the epoch by
the server's clock, and durations are whole milliseconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs

from roost_core.backend.history import CHANGE, WHOLE, ForkOf
from roost_core.models.checks import WORD, matching
from roost_core.models.work import State
from roost_core.models.worker import Lease
from roost_core.values import Value


@attrs.frozen(eq=False, repr=False)
class NewWork(Value):
    """A work item to store.

    ``nonce`` identifies a repeated request: the same id with the same nonce is one enqueue whose
    reply was lost. ``digest`` represents engine and payload; idempotency keys are compared by it.
    ``max_steps`` is how many steps may be accepted in a row without a delay; 0 means any number.
    ``fork_of`` is there if it begins with a version of another work item.
    """

    work_id: str
    engine: str
    item: bytes
    nonce: str
    digest: str
    priority: int = 0
    resources: tuple[str, ...] = ()
    labels: Mapping[str, str] = attrs.field(factory=dict)
    idempotency_key: str | None = None
    delay_ms: int = 0
    deadline_ms: int | None = None
    max_attempts: int = 5
    max_recoveries: int = 3
    max_steps: int = 0
    fork_of: ForkOf | None = None


class EnqueueOutcome(enum.StrEnum):
    """The outcome of a :class:`NewWork`."""

    CREATED = "created"
    EXISTING = "existing"  #: the idempotency key belongs to a stored item, whose id is returned
    TAKEN = "taken"  #: the id belongs to another item, which was left alone
    CONFLICT = "conflict"  #: the idempotency key was used for another engine or payload


@attrs.frozen(eq=False, repr=False)
class Enqueued(Value):
    """The answer to one :class:`NewWork`."""

    outcome: EnqueueOutcome
    work_id: str


class Alone(enum.StrEnum):
    """Whether the work that a claim brings is all that the worker's process runs.

    Only then is the process's death to be blamed on that work.
    """

    NEVER = "never"  #: it runs other work as well, or soon may
    #: it runs nothing now; given suspected work, nothing else until a step of that is accepted
    MAY = "may"
    ALWAYS = "always"  #: it never runs more than one work item at a time


@attrs.frozen(eq=False, repr=False)
class ClaimRequest(Value):
    """A worker's request for up to ``limit`` leases on work for its ``engines``.

    With a limit of 0 it takes nothing: what is ready is for others, and a backend that wakes idle
    workers wakes one.

    A worker id is one word: visible ASCII characters without spaces. Work over which workers have
    died more than once is suspected: it is leased only where it runs ``alone``. With ``Alone.MAY``
    it comes before all other work, and nothing else comes with it; up to half of ``limit`` come
    together after two deaths, a quarter after three, and so on. A worker that ``can_drain`` may be
    asked to finish its work first, so that suspected work can run alone; a worker whose steps do
    not end cannot.

    :raises InvalidInput: the worker id is not one word.
    """

    worker_id: str = attrs.field(validator=matching(WORD, "worker id"))
    engines: tuple[str, ...]
    limit: int
    lease_ttl_ms: int
    alone: Alone = Alone.NEVER
    can_drain: bool = True


@attrs.frozen(eq=False, repr=False)
class Since(Value):
    """What a snapshot was made from: how many bytes its base has, and what changed since.

    ``count`` is how many changes there are, and ``change_bytes`` how many bytes they have.
    """

    base_bytes: int
    count: int
    change_bytes: int


@attrs.frozen(eq=False, repr=False)
class Claim(Value):
    """A leased work item with everything needed to run its next step.

    ``recoveries`` counts the deaths of workers that ran nothing but this step. ``is_solo`` means
    that it is suspected: nothing else may be leased until a step of it, and of each that came with
    it, is accepted.

    ``since`` is there if the snapshot was committed as a base, or follows from one by changes. With
    it, ``snapshot`` is empty if this very worker stored it: it is not sent again, and a worker that
    has not kept it reads it (:meth:`Reading.read`).

    ``committed_ms`` is when its snapshot was accepted, or None if it has none. ``asked_at`` is this
    process's monotonic clock, in seconds, just before the request was sent: the lease cannot have
    begun earlier.
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
    since: Since | None = None


@attrs.frozen(eq=False, repr=False)
class ClaimBatch(Value):
    """The answer to a :class:`ClaimRequest`.

    ``dead_letters`` are the ids that this claim dead-lettered along the way, for observers.
    ``next_wake_ms`` is 0 if more is ready than was taken. For a claim that took less than it could
    have, it is how long until something becomes due or a lease expires, or None if nothing is known
    to. ``left`` counts the work items found that a newer Roost wrote; they are left for a worker
    that knows them. ``drain`` asks the worker to finish its work before it claims more, because
    suspected work has waited for a worker that runs nothing else.
    """

    claims: tuple[Claim, ...]
    dead_letters: tuple[str, ...] = ()
    next_wake_ms: int | None = None
    left: int = 0
    drain: bool = False


@attrs.frozen(eq=False, repr=False)
class GoOn(Value):
    """Keep the lease: the next step follows at once.

    With ``lease_ttl_ms`` the lease then expires that long from now; 0 leaves its expiry as it is.
    """

    lease_ttl_ms: int = 0


@attrs.frozen(eq=False, repr=False)
class Yield(Value):
    """Give the lease back, and return to the ready queue."""


@attrs.frozen(eq=False, repr=False)
class Sleep(Value):
    """Give the lease back, and become due after ``delay_ms``."""

    delay_ms: int


@attrs.frozen(eq=False, repr=False)
class Finish(Value):
    """Give the lease back: the work is done."""


#: What follows a step.
Next: TypeAlias = GoOn | Yield | Sleep | Finish


@attrs.frozen(eq=False, repr=False)
class Commit(Value):
    """A step's outcome to be made durable: all of it is accepted, or nothing.

    ``commit_id`` identifies this commit, as one word without a semicolon: repeating it returns the
    recorded answer. ``expected_version`` is the version that the step started from; the stored one
    becomes ``expected_version + 1``. ``next`` is what follows. The rest are parts that most commits
    lack, which costs them nothing: ``events`` are the engine's own.

    ``change`` is what turns the stored snapshot's bytes into the new one's
    (:mod:`roost_core.codec.changes`); empty if that is not known. A ledger that takes changes
    (:attr:`Transitions.takes_changes`) needs no ``snapshot`` beside it, if the stored version was
    committed as ``is_base``, or follows from one that was. ``took_ms`` is how long the step took,
    in milliseconds, for the history.
    """

    commit_id: str
    expected_version: int
    snapshot: bytes = attrs.field(repr=False)
    step: str
    next: Next
    events: tuple[bytes, ...] = ()
    change: bytes = attrs.field(default=b"", repr=False)
    is_base: bool = False
    took_ms: int = 0

    @property
    def back(self) -> bytes:
        """The way back from the new version: as in a stored one, a bare ``=`` if not known."""
        if self.snapshot and not self.is_base:
            # What comes with a change is a base. Of any other a ledger keeps the one before.
            return b""
        if self.change:
            return CHANGE + self.change
        return WHOLE if self.is_base else b""


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

    ``state`` is ``running`` if the lease continues; otherwise the lease has ended.
    """

    state: State
    version: int
    attempts: int
    at_ms: int
    due_ms: int | None = None


@attrs.frozen(eq=False, repr=False)
class Renewed(Value):
    """The answer to a renewal: tokens of leases that do not continue.

    ``lost`` are no longer current. ``wanted`` are current, but people want their work cancelled or
    buried: the step is to be ended, and the lease given back.
    """

    lost: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class Beat(Value):
    """One lease to renew, with an engine's newest heartbeat if there is one to store."""

    work_id: str
    token: str = attrs.field(repr=False)
    heartbeat: bytes | None = None
