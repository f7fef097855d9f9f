"""The words of Roost as frozen classes.

Nothing here does I/O or reads a clock. Times are aware ``datetime`` values in UTC, taken from the
server; delays and durations are ``float`` seconds. What is persisted of a model, and how, is up to
:mod:`roost_core.codec`.

Programs and plugins import the names below from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.late import late_names
from roost_core.models.checks import (
    ARTIFACT_ID,
    ENGINE_ID,
    EXTENSION,
    LABEL_KEY,
    LABEL_VALUE,
    MAX_COUNT,
    MAX_DELAY_SECONDS,
    MAX_LABEL,
    MAX_LABELS,
    RESOURCE,
    WORD,
    WORK_ID,
    check_seconds,
    milliseconds,
)
from roost_core.models.events import Event
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.models.standing import DeadLetter, ErrorRecord, Fork, WorkMeta, WorkRow, WorkStatus
from roost_core.models.work import (
    DEFAULT_MAX_RECOVERIES,
    DEFAULT_MAX_STEPS,
    DEFAULT_STEP_TIMEOUT_SECONDS,
    MAX_PRIORITY,
    MAX_RESOURCES,
    MIN_PRIORITY,
    TERMINAL_STATES,
    ForkedFrom,
    RetryPolicy,
    State,
    WorkItem,
)
from roost_core.models.worker import Heartbeat, Lease, Stuck, WorkerInfo
from roost_core.values import Json

if TYPE_CHECKING:
    # Most commands do without.
    from roost_core.models.control import Act, Actor, HeldEngine, Verb
    from roost_core.models.history import Gap, Version
else:
    __getattr__, __dir__ = late_names(
        __name__,
        {
            **dict.fromkeys(("Act", "Actor", "HeldEngine", "Verb"), "control"),
            **dict.fromkeys(("Gap", "Version"), "history"),
        },
    )

__all__ = [
    "ARTIFACT_ID",
    "DEFAULT_MAX_RECOVERIES",
    "DEFAULT_MAX_STEPS",
    "DEFAULT_STEP_TIMEOUT_SECONDS",
    "ENGINE_ID",
    "EXTENSION",
    "LABEL_KEY",
    "LABEL_VALUE",
    "MAX_COUNT",
    "MAX_DELAY_SECONDS",
    "MAX_LABEL",
    "MAX_LABELS",
    "MAX_PRIORITY",
    "MAX_RESOURCES",
    "MIN_PRIORITY",
    "RESOURCE",
    "TERMINAL_STATES",
    "WORD",
    "WORK_ID",
    "Act",
    "Actor",
    "Artifact",
    "DeadLetter",
    "ErrorRecord",
    "Event",
    "Fork",
    "ForkedFrom",
    "Gap",
    "Heartbeat",
    "HeldEngine",
    "Json",
    "Lease",
    "RetryPolicy",
    "Snapshot",
    "State",
    "Stuck",
    "Verb",
    "Version",
    "WorkItem",
    "WorkMeta",
    "WorkRow",
    "WorkStatus",
    "WorkerInfo",
    "check_seconds",
    "milliseconds",
]
