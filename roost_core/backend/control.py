"""What people do to the work of a queue: the fourth part of a ledger."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from roost_core.errors import BackendError

if TYPE_CHECKING:
    # Most commands only read: they do without.
    from roost_core.backend.history import Rewind
    from roost_core.backend.orders import Halt, Order, OrderAnswer
    from roost_core.models.control import Actor


class Control(abc.ABC):
    """The verbs. Each call is atomic, and durable when it returns.

    A backend may lack some of them: by default each raises
    :class:`~roost_core.errors.BackendError` to say so. Each raises
    :class:`~roost_core.errors.BackendUnavailable` if there is no answer.
    """

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the data is, for people; no password in it."""

    async def order(self, work_id: str, order: Order) -> OrderAnswer:
        """Do to a work item what a person wants; ``docs/verbs.md`` has the rules.

        :raises BackendError: this backend does not offer it.
        """
        raise self._not_offered(f"{order.verb} {work_id}")

    async def rewind(self, work_id: str, rewind: Rewind) -> OrderAnswer:
        """Put a work item back to an earlier version, unless it runs.

        That becomes a new version, and the item is ready, with no attempts counted; if it is
        paused, it stays so. What is new is an event, ``rewound``.

        :raises BackendError: this backend does not offer it.
        """
        del rewind
        raise self._not_offered(f"putting {work_id} back")

    async def halt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Hold an engine: its work stays where it is, and running steps are its last.

        What is new is an event, ``engine_held``.

        :param request_id: identifies this request, as one word: repeating it returns the same
            answer and does nothing more, even if others have released the engine since. None if it
            is not repeated.
        :returns: whether that is new.
        :raises BackendError: this backend does not offer it.
        """
        del actor, request_id
        raise self._not_offered(f"holding the engine {engine}")

    async def unhalt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Let the work of a held engine continue. If it was held, there is an ``engine_released``.

        :param request_id: as for :meth:`halt`.
        :returns: whether it was held.
        :raises BackendError: this backend does not offer it.
        """
        del actor, request_id
        raise self._not_offered(f"holding the engine {engine}")

    async def halts(self) -> Sequence[Halt]:
        """Return the engines that are held, by name."""
        return ()

    def _not_offered(self, what: str) -> BackendError:
        return BackendError(f"this backend does not offer it: {what} ({self.description})")
