"""What the handles need of their connection: of one work item, of an engine, of a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roost_core.backend.ledger import Ledger
from roost_core.backend.server import Server

if TYPE_CHECKING:
    # Most commands only read: they do without.
    from roost_core.client.control import Controlling


class Connected(Protocol):
    """A connection to one queue.

    Each raises :class:`~roost_core.errors.RoostError` if it is not open.
    """

    @property
    def server(self) -> Server:
        """The server of the queue."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the queue."""

    @property
    def controlling(self) -> Controlling:
        """What it takes to use verbs."""
