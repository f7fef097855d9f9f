"""What the lists read and say, over a queue in memory."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend import ClaimRequest, Failure
from roost_core.codec.records import encode_model
from roost_core.errors import InvalidInput
from roost_core.models import ErrorRecord, Event, State, Verb
from roost_core.query import parse
from roost_plugins.console.acting.target import MOST_IDS, Target, typed
from roost_plugins.console.pages import artifacts, events, failed, kinds, work
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with two dead letters of one error, one of another, and two others."""
    bench = Bench()

    async def fill(roost):
        for name, text in (("a", "429 for page 1"), ("b", "429 for page 2"), ("c", "no route")):
            await roost.enqueue("echo", work_id=name)
            claims = (await roost.ledger.claim(ClaimRequest("w", ("echo",), 1, 60_000))).claims
            raw = encode_model(ErrorRecord("permanent", text, "Broken", "a\nb"))
            await roost.ledger.fail(claims[0].lease, Failure(f"f-{name}", raw, True, 0))
        await roost.enqueue("echo", work_id="d", title="Later", delay_seconds=60)
        await roost.enqueue("echo", work_id="e", labels={"team": "ops"})

    run(bench, fill)
    return bench


def run(bench, what):
    """Run ``what(roost)`` with an open connection."""

    async def main():
        async with bench.roost() as roost:
            return await what(roost)

    return asyncio.run(main())


def listed(bench, *args, **fields):
    """Load the list."""
    return run(bench, lambda roost: work.load(roost, *args, **fields))


def test_tabs_and_numbers(bench):
    """Every state that there is, with the rest of the query; the current one even if empty."""
    view = listed(bench, "state:done label:team")
    tabs = [(one.state, one.query, one.number, one.is_current) for one in view.tabs]
    assert [
        (None, "label:team", 1, False),
        (State.QUEUED, "state:queued label:team", 1, False),
        (State.DONE, "state:done label:team", 0, True),
    ] == tabs
    assert (0, True) == (view.total, view.is_exact)
    assert "roost list state:done label:team" == view.command
    assert (5, True, "newest first") == tuple(
        getattr(listed(bench, ""), name) for name in ("total", "is_exact", "order")
    )


@pytest.mark.parametrize(
    ("query", "total"),
    [("-state:failed", 2), ("state:failed,queued", 4), ("state:sleeping", 1), ("title:later", 1)],
)
def test_totals(bench, query, total):
    """Whatever is said of states is counted exactly."""
    view = listed(bench, query)
    assert (total, True, total) == (view.total, view.is_exact, len(view.found))


def test_the_verbs_of_a_state(bench):
    """Those that do something to what is listed."""
    assert [Verb.RETRY, Verb.DROP] == listed(bench, "state:failed").verbs
    assert [Verb.CANCEL, Verb.PAUSE, Verb.BURY] == listed(bench, "state:queued").verbs
    assert list(Verb) == listed(bench, "").verbs
    (row,) = listed(bench, "state:sleeping").found
    assert [Verb.CANCEL, Verb.PAUSE, Verb.BURY] == work.fitting(row)


def test_cut_is_not_the_end(bench):
    """A list that was not looked through says so; one with a next page does not."""
    assert listed(bench, "title:straw", look=2).is_cut
    assert not listed(bench, "title:straw").is_cut
    first = listed(bench, "", rows=2)
    assert 2 == len(first.found)
    second = listed(bench, "", first.found.cursor, rows=2)
    ids = [row.meta.work_id for page in (first, second) for row in page.found]
    assert 4 == len(set(ids))
    with pytest.raises(InvalidInput, match="begin with its first page"):
        listed(bench, "", "nonsense")


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("state:failed stat:x refund", ("state:failed ", "stat:x", " refund")),
        ("engine:", ("engine:", "", "")),
        ('error:"no end', ("error:", '"no', " end")),
    ],
)
def test_an_error_points_at_a_word(query, parts):
    """The query is given in three parts."""
    with pytest.raises(InvalidInput) as caught:
        parse(query)
    assert parts == work.pointed(query, caught.value)
    assert work.pointed(query, InvalidInput("something else")) is None


@pytest.mark.parametrize(
    ("query", "is_verb", "words"),
    [
        ("state:failed", False, "state:failed"),
        ('error:"429 too" refund', False, "'error:\"429 too\"' refund"),
        ("title:a refund", True, "title:a refund"),
        ("refund", True, "--query refund"),
        ("refund order", True, "--query 'refund order'"),
        ("error:#0123456789ab", True, "'error:#0123456789ab'"),
    ],
)
def test_a_query_as_it_is_typed(query, is_verb, words):
    """Each term is an argument of its own; for a verb, words alone would be ids."""
    assert words == typed(parse(query), is_verb=is_verb)


def test_targets():
    """A query or ids, each id once; never nothing."""
    found = Target.of(Verb.RETRY, "", ["a", "b", "a"])
    assert (("a", "b"), "roost retry a b") == (found.ids, found.command)
    assert "roost drop state:failed" == Target.of(Verb.DROP, " state:failed ", []).command
    for text, ids in (("", []), (" ", []), ("state:done", ["a"]), ("", ["../x"]), ("stat:x", [])):
        with pytest.raises(InvalidInput):
            Target.of(Verb.RETRY, text, ids)
    with pytest.raises(InvalidInput, match="use a query"):
        Target.of(Verb.RETRY, "", [f"a{number}" for number in range(MOST_IDS + 1)])


def test_dead_letters_are_grouped(bench):
    """By what their errors have in common, with an example that has its traceback."""
    view = run(bench, failed.load)
    assert (3, 0, True) == (view.total, view.more, view.is_exact)
    groups = {one.count: one for one in view.groups}
    assert {1, 2} == set(groups)
    assert ("Broken", "a\nb") == (groups[2].error.error_type, groups[2].error.traceback)
    assert (("echo",), True) == (groups[2].engines, groups[2].example in ("a", "b"))
    found = listed(bench, groups[2].query).found
    assert {"a", "b"} == {row.meta.work_id for row in found}


def test_events_by_kind_engine_and_work(bench):
    """The newest first; what was looked at is told."""
    every = run(bench, lambda roost: events.load(roost, events.Wanted()))
    ids = [one.event.event_id for one in every.rows]
    assert ids == sorted(ids, key=lambda one: [int(part) for part in one.split("-")], reverse=True)
    assert every.is_all
    assert ["echo"] == every.engines
    dead = run(bench, lambda roost: events.load(roost, events.Wanted(kind="dead_lettered")))
    assert (3, len(every.rows)) == (len(dead.rows), dead.looked)
    assert {"bad"} == {one.tone for one in dead.rows}
    of_one = run(bench, lambda roost: events.load(roost, events.Wanted(work="e")))
    assert ["enqueued"] == [one.event.kind for one in of_one.rows]
    assert () == tuple(run(bench, lambda roost: events.load(roost, events.Wanted(work="x"))).rows)
    with pytest.raises(InvalidInput):
        run(bench, lambda roost: events.load(roost, events.Wanted(work="../x")))


def test_each_kind_has_a_look():
    """Each that the model names can be chosen, and one that it does not know is shown calmly."""
    named = {word for word in Event.__doc__.split("``") if word in kinds.KINDS}
    assert set(kinds.KINDS) == named
    event = Event("1-0", None, "invented", "a", "echo", 1, State.QUEUED)
    assert ("calm", "info") == kinds.look_of(event)


def test_artifacts_of_work_without_any(bench):
    """Those that have changed last are asked, and have none."""
    view = run(bench, lambda roost: artifacts.load(roost, ""))
    assert ([], 3) == (view.works, view.asked)
    assert 5 == run(bench, lambda roost: artifacts.load(roost, "older:0s")).asked
