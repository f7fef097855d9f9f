"""How one work item stands, as a heading and named facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.styles import plain, state_text
from roost_core.models.control import Verb
from roost_core.models.standing import WorkMeta
from roost_core.models.work import State
from roost_core.models.worker import Heartbeat
from roost_core.shown.redaction import clean
from roost_core.shown.spans import ago, ahead, span
from roost_core.shown.tracebacks import brief
from roost_core.shown.verbs import told

Fact = tuple[str, Text]

#: Names of facts are padded to this width, so that they stay aligned while facts come and go.
_NAME_WIDTH: Final = 9
_BAR_WIDTH: Final = 20


def heading(meta: WorkMeta, title: str | None) -> Text:
    """Return the line that names the work item and its state."""
    line = Text.assemble((clean(meta.work_id), "bold"), "  ", state_text(meta.state, meta.wish))
    if title:
        line.append(f"  {clean(title)}")
    return line


def grid(facts: Sequence[Fact]) -> RenderableType:
    """Draw facts below each other; a long one continues below its beginning."""
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="dim", no_wrap=True, min_width=_NAME_WIDTH)
    drawn.add_column(overflow="fold")
    for name, text in facts:
        drawn.add_row(name, text)
    return drawn


def standing_facts(
    meta: WorkMeta, now: datetime, told_before: str = "", *, is_earlier_beat: bool = False
) -> Iterator[Fact]:
    """Yield what is known of a work item that is not in its heading.

    :param told_before: what stands above: who did what is not said again.
    :param is_earlier_beat: whether the heartbeat is of a step before the one that runs.
    """
    # Its error has the words of the person who buried it, too.
    is_buried = meta.act is not None and meta.act.verb is Verb.BURY
    if meta.error is not None and not (is_buried and meta.error.kind == "buried"):
        yield "error", plain(brief(meta.error), colours.BAD)
    if meta.act is not None and told(meta.act) not in told_before:
        yield "by hand", plain(f"{told(meta.act)}, {ago(meta.act.at, now)}", colours.BY_HAND)
    yield "engine", plain(meta.engine + (f", priority {meta.priority}" if meta.priority else ""))
    if meta.heartbeat is not None:
        yield "progress", _progress(meta.heartbeat, now, is_earlier=is_earlier_beat)
    yield "step", _step(meta)
    if trouble := _trouble(meta):
        yield "attempts", plain(trouble, colours.WARNING)
    if meta.lease is not None:
        ends = ahead(meta.lease.expires_at, now)
        when = "has run out" if ends == "now" else f"ends {ends} unless renewed"
        yield "lease", plain(f"{meta.lease.worker_id}, {when}")
    if meta.due_at is not None and not meta.state.is_terminal:
        yield "due", plain(_due(meta, now))
    if meta.deadline_at is not None and not meta.state.is_terminal:
        yield "deadline", plain(f"{ahead(meta.deadline_at, now)}, {_time(meta.deadline_at)}")
    if meta.blocked_on is not None:
        yield "waits for", plain(f"the resource {meta.blocked_on}", colours.WARNING)
    if meta.reason is not None:
        yield "because", plain(meta.reason)


def _progress(beat: Heartbeat, now: datetime, *, is_earlier: bool) -> Text:
    text = Text()
    if beat.progress is not None:
        share = min(1.0, max(0.0, beat.progress))
        full = round(share * _BAR_WIDTH)
        text.append("█" * full, colours.BUSY).append("░" * (_BAR_WIDTH - full), "dim")
        text.append(f" {share:.0%}")
    if beat.message:
        text.append(f"{'  ' if text else ''}{clean(beat.message)}")
    when = [] if beat.at is None else [ago(beat.at, now)]
    if is_earlier:
        when.append("in an earlier step")
    if when:
        text.append(f" ({', '.join(when)})", "dim")
    return text


def _step(meta: WorkMeta) -> Text:
    if meta.version == 0:
        return Text("none accepted yet")
    many = f", {meta.steps_in_row} in a row" if meta.steps_in_row > 1 else ""
    return plain(f'v{meta.version} "{meta.step or "?"}"{many}')


def _trouble(meta: WorkMeta) -> str:
    found = []
    if meta.attempts:
        found.append(f"{meta.attempts} of {meta.max_attempts} failed")
    if meta.recoveries:
        found.append(f"{meta.recoveries} of {meta.max_recoveries} workers that ran only it died")
    if meta.suspicions:
        found.append(f"suspected: {meta.suspicions} workers that ran it died or are silent")
    return "; ".join(found)


def _due(meta: WorkMeta, now: datetime) -> str:
    assert meta.due_at is not None
    if meta.state is State.PAUSED:
        return f"after `roost resume`; it was {_time(meta.due_at)}"
    return f"{ahead(meta.due_at, now)}, {_time(meta.due_at)}"


def times(meta: WorkMeta, now: datetime) -> str:
    """Return when it was created, when it last changed, and how long it took."""
    text = f"created {ago(meta.created_at, now)}"
    if meta.finished_at is not None:
        lasted = span((meta.finished_at - meta.created_at).total_seconds())
        return f"{text}, ended {ago(meta.finished_at, now)}, after {lasted}"
    return f"{text}, changed {ago(meta.updated_at, now)}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
