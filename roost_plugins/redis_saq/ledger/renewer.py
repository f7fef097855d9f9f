"""The keeper thread's own connection to the server, which is synchronous."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from roost_core.backend import Ack, Beat, Failure, Renewed, Renewer
from roost_core.errors import BackendError, BackendUnavailable
from roost_core.models import Lease
from roost_plugins.redis_saq.connection.endpoint import COMMAND_TIMEOUT, Endpoint
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.ledger import giving_up
from roost_plugins.redis_saq.record.acks import ack
from roost_plugins.redis_saq.record.tallies import tally_text
from roost_plugins.redis_saq.scripts import Script

if TYPE_CHECKING:
    from roost_core.backend import Tally

#: The scripts that a renewer calls.
NEEDED = ("renew", "fail", "interrupt")


class RedisRenewer(Renewer):
    """Renews over its own synchronous connection."""

    takes_tally: ClassVar[bool] = True

    def __init__(self, endpoint: Endpoint, ready: Mapping[str, Script]) -> None:
        """Take the scripts of ``NEEDED``, ready made: threads do not share what makes them."""
        self._endpoint = endpoint
        self._scripts = ready
        self._client: Any = None
        self._timeout = COMMAND_TIMEOUT

    def renew(
        self, info: bytes, beats: Sequence[Beat], lease_ttl_ms: int, tally: Tally | None = None
    ) -> Renewed:
        """Extend all leases at once and announce the worker."""
        worker_id = json.loads(info)["worker_id"]
        args: list[Any] = [worker_id, info, lease_ttl_ms, tally_text(tally)]
        for beat in beats:
            args += (beat.work_id, beat.token, beat.heartbeat or b"")
        # An answer that comes after the lease has expired is useless.
        self._timeout = lease_ttl_ms / 3000
        lost, wanted = self._call("renew", *args)
        return Renewed(
            tuple(token.decode() for token in lost), tuple(token.decode() for token in wanted)
        )

    def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt; the worker takes nothing in its place."""
        answer = self._call("fail", *giving_up.fail(lease, failure, giving_up.NOTHING))
        return ack(answer, lease.work_id)[0]

    def interrupt(self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None) -> Ack:
        """Give the work back without blame; the worker takes nothing in its place."""
        answer = self._call(
            "interrupt",
            *giving_up.interrupt(lease, commit_id, reason, delay_ms, giving_up.NOTHING),
        )
        return ack(answer, lease.work_id)[0]

    def _call(self, name: str, *args: Any) -> Any:
        try:
            with translated(self._endpoint.description):
                if self._client is None:
                    self._client = self._endpoint.sync_client(self._timeout)
                return self._evalsha(self._scripts[name], args)
        except BackendUnavailable:
            self.close()
            self._endpoint.ensure_blocking()
            raise
        except BackendError:
            self.close()  # After a refused login, only a new connection logs in again.
            raise

    def _evalsha(self, script: Script, args: Sequence[Any]) -> Any:
        from roost_plugins.redis_saq.connection.redis_py import redis

        keys = script.keys
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            return self._client.eval(script.source, len(keys), *keys, *args)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
