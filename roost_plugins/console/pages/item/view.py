"""What the page of one work item shows, from what was read of it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs
from markupsafe import Markup

from roost_core.client.inspecting import Inspection
from roost_core.errors import RoostError
from roost_core.models import ErrorRecord, Event, Json, State, WorkMeta
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import clean, redacted
from roost_core.shown.sentences import sentence
from roost_core.shown.spans import past
from roost_plugins.console.drawing.svg import svg
from roost_plugins.console.drawing.timeline import Timeline, timeline
from roost_plugins.console.pages.verbs import Choice, choices

#: This many events are listed, and this many errors.
_EVENTS: Final = 30
_ERRORS: Final = 10
#: The longest text of an event, and of its data. Characters.
_TEXT: Final = 400
_DATA: Final = 4_000


@attrs.frozen
class Happened:
    """One event.

    :ivar text: what it says.
    :ivar data: the rest of it, if there is more than the text says.
    """

    event: Event
    text: str
    data: str = ""


@attrs.frozen
class Failure:
    """One error, or the same one several times in a row; then the newest of them.

    :ivar version: that the work was at, as the event and the command line say: no other was made.
    :ivar attempt: which one of how many, if that is known.
    :ivar count: how often it came.
    """

    at: datetime | None
    version: int
    error: ErrorRecord
    attempt: str = ""
    count: int = 1


@attrs.frozen
class ItemView:
    """What the page shows.

    :ivar timeout_at: when the running step is given up.
    :ivar errors: the newest first.
    :ivar events: the newest first; ``more`` is how many were known besides.
    """

    one: Inspection
    choices: Sequence[Choice]
    picture: Timeline
    timeout_at: datetime | None
    errors: Sequence[Failure]
    events: Sequence[Happened]
    more: int

    @property
    def meta(self) -> WorkMeta:
        """How it stands."""
        return self.one.meta

    def svg(self, url_of: Callable[[int], str] | None = None) -> Markup:
        """Return the picture, drawn.

        :param url_of: returns where the mark of a version leads to.
        """
        return svg(self.picture, url_of)

    @property
    def mood(self) -> str:
        """The icon of the tab."""
        moods = {State.FAILED: "alert", State.RUNNING: "busy", State.DONE: "done"}
        return "alert" if self.one.problem else moods.get(self.meta.state, "calm")

    @property
    def title(self) -> str:
        """Its title, if it has one."""
        return "" if self.one.item is None else self.one.item.title or ""

    @property
    def sentence(self) -> Sequence[str | datetime]:
        """Why it does or does not run, in parts: words, and the time that they tell of, if any.

        A page of work that has ended is not read again, so its words must not grow old.
        """
        meta, text = self.meta, self.one.why.sentence
        act = () if meta.act is None else (meta.act.confirmed_at, meta.act.at)
        for at in filter(None, (meta.finished_at, meta.updated_at, *act)):
            before, told, after = text.rpartition(past(at, self.one.now))
            if told:
                return [before, at, after]
        return [text]

    @property
    def first(self) -> Choice | None:
        """What a reader most likely wants to do now."""
        wanted = {State.FAILED: "retry", State.CANCELLED: "retry", State.PAUSED: "resume"}
        asked = {"pause": "resume"}.get(self.meta.wish or "")
        verb = asked or wanted.get(self.meta.state, "pause")
        found = [one for one in self.choices if one.verb == verb and one.fits]
        return found[0] if found else None


def view_of(one: Inspection) -> ItemView:
    """Return what the page shows."""
    story = one.story
    shown = story[-_EVENTS:]
    return ItemView(
        one=one,
        choices=choices(one.meta, problem=one.problem, is_newer=one.is_newer),
        picture=timeline(story, one.now),
        timeout_at=_timeout(one),
        errors=_grouped(_errors(one))[:_ERRORS],
        events=[happened(event) for event in reversed(shown)],
        more=len(story) - len(shown),
    )


def happened(event: Event) -> Happened:
    """Return how an event is shown."""
    text = clean(sentence(event))
    text = text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
    if event.kind not in ("emitted", "attempt_failed", "dead_lettered", "unreadable"):
        return Happened(event, text)
    data = json.dumps(redacted(to_plain(event.data)), ensure_ascii=False, indent=2)
    return Happened(event, text, data if len(data) <= _DATA else f"{data[:_DATA]}…")


def _grouped(failures: Iterable[Failure]) -> list[Failure]:
    found: list[Failure] = []
    for one in failures:
        last = found[-1] if found else None
        if last is not None and _same(last.error, one.error):
            found[-1] = attrs.evolve(last, count=last.count + 1)
        else:
            found.append(one)
    return found


def _same(one: ErrorRecord, other: ErrorRecord) -> bool:
    # What is kept of earlier ones may be cut.
    messages = [error.message.removesuffix(" …")[:100] for error in (one, other)]
    begins = messages[0].startswith(messages[1]) or messages[1].startswith(messages[0])
    return (one.kind, one.error_type) == (other.kind, other.error_type) and begins


def _errors(one: Inspection) -> Iterator[Failure]:
    told = [event for event in one.story if "error" in event.data]
    if one.meta.error is not None:
        newest = told.pop() if told else None
        yield Failure(
            None if newest is None else newest.at,
            one.meta.version if newest is None else newest.version,
            one.meta.error,
            "" if newest is None else _attempt(newest),
        )
    for event in reversed(told):
        error = _error_of(event.data["error"])
        if error is not None:
            yield Failure(event.at, event.version, error, _attempt(event))


def _error_of(value: Json) -> ErrorRecord | None:
    if not isinstance(value, dict):
        return None
    fields = {name: value.get(name) for name in ("kind", "message", "error_type", "traceback")}
    texts = {name: text for name, text in fields.items() if isinstance(text, str)}
    try:
        return ErrorRecord(
            kind=texts.get("kind", "exception"),
            message=texts.get("message", ""),
            error_type=texts.get("error_type"),
            traceback=texts.get("traceback"),
        )
    except RoostError:
        return None


def _attempt(event: Event) -> str:
    number, most = event.data.get("attempt"), event.data.get("max_attempts")
    return f"attempt {number} of {most}" if number and most else ""


def _timeout(one: Inspection) -> datetime | None:
    if one.meta.state is not State.RUNNING or one.item is None or one.meta.lease is None:
        return None
    accepted = [event.at for event in one.story if event.kind in ("committed", "claimed")]
    began = [at for at in (one.meta.leased_at, *accepted[-1:]) if at is not None]
    try:
        return max(began) + timedelta(seconds=one.item.step_timeout_seconds) if began else None
    except OverflowError:
        return None
