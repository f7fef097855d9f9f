"""``/live``: one stream of server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from flask import Blueprint, Response

from roost_core.models import Event
from roost_plugins.console.here import Here, here
from roost_plugins.console.live.batches import Batch

blueprint: Final = Blueprint("live", __name__)

#: A stream writes at least this often; otherwise nobody notices that a client has gone. Seconds.
PULSE_SECONDS: Final = 5.0
#: The shortest pause between two batches. Seconds.
_PAUSE_SECONDS: Final = 0.25


@blueprint.get("/live")
def live() -> Response:
    """Tell a page what happens."""
    answer = Response(messages(here()), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"  # a proxy would keep it back
    return answer


def messages(console: Here) -> Iterator[str]:
    """Yield messages until the client leaves or the console ends."""
    with console.live.listening() as inbox:
        yield pulse(console)
        told = time.monotonic()
        while not inbox.is_closed:
            left = told + PULSE_SECONDS - time.monotonic()
            batch = inbox.take(max(0.0, left))
            text = "".join(_texts(batch))
            if time.monotonic() - told >= PULSE_SECONDS:
                told = time.monotonic()
                text += pulse(console)
            if text:
                yield text
                time.sleep(_PAUSE_SECONDS)


def message(event: str, data: dict[str, Any], event_id: str | None = None) -> str:
    """Return one message as it is sent."""
    known = "" if event_id is None else f"id: {event_id}\n"
    return f"{known}event: {event}\ndata: {json.dumps(data)}\n\n"


def pulse(console: Here) -> str:
    """Return the message that tells how old what is known is."""
    now = console.live.now().isoformat(timespec="milliseconds")
    return message("pulse", {"at": now, "age": round(console.live.age, 1)})


def _texts(batch: Batch) -> Iterator[str]:
    if batch.is_gone is not None:
        yield message("gone" if batch.is_gone else "back", {})
    for event in batch.events:
        yield message("happened", _plain(event), event.event_id)
    if batch.last is not None and not batch.events:
        many: dict[str, Any] = {"work": None, "engine": None, "kind": "many", "count": batch.count}
        yield message("happened", many, batch.last.event_id)


def _plain(event: Event) -> dict[str, Any]:
    return {
        "work": event.work_id,
        "engine": event.engine,
        "kind": str(event.kind),
        "at": event.at.isoformat(timespec="milliseconds"),
    }
