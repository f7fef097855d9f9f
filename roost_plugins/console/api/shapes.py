"""What answers look like, where no model of the core does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from roost_core.backend import OrderOutcome
from roost_core.client.finding import Count
from roost_core.client.replaying import RanBefore
from roost_core.differences import Difference
from roost_core.models import (
    Artifact,
    Event,
    Gap,
    HeldEngine,
    Json,
    State,
    Stuck,
    Verb,
    Version,
    WorkRow,
)
from roost_core.models.overview import ResourceNow


@attrs.frozen
class WorkPage:
    """A page of the work items that a query finds.

    :ivar cursor: where the next page begins; null if this is the last one.
    :ivar is_all: whether all were found that are behind the cursor of this page.
    :ivar looked: how many work items were looked at.
    :ivar is_indexed: false if the index of the queue lacks some work items.
    :ivar count: how many the query finds; null unless it was asked for.
    """

    items: tuple[WorkRow, ...]
    cursor: str | None
    is_all: bool
    looked: int
    is_indexed: bool
    count: Count | None


@attrs.frozen
class SnapshotPart:
    """A part of a work item's snapshot.

    :ivar at: which part, as a JSON pointer; empty for all.
    :ivar value: the part: of the engine's own data.
    """

    work_id: str
    version: int
    step: str
    is_finished: bool
    at: str
    value: Json


@attrs.frozen
class Events:
    """Events in order.

    :ivar after: what to ask for next as ``after``; null if there never was an event.
    """

    events: tuple[Event, ...]
    after: str | None


@attrs.frozen
class History:
    """The versions of a work item's snapshot that are remembered, newest first."""

    versions: tuple[Version, ...]


@attrs.frozen
class Changed:
    """How two versions of a work item's snapshot differ.

    :ivar old: the number of the one, which may be the later.
    :ivar new: that of the other.
    :ivar patch: the operations (RFC 6902) that turn the data of the one into the other's.
    """

    work_id: str
    old: int
    new: int
    patch: Json


@attrs.frozen
class Artifacts:
    """The artifacts that a work item's snapshot names."""

    artifacts: tuple[Artifact, ...]


@attrs.frozen
class Enqueued:
    """What was enqueued."""

    work_id: str


@attrs.frozen
class Replayed:
    """Work that is run again from an earlier version.

    :ivar work_id: the new work item, or the same if it was put back in its own place.
    :ivar version: the version that it begins with.
    """

    work_id: str
    version: int
    state: State


@attrs.frozen
class ReplayPlan:
    """What running work again from an earlier version would come to; nothing has happened yet.

    :ivar newest_version: its newest version, and ``fence`` its fence: for ``if_version`` and
        ``if_fence``, so that what has changed since is left alone.
    :ivar differences: what the patch has changed.
    :ivar ran_before: the steps after that version: what they did outside may happen again.
    :ivar not_remembered: versions after it whose steps are not known: the same goes for them.
    """

    work_id: str
    from_version: int
    newest_version: int
    fence: int
    state: State
    differences: tuple[Difference, ...]
    ran_before: tuple[RanBefore, ...]
    not_remembered: tuple[Gap, ...]


@attrs.frozen
class Acted:
    """What has become of a work item for which a verb was used.

    :ivar state: where it stands now; null if it is gone.
    :ivar wish: what its running step was asked for and has not done yet.
    :ivar error: null: an error is a problem of its own.
    """

    work_id: str
    verb: Verb
    outcome: OrderOutcome
    state: State | None
    wish: Verb | None
    error: str | None


@attrs.frozen
class Group:
    """Work items in the same state, whose errors are alike.

    :ivar fingerprint: of the error; null for those without.
    """

    state: State
    fingerprint: str | None
    count: int
    error: str | None


@attrs.frozen
class LeftOut:
    """How many a verb leaves out, by state."""

    already: Mapping[State, int]
    unfit: Mapping[State, int]


@attrs.frozen
class Previewed:
    """What a verb would be used on.

    :ivar total: how many these are.
    :ivar is_all: false if there may be more, because the limit was reached.
    """

    verb: Verb
    query: str
    total: int
    groups: tuple[Group, ...]
    left_out: LeftOut
    is_all: bool
    is_indexed: bool
    first: tuple[WorkRow, ...]


@attrs.frozen
class Outcomes:
    """How many it came to what with."""

    done: int
    requested: int
    already: int
    changed: int
    failed: int


@attrs.frozen
class Failure:
    """One of which nothing came."""

    work_id: str
    outcome: str
    error: str


@attrs.frozen
class Bulk:
    """What a verb over a query has come to.

    :ivar total: on how many it was used.
    :ivar is_all: false if there may be more, because the limit was reached.
    :ivar failures: the first ten.
    :ivar stopped: why it could not continue; null if it did.
    """

    verb: Verb
    query: str
    total: int
    groups: tuple[Group, ...]
    left_out: LeftOut
    is_all: bool
    is_indexed: bool
    outcomes: Outcomes
    failures: tuple[Failure, ...]
    stopped: str | None


@attrs.frozen
class Worker:
    """A live worker.

    :ivar running: how many work items of the queue it runs; null if there are too many workers to
        tell.
    """

    worker_id: str
    host: str
    pid: int
    engines: tuple[str, ...]
    concurrency: int
    lease_ttl_seconds: float
    roost_version: str
    started_at: datetime
    stuck: Stuck | None
    lost: int
    seen_at: datetime | None
    queues: tuple[str, ...]
    running: int | None


@attrs.frozen
class Workers:
    """The live workers of the queue."""

    workers: tuple[Worker, ...]


@attrs.frozen
class Resources:
    """Resources that are held or waited for, the longest lines first.

    :ivar more: how many more there are.
    """

    resources: tuple[ResourceNow, ...]
    more: int


@attrs.frozen
class Engine:
    """An engine that a plugin of the console's process offers."""

    engine: str
    plugin: str
    distribution: str | None
    location: str | None


@attrs.frozen
class Engines:
    """Engines that plugins offer, and those that are held."""

    engines: tuple[Engine, ...]
    held: tuple[HeldEngine, ...]


@attrs.frozen
class HeldOrReleased:
    """What has become of an engine.

    :ivar outcome: ``done``, or ``already`` if it was so before.
    """

    engine: str
    verb: str
    outcome: str


@attrs.frozen
class Plugin:
    """What became of a plugin."""

    plugin: str
    status: str
    source: str
    distribution: str | None
    hooks: tuple[str, ...]
    engine: str | None
    location: str
    error: str | None


@attrs.frozen
class Plugins:
    """The plugins of the console's process."""

    plugins: tuple[Plugin, ...]


@attrs.frozen
class Checked:
    """One finding; ``level`` is ``ok``, ``info``, ``warning`` or ``problem``."""

    level: str
    subject: str
    message: str


@attrs.frozen
class Doctor:
    """What was found."""

    findings: tuple[Checked, ...]


@attrs.frozen
class ProblemDetails:
    """What went wrong: RFC 9457.

    :ivar type: always ``about:blank``: ``code`` tells problems apart.
    :ivar detail: one line that says what to do.
    :ivar code: one word for programs, which stays as it is.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
