"""What ``roost watch`` draws."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import attrs
from rich.console import Console

from roost_core.backend.facts import Facts
from roost_core.backend.reports import StoredWork
from roost_core.cli.look import live
from roost_core.cli.look.live import LiveView, QueueView
from roost_core.cli.work.watching import Reason
from roost_core.models import ErrorRecord, Event, Heartbeat, State, WorkerInfo
from roost_core.shown.why import Why
from tests.unit.cli.test_look_listing import ID, row

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def console(height=40):
    """Return a terminal of 80 columns that remembers."""
    return Console(file=io.StringIO(), width=80, height=height, force_terminal=False)


def lines(view, to):
    """Return what a view draws."""
    to.print(view.picture())
    return [line.rstrip() for line in to.file.getvalue().splitlines()]


def event(number, kind="committed", **data):
    """Return an event."""
    data = data or {"step": f"s{number}"}
    return Event(f"{number}-0", NOW, kind, ID, "echo", number, State.RUNNING, data)


def worker(*engines):
    """Return a live worker."""
    return WorkerInfo("w1", "host", 1, engines, 10, 15.0, "1.0", NOW)


def stand(view, found=None, /, **stored):
    """Let a view show how work stands."""
    found = row() if found is None else found
    stored = {"state": found.meta.state, "version": found.meta.version, **stored}
    view.standing(found, StoredWork(ID, "echo", **stored))


class Known:
    """A reason that is always the same."""

    def __init__(self, why):
        self.why = why

    def fits(self, stored):
        """Tell by the state alone."""
        return stored.state is self.why.state


def test_standing_and_events():
    """The picture has state, title, error, progress and events, all cleaned."""
    to = console()
    view = LiveView(to)
    error = ErrorRecord("permanent", "bad \x1b[31mthing")
    beat = Heartbeat(0.5, "half", datetime.now(UTC) - timedelta(hours=2))
    found = row(title="A [b] title", state=State.FAILED, error=error, heartbeat=beat)
    stand(view, found)
    view.event(event(1))
    drawn = lines(view, to)

    assert f"{ID}  failed  A [b] title" == drawn[0]
    assert "error      permanent: bad thing" in drawn
    assert "progress   ██████████░░░░░░░░░░ 50%  half (2 h ago)" in drawn
    assert '03:04:05  v1    "s1" accepted' in drawn
    assert f"retry: roost retry {ID}" in drawn
    assert "\x1b" not in "".join(drawn)


def test_the_header_stays_on_a_low_terminal():
    """The oldest events make room, also when each needs two lines."""
    for text in ("short", "word " * 20):
        to = console(height=12)
        view = LiveView(to)
        stand(view, row(state=State.RUNNING))
        for number in range(30):
            view.event(event(number, "emitted", text=text))
        drawn = lines(view, to)
        assert f"{ID}  running" == drawn[0]
        assert len(drawn) <= 12
        assert any("v29" in line for line in drawn)


WHY = Why(
    work_id=ID,
    state=State.QUEUED,
    sentence="No live worker offers engine echo.",
    commands=("roost worker --engines echo",),
    odd=("a [b] thing",),
)


def test_it_says_why_it_does_not_run(monkeypatch):
    """As `roost why` does, with what would change that; only while it stands so."""
    monkeypatch.setattr(live, "_told", lambda reason, *_: reason.why)
    for why, state, is_told in (
        (None, State.QUEUED, False),
        (WHY, State.QUEUED, True),
        (WHY, State.RUNNING, False),
        (attrs.evolve(WHY, state=State.DONE), State.DONE, False),
    ):
        to = console()
        view = LiveView(to)
        stand(view, row(state=State.QUEUED))
        if why is not None:
            view.why(Known(why))
        stand(view, row(state=state))
        drawn = lines(view, to)
        assert is_told == ([WHY.sentence, "odd: a [b] thing"] == drawn[1:3])
        assert is_told == ("try: roost worker --engines echo" in drawn)


def test_it_tells_of_the_step_that_the_lines_tell_of():
    """Though it was asked for earlier: version, label and time are those of the last reading."""
    to = console()
    began = NOW + timedelta(seconds=60)
    view = LiveView(to, lambda: began + timedelta(seconds=5))
    lease = {"worker_id": "w1", "fence": 1, "leased_ms": int(NOW.timestamp() * 1000)}
    work = StoredWork(ID, "echo", State.RUNNING, version=2, step="assistant", **lease)
    view.why(Reason(Facts(work), (), None))
    found = row(state=State.RUNNING, version=3, step="user")
    committed = int(began.timestamp() * 1000)
    stand(view, found, step="user", committed_ms=committed, **lease)
    drawn = lines(view, to)
    assert 'It runs on w1: version 3, after "user"; the step has run for 5 s.' == drawn[1]
    assert any('v3 "user"' in line for line in drawn[2:])
    # Of another lease it says nothing until it is asked for again.
    stand(view, found, step="user", **{**lease, "fence": 2})
    to.file.truncate(0)
    assert not any("It runs on" in line for line in lines(view, to))


def test_due_times_count_down():
    """They are drawn anew, by this machine's clock."""
    to = console()
    view = LiveView(to)
    due = datetime.now(UTC) + timedelta(seconds=7200)
    stand(view, row(state=State.SLEEPING, due_at=due))
    assert any(one.startswith("due        in 2 h, ") for one in lines(view, to))


def test_a_queue():
    """Who works here, how much work there is, and what happens, with the ids."""
    to = console()
    view = QueueView(to, "mail")
    assert ["queue mail"] == lines(view, to)
    for workers, who in (((), "no live worker"), ((worker(),), "1 live worker")):
        to = console()
        view = QueueView(to, "mail")
        view.workers(workers)
        view.counts({State.DONE: 41, State.RUNNING: 3, State.QUEUED: 12, State.FAILED: 0})
        view.event(event(7))
        assert [
            f"queue mail  {who}",
            "3 running · 12 queued · 41 done",
            "",
            "2026-01-02 (UTC)",
            f'03:04:05  {ID}  v7    "s7" accepted',
        ] == lines(view, to)


def test_events_may_come_while_it_is_drawn(monkeypatch):
    """It is drawn in a thread of rich's own."""
    to = console()
    view = LiveView(to)
    stand(view, row())
    view.event(event(1))
    drawn = live.line

    def slowly(*args, **fields):
        view.event(event(2))
        return drawn(*args, **fields)

    monkeypatch.setattr(live, "line", slowly)
    assert any("v1" in line for line in lines(view, to))


def test_what_a_step_said_stays_for_the_next():
    """Until that says something: otherwise lines come and go all the time."""
    to = console()
    view = LiveView(to)
    beat = Heartbeat(0.5, "half", datetime.now(UTC))
    for state, said in ((State.RUNNING, beat), (State.RUNNING, None)):
        stand(view, row(state=state, heartbeat=said))
    assert any("50%  half (now, in an earlier step)" in line for line in lines(view, to))
    stand(view, row(state=State.SLEEPING))
    to.file.truncate(0)
    assert not any("half" in line for line in lines(view, to))


def test_an_engine_that_is_held_has_no_work_item():
    """Its line in the queue's view has neither an id nor a version."""
    to = console()
    view = QueueView(to, "default")
    who = {"who": "al", "tool": "roost pause"}
    view.event(Event("1-0", NOW, "engine_held", "-", "echo", 0, State.PAUSED, who))
    drawn = lines(view, to)[-1].split("  ")
    said = "engine echo held by al (roost pause)"
    assert ["03:04:05", said] == [cell.strip() for cell in drawn if cell.strip()]


def test_dates_stand_where_they_change():
    """What happened days apart is told apart, and no more is drawn than there is room for."""
    to = console()
    view = QueueView(to, "mail")
    for number in range(300):
        at = NOW + timedelta(hours=12 * number)
        view.event(attrs.evolve(event(number), at=at))
    found = lines(view, to)
    assert len(found) <= to.height
    dates = [line for line in found if line.endswith("(UTC)")]
    assert found[2] == dates[0]
    assert [*dict.fromkeys(dates)] == dates
    assert 2 < len(dates)
