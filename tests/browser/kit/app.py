"""The application that serves the page, and a live stream that a test holds in its hand.

``python -m tests.browser.kit.app`` serves it on a free port, to look at while styles change.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from flask import Flask, Response, abort, redirect, render_template, request, url_for
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined

from roost_core.models import ErrorRecord, State
from roost_core.models.control import Verb
from roost_plugins.console.kit.installing import install
from roost_plugins.console.kit.tree import tree
from roost_plugins.console.serving.headers import with_usual

CONSOLE: Final = Path(install.__code__.co_filename).parent.parent
TRACEBACK: Final = """Traceback (most recent call last):
  File "/usr/lib/python3/site-packages/roost_core/stepping/attempt.py", line 90, in attempt
    found = await call(step)
            ^^^^^^^^^^^^^^^^
  File "/usr/lib/python3/site-packages/roost_core/plugins/calls.py", line 31, in call
    return await function()
           ^^^^^^^^^^^^^^^^
  File "/home/ada/agents/scout.py", line 42, in step
    page = await fetch(url, timeout=30)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3/site-packages/httpx/_client.py", line 1014, in send
    raise mapped from None
httpx.HTTPStatusError: 429 Too Many Requests for https://ada:hunter2@api.example.com/v1"""
HOSTILE: Final = (
    '<script>alert(1)</script> "quoted" \u202egnp.exe\u202c a\x1b[31mb\u200bc\ud800 مرحبا'
)


class Stage:
    """What a test changes while the page is open.

    :ivar rows: how many rows the list has.
    :ivar requests: the paths that were asked for.
    :ivar is_signed_in: whether the stream knows the reader.
    """

    def __init__(self) -> None:
        self.rows = 12
        self.note = "first"
        self.mood = "calm"
        self.requests: list[str] = []
        self.resumed: list[str | None] = []
        self.is_signed_in = True
        self.page_status = 200
        self.streams: list[queue.SimpleQueue[str | None]] = []

    def tell(self, event: str, event_id: str | None = None, **data: object) -> None:
        """Send a message to every open stream."""
        known = "" if event_id is None else f"id: {event_id}\n"
        for stream in list(self.streams):
            stream.put(f"{known}event: {event}\ndata: {json.dumps(data)}\n\n")

    def happened(self, work: str | None = "w-1", event_id: str = "1-0") -> None:
        """Say that something has happened to a work item."""
        at = datetime.now(UTC).isoformat()
        self.tell("happened", event_id, work=work, engine="crawl", kind="committed", at=at)

    def pulse(self) -> str:
        """Return the message that a stream begins with."""
        at = datetime.now(UTC).isoformat()
        return f"event: pulse\ndata: {json.dumps({'at': at, 'age': 0.4})}\n\n"

    def end_streams(self) -> None:
        """Cut every stream."""
        for stream in list(self.streams):
            stream.put(None)

    def messages(self) -> Iterator[str]:
        """Yield the messages of one stream."""
        own: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.streams.append(own)
        try:
            yield self.pulse()
            while True:
                try:
                    message = own.get(timeout=0.5)
                except queue.Empty:
                    message = self.pulse()
                if message is None:
                    return
                yield message
        finally:
            self.streams.remove(own)


def value() -> dict[str, object]:
    """Return a snapshot's data: some of everything, deep and wide."""
    deep: object = "the end"
    for level in range(12):
        deep = {"level": level, "inside": deep}
    return {
        "goal": "Find three sources for the claim",
        "page": 14,
        "share": 0.4667,
        "is_done": False,
        "next": None,
        "plan": [{"do": f"read page {n}", "done": n < 3} for n in range(4)],
        "messages": [{"role": "user", "text": f"message {n}"} for n in range(250)],
        "nothing": [],
        "deep": deep,
        HOSTILE: HOSTILE,
        "long": "lorem ipsum " * 400,
    }


def rows(stage: Stage, now: datetime) -> list[SimpleNamespace]:
    """Return the rows of the list."""
    states = list(State)
    return [
        SimpleNamespace(
            work_id=f"scout-{n:03d}"
            if n % 5
            else f"2026-11-26-nightly-crawl-of-example-com-{n:04d}",
            state=states[n % len(states)],
            wish=Verb.PAUSE if states[n % len(states)] is State.RUNNING else None,
            engine="crawl" if n % 3 else "approve-refund",
            step=("read", "summarise", "ask", "write")[n % 4],
            title=HOSTILE if n == 3 else f"Sources for claim {n}" if n % 2 else None,
            version=3 * n + 1,
            attempts=n % 4,
            at=now - timedelta(seconds=7 * (n + 1) ** 3),
            cost=0.13 * n,
        )
        for n in range(stage.rows)
    ]


def view(stage: Stage) -> dict[str, object]:
    """Return what the page's template is given."""
    now = datetime.now(UTC)
    return {
        "page": "work",
        "now": now,
        "stage": stage,
        "mood": stage.mood,
        "rows": rows(stage, now),
        "states": list(State),
        "verbs": list(Verb),
        "wishes": (Verb.PAUSE, Verb.CANCEL, Verb.BURY),
        "soon": now + timedelta(seconds=11),
        "later": now + timedelta(hours=3),
        "past": now - timedelta(hours=9.2),
        "record": ErrorRecord(
            "exception", "429 for https://ada:hunter2@example.com/", "HTTPError", TRACEBACK
        ),
        "hostile": HOSTILE,
        "tree": tree(value()),
        "parts": [
            (1280, "good", "done"),
            (214, "calm", "queued"),
            (40, "busy", "running"),
            (9, "bad", "failed"),
        ],
    }


def make_app(stage: Stage) -> Flask:
    """Make the application; it sends the headers that the console sends."""
    app = Flask(
        "tests.browser.kit", static_folder=str(CONSOLE / "static"), static_url_path="/static"
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.undefined = StrictUndefined
    folders = [CONSOLE / "templates", Path(__file__).parent]
    app.jinja_loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])

    def asset(name: str) -> str:
        return url_for("static", filename=name)

    install(app, lambda: datetime.now(UTC), asset)

    @app.context_processor
    def usual() -> dict[str, object]:
        return {
            "here": SimpleNamespace(read_only=request.args.get("read_only") == "1"),
            "asset": asset,
        }

    @app.before_request
    def count() -> None:
        stage.requests.append(request.path)

    @app.after_request
    def headers(answer: Response) -> Response:
        for name, text in with_usual(list(answer.headers.items())):
            answer.headers[name] = text
        return answer

    add_views(app, stage)
    return app


def add_views(app: Flask, stage: Stage) -> None:
    """Add the page, its stream, and what the page's parts ask for."""

    @app.get("/", endpoint="overview.show")
    @app.get("/work", endpoint="work.show")
    def kit() -> str:
        if stage.page_status != 200:
            abort(stage.page_status)
        return render_template("page.html", **view(stage))

    for name in ("events", "failed", "artifacts", "workers", "plugins", "doctor"):
        app.add_url_rule(
            f"/{name}",
            f"{name}.show",
            lambda name=name: render_template("plain.html", page=name, now=datetime.now(UTC)),
        )

    @app.get("/branch")
    def branch() -> str:
        node = tree(value(), request.args["at"], int(request.args["start"]))
        return render_template("branch.html", node=node)

    @app.post("/verb")
    def verb() -> Response:
        stage.note = request.form.get("reason", "") or "sent"
        return redirect("/work", 303)

    @app.get("/live")
    def live() -> Response:
        if not stage.is_signed_in:
            return Response("event: signed-out\ndata: {}\n\n", mimetype="text/event-stream")
        stage.resumed.append(request.headers.get("Last-Event-ID"))
        return Response(stage.messages(), mimetype="text/event-stream")


if __name__ == "__main__":
    from waitress import serve

    serve(make_app(Stage()), listen="127.0.0.1:8799", threads=64)
