"""Leases kept by a thread beside the event loop: the third part of a ledger."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from roost_core.backend.messages import Ack, Beat, Failure, Renewed
from roost_core.errors import BackendError
from roost_core.models.worker import Lease


class Renewer(abc.ABC):
    """Keeps one worker's leases, and its registration, alive.

    It is used from a thread of its own, so it is synchronous and shares no
    connection with the event loop. When that loop hangs, the thread ends leases on
    its behalf with :meth:`fail` and :meth:`interrupt`; a renewer that does not offer
    these leaves such leases to run out.
    """

    @abc.abstractmethod
    def renew(self, info: bytes, beats: Sequence[Beat], lease_ttl_ms: int) -> Renewed:
        """Extend all leases at once and announce the worker, in one command.

        :param info: the encoded ``WorkerInfo``.
        :returns: the tokens of the leases that go on no more.
        :raises BackendUnavailable: no answer; nothing may be concluded.
        """

    def fail(self, lease: Lease, failure: Failure) -> Ack:  # noqa: ARG002 - for those who offer it
        """Give up an attempt, as :meth:`Transitions.fail` does.

        :raises BackendUnavailable: no answer.
        :raises BackendError: this renewer does not offer it.
        :raises LeaseLost: the token is not current.
        """
        raise BackendError(f"{type(self).__name__} does not end leases")

    def interrupt(
        self,
        lease: Lease,  # noqa: ARG002 - for those who offer it
        commit_id: str,  # noqa: ARG002 - as above
        reason: str,  # noqa: ARG002 - as above
        delay_ms: int | None,  # noqa: ARG002 - as above
    ) -> Ack:
        """Give work back without blame, as :meth:`Transitions.interrupt` does.

        :raises BackendUnavailable: no answer.
        :raises BackendError: this renewer does not offer it.
        :raises LeaseLost: the token is not current.
        """
        raise BackendError(f"{type(self).__name__} does not end leases")

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection."""


class Renewal(abc.ABC):
    """What keeps one worker's leases on the work of one queue, and its entry in the register."""

    @abc.abstractmethod
    def renewer(self) -> Renewer:
        """Return a renewer with a connection of its own; the server is open."""

    @abc.abstractmethod
    async def retire(self, worker_id: str) -> None:
        """Strike a worker that has stopped from the register."""
