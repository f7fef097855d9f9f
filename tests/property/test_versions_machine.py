"""Random histories of work whose state grows: what is kept of its versions is the same everywhere.

Steps are encoded as workers encode them: whole, as a base, or as a change alone. Every version that
can still be read is, byte for byte, what was committed, on each side.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from roost_core.backend import Ack, Alone, Commit, Finish, GoOn, Next, Sleep, StoredWork, Yield
from roost_core.codec import pieced, pieces
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.records import encode_item
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot
from roost_core.models import Snapshot, WorkItem
from roost_core.stepping import recent
from roost_core.stepping.recent import StoredItem
from roost_core.testing.contract.kit import HOUR_MS, new_work, unique
from tests.property.sides import WORKERS, BesideServer
from tests.property.test_backend_machine import LedgerMachine
from tests.property.views import WORK_IDS, Held
from tests.servers import Server

PAD = "x" * 400
STEPS = ["append", "append", "append", "drop", "change", "replace", "shrink", "tuple"]


def stepped(data: dict[str, Any], how: str, number: int) -> dict[str, Any]:
    """Return the data after a step."""
    rows = [*data.get("rows", [])]
    if how == "shrink":
        return {"n": number}
    if how == "replace":
        return {"pad": str(number) * 400, "rows": [number]}
    if how == "drop":
        del rows[:1]
    elif how == "change" and rows:
        rows[len(rows) // 2] = {"n": number, "text": "changed"}
    elif how == "tuple":
        rows.append((number, "ü"))
    else:
        rows.append({"n": number, "text": f"{number:>30}"})
    return {"pad": data.get("pad", PAD), "rows": rows}


class VersionsMachine(LedgerMachine):
    """Steps that grow, among all other transitions."""

    def __init__(self) -> None:
        super().__init__()
        #: Per work item: when its life began, and the bytes of each version.
        self.lives: dict[str, int] = {}
        self.texts: dict[str, dict[int, bytes]] = {}
        self.number = 0
        #: What the worker that stepped last has kept.
        self.kept: dict[str, PiecedSnapshot] = {}

    def encoded(
        self, stored: StoredWork, how: str, *, has_kept: bool
    ) -> EncodedSnapshot | PiecedSnapshot:
        """Encode the next step of a work item as a worker does."""
        raw = stored.snapshot
        kept = self.kept.get(stored.work_id)
        before: Stored | PiecedSnapshot | None = None if raw is None else Stored(raw)
        if has_kept and kept is not None and kept.raw == raw:
            before = kept
        data = dict(decode_snapshot(raw).data) if raw else {}
        self.number += 1
        snapshot = Snapshot(
            stored.work_id,
            stored.engine,
            version=stored.version + 1,
            step="grow",
            data=stepped(data, how, self.number),
        )
        item = StoredItem(encode_item(WorkItem(work_id=stored.work_id, engine=stored.engine)), 0)
        return item.encode(snapshot, before)

    # What says nothing about versions makes room for what does.
    enqueue = enqueue_again = renew = retire = flush_scripts = the_facts_agree = None

    @rule(
        data=st.data(),
        hows=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6),
        then=st.sampled_from([GoOn(), GoOn(HOUR_MS), Yield(), Sleep(HOUR_MS), Finish()]),
        off=st.sampled_from([0, 0, 0, 0, 0, -1, 1]),
        flags=st.tuples(st.booleans(), st.sampled_from([True, True, True, False])),
    )
    def grow(
        self,
        data: st.DataObject,
        hows: list[str],
        then: Next,
        off: int,
        flags: tuple[bool, bool],
    ) -> None:
        """Commit some steps under a lease, mostly a current one, on top of the newest version."""
        has_kept, is_current = flags
        if is_current and not self.current():
            work_id = data.draw(st.sampled_from(WORK_IDS), label="work item")
            self.send(new_work(work_id, engine="a"))
            self.claim(["a"], 1, data.draw(st.sampled_from(WORKERS), label="worker"), Alone.NEVER)
        current = self.current() if is_current else []
        if not self.held:
            return
        held = data.draw(st.sampled_from(current)) if current else self.any_held(data)
        for number, how in enumerate(hows):
            (stored, *_) = self.standing(held.work_id)
            if stored is None:
                return
            encoded = self.encoded(stored, how, has_kept=has_kept or number > 0)
            is_last = number == len(hows) - 1
            commit = Commit(
                commit_id=unique("commit"),
                expected_version=max(0, stored.version + (off if is_last else 0)),
                snapshot=encoded.raw if encoded.is_whole else b"",
                step="grow",
                next=then if is_last else GoOn(),
                change=encoded.change,
                is_base=encoded.is_base,
            )
            answer = self.answer_to_holder(
                held, lambda index, side, one=commit: side.commit(held.claims[index].lease, one)
            )
            if not isinstance(answer, Ack):
                return
            after = self.standing(held.work_id)[0]
            if after is not None and after.version == stored.version + 1:
                self.accepted[held.work_id].append(after.version)
                assert encoded.raw == after.snapshot
                self.note(held.work_id)
                if isinstance(encoded, PiecedSnapshot):
                    self.kept[held.work_id] = encoded

    def current(self) -> list[Held]:
        """Return the leases that are current."""
        tokens = self.model.run(lambda state, _now: {one.token for one in state.works.values()})
        return [one for one in self.held if one.claims[0].lease.token in tokens]

    @invariant()
    def versions_are_noted(self) -> None:
        """Note what was committed, whichever rule did it."""
        for work_id in WORK_IDS:
            self.note(work_id)

    def note(self, work_id: str) -> None:
        """Note the newest version of a work item as the model has it, by the life of its id."""
        stored = self.run(self.model.read(work_id))
        life = -1 if stored is None else stored.created_ms
        if self.lives.get(work_id) != life:
            self.lives[work_id], self.texts[work_id] = life, {}
        if stored is not None and stored.snapshot is not None:
            texts = self.texts[work_id]
            assert stored.snapshot == texts.setdefault(stored.version, stored.snapshot)

    @rule()
    def the_versions_agree(self) -> None:
        """Whatever can be read is what was committed; the newest can be read everywhere."""
        for work_id in WORK_IDS:
            for side in self.sides:
                history = self.run(side.history(work_id))
                if history is None:
                    assert -1 == self.lives[work_id]
                    continue
                texts, newest = self.texts[work_id], history.work.version
                assert history.versions[:1] == ((newest,) if newest else ())
                for version in history.versions:
                    assert texts[version] == history.snapshot(version)
                assert {one.version for one in history.commits} <= texts.keys()

    def teardown(self) -> None:
        """Compare the versions at the end, too."""
        try:
            self.the_versions_agree()
        finally:
            super().teardown()


class RealVersionsMachine(BesideServer, VersionsMachine):
    """The same alongside a real server."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take for large what has some hundred bytes."""
    for module in (pieced, recent):
        monkeypatch.setattr(module, "LARGE", 500)
    monkeypatch.setattr(pieces, "_SPLIT", 100)
    monkeypatch.setattr(pieces, "_SMALL", 8)


def test_the_model_keeps_its_versions() -> None:
    """Any history leaves them as they were committed."""
    run_state_machine_as_test(VersionsMachine, settings=settings(stateful_step_count=40))


@pytest.mark.parametrize("name", ["redis_server", "valkey_server"])
def test_versions_on_model_and_server(name: str, request: pytest.FixtureRequest) -> None:
    """Any history gives the same answers, and versions, on both sides."""
    server: Server = request.getfixturevalue(name)
    run_state_machine_as_test(
        type("Machine", (RealVersionsMachine,), {"url": server.url}),
        settings=settings(
            max_examples=settings.default.max_examples // 4,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
