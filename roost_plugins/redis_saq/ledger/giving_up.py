"""The arguments of the scripts that give a lease up, for the event loop and for its keeper."""

from __future__ import annotations

import json
from typing import Any, Final

from roost_core.backend import Failure
from roost_core.models import Lease

#: In place of the engines: the lane leaves, so what is ready is for others.
NOTHING: Final = ""
#: In place of the engines: a claim follows, so the script need not look for work.
NO_LOOKING: Final = "-"
#: The longest reason that is stored, in characters.
_REASON: Final = 500


def fail(lease: Lease, failure: Failure, engines: str) -> tuple[Any, ...]:
    """Return the arguments of ``lua/fail.lua``.

    :param engines: the engines to look for work for, or one of the words above.
    """
    return (
        lease.work_id,
        lease.token,
        failure.commit_id,
        failure.error,
        int(failure.permanent),
        failure.delay_ms,
        lease.worker_id,
        engines,
    )


def interrupt(
    lease: Lease,
    commit_id: str,
    reason: str,
    delay_ms: int | None,
    engines: str,
    layout: int = 0,
) -> tuple[Any, ...]:
    """Return the arguments of ``lua/interrupt.lua``.

    :param engines: as in :func:`fail`.
    :param layout: the record's, if only a newer Roost can take it; otherwise 0.
    """
    return (
        lease.work_id,
        lease.token,
        commit_id,
        json.dumps({"reason": reason[:_REASON]}),
        -1 if delay_ms is None else delay_ms,
        lease.worker_id,
        engines,
        layout,
    )
