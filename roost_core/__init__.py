"""Roost: a durable runtime for long-running agent workers.

The names below are what engines, plugins and programs use. They are imported at first use, so a
command that needs few of them starts fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.late import late_names

if TYPE_CHECKING:
    from roost_core.client.roost import Roost
    from roost_core.client.sync import SyncRoost
    from roost_core.context import StepContext
    from roost_core.errors import PermanentError, RetryLater, RoostError
    from roost_core.markers import hookimpl
    from roost_core.models.snapshot import Artifact, Snapshot
    from roost_core.models.standing import WorkStatus
    from roost_core.models.work import RetryPolicy, State, WorkItem
    from roost_core.settings import Settings
else:
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "Artifact": "models",
            "PermanentError": "errors",
            "RetryLater": "errors",
            "RetryPolicy": "models",
            "Roost": "client.roost",
            "RoostError": "errors",
            "Settings": "settings",
            "Snapshot": "models",
            "State": "models",
            "StepContext": "context",
            "SyncRoost": "client.sync",
            "WorkItem": "models",
            "WorkStatus": "models",
            "hookimpl": "markers",
        },
    )

__all__ = [
    "Artifact",
    "PermanentError",
    "RetryLater",
    "RetryPolicy",
    "Roost",
    "RoostError",
    "Settings",
    "Snapshot",
    "State",
    "StepContext",
    "SyncRoost",
    "WorkItem",
    "WorkStatus",
    "hookimpl",
]

__version__ = "0.1.0"
