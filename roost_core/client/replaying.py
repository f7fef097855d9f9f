"""Work that is run again from an earlier version: as new work, or in its own place."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime

import attrs

from roost_core.backend.history import ForkOf, Past, Rewind, StoredHistory
from roost_core.backend.messages import EnqueueOutcome, NewWork
from roost_core.backend.orders import OrderOutcome
from roost_core.backend.reports import StoredWork
from roost_core.client import past
from roost_core.client.connection import Connection
from roost_core.client.missing import not_found
from roost_core.client.requests import new_work_id, refusal, to_deadline_ms, to_store
from roost_core.client.waiting import PATIENCE_SECONDS, repeated
from roost_core.codec.moved import Stored
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot, encode_snapshot
from roost_core.codec.strict_json import digest
from roost_core.codec.times import from_milliseconds
from roost_core.differences import Difference, compare
from roost_core.errors import CorruptRecord, InvalidInput, RoostError, VerbUnfit, WorkIdTaken
from roost_core.large_values import Texts, share
from roost_core.models.checks import at_least
from roost_core.models.control import Actor, Verb
from roost_core.models.history import Gap
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import ForkedFrom, State, WorkItem
from roost_core.shown import verbs, views
from roost_core.shown.versions import not_remembered
from roost_core.threads import run_in_thread
from roost_core.values import Json, Value

#: Changes the data of a snapshot: returns the new one, and leaves the old as it is.
Edit = Callable[[Json], Json]


@attrs.frozen(eq=False, repr=False)
class RanBefore(Value):
    """A step that was accepted after the version that work is run again from.

    What it did outside, such as a message that was sent, may happen again.

    :ivar step: its label.
    :ivar at: when it was accepted.
    """

    version: int
    step: str
    at: datetime


@attrs.frozen(eq=False, repr=False)
class Replay(Value):
    """What running work again from an earlier version would come to; nothing has happened yet.

    :ivar work_id: the work item; ``version`` is the one to begin with, ``newest`` its newest.
    :ivar snapshot: what it would begin with.
    :ivar differences: what an edit has changed of the data.
    :ivar ran_before: the steps after that version that are remembered, in order; a version that a
        person has put back is none.
    :ivar not_remembered: the versions after it of which that is not known: steps may have made
        them, too.
    """

    work_id: str
    version: int
    newest: int
    state: State
    snapshot: Snapshot
    differences: tuple[Difference, ...]
    ran_before: tuple[RanBefore, ...]
    not_remembered: tuple[Gap, ...]
    _history: StoredHistory = attrs.field(repr=False)
    _stored: Stored = attrs.field(repr=False)

    @property
    def seen(self) -> Seen:
        """How the work stood when it was planned."""
        work = self._history.work
        return Seen(work.version, work.fence, work.created_ms, work.state)


@attrs.frozen(eq=False, repr=False)
class Seen(Value):
    """How a work item stood when somebody looked: what has changed since is left alone.

    :ivar version: its newest version.
    :ivar life: when it was created, in milliseconds by the server's clock; 0 if that is not known.
    :ivar state: where it stood, None if that is not known. From one state to another in which it
        waits its turn is no change.

    :raises InvalidInput: a number is no whole number, or negative.
    """

    version: int = attrs.field(validator=at_least(0))
    fence: int = attrs.field(validator=at_least(0))
    life: int = attrs.field(default=0, validator=at_least(0))
    state: State | None = None


@attrs.frozen(eq=False, repr=False)
class Replayed(Value):
    """Work that is run again.

    :ivar work_id: the new work item, or the same if it was put back in its own place.
    :ivar version: the version that it begins with.
    :ivar state: where it stands.
    """

    work_id: str
    version: int
    state: State


async def plan(roost: Connection, work_id: str, version: int, edit: Edit | None) -> Replay:
    """Return what running a work item again from a version would come to.

    :param edit: changes the data.
    :raises WorkNotFound: no work item has this id.
    :raises VersionGone: the version is not kept.
    :raises CorruptRecord: what leads to it is damaged.
    :raises WrittenByNewer: a newer Roost wrote it.
    :raises InvalidInput: the edit cannot be made, or does not leave an object.
    :raises ArtifactError: texts of it cannot be read now.
    :raises BackendUnavailable: no answer.
    """
    ledger = roost.ledger
    history = await repeated(lambda: ledger.history(work_id), PATIENCE_SECONDS)
    if history is None:
        raise not_found(work_id, ledger.queue)
    return await roost.reading(lambda texts: planned(history, version, edit, texts))


def planned(history: StoredHistory, version: int, edit: Edit | None, texts: Texts) -> Replay:
    """Return the same from what was read. An edit of much data takes a while.

    :param texts: reads those texts that are kept elsewhere; then it blocks.
    :raises RoostError: as for :func:`plan`.
    """
    if history.work.newer_layout is not None:
        views.item(history.work)  # It says which, and who can.
    raw = history.snapshot(version)
    try:
        stored = texts.fetch(raw, history.work.work_id)
    except CorruptRecord as error:
        raise CorruptRecord(f"version {version} of {history.work.work_id}: {error}") from error
    before = decode_snapshot(stored.whole)
    data = before.data if edit is None else edit(before.data)
    if not isinstance(data, dict):
        raise InvalidInput("the data has to stay an object")
    snapshot = attrs.evolve(before, data=data, is_finished=False, next_step_delay_seconds=None)
    encode_snapshot(snapshot)
    ran = [one for one in history.remembered if one.version > version and not one.is_by_person]
    return Replay(
        work_id=history.work.work_id,
        version=version,
        newest=history.work.version,
        state=history.work.state,
        snapshot=snapshot,
        differences=() if edit is None else compare(before.data, data),
        ran_before=tuple(
            RanBefore(one.version, one.step, from_milliseconds(one.at_ms)) for one in reversed(ran)
        ),
        not_remembered=not_remembered(history, version),
        history=history,
        stored=stored,
    )


async def fork(
    roost: Connection,
    replay: Replay,
    actor: Actor,
    work_id: str | None,
    *,
    request_id: str | None = None,
) -> Replayed:
    """Store a new work item that begins with the version.

    :param work_id: its id; made if None: from the request's id, if that is given.
    :param request_id: of a request that may have been sent before; it counts once.
    :raises WorkIdTaken: another work item has this id.
    :raises InvalidInput: the data that it would begin with is no JSON.
    :raises ArtifactError: an artifact of the version cannot be shared; nothing was stored.
    :raises PluginError: no plugin offers an artifact store, and the version has artifacts.
    :raises BackendUnavailable: no answer; whether it was stored is not known.
    """
    new_id = work_id or (new_work_id() if request_id is None else id_for(request_id))
    now_ms = await repeated(roost.server.now_ms, PATIENCE_SECONDS)
    new = await run_in_thread(_forked, roost, replay, actor, new_id, now_ms)
    assert new.fork_of is not None
    begins = new.fork_of.past
    if request_id is not None:
        # What has stored it is what tells a repeat from somebody else's work.
        new = attrs.evolve(new, nonce=_nonce_of(request_id, new_id, replay))
    there = None
    if work_id is not None or request_id is not None:
        there = await repeated(lambda: roost.ledger.read(new_id), PATIENCE_SECONDS)
    if there is not None and (request_id is None or not _may_be_it(there, replay)):
        # Before anything is noted in its name.
        raise _taken(new_id)
    if there is None:
        of, artifacts = (replay._history, replay.version), replay.snapshot.artifacts
        await run_in_thread(past.share_artifacts, roost, artifacts, *of, new_id, now_ms)
        await run_in_thread(share, begins.snapshot, *of, roost.texts, new_id, now_ms)
    (answer,) = await repeated(lambda: roost.ledger.enqueue([new]), PATIENCE_SECONDS)
    refused = refusal(new, answer)
    if refused is not None:
        raise refused
    assert answer.outcome is EnqueueOutcome.CREATED
    return Replayed(new_id, begins.version, State.QUEUED if there is None else there.state)


async def rewind(
    roost: Connection,
    replay: Replay,
    actor: Actor,
    deadline_ms: int | None = None,
    seen: Seen | None = None,
    *,
    request_id: str | None = None,
) -> Replayed:
    """Put the work item itself back to the version, which becomes its newest.

    :param deadline_ms: a new deadline, by the server's clock.
    :param request_id: of a request that may have been sent before; it counts once.
    :param seen: how the work stood when somebody decided it; as it was planned, if not given.
    :raises WorkNotFound: it is gone.
    :raises VerbUnfit: it runs, has changed since, or its deadline has passed and no new one is
        given.
    :raises WrittenByNewer: a newer Roost has written its record meanwhile.
    :raises CorruptRecord: its record does not decode any more.
    :raises BackendUnavailable: no answer; whether it was done is not known.
    """
    work_id = replay.work_id
    control = roost.controlling
    as_seen = replay.seen if seen is None else seen
    version = as_seen.version + 1
    begins = _as_version(replay, work_id, version)
    back, mended = await run_in_thread(past.what_stays, replay._history, begins, roost.settings)
    made = Past(
        version=version,
        snapshot=begins,
        step=replay.snapshot.step,
        who=past.word_for(actor),
        from_version=replay.version,
        back=back,
    )
    order = Rewind(
        request_id=request_id or secrets.token_hex(8),
        past=made,
        actor=actor,
        if_state=as_seen.state,
        if_fence=as_seen.fence,
        deadline_ms=deadline_ms,
        life=as_seen.life or None,
        mended=mended,
    )
    answer = await repeated(lambda: roost.ledger.rewind(work_id, order), PATIENCE_SECONDS)
    await control.refuse(work_id, answer, lambda _state, wish: _running(work_id, wish))
    if answer.outcome is not OrderOutcome.DONE or answer.state is None:
        now = "" if answer.state is None else f", and is {answer.state.value}"
        raise VerbUnfit(f"{work_id} was left alone: it has changed meanwhile{now}; look again")
    # That of a first try, if this is another: it need not be what is planned by now.
    return Replayed(work_id, answer.version, answer.state)


def _running(work_id: str, wish: Verb | None) -> str:
    under_way = None if wish is None else verbs.UNDER_WAY.get(wish)
    first = (
        f"`roost pause {work_id}` first"
        if under_way is None
        else f"it is {under_way}: try again then"
    )
    return (
        f"{work_id} is running, and only work that is not running can be put back: {first}, "
        "or leave out --in-place to begin new work"
    )


def _taken(work_id: str) -> WorkIdTaken:
    return WorkIdTaken(f"work id {work_id} is taken by another work item: leave --work-id out")


async def why_not(
    roost: Connection, replay: Replay, *, in_place: bool, work_id: str | None, has_deadline: bool
) -> RoostError | None:
    """Return what would be raised if it were begun now, as far as that is known before.

    :param work_id: the id for the new work.
    :param has_deadline: whether a new deadline is given.
    :raises BackendUnavailable: no answer.
    """
    work = replay._history.work
    if not in_place:
        if work_id is None or await roost.ledger.read(work_id) is None:
            return None
        return _taken(work_id)
    if work.state is State.RUNNING:
        return VerbUnfit(_running(work.work_id, work.wish))
    if work.deadline_ms and not has_deadline and work.deadline_ms <= await roost.server.now_ms():
        return VerbUnfit(verbs.late(work.work_id))
    return None


# -- what was sent before ------------------------------------------------------------------------


def id_for(request_id: str) -> str:
    """Return the id of the work that a request makes, if it names none."""
    return f"w-{hashlib.sha256(request_id.encode()).hexdigest()[:16]}"


def _nonce_of(request_id: str, work_id: str, replay: Replay) -> str:
    # With another edit it is another request, whatever it is called.
    what = digest(request_id, [work_id, replay.work_id, replay.version, dict(replay.snapshot.data)])
    return what[:16]


def _may_be_it(there: StoredWork, replay: Replay) -> bool:
    """Whether work that has the id is a fork of this version; whose, the server knows."""
    try:
        item = views.item(there)
    except RoostError:
        return False
    return item.forked_from == ForkedFrom(replay.work_id, replay.version)


# -- what is stored ------------------------------------------------------------------------------


def _as_version(replay: Replay, work_id: str, version: int) -> bytes:
    snapshot = attrs.evolve(replay.snapshot, work_id=work_id, version=version)
    # Texts that are kept elsewhere stay there; those that an edit brings do not go there.
    return EncodedSnapshot.of(snapshot, replay._stored).raw


def _forked(roost: Connection, replay: Replay, actor: Actor, new_id: str, now_ms: int) -> NewWork:
    """Return a fork as it is to be stored. What has changed of much data takes a while to find."""
    history, version, settings = replay._history, replay.version, roost.settings
    stored = history.work
    item = _item_of_fork(views.item(stored), replay, new_id, now_ms)
    begins = _as_version(replay, new_id, version + 1)
    made = Past(
        version=version + 1,
        snapshot=begins,
        step=replay.snapshot.step,
        who=past.word_for(actor),
        from_version=version,
        back=past.way_back(replay._stored.raw, begins, settings),
    )
    # Its limits are those that the origin has by now: a retry may have changed them.
    return attrs.evolve(
        to_store(item, deadline_ms=to_deadline_ms(item.deadline_at, None)),
        priority=stored.priority,
        max_attempts=stored.max_attempts,
        max_recoveries=stored.max_recoveries,
        max_steps=stored.max_steps,
        fork_of=ForkOf(made, replay.work_id, actor, past.inherited(history, version, settings)),
    )


def _item_of_fork(item: WorkItem, replay: Replay, work_id: str, now_ms: int) -> WorkItem:
    # As the origin has it by now: it may have got a new one.
    deadline_ms = replay._history.work.deadline_ms
    is_past = deadline_ms is None or deadline_ms <= now_ms
    return attrs.evolve(
        item,
        work_id=work_id,
        labels=replay._history.work.labels,
        idempotency_key=None,
        deadline_at=None if is_past else from_milliseconds(deadline_ms),
        forked_from=ForkedFrom(replay.work_id, replay.version),
        created_at=None,
    )
