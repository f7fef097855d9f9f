"""What people and programs learn about a ledger and its server. Times as in ``messages``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from roost_core.models.work import State
from roost_core.values import Value

if TYPE_CHECKING:
    from roost_core.models.control import Act, Verb

#: Once this many workers have died over a step, or gone silent, the work is suspected: it runs
#: apart from other work, in groups or alone, until a step of it is accepted.
SUSPECTED_AFTER: Final = 2


@attrs.frozen(eq=False, repr=False)
class StoredFork(Value):
    """A work item that began with a version of another, and when."""

    work_id: str
    version: int
    at_ms: int


@attrs.frozen(eq=False, repr=False)
class StoredWork(Value):
    """A work item as the backend stores it. Missing bytes are None.

    ``error`` is the latest one, and the next accepted step clears it; ``heartbeat`` is the running
    step's, and that step's end clears it. ``recoveries`` counts the workers that died over the
    current step while they ran nothing else, ``suspicions`` those that died, or are silent, over
    this and other work; ``steps_in_row`` counts the steps since the last delay. ``leased_ms`` and
    ``leased_version`` say when, and at which version, the newest lease began. ``wish`` is what its
    running step was asked for and has not done yet, ``act`` what a person last did to it.
    ``newer_layout`` means that a newer Roost wrote the work item, of which only id, engine and
    state are known here. ``forks`` are the work items that began with a version of this one, newest
    first; some may be gone.
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
    labels: Mapping[str, str] = attrs.field(factory=dict)
    created_ms: int = 0
    updated_ms: int = 0
    finished_ms: int | None = None
    started_ms: int | None = None
    committed_ms: int | None = None
    wish: Verb | None = None
    act: Act | None = None
    newer_layout: int | None = None
    item: bytes | None = attrs.field(default=None, repr=False)
    snapshot: bytes | None = attrs.field(default=None, repr=False)
    error: bytes | None = attrs.field(default=None, repr=False)
    heartbeat: bytes | None = attrs.field(default=None, repr=False)
    forks: tuple[StoredFork, ...] = ()


@attrs.frozen(eq=False, repr=False)
class Purged(Value):
    """A work item that is gone, and whose artifacts and workspaces are to be forgotten.

    ``life`` distinguishes it from a later work item with the same id: it is when it was created, in
    milliseconds by the server's clock. None if that is not known: then every life is meant.
    """

    work_id: str
    life: int | None


@attrs.frozen(eq=False, repr=False)
class ListQuery(Value):
    """Which work items to list: newest first, or next first in states that wait their turn."""

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


@attrs.frozen(eq=False, repr=False)
class Repaired(Value):
    """One kind of thing that a repair found, and how often.

    ``outcome`` is ``mended``, ``found`` (in a dry run, which mends nothing) or ``left`` (only a
    person can fix it). ``examples`` are up to three ids or names.
    """

    outcome: str
    subject: str
    message: str
    count: int
    examples: tuple[str, ...] = ()
