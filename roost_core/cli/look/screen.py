"""``roost status`` on a terminal: one screen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.happening import Happening
from roost_core.cli.look.standing import Fact, grid, heading, standing_facts, times
from roost_core.cli.look.styles import plain
from roost_core.models.events import Event
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.models.standing import Fork, WorkMeta, WorkStatus
from roost_core.models.work import State
from roost_core.shown.mending import next_command
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import harmless, redacted
from roost_core.shown.sizes import size
from roost_core.shown.spans import ago, span
from roost_core.shown.why import Why
from roost_core.values import Json

#: More artifacts than these are counted.
_MOST_ARTIFACTS: Final = 5
#: More forks than these are counted.
_MOST_FORKS: Final = 3
#: An artifact's id is shown by its beginning; JSON and `roost artifacts` have all of it.
_ID_SHOWN: Final = 12
_NAME_WIDTH: Final = 11


def show(
    console: Console,
    status: WorkStatus,
    events: Sequence[Event],
    *,
    now: datetime | None = None,
    why: Why | None = None,
    is_revealed: bool = False,
) -> None:
    """Print everything that people want to know first.

    :param events: its newest, oldest first.
    :param now: by this machine's clock, if not given.
    :param why: why it does not run, and what would change that.
    :param is_revealed: whether fields named like secrets are shown.
    """
    now = datetime.now(UTC) if now is None else now
    console.print(heading(status.meta, status.item.title))
    # What has ended is told by its heading, its error and who did it.
    above = "" if why is None or why.state.is_terminal else why.sentence
    if why is not None and above:
        for text in reasons(why):
            console.print(text)
    room = console.width - _NAME_WIDTH
    console.print(grid([*_facts(status, now, room, above, is_revealed=is_revealed)]))
    if events:
        console.print()
        show_event = Happening(console, of_one=True)
        for event in events:
            show_event(event)
    console.print()
    has_artifacts = status.snapshot is not None and bool(status.snapshot.artifacts)
    more = hints(status.meta, has_artifacts=has_artifacts, has_problem=status.problem is not None)
    known = " ".join(more)
    tries = [f"try: {one}" for one in (why.commands if why else ()) if one not in known]
    for hint in (*tries, *more):
        console.print(Text(hint, "dim"), soft_wrap=True)


def reasons(why: Why) -> Iterator[Text]:
    """Yield why it does not run, and what looks odd."""
    yield plain(why.sentence)
    for one in why.odd:
        yield plain(f"odd: {one}", colours.WARNING)


def hints(meta: WorkMeta, *, has_artifacts: bool = False, has_problem: bool = False) -> list[str]:
    """Return the commands that people may want next."""
    found = []
    by_people = next_command(meta)
    if by_people is not None:
        found.append(": ".join(by_people))
    elif meta.state is not State.DONE:
        found.append(f"follow: roost watch {meta.work_id}")
    if meta.error is not None and meta.error.traceback is not None:
        found.append(f"the whole error: roost status {meta.work_id} --traceback")
    if has_artifacts:
        found.append(f"artifacts: roost artifacts {meta.work_id}")
    if has_problem:
        found.append(f"which versions can be read: roost history {meta.work_id}")
    elif meta.state is State.FAILED and meta.version > 1:
        found.append(f"what led there: roost history {meta.work_id}")
    found.append(f"all of it: roost status {meta.work_id} --json")
    return found


def _facts(
    status: WorkStatus, now: datetime, room: int, above: str, *, is_revealed: bool
) -> Iterator[Fact]:
    yield from standing_facts(status.meta, now, above)
    if status.stuck is not None:
        hangs = f"its worker hangs at {status.stuck.where}, for {_lasts(status.stuck.since, now)}"
        yield "hangs", plain(hangs, colours.VERY_BAD)
    origin = status.item.forked_from
    if origin is not None:
        yield "fork of", plain(f"{origin.work_id} v{origin.version}")
    yield from _forks(status.forks, now)
    yield "payload", _cut(status.item.payload, room, is_revealed=is_revealed)
    if status.snapshot is not None:
        yield from snapshot_facts(status.snapshot, room, is_revealed=is_revealed)
    elif status.problem is not None:
        yield "data", plain(f"cannot be read: {status.problem}", colours.BAD)
    if status.item.resources:
        yield "resources", plain(", ".join(status.item.resources))
    yield "times", plain(times(status.meta, now))


def snapshot_facts(snapshot: Snapshot, room: int, *, is_revealed: bool) -> Iterator[Fact]:
    """Yield a snapshot's data, cut to this many cells, and its artifacts."""
    yield "data", _cut(dict(snapshot.data), room, is_revealed=is_revealed)
    yield from _artifacts(snapshot.artifacts)


def _lasts(since: datetime, now: datetime) -> str:
    return span(max(0.0, (now - since).total_seconds()))


def _forks(forks: Sequence[Fork], now: datetime) -> Iterator[Fact]:
    for at, one in enumerate(forks[:_MOST_FORKS]):
        told = f"{one.work_id} from v{one.version}, {ago(one.at, now)}"
        yield "" if at else "forks", plain(told, colours.BY_HAND)
    if len(forks) > _MOST_FORKS:
        yield "", Text(f"and {len(forks) - _MOST_FORKS} older ones")


def _artifacts(artifacts: Sequence[Artifact]) -> Iterator[Fact]:
    for at, one in enumerate(artifacts[-_MOST_ARTIFACTS:]):
        name = one.name or f"{one.artifact_id[:_ID_SHOWN]}…"
        yield "" if at else "artifacts", plain(f"{name}.{one.ext}, {size(one.size_bytes)}")
    if len(artifacts) > _MOST_ARTIFACTS:
        yield "", Text(f"and {len(artifacts) - _MOST_ARTIFACTS} older ones")


def _cut(value: Json, room: int, *, is_revealed: bool) -> Text:
    """Return JSON in one line, as much as there is room for."""
    found = to_plain(value)
    if is_revealed:
        text = Text(harmless(json.dumps(found, ensure_ascii=False)))
    else:
        text = plain(json.dumps(redacted(found), ensure_ascii=False))
    text.truncate(room, overflow="ellipsis")
    return text
