"""Every hook of Roost, and nothing else.

pluggy passes an implementation only the arguments that it names, so
``def step(snapshot)`` is a complete engine. The two engine hooks and the
observers may be ``def`` or ``async def``; all others are ``def``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from roost_core.markers import hookspec

if TYPE_CHECKING:
    import click

    from roost_core.backend.artifacts import ArtifactStore
    from roost_core.backend.server import Server
    from roost_core.context import StepContext
    from roost_core.models.snapshot import Snapshot
    from roost_core.models.standing import DeadLetter
    from roost_core.models.work import WorkItem
    from roost_core.models.worker import Lease, WorkerInfo
    from roost_core.settings.core import Settings
    from roost_core.settings.declaring import Declaration
    from roost_core.workspaces import Workspaces


@hookspec
def init_snapshot(item: WorkItem, context: StepContext) -> Snapshot:  # type: ignore[empty-body]
    """Make the first snapshot of a work item; it is stored as version 1.

    Called once, under the first lease, on the plugin that owns the engine; again only if its
    attempt fails or is given back, or its worker dies before the snapshot is stored. An engine
    without it starts from the payload: ``data`` is the payload if that is an object, else
    ``{"payload": payload}``.
    """


@hookspec
def step(  # type: ignore[empty-body]
    snapshot: Snapshot, item: WorkItem, context: StepContext
) -> Snapshot:
    """Move the work on by one step and return the next snapshot.

    Called on the plugin that owns the engine. It may run again from the same snapshot after a crash
    or a failure, so pass ``context.idempotency_key`` to outside systems. Raise ``PermanentError``
    to give up, or ``RetryLater`` to run again later; any other error counts as an attempt. A plain
    ``def`` runs in a thread.
    """


@hookspec
def around_step(  # type: ignore[empty-body]
    context: StepContext,
) -> AbstractAsyncContextManager[None]:
    """Return an async context manager that is entered around every step of every engine.

    Called for ``init_snapshot`` and ``step``, on all plugins; the first
    registered plugin's manager is outermost. An error that it raises counts as the step's own.
    For tracing, budgets and rate limits.
    """


@hookspec
def on_lease_lost(lease: Lease, item: WorkItem, snapshot: Snapshot | None) -> None:
    """Observe that a step was cancelled or its result was refused because its lease was lost.

    ``snapshot`` is the one that the step started from, None if it was the first step.
    """


@hookspec
def on_cancelled(lease: Lease, item: WorkItem, snapshot: Snapshot | None) -> None:
    """Observe that a step was cancelled or its result was refused because a person cancelled it.

    The work is ``cancelled`` by then, and no attempt was counted. ``snapshot`` is the one that the
    step started from, None if it was the first step. Work that was cancelled while it did not run,
    or whose worker died meanwhile, is not observed. A step whose work a person buries is ended in
    the same way; that is observed by ``on_dead_letter``.
    """


@hookspec
def on_dead_letter(letter: DeadLetter) -> None:
    """Observe a dead letter, after it is stored."""


@hookspec
def on_step_committed(item: WorkItem, snapshot: Snapshot) -> None:
    """Observe an accepted snapshot, after it is stored."""


@hookspec
def on_worker_start(worker: WorkerInfo) -> None:
    """Observe a worker that is about to take its first work."""


@hookspec
def on_worker_stop(worker: WorkerInfo) -> None:
    """Observe a worker that has given back all its work."""


@hookspec(firstresult=True)
def backend(settings: Settings) -> Server | None:
    """Return the queue server that the settings choose, not yet opened, or None to pass.

    The first plugin that returns one wins. A plugin with a setting for its server's URL checks the
    URL's scheme, and answers without a URL only if it has a server of its own.
    """


@hookspec(firstresult=True)
def artifact_store(settings: Settings) -> ArtifactStore | None:
    """Return the artifact store, or None to pass; the first one wins.

    The filesystem store is the default and comes last.
    """


@hookspec(firstresult=True)
def workspace(settings: Settings) -> Workspaces | None:
    """Return the object that makes and removes workspaces, or None to pass.

    The first plugin that returns one wins; git worktrees are the default and come last.
    Called at the start of every worker, so it must not create anything yet.
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to the ``roost`` command line; a name that already exists is refused.

    Called for each command line that needs to know them all: a
    :class:`~roost_core.cli.lazy.LazyCommand` imports its module when it is typed.
    """


@hookspec
def register_settings() -> type[Declaration] | Sequence[type[Declaration]] | None:
    """Return the class or classes in which the plugin declares its settings; None for none.

    Called when the plugin is loaded, before any setting is read. See
    :func:`roost_core.settings.setting`.
    """
