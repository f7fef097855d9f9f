"""Requests to enqueue on their way to the queue, several in one round trip."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Enqueued, EnqueueOutcome, NewWork
from roost_core.backend.server import Server
from roost_core.client.missing import not_found
from roost_core.client.requests import EnqueueRequest, refusal, unknown_engine
from roost_core.client.waiting import PATIENCE_SECONDS, repeated
from roost_core.errors import CorruptRecord, RoostError, UnknownEngine
from roost_core.models.work import WorkItem
from roost_core.models.worker import WorkerInfo
from roost_core.plugins.registry import Plugins
from roost_core.shown import views

#: Work items of one pipelined request.
CHUNK: Final = 500


@attrs.frozen
class Enqueueing:
    """What it takes to enqueue: who offers engines, whose clock counts, where work goes."""

    plugins: Plugins
    server: Server
    ledger: Ledger

    async def send(
        self, requests: Iterable[EnqueueRequest], *, any_engine: bool
    ) -> list[WorkItem | RoostError]:
        """Store work items in chunks; return the outcome of each request, in order.

        :raises BackendUnavailable: no answer for a chunk.
        """
        results: list[WorkItem | RoostError] = []
        chunk: list[EnqueueRequest] = []
        for request in requests:
            chunk.append(request)
            if len(chunk) == CHUNK:
                results += await self._send_chunk(chunk, any_engine)
                chunk = []
        if chunk:
            results += await self._send_chunk(chunk, any_engine)
        return results

    async def unknown_engines(self, engines: Iterable[str]) -> dict[str, UnknownEngine]:
        """Return those of the engines that nobody offers, each with its error."""
        offered = set(self.plugins.engines())
        missing = dict.fromkeys(engine for engine in engines if engine not in offered)
        if not missing:
            return {}
        for worker in await workers(self.ledger):
            offered.update(worker.engines)
        return {
            engine: unknown_engine(engine, offered) for engine in missing if engine not in offered
        }

    async def _send_chunk(
        self, requests: Sequence[EnqueueRequest], any_engine: bool
    ) -> list[WorkItem | RoostError]:
        now_ms = None
        if any(r.deadline_seconds is not None or r.deadline_at is not None for r in requests):
            now_ms = await repeated(self.server.now_ms, PATIENCE_SECONDS)
        refused = {} if any_engine else await self.unknown_engines(r.engine for r in requests)
        results: list[WorkItem | RoostError] = []
        accepted: list[tuple[int, NewWork]] = []
        for request in requests:
            try:
                offered = self.plugins.engines().get(request.engine)
                item, new = request.build(now_ms, offered.max_steps if offered else None)
                if request.engine in refused:
                    raise refused[request.engine]
            except RoostError as error:
                results.append(error)
            else:
                accepted.append((len(results), new))
                results.append(item)
        if accepted:
            works = [new for _, new in accepted]
            answers = await repeated(lambda: self.ledger.enqueue(works), PATIENCE_SECONDS)
            for (index, new), answer in zip(accepted, answers, strict=True):
                results[index] = await self._result(results[index], new, answer)
        return results

    async def _result(
        self, result: WorkItem | RoostError, new: NewWork, answer: Enqueued
    ) -> WorkItem | RoostError:
        refused = refusal(new, answer)
        if refused is not None:
            return refused
        if answer.outcome is not EnqueueOutcome.EXISTING:
            return result
        stored = await self.ledger.read(answer.work_id)
        if stored is None:
            return not_found(answer.work_id, self.ledger.queue)
        try:
            return views.item(stored)
        except CorruptRecord as error:
            return error


async def workers(ledger: Ledger) -> list[WorkerInfo]:
    """Return the live workers of a queue; one whose record does not decode is left out."""
    found = []
    for raw, seen_ms in await ledger.workers():
        with contextlib.suppress(CorruptRecord):
            found.append(views.worker(raw, seen_ms))
    return found
