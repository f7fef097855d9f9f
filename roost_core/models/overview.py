"""A whole queue at one glance, for people: what needs them, what is odd, why work waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from roost_core.models.control import HeldEngine
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State
from roost_core.models.worker import Heartbeat, WorkerInfo
from roost_core.values import Value


@attrs.frozen(eq=False, repr=False)
class FailureGroup(Value):
    """Dead letters whose errors are alike.

    :ivar fingerprint: what their errors have in common; ``query`` finds them, and no others.
    :ivar text: the newest error on one line, secrets hidden; ``error`` is the same in full, without
        its traceback, and ``example`` the work item that has it.
    :ivar engines: their engines; of a large group those of the newest.
    :ivar newest_at: when the newest of them failed.
    :ivar command: what to type to put them back: it shows them first, and asks.
    """

    fingerprint: str
    count: int
    text: str
    engines: tuple[str, ...]
    newest_at: datetime
    example: str
    query: str
    command: str
    error: ErrorRecord


@attrs.frozen(eq=False, repr=False)
class OddThing(Value):
    """A work item or a worker that looks wrong, though no state tells.

    :ivar work_id: which work item; None if it is about a worker, which is ``worker_id`` then.
    :ivar texts: what looks wrong, a short line for each thing.
    :ivar command: what tells more.
    :ivar since_version: of work whose steps get nowhere, since which version nothing is new.
    :ivar version: of a work item, its newest version.
    """

    texts: tuple[str, ...]
    command: str
    work_id: str | None = None
    worker_id: str | None = None
    engine: str | None = None
    title: str | None = None
    since_version: int | None = None
    version: int | None = None


@attrs.frozen(eq=False, repr=False)
class WaitingGroup(Value):
    """Work that waits for the same reason.

    :ivar cause: one of ``no_worker``, ``held``, ``hung`` (every worker for its engine),
        ``suspected``, ``line``, ``resource``, ``due``, ``overdue``, ``attempt``, ``paused``,
        ``newer`` (than every worker) and ``unknown``.
    :ivar count: how many. Work that stands in line for several resources counts for each.
    :ivar sentence: why they wait, in the words of ``roost why``.
    :ivar commands: what to type to change it; ``PATH`` and the like are yours to fill in. Empty if
        there is nothing to mend.
    :ivar query: finds them. Of a cause that queries do not know, it finds others too; None if it
        would find none of them.
    :ivar next_at: when the next of them is due.
    :ivar seconds: about how long until their line is empty, at the present rate.
    """

    cause: str
    count: int
    sentence: str
    commands: tuple[str, ...] = ()
    query: str | None = None
    engine: str | None = None
    resource: str | None = None
    next_at: datetime | None = None
    seconds: float | None = None


@attrs.frozen(eq=False, repr=False)
class Minute(Value):
    """What was done in a minute, as far as workers have said so: they do so a few times in it.

    :ivar at: when it began, by the server's clock.
    :ivar steps: how many steps were accepted.
    :ivar failed_attempts: how many attempts failed, the last ones too.
    :ivar dead_letters: how much work was given up; not what people buried.
    """

    at: datetime
    steps: int = 0
    failed_attempts: int = 0
    dead_letters: int = 0


@attrs.frozen(eq=False, repr=False)
class RunningNow(Value):
    """A work item that runs.

    :ivar leased_at: since when this lease is there; ``lease_ends_at`` when it ends, unless renewed.
    :ivar step_seconds: for how long the present step has run.
    """

    work_id: str
    engine: str
    title: str | None
    step: str | None
    version: int
    worker_id: str | None
    leased_at: datetime | None
    lease_ends_at: datetime | None
    step_seconds: float | None = None
    heartbeat: Heartbeat | None = None
    odd: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class WorkerNow(Value):
    """A live worker, and what it does.

    :ivar lanes_used: how many work items of this queue it runs, of ``info.concurrency``.
    :ivar running: these, unless there are very many.
    :ivar silent_seconds: since when nothing was heard of it, if that is longer than its lease TTL.
    :ivar is_behind: whether another live worker is of a newer Roost.
    """

    info: WorkerInfo
    lanes_used: int = 0
    running: tuple[RunningNow, ...] = ()
    silent_seconds: float | None = None
    is_behind: bool = False

    @property
    def is_hung(self) -> bool:
        """Whether its event loop does not move."""
        return self.info.stuck is not None


@attrs.frozen(eq=False, repr=False)
class ResourceNow(Value):
    """A resource that a lease holds, or that work waits for.

    :ivar work_id: who holds it; None if nobody does, and it is reserved for ``next_id``.
    :ivar frees_at: when the lease that holds it ends, unless it is renewed: not later than that, if
        its worker has died.
    :ivar waiting: how many stand in its line; ``next_id`` is the first of them.
    """

    resource: str
    work_id: str | None = None
    engine: str | None = None
    worker_id: str | None = None
    frees_at: datetime | None = None
    waiting: int = 0
    next_id: str | None = None


@attrs.frozen(eq=False, repr=False)
class Overview(Value):
    """A queue at one glance: :meth:`Roost.overview` makes it.

    Lists are bounded; where there is more, a number says how much.

    :ivar now: the server's clock.
    :ivar counts: how many work items are in each state.
    :ivar held_engines: by name.
    :ivar failures: dead letters by error, the newest first; ``more_failures`` more groups.
    :ivar is_indexed: False if the queue's index lacks some of them, so that their numbers are too
        low: ``roost doctor --repair`` completes it.
    :ivar odd: what looks wrong; ``looked`` running work items were looked at for it.
    :ivar waiting: why work waits: first what a person has to change.
    :ivar hour: the last sixty minutes, oldest first; empty if the backend does not count them.
    :ivar workers: live ones, by host and age; ``more_workers`` more.
    :ivar resources: held or waited for, the longest lines first; ``more_resources`` more.
    """

    now: datetime
    counts: Mapping[State, int]
    held_engines: tuple[HeldEngine, ...] = ()
    failures: tuple[FailureGroup, ...] = ()
    more_failures: int = 0
    is_indexed: bool = True
    odd: tuple[OddThing, ...] = ()
    looked: int = 0
    waiting: tuple[WaitingGroup, ...] = ()
    hour: tuple[Minute, ...] = ()
    workers: tuple[WorkerNow, ...] = ()
    more_workers: int = 0
    resources: tuple[ResourceNow, ...] = ()
    more_resources: int = 0

    @property
    def is_well(self) -> bool:
        """Whether nothing needs a person: no dead letter, nothing odd, nothing that only waits."""
        return not (self.failures or self.odd or self.needs_hand)

    @property
    def needs_hand(self) -> tuple[WaitingGroup, ...]:
        """Those groups of waiting work that will not move by themselves."""
        return tuple(one for one in self.waiting if one.cause in _BY_HAND)


#: Causes that only a person ends.
_BY_HAND = frozenset({"no_worker", "held", "hung", "newer", "overdue", "unknown"})
