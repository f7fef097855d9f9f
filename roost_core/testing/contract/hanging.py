"""The contract of what the keeper's thread does when an event loop hangs."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend.messages import Ack, Failure
from roost_core.backend.renewal import Renewer
from roost_core.errors import LeaseLost
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    error_bytes,
    error_of,
    worker_bytes,
)


def _that_ends_leases(kit: Harness) -> Renewer:
    renewer = kit.ledger.renewer()
    if type(renewer).fail is Renewer.fail:
        pytest.skip("its renewer does not end leases, and need not")
    return renewer


class RenewerEndsLeasesContract(ContractTests):
    """What a renewer offers besides renewing: ending leases for an event loop that hangs."""

    @driven
    async def test_a_renewer_fails_and_gives_back(self, kit: Harness) -> None:
        """As the backend does: one counts as an attempt, the other does not; both end leases."""
        guilty, other = await kit.leased("a"), await kit.leased("b")
        renewer = _that_ends_leases(kit)
        try:
            failure = Failure("f0", error_bytes("hung"), permanent=False, delay_ms=777)
            first = await asyncio.to_thread(renewer.fail, guilty.lease, failure)
            second = await asyncio.to_thread(
                renewer.interrupt, other.lease, "hung", "its worker hung", None
            )
            # A reply that was lost: the same again is the same answer.
            assert first == await asyncio.to_thread(renewer.fail, guilty.lease, failure)
        finally:
            renewer.close()
        assert Ack(State.RETRY_WAIT, 0, 1, first.at_ms, first.at_ms + 777) == first
        assert Ack(State.QUEUED, 0, 0, second.at_ms, None) == second
        failed, given_back = await kit.read("a"), await kit.read("b")
        assert ("hung", 1) == (error_of(failed).kind, failed.attempts)
        assert (State.QUEUED, 0, 0) == (
            given_back.state,
            given_back.attempts,
            given_back.recoveries,
        )

    @driven
    async def test_a_renewer_ends_no_lease_of_others(self, kit: Harness) -> None:
        """C3: with a token that is not current nothing changes."""
        claim = await kit.leased("a")
        await kit.interrupt(claim)
        before = await kit.read("a")
        renewer = _that_ends_leases(kit)
        failure = Failure("f0", error_bytes("hung"), permanent=False, delay_ms=0)
        try:
            with pytest.raises(LeaseLost):
                await asyncio.to_thread(renewer.fail, claim.lease, failure)
            with pytest.raises(LeaseLost):
                await asyncio.to_thread(renewer.interrupt, claim.lease, "hung", "hung", None)
        finally:
            renewer.close()
        assert before == await kit.read("a")

    @driven
    async def test_one_worker_is_found_by_its_id(self, kit: Harness) -> None:
        """Its own record, as last sent; nothing for an unknown worker."""
        renewer = kit.ledger.renewer()
        try:
            await asyncio.to_thread(renewer.renew, worker_bytes("other"), [], HOUR_MS)
            await asyncio.to_thread(renewer.renew, worker_bytes(), [], HOUR_MS)
        finally:
            renewer.close()
        assert worker_bytes() == await kit.ledger.worker(WORKER)
        assert await kit.ledger.worker("nobody") is None
