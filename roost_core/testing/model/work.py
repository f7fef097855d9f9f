"""One work item of the model, and how it looks from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.backend.history import WHOLE, Past, StoredVersion
from roost_core.backend.messages import Ack, Commit, NewWork, Since
from roost_core.backend.orders import OrderAnswer
from roost_core.backend.reports import ListQuery, StoredFork, StoredWork
from roost_core.codec import changes
from roost_core.codec.records import encode_model
from roost_core.models.control import Act, Actor, Verb
from roost_core.models.events import Event
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State
from roost_core.testing.model.blame import Blame

#: The states that have a due time.
DUE_STATES: Final = frozenset({State.SLEEPING, State.RETRY_WAIT})


@attrs.define
class Done:
    """A verb that was used on a work item: the answer, the event, and that of its taking effect.

    Without a verb, an earlier version was put back.
    """

    request_id: str
    answer: OrderAnswer
    verb: Verb | None
    actor: Actor
    event: Event
    confirmed: Event | None = None

    @property
    def as_act(self) -> Act | None:
        """What people are shown of it."""
        if self.verb is None:
            return None
        at = None if self.confirmed is None else self.confirmed.at
        return Act(self.verb, self.actor, self.event.at, at)


@attrs.define
class Work:
    """One work item as it stands. ``seq`` is its place among the ready ones."""

    new: NewWork
    state: State
    seq: int
    created_ms: int
    updated_ms: int
    since_ms: int
    version: int = 0
    step: str | None = None
    attempts: int = 0
    blame: Blame = attrs.field(factory=Blame)
    steps_in_row: int = 0
    leased_ms: int | None = None
    leased_version: int = 0
    fence: int = 0
    token: str | None = None
    worker_id: str | None = None
    expires_ms: int | None = None
    due_ms: int | None = None
    blocked_on: str | None = None
    #: Whether it stands in line for its resources, and others wait behind it.
    is_in_line: bool = False
    started_ms: int | None = None
    finished_ms: int | None = None
    committed_ms: int | None = None
    committed_by: str | None = None
    snapshot: bytes | None = None
    #: What its snapshot was made from, if it was committed as a base, or follows from one.
    since: Since | None = None
    #: The work items forked from it.
    forks: tuple[StoredFork, ...] = ()
    #: Its last commits, the oldest first.
    commits: list[StoredVersion] = attrs.field(factory=list)
    error: bytes | None = None
    heartbeat: bytes | None = None
    #: What its running step is asked for, and whether it is the last of its lease in any case.
    wish: Verb | None = None
    is_last_step: bool = False
    #: Of what is paused: where it stood.
    was: State | None = None
    #: What people did to it last, the newest first.
    done: list[Done] = attrs.field(factory=list)
    #: What has become of it, kept apart from the shared events.
    trail: list[Event] = attrs.field(factory=list)
    #: The lease that has just ended, until the event that ended it is noted: since when, at
    #: which version it began, and whose it was.
    ending: tuple[int | None, int, str] | None = None
    #: Per token of its last leases: the last commit id acknowledged, and the answer.
    answers: dict[str, tuple[str, Ack]] = attrs.field(factory=dict)

    @property
    def id_bytes(self) -> bytes:
        """The work id as it sorts."""
        return self.new.work_id.encode()

    @property
    def ready_order(self) -> tuple[int, int]:
        """The sort key of ready work: higher priority first, then first come."""
        return (-self.new.priority, self.seq)

    @property
    def resources(self) -> list[str]:
        """The resources, in the order in which they are checked."""
        return sorted(self.new.resources)

    @property
    def is_last_in_row(self) -> bool:
        """Whether the next step is the last that may follow others without a delay."""
        return 0 < self.new.max_steps <= self.steps_in_row + 1

    def not_past_deadline(self, due_ms: int) -> int:
        """Return ``due_ms``, or the deadline if that comes first."""
        deadline = self.new.deadline_ms
        return due_ms if deadline is None else min(due_ms, deadline)

    def may_go_on(self, now: int) -> bool:
        """Whether its lease may, after a step."""
        return self.wish is None and not self.is_last_step and not self.is_late(now)

    def is_late(self, now: int) -> bool:
        """Whether its deadline has passed."""
        return self.new.deadline_ms is not None and self.new.deadline_ms <= now

    def as_if_none_had_failed(self) -> None:
        """Forget failed attempts, deaths and the steps in a row."""
        self.attempts = self.steps_in_row = 0
        self.blame = Blame()
        self.error = None

    def answer_before(self, request_id: str) -> OrderAnswer | None:
        """Return the answer that a request has got before."""
        return next((one.answer for one in self.done if one.request_id == request_id), None)

    def put_back(
        self, past: Past, now: int, kept: tuple[int, int], mended: Sequence[StoredVersion] = ()
    ) -> None:
        """Store what a person has made of an earlier version as the newest one."""
        others = {one.version for one in mended}
        left = [one for one in self.commits if one.version not in others]
        self.commits = sorted([*left, *mended], key=lambda one: one.version)
        self.version, self.step, self.committed_ms = past.version, past.step, now
        self.snapshot, self.since = past.snapshot, None
        made = StoredVersion(past.version, now, 0, past.who, past.step, past.back)
        self.commits.append(made)
        self._forget_versions(kept)

    def may_take(self, commit: Commit) -> bool:
        """Whether a commit brings a snapshot, or what leads to it from the one before."""
        return bool(commit.snapshot) or (self.since is not None and bool(commit.change))

    def is_stored_by(self, worker_id: str) -> bool:
        """Whether its snapshot follows from a base, and this worker committed it."""
        return self.since is not None and self.committed_by == worker_id

    def take_snapshot(
        self, commit: Commit, worker_id: str, now: int, kept: tuple[int, int]
    ) -> None:
        """Store a commit's snapshot as the newest version, and the one before as history.

        :param kept: of how many commits the history has at least, and in how many bytes
            together.
        """
        before, text, since = self.snapshot, commit.snapshot, self.since
        if not text and since is not None:
            count, size = since.count + 1, since.change_bytes + len(commit.change) + 1
            self.since = Since(since.base_bytes, count, size)
        else:
            self.since = Since(len(text), 0, 0) if commit.is_base else None
        if not text:
            later = bytearray(before or b"")
            changes.followed(later, commit.change)
            text = bytes(later)
        self.version += 1
        self.committed_by = worker_id
        self.step, self.snapshot, self.committed_ms = commit.step, text, now
        if not kept[0]:
            self.commits.clear()
            return
        back = b"" if before is None else WHOLE + before
        made = StoredVersion(self.version, now, commit.took_ms, worker_id, commit.step, back)
        self.commits.append(made)
        self._forget_versions(kept)

    def _forget_versions(self, kept: tuple[int, int]) -> None:
        most, most_bytes = kept
        while len(self.commits) > 1 and (
            len(self.commits) > most or sum(len(one.back) for one in self.commits) > most_bytes
        ):
            del self.commits[0]

    def to_stored(self, *, with_snapshot: bool) -> StoredWork:
        """Return it as a backend reports it."""
        known = {name: getattr(self, name) for name in _OWN}
        known.update((name, getattr(self.new, name)) for name in _ENQUEUED)
        if not with_snapshot:
            known["snapshot"] = None
        return StoredWork(
            recoveries=self.blame.deaths,
            suspicions=self.blame.suspicions,
            act=next((act for one in self.done if (act := one.as_act) is not None), None),
            **known,
        )


_STORED: Final = {field.name for field in attrs.fields(StoredWork)}
#: Which reported fields come from the work item's standing, and which from its enqueue.
_OWN: Final = sorted(_STORED.intersection(field.name for field in attrs.fields(Work)))
_ENQUEUED: Final = sorted(
    _STORED.intersection(field.name for field in attrs.fields(NewWork)).difference(_OWN)
)


def listed(works: list[Work], query: ListQuery) -> list[Work]:
    """Return the page that the query asks for, in the order of its state."""
    chosen = [
        work
        for work in works
        if query.state in (None, work.state) and query.engine in (None, work.new.engine)
    ]
    if query.state is State.QUEUED:
        # What is suspected comes last, ordered by how many workers died running only that.
        chosen.sort(
            key=lambda work: (
                (1, work.blame.deaths) if work.blame.is_suspected else (0, 0),
                work.ready_order,
            )
        )
    elif query.state is State.BLOCKED:
        chosen.sort(key=lambda work: (work.new.engine, work.ready_order))
    elif query.state in DUE_STATES:
        chosen.sort(key=lambda work: (work.due_ms, work.id_bytes))
    elif query.state is None:
        chosen.sort(key=lambda work: (work.created_ms, work.id_bytes), reverse=True)
    else:
        chosen.sort(key=lambda work: (work.since_ms, work.id_bytes), reverse=True)
    return chosen[query.offset : query.offset + query.limit]


def error_bytes(kind: str, message: str) -> bytes:
    """Encode the error of a dead letter that the ledger itself makes."""
    return encode_model(ErrorRecord(kind=kind, message=message))
