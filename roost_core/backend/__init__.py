"""The interfaces that backends and artifact stores implement, and their vocabulary.

A backend is a :class:`Server`: it has a :class:`Ledger` for each queue, and runs a worker's lanes
over one or more of them. A ledger combines :class:`Transitions`, :class:`Reading`,
:class:`Searching`, :class:`Renewal` and :class:`Control`. It deals in bytes and numbers: it stores
encoded items and snapshots without looking inside, decides by its server's clock, and guarantees
the invariants. The models around the bytes belong to the core. Times that cross this boundary are
whole milliseconds since the epoch by the server's clock, and durations are whole milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.control import Control
from roost_core.backend.explaining import Explaining
from roost_core.backend.ledger import Ledger
from roost_core.backend.reading import Reading
from roost_core.backend.renewal import Renewal, Renewer
from roost_core.backend.reports import (
    SUSPECTED_AFTER,
    Finding,
    ListQuery,
    Purged,
    Repaired,
    StoredFork,
    StoredWork,
)
from roost_core.backend.searching import LOOK, Searching
from roost_core.backend.server import Reach, Server
from roost_core.backend.transitions import Transitions
from roost_core.late import late_names

if TYPE_CHECKING:
    # Most commands do without.
    from roost_core.backend.facts import Facts, Obstacle
    from roost_core.backend.finding import Counted, Found, Group
    from roost_core.backend.history import (
        ForkOf,
        Past,
        Rewind,
        StoredHistory,
        StoredVersion,
        newest,
    )
    from roost_core.backend.messages import (
        Ack,
        Alone,
        Beat,
        Claim,
        ClaimBatch,
        ClaimRequest,
        Commit,
        Enqueued,
        EnqueueOutcome,
        Failure,
        Finish,
        GoOn,
        NewWork,
        Next,
        Renewed,
        Since,
        Sleep,
        Yield,
    )
    from roost_core.backend.orders import Halt, Order, OrderAnswer, OrderOutcome
    from roost_core.backend.rates import FailureTally, Pace, StepTally, Tally
    from roost_core.backend.serving import LostLanes, ServePlan
    from roost_core.backend.survey import (
        EngineLine,
        ErrorGroup,
        MinuteTally,
        ResourceHold,
        Running,
        Survey,
        Timed,
    )
else:
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "Ack": "messages",
            "Alone": "messages",
            "Beat": "messages",
            "Claim": "messages",
            "ClaimBatch": "messages",
            "ClaimRequest": "messages",
            "Commit": "messages",
            "Counted": "finding",
            "EngineLine": "survey",
            "EnqueueOutcome": "messages",
            "Enqueued": "messages",
            "ErrorGroup": "survey",
            "Facts": "facts",
            "Failure": "messages",
            "FailureTally": "rates",
            "Finish": "messages",
            "ForkOf": "history",
            "Found": "finding",
            "GoOn": "messages",
            "Group": "finding",
            "Halt": "orders",
            "LostLanes": "serving",
            "MinuteTally": "survey",
            "NewWork": "messages",
            "Next": "messages",
            "Obstacle": "facts",
            "Order": "orders",
            "OrderAnswer": "orders",
            "OrderOutcome": "orders",
            "Pace": "rates",
            "Past": "history",
            "Renewed": "messages",
            "ResourceHold": "survey",
            "Rewind": "history",
            "Running": "survey",
            "ServePlan": "serving",
            "Since": "messages",
            "Sleep": "messages",
            "StepTally": "rates",
            "StoredHistory": "history",
            "StoredVersion": "history",
            "newest": "history",
            "Survey": "survey",
            "Tally": "rates",
            "Timed": "survey",
            "Yield": "messages",
        },
    )

__all__ = [
    "LOOK",
    "SUSPECTED_AFTER",
    "Ack",
    "Alone",
    "ArtifactStore",
    "Beat",
    "Claim",
    "ClaimBatch",
    "ClaimRequest",
    "Commit",
    "Control",
    "Counted",
    "EngineLine",
    "EnqueueOutcome",
    "Enqueued",
    "ErrorGroup",
    "Explaining",
    "Facts",
    "Failure",
    "FailureTally",
    "Finding",
    "Finish",
    "ForkOf",
    "Found",
    "GoOn",
    "Group",
    "Halt",
    "Ledger",
    "ListQuery",
    "LostLanes",
    "MinuteTally",
    "NewWork",
    "Next",
    "Obstacle",
    "Order",
    "OrderAnswer",
    "OrderOutcome",
    "Pace",
    "Past",
    "Purged",
    "Reach",
    "Reading",
    "Renewal",
    "Renewed",
    "Renewer",
    "Repaired",
    "ResourceHold",
    "Rewind",
    "Running",
    "Searching",
    "ServePlan",
    "Server",
    "Since",
    "Sleep",
    "StepTally",
    "StoredFork",
    "StoredHistory",
    "StoredVersion",
    "StoredWork",
    "Survey",
    "Tally",
    "Timed",
    "Transitions",
    "Yield",
    "newest",
]
