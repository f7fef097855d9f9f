"""Sending work, and reporting what may be stored when an answer is missing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import attrs
import click

from roost_core.cli import output
from roost_core.cli.work.batch import BatchLine
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
    refused = 0
    for start in range(0, len(lines), CHUNK):
        chunk = [
            attrs.evolve(line, request=_named(line.request))
            for line in lines[start : start + CHUNK]
        ]
        try:
            results = await roost.enqueue_many([line.request for line in chunk], any_engine=True)
        except BackendError as error:
            await _stopped(roost, chunk, error)  # or all of it is stored after all
        except asyncio.CancelledError:
            output.note(_unsure(chunk, "interrupted"))
            raise
        else:
            left = lines[start + CHUNK : start + CHUNK + 1]
            refused += _tell(chunk, results, next((line.number for line in left), None))
        _progress(start + len(chunk), len(lines))
    return refused == 0


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
    chunk: Sequence[BatchLine], results: Sequence[WorkItem | RoostError], following: int | None
) -> int:
    """Print what became of the lines; return how many were refused.

    :param following: the number of the line after them, if there is one.
    """
    ids, refused = [], 0
    for line, result in zip(chunk, results, strict=True):
        if isinstance(result, RoostError):
            output.note(f"line {line.number}: {result}")
            refused += 1
        else:
            ids.append(result.work_id)
    if ids:
        output.stored(ids, then=f"stopped before line {following}" if following else "")
    return refused


def _progress(sent: int, total: int) -> None:
    # Ids printed to the same terminal are progress enough.
    if total > CHUNK and sys.stderr.isatty() and not output.on_terminal():
        click.echo(f"\r{sent}/{total}", nl=sent == total, err=True)
