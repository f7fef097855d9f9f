"""A worker whose states grow, or change little: as they are stored, or always as wholes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row
from benchmarks.measuring.working import Engine, serve
from benchmarks.probes.series import KINDS
from roost_core.stepping import recent


async def _run(job: Job, clock: Clock) -> None:
    """Store the states of a kind.

    The job's extra has ``kind``, ``slice_steps``, whether all is stored as ``wholes``, how many
    ``versions`` are kept, and from how many bytes on ``texts`` go to the artifact store.
    """
    extra = job.extra
    state = KINDS[extra["kind"]]()
    # No setting says that: nobody needs it but to compare.
    wholes: AbstractContextManager[Any] = (
        mock.patch.object(recent, "LARGE", sys.maxsize) if extra["wholes"] else nullcontext()
    )
    # A folder that others have, too, is nothing that Roost makes.
    (Path(job.folder) / "artifacts").mkdir(exist_ok=True)
    with wholes:
        await serve(
            job,
            clock,
            Engine(job, None, state.at),
            extra["slice_steps"],
            history_versions=extra["versions"],
            large_values=extra["texts"],
            artifact_shared="yes",
        )


GROWTH = Row("growth", "growing state", lambda job, clock: asyncio.run(_run(job, clock)), "", 1)
