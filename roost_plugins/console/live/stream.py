"""``/live``: one stream of server-sent events.

A message has the id of the last event that it covers, and the browser hands it back when it
connects again. A page that connects for the first time says when it was read, ``?since=`` with
milliseconds of the server's clock: what has happened after that comes first. Their kinds::

    happened  {"work", "engine", "kind", "at"}    the newest event of a work item; of too many at
              once one message, with "work" null and "count"
    pulse     {"at", "age"}    now and then: the server's clock, and seconds since it was last heard
    trimmed   {}    events were lost: read again what is shown
    gone      {}    the server does not answer
    back      {}    it does again
    signed-out  {}    the gate's answer to those who are not signed in

Where there are too many streams, the answer is 503 with ``Retry-After``; after that a browser does
not connect again by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from flask import Blueprint, Response, request

from roost_core.models import Event
from roost_plugins.console.here import here
from roost_plugins.console.live.batches import Batch, Inbox
from roost_plugins.console.live.hub import Hub

blueprint: Final = Blueprint("live", __name__)

#: A stream writes at least this often, also so that a client that has gone is noticed. Seconds.
PULSE_SECONDS: Final = 5.0
#: The shortest pause between two batches. Seconds.
PAUSE_SECONDS: Final = 0.25
#: How often it looks whether the client has closed the connection. Seconds.
_LOOK_SECONDS: Final = 1.0
#: How soon a browser connects again. Milliseconds.
_RETRY_MS: Final = 2_000


@blueprint.get("/live")
def live() -> Response:
    """Tell a page what happens."""
    return opened(request.args.get("after"), _since(request.args.get("since", "")))


def opened(after: str | None, since_ms: int | None = None) -> Response:
    """Return a stream of what happens.

    :param after: the event that was heard last, unless a header says it.
    :param since_ms: for those who have heard none: from when on they want to know.
    :raises NoStream: there are too many.
    """
    hub = here().live
    inbox = hub.enter(request.headers.get("Last-Event-ID") or after, since_ms)
    has_left: Callable[[], bool] = request.environ.get("waitress.client_disconnected", bool)
    answer = Response(messages(hub, inbox, has_left), mimetype="text/event-stream")
    # Not in the generator: it may never start.
    answer.call_on_close(lambda: hub.leave(inbox))
    answer.headers["X-Accel-Buffering"] = "no"  # a proxy would keep messages back
    return answer


def _since(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def messages(hub: Hub, inbox: Inbox, has_left: Callable[[], bool]) -> Iterator[str]:
    """Yield messages until the client leaves or the console ends."""
    yield f"retry: {_RETRY_MS}\n\n"
    pulse_at = time.monotonic() + PULSE_SECONDS
    while not inbox.is_closed and not has_left():
        left = pulse_at - time.monotonic()
        batch = inbox.take(max(0.0, min(left, _LOOK_SECONDS)))
        text = "".join(told(batch))
        if batch.has_begun or batch.is_gone is not None or time.monotonic() >= pulse_at:
            pulse_at = time.monotonic() + PULSE_SECONDS
            text += pulse(hub, batch.position)
        if text:
            yield text
            time.sleep(PAUSE_SECONDS)


def told(batch: Batch) -> Iterator[str]:
    """Yield the messages that tell of a batch."""
    if batch.is_gone is not None:
        yield message("gone" if batch.is_gone else "back", {})
    if batch.is_trimmed:
        yield message("trimmed", {}, batch.position)
    for event in batch.events:
        yield message("happened", _plain(event), event.event_id)
    if batch.count and not batch.events:
        many = {"work": None, "engine": None, "kind": "many", "count": batch.count}
        yield message("happened", many, batch.position)


def pulse(hub: Hub, position: str | None) -> str:
    """Return the message that tells how old what is known is."""
    now = hub.now().isoformat(timespec="milliseconds")
    return message("pulse", {"at": now, "age": round(hub.age, 1)}, position)


def message(event: str, data: dict[str, Any], event_id: str | None = None) -> str:
    """Return one message as it is sent."""
    known = "" if event_id is None else f"id: {event_id}\n"
    return f"{known}event: {event}\ndata: {json.dumps(data)}\n\n"


def _plain(event: Event) -> dict[str, Any]:
    return {
        "work": None if event.is_of_engine else event.work_id,
        "engine": event.engine,
        "kind": event.kind,
        "at": event.at.isoformat(timespec="milliseconds"),
    }
