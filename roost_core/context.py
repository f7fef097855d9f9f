"""What an engine gets besides its snapshot."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableSequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.codec.strict_json import MAX_EVENT_BYTES, dumps, pretty
from roost_core.errors import InvalidInput
from roost_core.models.snapshot import Artifact
from roost_core.models.work import WorkItem
from roost_core.models.worker import Heartbeat, Lease
from roost_core.settings import Settings
from roost_core.threads import run_in_thread
from roost_core.values import Json

_log = logging.getLogger("roost.engine")

#: The largest JSON artifact, in bytes: 64 MiB.
MAX_JSON_ARTIFACT_BYTES = 64 << 20


@attrs.define(eq=False)
class Artifacts:
    """The artifact store, bound to one work item.

    The ``put_`` methods block until the bytes are durable: right for a plain
    ``def`` engine, which runs in a thread. An ``async def`` engine awaits their
    ``aput_`` twins. Put what they return into the snapshot's ``artifacts``.
    """

    _store: ArtifactStore
    _work_id: str
    #: Which life of the work id they belong to; see :class:`~roost_core.backend.Purged`.
    _life: int | None = None

    def put_bytes(self, data: bytes, *, ext: str = "bin", name: str | None = None) -> Artifact:
        """Store bytes; ``ext`` is 1 to 8 lower-case letters or digits.

        :raises InvalidInput: ``data`` is not bytes, or ``ext`` or ``name`` is malformed.
        :raises ArtifactDiskFull: there is no room; a step that does not catch it runs again later.
        :raises ArtifactError: they could not be made durable; nothing half-written is visible.
        """
        return self._store.put(data, work_id=self._work_id, life=self._life, ext=ext, name=name)

    def put_text(self, text: str, *, ext: str = "txt", name: str | None = None) -> Artifact:
        """Store a string as UTF-8.

        :raises UnicodeEncodeError: it holds a lone surrogate.
        :raises ArtifactError: as :meth:`put_bytes` does.
        :raises InvalidInput: as :meth:`put_bytes` does.
        """
        return self.put_bytes(text.encode(), ext=ext, name=name)

    def put_json(self, value: Json, *, name: str | None = None) -> Artifact:
        """Store a value as indented JSON with sorted keys: equal values are equal bytes.

        :raises CodecError: the value is not JSON, or over 64 MiB.
        :raises ArtifactError: as :meth:`put_bytes` does.
        :raises InvalidInput: ``name`` is malformed.
        """
        dumps(value, "the artifact", MAX_JSON_ARTIFACT_BYTES)
        return self.put_bytes(pretty(value), ext="json", name=name)

    def get_bytes(self, artifact_id: str) -> bytes:
        """Return an artifact's bytes, verified.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactNotFound: no artifact has this id.
        :raises ArtifactCorrupt: the stored bytes do not hash to the id.
        :raises ArtifactError: they cannot be read.
        """
        return self._store.get(artifact_id)

    async def aput_bytes(
        self, data: bytes, *, ext: str = "bin", name: str | None = None
    ) -> Artifact:
        """Store bytes without blocking the event loop; errors are :meth:`put_bytes`'s."""
        return await run_in_thread(partial(self.put_bytes, data, ext=ext, name=name))

    async def aput_text(self, text: str, *, ext: str = "txt", name: str | None = None) -> Artifact:
        """Store a text without blocking the event loop; errors are :meth:`put_text`'s."""
        return await run_in_thread(partial(self.put_text, text, ext=ext, name=name))

    async def aput_json(self, value: Json, *, name: str | None = None) -> Artifact:
        """Store a value as JSON without blocking the event loop; errors are :meth:`put_json`'s."""
        return await run_in_thread(partial(self.put_json, value, name=name))

    async def aget_bytes(self, artifact_id: str) -> bytes:
        """Return an artifact's bytes without blocking; errors are :meth:`get_bytes`'s."""
        return await run_in_thread(self.get_bytes, artifact_id)


class Step(Protocol):
    """The step in flight, as its context sees it; all safe from any thread."""

    def is_stopping(self) -> bool:
        """Whether the worker wants to stop."""

    def is_cancelled(self) -> bool:
        """Whether what it returns would be dropped."""

    def beat(self, heartbeat: Heartbeat, /) -> None:
        """Send a heartbeat."""

    def fresh_item(self) -> WorkItem:
        """Return the work item as a new object."""

    def workspace(self) -> Path:
        """Return the work item's workspace; blocks."""


@attrs.define(eq=False)
class StepContext:
    """One run of one step.

    :ivar lease: the lease it runs under.
    :ivar version: the version it started from; 0 in ``init_snapshot``.
    :ivar attempt: 1, plus one for each failed attempt of this step.
    :ivar settings: the worker's settings.
    :ivar artifacts: the artifact store, bound to this work item.
    """

    lease: Lease
    version: int
    attempt: int
    settings: Settings
    artifacts: Artifacts
    _step: Step
    events: MutableSequence[bytes] = attrs.field(factory=list, init=False, repr=False)
    _item: WorkItem | None = attrs.field(default=None, init=False, repr=False)

    @property
    def item(self) -> WorkItem:
        """The work item: this step's own copy, so no other step sees what it changes in place."""
        if self._item is None:  # made at first use, because many steps never need it
            self._item = self._step.fresh_item()
        return self._item

    @property
    def fence(self) -> int:
        """A number that grows with each lease of the work item: pass it to outside systems."""
        return self.lease.fence

    @property
    def idempotency_key(self) -> str:
        """The same text for every run of this step, for outside systems that drop repeats."""
        settings = self.settings
        return f"{settings.namespace}/{settings.queue}/{self.lease.work_id}/{self.version + 1}"

    @property
    def stopping(self) -> bool:
        """Whether the worker wants to stop: please end soon, and return what is worth keeping.

        What the step returns is accepted as usual, and the next step runs elsewhere. With nothing
        to keep, return None or the given snapshot: the work goes back to the queue, and no attempt
        is counted.
        """
        return self._step.is_stopping()

    @property
    def cancelled(self) -> bool:
        """Whether this run is void: its lease is lost, it timed out, or it was cancelled.

        What it returns is dropped, so there is no point in continuing. An ``async def`` step is
        also cancelled; a plain ``def`` step has to check.
        """
        return self._step.is_cancelled()

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry work id, engine, version and attempt."""
        fields = {
            "work_id": self.lease.work_id,
            "engine": self.item.engine,
            "version": self.version,
            "attempt": self.attempt,
        }
        return logging.LoggerAdapter(_log, fields)

    def workspace(self) -> Path:
        """Return the work item's own folder, made at first use. Blocks.

        It is a git worktree or clone, unless a plugin provides another kind.

        :raises WorkspaceError: no ``workspace_source`` is set, git failed, or no plugin offers
            workspaces.
        """
        return self._step.workspace()

    async def aworkspace(self) -> Path:
        """Return the workspace without blocking the event loop; errors are :meth:`workspace`'s."""
        return await run_in_thread(self.workspace)

    def heartbeat(self, progress: float | None = None, message: str = "") -> None:
        """Show people the step's progress. Cheap; the newest is sent once a second at most.

        :param progress: from 0 to 1.
        :param message: a short text; cut off after 500 characters.
        :raises InvalidInput: the progress is not between 0 and 1.
        """
        if progress is not None and not 0 <= progress <= 1:
            raise InvalidInput(f"progress must be between 0 and 1, not {progress}")
        self._step.beat(
            Heartbeat(progress=progress, message=str(message)[:500], at=datetime.now(UTC))
        )

    def emit(self, event: Mapping[str, Any]) -> None:
        """Add an event to the queue's stream, if and when this step is accepted.

        :raises CodecError: it is not JSON or over 16 KiB.
        """
        self.events.append(dumps(dict(event), "the event", MAX_EVENT_BYTES))
