"""What a ledger is asked to do, and what it answers.

A ledger deals in bytes and numbers: it stores encoded items and snapshots without looking
inside, decides by its server's clock, and guarantees the invariants. The models around the
bytes are the core's business. Times that cross this border are whole milliseconds since the
epoch by the server's clock, and durations are whole milliseconds.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

import attrs

from roost_core.models.checks import WORD, matching
from roost_core.models.work import State
from roost_core.models.worker import Lease
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

    With a limit of 0 it takes nothing: what is ready is for others, and if a backend wakes idle
    workers it wakes one.

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


@attrs.frozen(eq=False, repr=False)
class GoOn(Value):
    """Keep the lease: the next step follows at once.

    With ``lease_ttl_ms`` the lease is extended by so much from now; 0 leaves its expiry alone.
    """

    lease_ttl_ms: int = 0


@attrs.frozen(eq=False, repr=False)
class Yield(Value):
    """Give the lease back, and stand in the ready queue again."""


@attrs.frozen(eq=False, repr=False)
class Sleep(Value):
    """Give the lease back, and come back after ``delay_ms``."""

    delay_ms: int


@attrs.frozen(eq=False, repr=False)
class Finish(Value):
    """Give the lease back: the work is done."""


#: What follows a step.
Next: TypeAlias = GoOn | Yield | Sleep | Finish


@attrs.frozen(eq=False, repr=False)
class Commit(Value):
    """A step's outcome to be made durable, in one piece: all of it is accepted, or nothing.

    ``commit_id`` names this commit, in one word without a semicolon: repeating it gives the
    recorded answer.
    ``expected_version`` is the version that the step started from; the stored
    one becomes ``expected_version + 1``. ``next`` is what follows. The rest are parts that
    most commits lack, and that cost those nothing: ``events`` are the engine's own.
    """

    commit_id: str
    expected_version: int
    snapshot: bytes = attrs.field(repr=False)
    step: str
    next: Next
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
class Renewed(Value):
    """The answer to a renewal: tokens of leases that go on no more.

    ``lost`` are not current any more. ``wanted`` are current, but people want their work cancelled
    or buried: the step is to be ended, and the lease given back.
    """

    lost: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class Beat(Value):
    """One lease to renew, with an engine's newest heartbeat if there is one to store."""

    work_id: str
    token: str = attrs.field(repr=False)
    heartbeat: bytes | None = None
