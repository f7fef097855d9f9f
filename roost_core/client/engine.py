"""A handle on one engine of a queue."""

from __future__ import annotations

import attrs

from roost_core.backend.reports import Finding
from roost_core.client.connection import Connection
from roost_core.models.checks import ENGINE_ID, matching
from roost_core.models.control import Actor, HeldEngine
from roost_core.shown.mending import release_command


def held_finding(held: HeldEngine) -> Finding:
    """Return what a diagnosis says of an engine that is held: nothing is lost, but work waits."""
    because = "" if held.actor.reason is None else f": {held.actor.reason}"
    return Finding(
        "warning",
        f"engine {held.engine}",
        f"held by {held.actor.who} since {held.since:%Y-%m-%dT%H:%M:%SZ}{because}; "
        f"`{release_command(held.engine)}` lets workers take its work again",
    )


@attrs.frozen
class Engine:
    """A handle on one engine of a queue: :meth:`roost_core.client.roost.Roost.engine` makes it.

    It is usable while the connection is open, and for engines that nobody offers, too. ``reason``
    and ``actor`` are as for the verbs of a :class:`~roost_core.client.work.Work`.

    :ivar id: the engine's id.
    """

    _roost: Connection = attrs.field(repr=False)
    id: str = attrs.field(validator=matching(ENGINE_ID, "engine"))

    async def hold(self, *, reason: str | None = None, actor: Actor | str | None = None) -> bool:
        """Hold the engine: no worker takes its work, present or future, until it is released.

        A step that runs is the last of its lease. All work stays in the state that it is in. The
        queue's events have it as ``engine_held``, with who did so, and why.

        :returns: whether it was not held before.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        control = self._roost.controlling
        return await control.hold(self.id, control.actor(actor, reason))

    async def release(self, *, reason: str | None = None, actor: Actor | str | None = None) -> bool:
        """Let workers take its work again. The queue's events have it as ``engine_released``.

        :returns: whether it was held.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        control = self._roost.controlling
        return await control.release(self.id, control.actor(actor, reason))
