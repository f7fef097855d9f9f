"""A history on several sides at once: the model alone, or the model alongside a real server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roost_core.backend import Ledger, ListQuery, StoredWork
from roost_core.errors import LeaseLost, VersionConflict
from roost_core.models import State
from roost_core.models.events import OF_ENGINE
from roost_core.query import By, parse
from roost_core.settings import Settings
from roost_core.testing import ManualClock, MemoryLedger
from tests import redis_pokes
from tests.property.views import WORK_IDS, Refused, answer_view, event_view, facts_view, look

ENGINES = ["a", "ab", "b"]
#: What is found and counted at the end: what the index tells alone, and what it only narrows.
QUERIES = [
    *("", "state:failed", "-state:failed,done", "engine:a", "engine:a*", "id:w1", "id:w*"),
    *("label:team", "label:team=a,b", "error:*", "state:failed error:*", "error:429"),
    *("engine:b error:*", "label:team=b state:queued", "-label:team"),
]
#: Work may name one more engine, which no worker ever runs.
NAMED_ENGINES = [*ENGINES, "nobody"]
WORKERS = ["worker-1", "worker-2"]
#: The states that are listed at the end, and those of them with an order that has no ties.
LISTED = (State.QUEUED, State.BLOCKED, State.SLEEPING, State.RETRY_WAIT, State.FAILED)
ORDERED = (State.QUEUED, State.BLOCKED)


class Sides(RuleBasedStateMachine):
    """Asks all sides the same, and checks that they agree. Subclasses add the rules."""

    #: The ids of all work items that there may ever be.
    work_ids: Sequence[str] = WORK_IDS

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.model = MemoryLedger(self.clock)
        self.sides: list[Ledger] = [self.model]
        self.renewers = [self.model.renewer()]

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the machine's loop."""
        return self.runner.run(coroutine)

    def ask(self, request: Callable[[int, Ledger], Coroutine[Any, Any, Any]]) -> list[Any]:
        """Ask every side the same; an expected error is an answer, too."""
        self.clock.advance(1)
        answers = []
        for index, side in enumerate(self.sides):
            try:
                answers.append(self.run(request(index, side)))
            except (LeaseLost, VersionConflict) as error:
                answers.append(Refused(error))
        return answers

    def agreed(self, request: Callable[[int, Ledger], Coroutine[Any, Any, Any]]) -> Any:
        """Ask every side, check that the answers agree, and return the model's."""
        answers = self.ask(request)
        for answer in answers[1:]:
            assert answer_view(answers[0]) == answer_view(answer)
        return answers[0]

    def standing(self, work_id: str) -> list[StoredWork | None]:
        """Return one work item as each side has it, including times."""
        return [self.run(side.read(work_id)) for side in self.sides]

    def age(self, work_id: str, states: frozenset[State], method: str) -> None:
        """Let a time of a work item be now, on every side."""
        stored = self.standing(work_id)[0]
        if stored is not None and stored.state in states:
            self.clock.advance(1)
            getattr(self.model, method)(work_id)

    # -- what holds after every rule --------------------------------------------------------------

    @invariant()
    def the_model_is_sound(self) -> None:
        """Q1, L1, R1, R2, D1, X1, X2, C1, C6, E1: by the model's own check of itself."""
        self.model.check()

    @invariant()
    def all_sides_stand_alike(self) -> None:
        """C5: what one side reads, all read; and all count the same."""
        if len(self.sides) > 1:
            looks = [self.run(look(side, self.work_ids)) for side in self.sides]
            for looked in zip(*looks, strict=True):
                assert all(looked[0] == other for other in looked[1:]), looked

    @rule()
    def the_facts_agree(self) -> None:
        """Compare what decides when each work item runs: it is the same on all sides."""
        self.clock.advance(1)
        for work_id in self.work_ids:
            views = [facts_view(self.run(side.facts(work_id))) for side in self.sides]
            assert all(views[0] == other for other in views[1:]), views

    def the_histories_agree(self) -> None:
        """E1: at the end, the events of each work item and engine are the same on all sides."""
        for work_id in (*self.work_ids, OF_ENGINE):
            histories = [
                [event_view(event) for event in self.run(side.events(work_id=work_id, limit=9999))]
                for side in self.sides
            ]
            assert all(histories[0] == other for other in histories[1:]), histories
        for state in LISTED:
            for engine in NAMED_ENGINES:
                query = ListQuery(state=state, engine=engine)
                pages = [
                    [stored.work_id for stored in self.run(side.list(query))] for side in self.sides
                ]
                if state not in ORDERED:
                    pages = [sorted(page) for page in pages]
                assert all(pages[0] == other for other in pages[1:]), (state, pages)

    def the_same_is_found(self) -> None:
        """At the end, queries find and count the same on all sides, and none lacks anything."""
        for text in QUERIES:
            query = parse(text)
            found = [self.run(side.find(query, limit=100)) for side in self.sides]
            ids = [sorted(one.work_id for one in page.works) for page in found]
            assert all(ids[0] == other for other in ids[1:]), (text, ids)
            assert all(page.is_indexed for page in found), text
            for by in (None, *map(By.parse, ("state", "engine", "error", "label:team"))):
                counts = [self.run(side.count(query, by)) for side in self.sides]
                views = [
                    (one.total, {group.name: group.count for group in one.groups}, one.is_indexed)
                    for one in counts
                ]
                assert all(views[0] == other for other in views[1:]), (text, by, views)
                assert (len(ids[0]), True) == (views[0][0], views[0][2])

    def teardown(self) -> None:
        """Compare the histories and what is found, and close everything."""
        try:
            self.the_histories_agree()
            self.the_same_is_found()
        finally:
            self.close()
            self.runner.close()

    def close(self) -> None:
        """Close every connection."""
        for renewer in self.renewers:
            renewer.close()


class BesideServer(Sides):
    """The same alongside a real server, in a namespace of its own; it may forget its scripts."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        # Late: the model's machine runs without a driver.
        from roost_plugins.redis_saq.server import RedisServer

        own = Settings(extra={"redis_url": self.url}, namespace=f"t-{uuid.uuid4().hex}")
        self.server = RedisServer(own)
        self.run(self.server.open())
        self.real = self.server.ledger(own.queue)
        self.sides.append(self.real)
        self.renewers.append(self.real.renewer())

    @rule()
    def flush_scripts(self) -> None:
        """Let the server forget its scripts."""
        self.run(self.real.client.script_flush())

    def age(self, work_id: str, states: frozenset[State], method: str) -> None:
        """Age it on the server as well, and let its clock advance: no two are aged at one time."""
        stored = self.standing(work_id)[0]
        super().age(work_id, states, method)
        if stored is not None and stored.state in states:
            self.run(getattr(redis_pokes, method)(self.real, work_id))
            self.run(self.tick())

    async def tick(self) -> None:
        """Wait for the server's next millisecond."""
        before = await self.real.now_ms()
        while await self.real.now_ms() == before:
            pass

    def close(self) -> None:
        """Remove the keys, too."""
        self.run(redis_pokes.wipe(self.real))
        super().close()
        self.run(self.server.close())
