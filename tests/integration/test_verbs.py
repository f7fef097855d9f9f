"""Verbs on work that a worker process runs: how they reach its steps, and what is left of them."""

from __future__ import annotations

import json
import signal

import pytest

from tests.integration.cli_bench import DEAF, LIMIT, ending, until

#: An engine whose steps do with a cancellation what the payload says; it also notes what observers
#: hear of.
ENGINE = """
import asyncio
from pathlib import Path
from roost_core import hookimpl

engine_id = "act"

def note(item, text):
    with Path(item.payload["mark"]).open("a") as file:
        file.write(text + "\\n")

@hookimpl
async def step(snapshot, item, context):
    how = item.payload["how"]
    note(item, "began")
    ends = asyncio.get_running_loop().time() + item.payload["seconds"]
    while (left := ends - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            note(item, f"told {context.cancelled}")
            if how == "ends":
                raise
            if how == "finishes":
                return snapshot.finish(data={"late": True})
    return snapshot.evolve(data={"n": snapshot.version})

@hookimpl
def on_cancelled(lease, item, snapshot):
    note(item, f"on_cancelled {snapshot.version}")

@hookimpl
def on_dead_letter(letter):
    note(letter.item, f"on_dead_letter {letter.error.kind}")

@hookimpl
def on_lease_lost(lease, item, snapshot):
    note(item, "on_lease_lost")
"""
#: Leases that are renewed every few minutes only: what comes sooner was pushed.
PUSHED = ("--lease-ttl", "600")


class Acting:
    """A shell with the engine, and one work item of it."""

    def __init__(self, shell, how, seconds=600.0):
        self.shell = shell
        self.mark = shell.folder / "mark"
        (shell.folder / "act.py").write_text(ENGINE)
        payload = {"how": how, "seconds": seconds, "mark": str(self.mark)}
        self.work_id = shell.enqueue("act", payload)

    def worker(self, *options):
        """Start a worker."""
        return ending(self.shell.start("worker", "--plugin", "./act.py", *options))

    def noted(self):
        """Return what was noted so far."""
        return self.mark.read_text().splitlines() if self.mark.exists() else []

    def until_noted(self, text):
        """Wait until something is noted."""
        until(lambda: text in self.noted(), text)

    def meta(self):
        """Return how the work stands."""
        return self.shell.meta(self.work_id)

    def until_state(self, state):
        """Wait until the work stands so; return how."""
        until(lambda: self.meta()["state"] == state, state)
        return self.meta()


def stopped(worker):
    """Let a worker end, and return what it logged."""
    worker.send_signal(signal.SIGTERM)
    return worker.communicate(timeout=LIMIT)[1]


@pytest.mark.parametrize(
    ("verb", "state", "told"),
    [
        ("cancel", "cancelled", "on_cancelled 1"),
        ("bury", "failed", "on_dead_letter buried"),
    ],
)
@pytest.mark.parametrize("how", ["ends", "finishes"])
def test_a_verb_reaches_a_running_step(shell, verb, state, told, how):
    """Before any renewal; whatever the step makes of it, nothing of it is kept or blamed."""
    acting = Acting(shell, how)
    with acting.worker(*PUSHED) as worker:
        acting.until_noted("began")
        said = shell.ok(verb, acting.work_id, "--reason", "no use", "--as", "alice")
        assert said.endswith("ing: its step is told to stop\n")
        meta = acting.until_state(state)
        acting.until_noted(told)
        log = stopped(worker)
    assert (1, 0, 0, None) == (
        meta["version"],
        meta["attempts"],
        meta["recoveries"],
        meta["wish"],
    )
    assert (verb, "alice", "no use") == (
        meta["act"]["verb"],
        meta["act"]["actor"]["who"],
        meta["act"]["actor"]["reason"],
    )
    assert None is not meta["act"]["confirmed_at"]
    assert ["began", "told True", told] == acting.noted()
    word = "cancelled" if verb == "cancel" else "buried"
    assert f"{word} by a person; the step after version 1 is dropped" in log
    assert "attempt" not in log


def test_a_verb_reaches_each_queue_of_a_worker(shell):
    """What is pushed in one of several queues concerns the leases of that one."""
    acting = Acting(shell, "ends")
    other = ("--queue", "other")
    payload = {"how": "ends", "seconds": 600, "mark": str(shell.folder / "second")}
    work_id = shell.enqueue("act", payload, *other)
    with acting.worker("--queue", "default", *other, *PUSHED):
        acting.until_noted("began")
        until((shell.folder / "second").exists, "the step of the other queue")
        shell.ok("cancel", work_id, *other)

        def is_cancelled():
            return json.loads(shell.ok("status", work_id, *other))["meta"]["state"] == "cancelled"

        until(is_cancelled, "the end of the work of the other queue")
        assert "running" == acting.meta()["state"]
        shell.ok("cancel", acting.work_id)
        acting.until_state("cancelled")


def test_a_plain_def_is_left_behind(shell):
    """It does not look, and nobody waits for it: its work is cancelled, its thread stays."""
    (shell.folder / "deaf.py").write_text(DEAF)
    mark = shell.folder / "mark"
    work_id = shell.enqueue("deaf", {"mark": str(mark)})
    with ending(shell.start("worker", "--plugin", "./deaf.py", *PUSHED)) as worker:
        until(mark.exists, "the step")
        shell.ok("cancel", work_id)
        until(lambda: shell.meta(work_id)["state"] == "cancelled", "the end of the work")
        assert None is worker.poll()


def test_a_pause_waits_for_the_step(shell):
    """Requested is not confirmed; the step is accepted; resumed, the work continues."""
    acting = Acting(shell, "ends", seconds=3.0)
    with acting.worker(*PUSHED):
        acting.until_noted("began")
        assert shell.ok("pause", acting.work_id).endswith("pausing, after this step\n")
        meta = acting.meta()
        assert ("running", "pause", None) == (
            meta["state"],
            meta["wish"],
            meta["act"]["confirmed_at"],
        )
        assert shell.ok("pause", acting.work_id).endswith("already pausing, after this step\n")
        meta = acting.until_state("paused")
        assert (2, None) == (meta["version"], meta["wish"])
        assert None is not meta["act"]["confirmed_at"]
        assert ["began"] == acting.noted()
        assert shell.ok("resume", acting.work_id).endswith("resumed: it is queued\n")
        until(lambda: acting.noted() == ["began", "began"], "the next step")


def test_a_worker_that_dies_while_its_step_is_told(shell):
    """Once its lease has expired, whoever claims next finds the work cancelled."""
    acting = Acting(shell, "deaf")
    with acting.worker("--lease-ttl", "2") as worker:
        acting.until_noted("began")
        shell.ok("cancel", acting.work_id)
        acting.until_noted("told True")
        meta = acting.meta()
        assert ("running", "cancel") == (meta["state"], meta["wish"])
        worker.kill()
        worker.wait(LIMIT)
    with acting.worker("--lease-ttl", "2"):
        meta = acting.until_state("cancelled")
    assert (1, 0) == (meta["version"], meta["attempts"])
    assert ["began", "told True"] == acting.noted()


def test_a_stop_together_with_a_cancel(shell):
    """A worker that drains, and then is told to hurry, gives back what is cancelled then."""
    acting = Acting(shell, "ends")
    with acting.worker(*PUSHED) as worker:
        acting.until_noted("began")
        worker.send_signal(signal.SIGINT)
        until(lambda: "stopping" in worker.stderr.readline(), "the first word")
        shell.ok("cancel", acting.work_id)
        worker.send_signal(signal.SIGINT)
        worker.communicate(timeout=LIMIT)
    assert 0 == worker.returncode
    meta = acting.meta()
    assert ("cancelled", 0, 0) == (meta["state"], meta["attempts"], meta["recoveries"])
    assert "on_lease_lost" not in acting.noted()


def test_a_step_that_does_not_let_go(shell):
    """One lease's time after it was told, the work is cancelled without it."""
    acting = Acting(shell, "deaf")
    with acting.worker("--lease-ttl", "6"):
        acting.until_noted("began")
        shell.ok("cancel", acting.work_id)
        meta = acting.until_state("cancelled")
    assert 0 == meta["attempts"]


def test_a_held_engine(shell):
    """The running step is the last of its lease; nothing more is taken until it is released."""
    acting = Acting(shell, "ends", seconds=3.0)
    with acting.worker(*PUSHED):
        acting.until_noted("began")
        assert "act: held: no worker takes its work" in shell.ok("pause", "--engine", "act")
        meta = acting.until_state("queued")
        assert 2 == meta["version"]
        assert ["began"] == acting.noted()
        assert "act: released" in shell.ok("resume", "--engine", "act")
        until(lambda: acting.noted() == ["began", "began"], "the next step")


def test_events_say_who(shell):
    """For each verb: who, with what, why, and from which state."""
    acting = Acting(shell, "ends")
    for line in ("pause", "resume", "cancel", "retry", "bury"):
        shell.ok(line, acting.work_id, "--as", "alice", "--reason", f"to {line}")
    lines = shell.ok("events", "--work", acting.work_id, "--json").splitlines()
    events = [json.loads(line) for line in lines]
    found = [(one["kind"], one["data"]["from"], one["data"]["reason"]) for one in events[1:]]
    assert [
        ("paused", "queued", "to pause"),
        ("resumed", "paused", "to resume"),
        ("cancelled", "queued", "to cancel"),
        ("retried", "cancelled", "to retry"),
        ("dead_lettered", "queued", "to bury"),
    ] == found
    assert {"alice"} == {one["data"]["who"] for one in events[1:]}
