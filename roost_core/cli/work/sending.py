"""Sending work, and reporting what may be stored when an answer is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from roost_core.cli import output
from roost_core.cli.progress import Progress, on_stderr
from roost_core.cli.work.batch import BatchLine
from roost_core.client.barring import bars
from roost_core.client.enqueueing import CHUNK
from roost_core.client.requests import EnqueueRequest, new_work_id
from roost_core.client.roost import Roost
from roost_core.errors import (
    BackendError,
    BackendUnavailable,
    InvalidInput,
    RoostError,
    WorkNotFound,
)
from roost_core.models.work import WorkItem
from roost_core.shown.spans import span

#: At most this many refused lines of a batch are named.
MOST_REFUSALS: Final = 10

_FIELDS: Final = tuple(field.name for field in attrs.fields(EnqueueRequest))


async def send(roost: Roost, request: EnqueueRequest, *, any_engine: bool) -> WorkItem:
    """Enqueue one work item.

    :raises BackendUnavailable: no answer; the text has the id under which it may be stored.
    """
    request = _named(request)
    if not any_engine:
        for error in (await roost.unknown_engines([request.engine])).values():
            raise error
    fields = {name: getattr(request, name) for name in _FIELDS}
    try:
        return await roost.enqueue(**fields, any_engine=True)
    except BackendUnavailable as error:
        if error.took_no_effect:
            raise
        raise BackendUnavailable(f"{error}; {_in_doubt(request)}") from error
    except asyncio.CancelledError:
        output.note(f"interrupted; {_in_doubt(request)}")
        raise


async def send_batch(roost: Roost, lines: Sequence[BatchLine], *, any_engine: bool) -> bool:
    """Enqueue all lines in order and print their ids; return whether none was refused.

    :raises BackendError: it could not continue. What is stored has been printed, what may be stored
        has been named, and the text says at which line to continue.
    """
    if not any_engine:
        unknown = await roost.unknown_engines({line.request.engine for line in lines})
        for line in lines:
            if line.request.engine in unknown:
                error = unknown[line.request.engine]
                raise type(error)(f"line {line.number}: {error}; nothing was enqueued")
    with Progress("enqueue", len(lines)) as progress:
        refusals = Refusals(progress.hide)
        for start in range(0, len(lines), CHUNK):
            chunk = [
                attrs.evolve(line, request=_named(line.request))
                for line in lines[start : start + CHUNK]
            ]
            left = lines[start + CHUNK : start + CHUNK + 1]
            following = next((line.number for line in left), None)
            await _send_chunk(roost, chunk, refusals, following)
            progress.advance(len(chunk))
    refusals.sum_up(len(lines), progress.seconds)
    return refusals.count == 0


class Refusals:
    """Prints the first few lines that are refused, and counts the others.

    :param before: called before anything is printed.
    """

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._before = before

    def add(self, line: BatchLine, error: RoostError) -> None:
        """Take a line that was refused."""
        self.count += 1
        if self.count <= MOST_REFUSALS:
            self._before()
            output.note(f"line {line.number}: {error}")

    def sum_up(self, total: int, seconds: float) -> None:
        """Print what became of all lines, if a person reads it or some were refused."""
        if self.count > MOST_REFUSALS:
            output.note(f"{self.count - MOST_REFUSALS} more lines were refused")
        if self.count or on_stderr():
            refused = f", {self.count} refused" if self.count else ""
            output.note(f"enqueued {total - self.count} of {total}{refused}, in {span(seconds)}")


async def _send_chunk(
    roost: Roost, chunk: Sequence[BatchLine], refusals: Refusals, following: int | None
) -> None:
    """Enqueue some lines and tell what has become of them.

    :param following: the number of the line after them, if there is one.
    :raises BackendError: as in :func:`send_batch`.
    """
    try:
        results = await roost.enqueue_many([line.request for line in chunk], any_engine=True)
    except BackendError as error:
        await _stopped(roost, chunk, error)  # or all of it is stored after all
    except asyncio.CancelledError:
        output.note(_unsure(chunk, "interrupted"))
        raise
    else:
        _tell(chunk, results, refusals, following)


async def hint_at_workers(roost: Roost, engines: Iterable[str]) -> None:
    """Tell a person which engines nobody runs now; programs are not told, nor asked for."""
    if not on_stderr():
        return
    try:
        found = await bars(roost, engines)
    except BackendError:
        return  # the work is stored, which is what counts
    for one in found:
        output.note(one.hint)


def _named(request: EnqueueRequest) -> EnqueueRequest:
    """Return the request with an id that is known before any answer comes."""
    return request if request.work_id is not None else attrs.evolve(request, work_id=new_work_id())


def _in_doubt(request: EnqueueRequest) -> str:
    if request.idempotency_key is not None:
        return (
            f"it may be stored, as {request.work_id} if the key is new: the same again with "
            "its idempotency key stores it once"
        )
    return f"it may be stored: check with roost status {request.work_id}"


async def _stopped(roost: Roost, chunk: Sequence[BatchLine], error: BackendError) -> None:
    """Report the outcome of lines when at least one got no good answer.

    :raises BackendError: unless all of them are stored.
    """
    found = await asyncio.gather(*(_is_stored(roost, line) for line in chunk))
    ids = [line.request.work_id for line, there in zip(chunk, found, strict=True) if there]
    missing = [index for index, there in enumerate(found) if not there]
    stop = f"{error}; stopped at line {chunk[missing[0]].number}" if missing else ""
    if ids:
        output.stored(list(map(str, ids)), then=stop)
    if not missing:
        return
    first = missing[0]
    for line, there in list(zip(chunk, found, strict=True))[first + 1 :]:
        if there:
            output.note(f"line {line.number} is stored, though one before it is not")
    unsure = [line for line, there in zip(chunk, found, strict=True) if there is None]
    if unsure and not getattr(error, "took_no_effect", False):
        output.note(_unsure(unsure, "no answer"))
    raise type(error)(stop) from error


async def _is_stored(roost: Roost, line: BatchLine) -> bool | None:
    """Return whether a line's id is stored; None if there is no answer."""
    try:
        await roost.work(str(line.request.work_id)).row()
    except (InvalidInput, WorkNotFound):
        return False
    except RoostError:
        return None
    return True


def _unsure(lines: Sequence[BatchLine], why: str) -> str:
    named = " ".join(str(line.request.work_id) for line in lines)
    return (
        f"{why}: lines {lines[0].number} to {lines[-1].number} may be stored, "
        f"roost status ID tells: {named}"
    )


def _tell(
    chunk: Sequence[BatchLine],
    results: Sequence[WorkItem | RoostError],
    refusals: Refusals,
    following: int | None,
) -> None:
    """Print what became of the lines.

    :param following: the number of the line after them, if there is one.
    """
    ids = []
    for line, result in zip(chunk, results, strict=True):
        if isinstance(result, RoostError):
            refusals.add(line, result)
        else:
            ids.append(result.work_id)
    if ids:
        output.stored(ids, then=f"stopped before line {following}" if following else "")
