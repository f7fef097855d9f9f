"""One claim on its way through a worker."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from roost_core.backend.messages import Ack, Claim
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.context import Artifacts
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import WorkItem
from roost_core.plugins.engines import OfferedEngine
from roost_core.stepping.holds import Hold, current_hold
from roost_core.stepping.recent import StoredItem
from roost_core.stepping.texts import LargeTexts


@attrs.define(eq=False)
class Run:
    """What is known about a claim, and what would have to be sent again.

    :ivar lane: the task that runs its steps and settles them.
    :ivar snapshot: the one for the next step, and only for that step.
    :ivar make_snapshot: makes an equal one, for everything else.
    :ivar before: its bytes, or these in pieces; None if there is none, or the next one has to be
        stored whole.
    :ivar large: where large texts go.
    :ivar accepted_ms: when that was accepted, by the server's clock; None if there is none.
    :ivar in_flight: the pending request without an answer.
    :ivar steps: how many steps have begun.
    :ivar began: when the current one did, by the monotonic clock, if anybody wants to know.
    """

    claim: Claim
    hold: Hold
    lane: asyncio.Task[Any]
    stored: StoredItem
    engine: OfferedEngine
    snapshot: Snapshot | None
    make_snapshot: Callable[[], Snapshot | None]
    before: Stored | PiecedSnapshot | None
    large: LargeTexts
    artifacts: Artifacts
    version: int
    accepted_ms: int | None
    attempts: int
    in_flight: Callable[[], Awaitable[Ack]] | None = None
    steps: int = 0
    began: float = 0.0
    _context: contextvars.Context | None = attrs.field(default=None, init=False, repr=False)

    @property
    def item(self) -> WorkItem:
        """The work item, for the runtime only."""
        return self.stored.item

    def encode(self, snapshot: Snapshot, *, moves: bool = True) -> EncodedSnapshot | PiecedSnapshot:
        """Make bytes of the next snapshot.

        :param moves: whether large texts may be moved out of it.
        :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole has over
            8 MiB.
        """
        return self.stored.encode(snapshot, self.before, self.large.least if moves else 0)

    def texts_of(self, encoded: EncodedSnapshot | PiecedSnapshot) -> Mapping[str, bytes]:
        """Return the large texts that the next snapshot brings, by their ids."""
        known = {} if self.before is None else self.before.values
        return {one: text for one, text in encoded.values.items() if one not in known}

    def fresh_context(self, base: contextvars.Context) -> contextvars.Context:
        """Return the context of the next step: ``base`` plus whose step it is.

        This identifies a hung step, also in the tasks and callbacks that it starts.
        """
        if self._context is not None:
            return self._context.copy()
        fresh = base.copy()
        fresh.run(current_hold.set, self.hold)
        if self.steps > 1:
            # There may be many more.
            self._context = fresh.copy()
        return fresh
