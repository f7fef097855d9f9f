"""Leases kept alive by a thread beside the event loop: the third part of a ledger."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from roost_core.errors import BackendError
from roost_core.models.worker import Lease

if TYPE_CHECKING:
    from roost_core.backend.messages import Ack, Beat, Failure, Renewed
    from roost_core.backend.rates import Tally


class Renewer(abc.ABC):
    """Keeps one worker's leases and its registration alive.

    It is used from its own thread, so it is synchronous and shares no connection with the event
    loop. When that loop hangs, the thread ends leases on its behalf with :meth:`fail` and
    :meth:`interrupt`; if a renewer does not offer these, such leases run out.
    """

    #: Whether :meth:`renew` takes a ``tally``; without one, nobody knows how fast work goes.
    takes_tally: ClassVar[bool] = False

    @abc.abstractmethod
    def renew(
        self, info: bytes, beats: Sequence[Beat], lease_ttl_ms: int, tally: Tally | None = None
    ) -> Renewed:
        """Extend all leases at once and announce the worker, in one command.

        :param info: the encoded ``WorkerInfo``.
        :param tally: what the worker has done since its last renewal; only given to those with
            ``takes_tally``.
        :returns: the tokens of the leases that do not continue.
        :raises BackendUnavailable: no answer; nothing can be concluded about the leases.
        :raises BackendError: the server refuses.
        """

    def fail(self, lease: Lease, failure: Failure) -> Ack:  # noqa: ARG002 - for those that offer it
        """Give up an attempt, as :meth:`Transitions.fail` does.

        :raises BackendUnavailable: no answer.
        :raises BackendError: this renewer does not offer it, or the server refuses.
        :raises LeaseLost: the token is not current.
        :raises CorruptRecord: the stored record does not decode.
        """
        raise BackendError(f"{type(self).__name__} does not end leases")

    def interrupt(
        self,
        lease: Lease,  # noqa: ARG002 - for those that offer it
        commit_id: str,  # noqa: ARG002 - as above
        reason: str,  # noqa: ARG002 - as above
        delay_ms: int | None,  # noqa: ARG002 - as above
    ) -> Ack:
        """Give work back without blame, as :meth:`Transitions.interrupt` does.

        :raises BackendUnavailable: no answer.
        :raises BackendError: this renewer does not offer it, or the server refuses.
        :raises LeaseLost: the token is not current.
        :raises CorruptRecord: the stored record does not decode.
        """
        raise BackendError(f"{type(self).__name__} does not end leases")

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection."""


class Renewal(abc.ABC):
    """Keeps a worker's leases on the work of one queue, and its entry in the register."""

    @abc.abstractmethod
    def renewer(self) -> Renewer:
        """Return a renewer with its own connection; the server must be open."""

    @abc.abstractmethod
    async def retire(self, worker_id: str) -> None:
        """Remove a stopped worker from the register.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refuses.
        """
