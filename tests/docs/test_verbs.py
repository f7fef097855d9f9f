"""The page about verbs: its table is what happens, and its commands print what it says."""

from __future__ import annotations

import asyncio
import re
import subprocess

import pytest

from roost_core.backend import ClaimRequest, Order, OrderAnswer
from roost_core.backend.fitting import expected
from roost_core.client.requests import EnqueueRequest
from roost_core.models import Actor, State, Verb
from roost_core.testing import ManualClock, MemoryLedger
from tests.docs.pages import blocks, page, rows, sections
from tests.docs.shell import LIMIT, environment, wait_for_the_server

TABLE = rows(sections(page("verbs"))["Which verb fits which state"])
#: What a running step was asked for.
WISHES = {"cancelling": Verb.CANCEL, "pausing": Verb.PAUSE, "burying": Verb.BURY}
#: What brings work into a state.
BROUGHT_BY = {State.PAUSED: Verb.PAUSE, State.CANCELLED: Verb.CANCEL, State.FAILED: Verb.BURY}
CASES = [(row[0], verb, row[1 + place]) for row in TABLE[1:] for place, verb in enumerate(Verb)]


class Queue:
    """A queue in memory with one work item, which is brought into any state."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(ManualClock())
        self.orders = 0
        _, new = EnqueueRequest(engine="demo", work_id="w-1").build()
        asyncio.run(self.ledger.enqueue([new]))

    def use(self, verb: Verb) -> OrderAnswer:
        """Use a verb on it."""
        self.orders += 1
        order = Order(f"r{self.orders}", verb, Actor("somebody", "test"))
        return asyncio.run(self.ledger.order("w-1", order))

    def bring(self, state: State) -> None:
        """Bring it into a state."""
        if state is State.RUNNING:
            request = ClaimRequest("worker-1", ("demo",), 1, 15_000)
            assert asyncio.run(self.ledger.claim(request)).claims
        elif state in BROUGHT_BY:
            self.use(BROUGHT_BY[state])
        else:
            due_ms = 10**14 if state in (State.SLEEPING, State.RETRY_WAIT) else None
            self.ledger.run(
                lambda known, now: known._place(known.works["w-1"], now, state, due_ms=due_ms)
            )


def test_the_table_is_complete() -> None:
    """Each state has a row, and each verb a column."""
    assert [str(verb) for verb in Verb] == TABLE[0][1:]
    assert {f"`{state}`" for state in State} <= {row[0] for row in TABLE[1:]}
    assert len(State) + len(WISHES) == len(TABLE) - 1


@pytest.mark.parametrize(("standing", "verb", "outcome"), CASES)
def test_the_table_is_what_happens(standing: str, verb: Verb, outcome: str) -> None:
    """Each cell is what a verb comes to in the model that backends are compared with."""
    state, _, wish = standing.replace("`", "").partition(", ")
    queue = Queue()
    queue.bring(State(state))
    if wish:
        queue.use(WISHES[wish])
    events = len(asyncio.run(queue.ledger.events()))
    assert outcome == queue.use(verb).outcome
    assert outcome == expected(verb, State(state), WISHES.get(wish))
    has_event = len(asyncio.run(queue.ledger.events())) > events
    assert has_event == (outcome in ("done", "requested"))


def test_the_commands_print_what_it_says(folder) -> None:
    """All of them in one shell, as they stand."""
    (example,) = [
        one.text
        for one in blocks(page("verbs"))
        if one.language == "" and one.text.startswith("$ ")
    ]
    lines = example.splitlines()
    commands = [re.sub(r"^\$ ", "", line) for line in lines if line.startswith("$ ")]
    try:
        done = subprocess.run(
            ["sh", "-ec", "\n".join(commands)],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=2 * LIMIT,
        )
    finally:
        wait_for_the_server(folder)
    assert (0, "") == (done.returncode, done.stderr)
    assert [line for line in lines if not line.startswith("$ ")] == done.stdout.splitlines()


def test_the_session_of_a_query_runs(folder) -> None:
    """Each command prints what the page says."""
    (text,) = [one.text for one in blocks(page("verbs")) if one.language == "console"]
    try:
        for block in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, *expected = block.splitlines()
            done = subprocess.run(
                ["sh", "-ec", command],
                cwd=folder,
                env=environment(folder),
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
            assert (command, 0, "") == (command, done.returncode, done.stderr)
            printed = [line.split() for line in done.stdout.splitlines()]
            assert (command, [line.split() for line in expected]) == (command, printed)
    finally:
        wait_for_the_server(folder)
