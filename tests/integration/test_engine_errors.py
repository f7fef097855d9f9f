"""What a person sees when an engine fails: errors on record, readable, harmless to others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from roost_plugins.redis_saq.settings import RedisSettings
from tests.integration.redis_bench import PATIENCE, settings_for

ENGINES = '''
"""Engines that do wrong, each in its own way."""

import asyncio
import os
import sys
import time

from roost_core import PermanentError, RetryLater, Snapshot, hookimpl


class Engine:
    """An engine that is a function."""

    def __init__(self, engine_id, step):
        self.engine_id = engine_id
        self._step = step

    @hookimpl
    async def step(self, snapshot, item, context):
        """Do it."""
        result = self._step(snapshot, item, context)
        return await result if asyncio.iscoroutine(result) else result


class PlainEngine(Engine):
    """The same in a thread."""

    @hookimpl
    def step(self, snapshot, item, context):
        """Do it."""
        return self._step(snapshot, item, context)


def raising(error):
    def step(snapshot, item, context):
        raise error

    return step


class Unspeakable(BaseException):
    """An error that raises SystemExit when its text is asked for."""

    def __str__(self):
        raise SystemExit(9)

    __repr__ = __str__


async def cancels_itself(snapshot, item, context):
    asyncio.current_task().cancel()
    await asyncio.sleep(60)


async def too_slow(snapshot, item, context):
    await asyncio.sleep(600)


def too_slow_thread(snapshot, item, context):
    while not context.cancelled:
        time.sleep(0.01)


def recursing(snapshot, item, context):
    return recursing(snapshot, item, context)


def nan(snapshot, item, context):
    return snapshot.evolve(next_step_delay_seconds=float("nan"))


async def quitting():
    sys.exit(3)


async def interrupting():
    raise KeyboardInterrupt


async def child_quits(snapshot, item, context):
    await asyncio.create_task(quitting())


async def child_interrupts(snapshot, item, context):
    await asyncio.gather(interrupting(), asyncio.sleep(600))


async def child_of_group(snapshot, item, context):
    async with asyncio.TaskGroup() as group:
        group.create_task(quitting())
        await asyncio.sleep(600)


async def callback_quits(snapshot, item, context):
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0.1)
    raise ValueError("called back")


KINDS = {
    "child-quits": child_quits,
    "child-interrupts": child_interrupts,
    "child-of-group": child_of_group,
    "callback-quits": callback_quits,
    "raises": raising(ValueError("the page has no title: https://me:pw@example.com/?a=1")),
    "quits": raising(SystemExit(3)),
    "interrupts": raising(KeyboardInterrupt()),
    "closes": raising(GeneratorExit()),
    "unspeakable": raising(Unspeakable()),
    "cancels": raising(asyncio.CancelledError()),
    "cancels-itself": cancels_itself,
    "group-permanent": raising(ExceptionGroup("two", [ValueError("a"), PermanentError("gone")])),
    "group-later": raising(ExceptionGroup("two", [ValueError("a"), RetryLater(3600)])),
    "same": lambda snapshot, item, context: snapshot,
    "groups": raising(ExceptionGroup("two at once", [ValueError("a"), KeyError("b")])),
    "permanent": raising(PermanentError("the account is closed")),
    "control": raising(ValueError("a\\x1b[31mred\\x00 \\ud800 line\\nbreak")),
    "huge": raising(ValueError("x" * 3_000_000)),
    "recurses": recursing,
    "nothing": lambda snapshot, item, context: None,
    "dictionary": lambda snapshot, item, context: {"n": 1},
    "nan-delay": nan,
    "infinite": lambda snapshot, item, context: snapshot.evolve(data={"x": float("inf")}),
    "object": lambda snapshot, item, context: snapshot.evolve(data={"x": object()}),
    "too-large": lambda snapshot, item, context: snapshot.evolve(data={"x": "y" * 9_000_000}),
    "foreign": lambda snapshot, item, context: Snapshot("other", "other"),
    "later": raising(RetryLater(3600, "the site asks to wait")),
    "later-nan": raising(RetryLater(float("nan"))),
    "slow": too_slow,
}


def register(name):
    async def fine(snapshot, item, context):
        return snapshot.finish(data={"fine": True})

    return fine


plugins = [Engine(name, step) for name, step in KINDS.items()]
plugins += [PlainEngine(f"{name}-thread", step) for name, step in KINDS.items() if name != "slow"]
plugins.append(PlainEngine("slow-thread", too_slow_thread))
plugins.append(Engine("fine", register("fine")))
for one in plugins:
    globals()["engine_" + one.engine_id.replace("-", "_")] = one
'''

#: Per engine: the state afterwards, the error's kind, and words of its message.
EXPECTED = {
    "child-quits": ("failed", "exception", "SystemExit(3)"),
    "child-interrupts": ("failed", "exception", "KeyboardInterrupt()"),
    "child-of-group": ("failed", "exception", "SystemExit(3)"),
    "callback-quits": ("failed", "exception", "called back"),
    "raises": ("failed", "exception", "the page has no title"),
    "quits": ("failed", "exception", "SystemExit(3)"),
    "interrupts": ("failed", "exception", "KeyboardInterrupt()"),
    "closes": ("failed", "exception", "GeneratorExit()"),
    "unspeakable": ("failed", "exception", "its text cannot be had: SystemExit"),
    "cancels": ("failed", "exception", "CancelledError"),
    "cancels-itself": ("failed", "exception", "the step's own task was cancelled"),
    "group-permanent": ("failed", "permanent", "gone"),
    "group-later": ("sleeping", None, None),
    "same": ("failed", "invalid_result", "the snapshot that it was given"),
    "groups": ("failed", "exception", "two at once (2 sub-exceptions)"),
    "permanent": ("failed", "permanent", "the account is closed"),
    "control": ("failed", "exception", "red"),
    "huge": ("failed", "exception", "xxxxxxxx"),
    "recurses": ("failed", "exception", "maximum recursion depth"),
    "nothing": ("failed", "invalid_result", "returned None, not a Snapshot"),
    "dictionary": ("failed", "invalid_result", "a dict, not a Snapshot"),
    "nan-delay": ("failed", "invalid_result", "next_step_delay_seconds must be finite"),
    "infinite": ("failed", "invalid_result", "not JSON"),
    "object": ("failed", "invalid_result", "not JSON"),
    "too-large": ("failed", "invalid_result", "the limit is 8388608"),
    "foreign": ("failed", "invalid_result", "make it with snapshot.evolve(...)"),
    "later": ("sleeping", None, None),
    "later-nan": ("failed", "exception", "RetryLater(seconds) must be"),
    "slow": ("failed", "timeout", "the step took longer than 0.5 s"),
}

#: Those whose engine returns what cannot be stored, each as a coroutine and in a thread.
BAD_DATA = [
    f"{name}{how}"
    for name in (
        *("control", "huge", "unspeakable", "nothing", "dictionary", "nan-delay"),
        *("infinite", "object", "too-large", "foreign", "later-nan"),
    )
    for how in ("", "-thread")
]


@pytest.fixture(scope="module")
def plugin_file(tmp_path_factory):
    """Write the engines into a file."""
    path = tmp_path_factory.mktemp("engines") / "faulty_engines.py"
    path.write_text(ENGINES)
    return path


class Terminal:
    """Runs roost as a person does."""

    def __init__(self, server, folder, plugin_file, names):
        settings = settings_for(server)
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("ROOST_")
        } | {
            "ROOST_REDIS_URL": settings.of(RedisSettings).url,
            "ROOST_NAMESPACE": settings.namespace,
            "ROOST_HOME": str(folder / "home"),
            "ROOST_LEASE_TTL": "3",
            "ROOST_PLUGINS": ",".join(
                f"faulty_engines:engine_{name.replace('-', '_')}" for name in names
            ),
            "PYTHONPATH": str(plugin_file.parent),
        }

    def run(self, *words, check=True):
        """Run a command; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "roost_core.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def start(self, *words):
        """Start a command; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "roost_core.cli", *words],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.mark.fault(10, "an engine's result or error that cannot be stored", n=len(BAD_DATA))
def test_every_way_to_fail(redis_server, tmp_path, plugin_file):
    """Each error can be read in `status`; nothing is lost, and other work is done."""
    names = [*EXPECTED, *(f"{name}-thread" for name in EXPECTED), "fine"]
    terminal = Terminal(redis_server, tmp_path, plugin_file, names)
    lines = [
        {
            "engine": name,
            "work_id": f"w-{name}",
            "payload": {"kept": name},
            "retry": {"max_attempts": 1},
            "step_timeout_seconds": 0.5 if name.startswith("slow") else 60,
        }
        for name in names
    ]
    lines += [{"engine": "fine", "work_id": f"fine{number}"} for number in range(20)]
    batch = tmp_path / "work.jsonl"
    batch.write_text("".join(json.dumps(line) + "\n" for line in lines))
    terminal.run("enqueue", "--batch", str(batch))
    worker = terminal.run("worker", "--burst")
    assert "Traceback" not in worker.stderr
    for name, (state, kind, words) in EXPECTED.items():
        found = json.loads(terminal.run("status", f"w-{name}").stdout)
        assert (name, state) == (name, found["meta"]["state"])
        assert (1, {"kept": name}) == (found["snapshot"]["version"], found["snapshot"]["data"])
        assert {"kept": name} == found["item"]["payload"]
        error = found["meta"]["error"]
        if kind is None:
            assert error is None
            continue
        assert (name, kind) == (name, error["kind"])
        assert words in error["message"]
        assert len(error["message"]) <= 2000
        assert ":pw@" not in json.dumps(found["meta"])
    listed = json.loads(terminal.run("list", "--json", "--limit", "500").stdout)
    rows = {row["work_id"]: row for row in listed}
    for name in EXPECTED:
        state, kind, _ = EXPECTED[name]
        threaded = rows[f"w-{name}-thread"]
        assert (name, state) == (name, threaded["state"])
        assert (name, kind) == (name, threaded["error"] and threaded["error"]["kind"])
    assert {"done"} == {rows[f"fine{number}"]["state"] for number in range(20)}


@pytest.mark.fault(15, "rolling SIGTERM restarts", n=10)
def test_rolling_restarts(redis_server, tmp_path, plugin_file):
    """Ten workers, each ended by SIGTERM in the middle of a long step: no attempt is used up."""
    terminal = Terminal(redis_server, tmp_path, plugin_file, ["slow", "fine"])
    terminal.environment["ROOST_DRAIN_TIMEOUT"] = "0.1"
    terminal.run("enqueue", "--engine", "slow", "--work-id", "long", "--payload", "{}")
    for number in range(10):
        worker = terminal.start("worker", "--engines", "all")
        try:
            state = ""
            while state != "running":
                assert worker.poll() is None
                state = json.loads(terminal.run("status", "long").stdout)["meta"]["state"]
            worker.send_signal(signal.SIGTERM)
            _, said = worker.communicate(timeout=PATIENCE)
        finally:
            worker.kill()
            worker.wait()
        assert worker.returncode == 0, said
        meta = json.loads(terminal.run("status", "long").stdout)["meta"]
        assert ("queued", 0, 0, number + 1) == (
            meta["state"],
            meta["attempts"],
            meta["recoveries"],
            meta["fence"],
        )
