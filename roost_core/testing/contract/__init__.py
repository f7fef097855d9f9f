"""The tests that every backend passes.

Subclass :class:`BackendContract` in a test file and say how to make a backend::

    class TestMine(BackendContract):
        def make(self) -> Harness:
            return MyHarness()

A :class:`Harness` opens one fresh, empty backend, and reaches behind it so that
leases expire and sleepers become due without waiting. To have pytest explain
the assertions, call ``pytest.register_assert_rewrite("roost_core.testing.contract")``
before anything imports this package.
"""

from __future__ import annotations

from roost_core.testing.contract.blaming import BlameContract, RowContract
from roost_core.testing.contract.claiming import ClaimContract
from roost_core.testing.contract.committing import CommitContract
from roost_core.testing.contract.controlling import ControlContract
from roost_core.testing.contract.enqueueing import EnqueueContract
from roost_core.testing.contract.explaining import FactsContract
from roost_core.testing.contract.finding import FindContract
from roost_core.testing.contract.giving_back import FailContract, InterruptContract, RenewContract
from roost_core.testing.contract.halting import HaltContract
from roost_core.testing.contract.hanging import RenewerEndsLeasesContract
from roost_core.testing.contract.kit import Harness
from roost_core.testing.contract.queues import QueuesContract
from roost_core.testing.contract.reading import EventContract, PurgeContract, ReadContract
from roost_core.testing.contract.replaying import ReplayContract
from roost_core.testing.contract.resources import ResourceContract
from roost_core.testing.contract.serving import ServeContract
from roost_core.testing.contract.surveying import SurveyContract
from roost_core.testing.contract.trail import TrailContract
from roost_core.testing.contract.versions import ChangesContract, VersionsContract
from roost_core.testing.contract.wishing import WishContract

__all__ = ["BackendContract", "Harness"]


class BackendContract(
    EnqueueContract,
    ClaimContract,
    BlameContract,
    RowContract,
    CommitContract,
    ChangesContract,
    VersionsContract,
    FailContract,
    InterruptContract,
    RenewContract,
    RenewerEndsLeasesContract,
    ResourceContract,
    ReadContract,
    FindContract,
    EventContract,
    TrailContract,
    PurgeContract,
    ControlContract,
    WishContract,
    HaltContract,
    ReplayContract,
    FactsContract,
    SurveyContract,
    ServeContract,
    QueuesContract,
):
    """All parts of the contract together."""
