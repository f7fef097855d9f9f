"""Imports in functions: each is known, and none is first run by a second thread."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys

import pytest

from tests.packaging.sources import ROOT, modules, tree

#: Why it is imported late.
START = "short commands do without, and start-up is what people wait for"
NAMED = "the name of what to import comes from elsewhere"
CHOSEN = "only the process that serves or needs it pays; opened by the main thread"
READY = "opened by the main thread before there is a thread that needs it"

#: Every function that imports, what, and why; whatever a thread reaches is ``READY``.
DOORS = {
    ("roost_core.late", "_fetch", "import_module"): NAMED,
    ("roost_core.cli", "main", "roost_core.cli.app"): "so that Ctrl-C is quiet from the start",
    ("roost_core.cli", "main", "roost_core.cli.session"): "so that Ctrl-C is quiet from the start",
    ("roost_core.cli", "main", "roost_core.cli.output"): "loaded by then; as above",
    ("roost_core.cli", "_listen", "roost_core.cli.signals"): START,
    ("roost_core.backend.reading", "history", "roost_core.backend.history"): START,
    ("roost_core.cli.app", "_begin", "roost_core.plugins.registry"): START,
    ("roost_core.cli.arguments", "shell_complete", "roost_core.cli.completing"): START,
    ("roost_core.cli.lazy", "_import", "import_module"): NAMED,
    ("roost_core.cli.output", "console", "rich.console"): START,
    ("roost_core.cli.output", "table", "rich"): START,
    ("roost_core.cli.output", "table", "rich.table"): START,
    ("roost_core.cli.output", "table", "rich.text"): START,
    ("roost_core.cli.session", "connect", "roost_core.client.roost"): START,
    ("roost_core.cli.session", "all_plugins", "roost_core.plugins.registry"): START,
    ("roost_core.cli.session", "few_plugins", "roost_core.plugins.registry"): START,
    ("roost_core.client.work", "inspect", "roost_core.client.inspecting"): START,
    ("roost_core.client.work", "why", "roost_core.shown.why"): START,
    ("roost_core.client.versions", "diff", "roost_core.client.comparing"): START,
    ("roost_core.client.versions", "history", "roost_core.shown.versions"): START,
    ("roost_core.client.versions", "snapshot_at", "roost_core.shown.versions"): START,
    ("roost_core.client.versions", "_status_at", "roost_core.shown.versions"): START,
    ("roost_core.backend.explaining", "facts", "roost_core.backend.facts"): START,
    ("roost_core.backend.explaining", "survey", "roost_core.backend.surveying"): START,
    ("roost_core.backend.searching", "count", "roost_core.backend.finding"): START,
    ("roost_core.backend.searching", "find", "roost_core.backend.finding"): START,
    ("roost_core.cli.output", "failure", "roost_core.shown.verbs"): START,
    ("roost_core.cli.work.naming", "_that_begin", "roost_core.query.terms"): START,
    ("roost_core.client.connection", "_forgetter", "roost_core.upkeep"): START,
    ("roost_core.client.roost", "_enqueueing", "roost_core.client.enqueueing"): START,
    ("roost_core.client.connection", "texts", "roost_core.large_values"): START,
    ("roost_core.client.connection", "controlling", "roost_core.client.control"): START,
    ("roost_core.client.roost", "count", "roost_core.client.finding"): START,
    ("roost_core.client.roost", "overview", "roost_core.client.overview"): START,
    ("roost_core.cli.work.overview", "command", "roost_core.cli.look.overview"): START,
    ("roost_core.client.roost", "diagnose", "roost_core.client.engine"): START,
    ("roost_core.client.roost", "engine", "roost_core.client.engine"): START,
    ("roost_core.client.roost", "enqueue", "roost_core.client.requests"): START,
    ("roost_core.client.roost", "find", "roost_core.client.finding"): START,
    ("roost_core.client.roost", "select", "roost_core.client.finding"): START,
    ("roost_core.client.roost", "select", "roost_core.client.select"): START,
    ("roost_core.client.roost", "workers", "roost_core.client.enqueueing"): START,
    ("roost_core.client.work", "_use", "roost_core.client.control"): START,
    ("roost_core.client.work", "_use", "roost_core.models.control"): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "count",
        "roost_plugins.redis_saq.ledger.finding",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "_transitions",
        "roost_plugins.redis_saq.ledger.transitions",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "renewer",
        "roost_plugins.redis_saq.ledger.renewer",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "facts",
        "roost_plugins.redis_saq.ledger.explaining",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "survey",
        "roost_plugins.redis_saq.ledger.surveying",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "find",
        "roost_plugins.redis_saq.ledger.finding",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "halt",
        "roost_plugins.redis_saq.ledger.control",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "halts",
        "roost_plugins.redis_saq.ledger.control",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "order",
        "roost_plugins.redis_saq.ledger.control",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "unhalt",
        "roost_plugins.redis_saq.ledger.control",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.trail",
        "events",
        "roost_plugins.redis_saq.ledger.act_events",
    ): START,
    ("roost_plugins.redis_saq.record.kinds", "_wish", "roost_core.models"): START,
    (
        "roost_plugins.redis_saq.ledger.ledger",
        "rewind",
        "roost_plugins.redis_saq.ledger.control",
    ): START,
    (
        "roost_plugins.redis_saq.ledger.reading",
        "history",
        "roost_plugins.redis_saq.record.history",
    ): START,
    ("roost_plugins.redis_saq.record.standing", "_newest", "roost_core.backend"): START,
    ("roost_plugins.redis_saq.record.standing", "_newest", "roost_core.codec.snapshots"): START,
    (
        "roost_plugins.redis_saq.record.standing",
        "stored_work",
        "roost_plugins.redis_saq.record.acts",
    ): START,
    ("roost_core.client.versions", "plan_replay", "roost_core.client.replaying"): START,
    ("roost_core.client.versions", "replay", "roost_core.client.replaying"): START,
    ("roost_core.cli.work.list", "_print", "roost_core.cli.look.listing"): START,
    ("roost_core.cli.work.list", "_bars", "roost_core.client.barring"): START,
    ("roost_core.cli.work.diff", "command", "roost_core.cli.look.versions"): START,
    ("roost_core.cli.work.history", "command", "roost_core.cli.look.versions"): START,
    ("roost_core.cli.work.status", "_show_version", "roost_core.cli.look.earlier"): START,
    ("roost_core.cli.work.status", "_show", "roost_core.cli.look.screen"): START,
    ("roost_core.cli.work.status", "_print_traceback", "roost_core.shown.tracebacks"): START,
    ("roost_core.cli.work.artifacts", "command", "roost_core.cli.look.artifacts"): START,
    ("roost_core.cli.operate.plugins", "_print", "roost_core.cli.look.catalogue"): START,
    ("roost_core.cli.operate.workers", "command", "roost_core.cli.look.register"): START,
    ("roost_core.cli.work.event_lines", "printer", "roost_core.cli.look.happening"): START,
    ("roost_core.cli.work.watch", "_view", "roost_core.cli.look.live"): START,
    ("roost_core.cli.work.watch", "_view_of_queue", "roost_core.cli.look.live"): START,
    ("roost_core.cli.operate.worker", "_run", "roost_core.stepping.loops"): START,
    ("roost_core.cli.operate.worker_log", "_formatter", "roost_core.cli.look.log"): START,
    ("roost_core.cli.operate.worker", "_run", "roost_core.worker"): START,
    ("roost_core.plugins.sources", "_import_name", "importlib.import_module"): NAMED,
    ("roost_core.plugins.distributions", "with_text", "importlib"): START,
    ("roost_core.settings.sources", "_from_file", "tomllib"): START,
    ("roost_core.wording.suggestions", "close_matches", "difflib"): START,
    (
        "roost_plugins.console",
        "register_commands",
        "roost_core.cli.lazy",
    ): "programs have no command line",
    ("roost_plugins.fs_artifacts", "artifact_store", "roost_plugins.fs_artifacts.store"): CHOSEN,
    ("roost_plugins.git_workspaces", "workspace", "roost_plugins.git_workspaces.naming"): CHOSEN,
    ("roost_plugins.git_workspaces", "workspace", "roost_plugins.git_workspaces.worktrees"): CHOSEN,
    ("roost_plugins.redis_saq", "backend", "roost_plugins.redis_saq.server"): CHOSEN,
    (
        "roost_plugins.redis_saq.ledger.renewer",
        "_evalsha",
        "roost_plugins.redis_saq.connection.redis_py",
    ): READY,
    ("roost_plugins.redis_saq.server", "serve", "roost_plugins.redis_saq.lanes.lanes"): CHOSEN,
    ("roost_plugins.redis_saq.server", "serve", "roost_plugins.redis_saq.lanes.running"): CHOSEN,
    (
        "roost_plugins.redis_saq.connection.endpoint",
        "client",
        "roost_plugins.redis_saq.connection.redis_py",
    ): START,
    (
        "roost_plugins.redis_saq.connection.endpoint",
        "ensure_blocking",
        "roost_plugins.redis_saq.embedded.server",
    ): READY,
    (
        "roost_plugins.redis_saq.connection.endpoint",
        "import_for_threads",
        "roost_plugins.redis_saq.embedded.server",
    ): READY,
    (
        "roost_plugins.redis_saq.connection.endpoint",
        "import_for_threads",
        "roost_plugins.redis_saq.connection.redis_py",
    ): READY,
    (
        "roost_plugins.redis_saq.connection.endpoint",
        "sync_client",
        "roost_plugins.redis_saq.connection.redis_py",
    ): READY,
    (
        "roost_plugins.redis_saq.diagnosis",
        "_fsync",
        "roost_plugins.redis_saq.connection.redis_py",
    ): START,
    ("roost_plugins.redis_saq.connection.endpoint", "import_for_threads", "importlib"): READY,
    ("roost_plugins.redis_saq.connection.endpoint", "import_for_threads", "subprocess"): READY,
    ("roost_plugins.redis_saq.connection.endpoint", "import_for_threads", "tempfile"): READY,
    ("roost_plugins.redis_saq.embedded.starting", "start", "subprocess"): READY,
    ("roost_plugins.redis_saq.embedded.starting", "_temporary", "tempfile"): READY,
    ("roost_plugins.redis_saq.embedded.log_repair", "cut_off", "shutil"): READY,
    ("roost_plugins.redis_saq.embedded.log_repair", "find_damage", "subprocess"): READY,
    (
        "roost_plugins.redis_saq.embedded.start_failure",
        "_damage",
        "roost_plugins.redis_saq.embedded.log_repair",
    ): READY,
    (
        "roost_plugins.redis_saq.server",
        "repair_log",
        "roost_plugins.redis_saq.embedded.server",
    ): START,
    ("roost_plugins.redis_saq.ledger.ledger", "repair", "roost_plugins.redis_saq.repair"): CHOSEN,
    (
        "roost_plugins.redis_saq.connection.endpoint",
        "config_command",
        "roost_plugins.redis_saq.embedded.server",
    ): READY,
    (
        "roost_plugins.redis_saq.embedded.launch",
        "main",
        "roost_plugins.redis_saq.embedded.supervisor",
    ): "the path to import from is set first",
    (
        "roost_plugins.redis_saq.connection.refusals",
        "_in_our_words",
        "roost_plugins.redis_saq.connection.redis_py",
    ): READY,
    (
        "roost_plugins.redis_saq.embedded.server_process",
        "_die_with_parent",
        "ctypes",
    ): "a process of one thread",
    ("roost_plugins.watchlist", "init_snapshot", "roost_plugins.watchlist.rules"): START,
    (
        "roost_plugins.watchlist",
        "register_commands",
        "roost_core.cli.lazy",
    ): "programs have no command line",
    ("roost_plugins.watchlist", "step", "roost_plugins.watchlist.looking"): CHOSEN,
}


def doors(module: str) -> set[tuple[str, str, str]]:
    """Return every import that runs when a function does."""
    found = set()
    for function in ast.walk(tree(module)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [one if one in modules() else str(node.module) for one in full]
            elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func).split(".")[-1]:
                called = ast.unparse(node.func)
                names = [called] if called.split(".")[-1] in ("import_module", "__import__") else []
            else:
                # A function that is handed on: to_thread(import_module, …).
                handed = getattr(node, "args", []) if isinstance(node, ast.Call) else []
                names = [
                    ast.unparse(one) for one in handed if ast.unparse(one).endswith("import_module")
                ]
            found |= {(module, function.name, name) for name in names}
    return found


def test_lazy_doors_are_one_list():
    """Every import in a function is known, with its reason, and no reason is without an import."""
    assert set(DOORS) == {door for module in modules() for door in doors(module)}


#: Records what threads other than the main one import, while a worker runs whose server goes away.
WATCHED = """
import json, sys, threading

found = []

class Recorder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            found.append((threading.current_thread().name, name))

sys.meta_path.insert(0, Recorder())

import saq  # as a program may have done before
import asyncio
from roost_core import Roost, hookimpl
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from roost_plugins import redis_saq

class Engine:
    engine_id = "demo"

    @hookimpl
    def step(self, snapshot):
        return snapshot.finish()

async def main():
    plugins = Plugins.empty()
    plugins.register(redis_saq, "redis_saq")
    plugins.register(Engine(), "demo")
    settings = Settings(extra={"redis_url": sys.argv[1]}, lease_ttl=0.3)
    async with Roost.connect(settings, plugins=plugins) as roost:
        item = await roost.enqueue("demo", 1)
        worker = Worker(settings, plugins, roost.server, MemoryArtifactStore())
        task = asyncio.create_task(worker.run())
        await roost.work(item).wait()
        # Renewals fail as well: their errors need the library, too.
        await roost.ledger.client.execute_command("CLIENT", "PAUSE", "500", "ALL")
        await asyncio.sleep(0.8)
        worker.stop()
        await task

asyncio.run(main())
print(json.dumps(found))
"""


def test_no_thread_imports(redis_server):
    """Nothing is imported by the thread that keeps leases, nor by one that steps."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ROOST_")}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, redis_server.url],
        capture_output=True,
        text=True,
        timeout=120,
        env=kept,
    )
    assert 0 == done.returncode, done.stderr
    assert [] == json.loads(done.stdout)


#: Records what the threads of the console's pages import, while it is looked at.
LOOKED_AT = """
import json, re, sys, threading

found = []

class Recorder:
    def find_spec(self, name, path=None, target=None):
        thread = threading.current_thread().name
        if thread.startswith("waitress") and not name.startswith("encodings."):
            found.append((thread, name))

sys.meta_path.insert(0, Recorder())

from roost_core.settings import Settings
from tests.consoles import Stream, console_here

with console_here(Settings(extra={"redis_url": sys.argv[1]})) as site:
    page = site.sign_in().get("/").text
    links = set(re.findall(r'href="(/[^"]*)"', page))
    for path in sorted({"/work?q=state:failed", "/work?q=nonsense:", "/nothing-here", *links}):
        assert site.get(path).status < 500, path
    stream = Stream(site)
    stream.next("pulse")
    stream.close()
print(json.dumps(found))
"""


def test_no_page_of_the_console_imports(redis_server):
    """Pages are made in many threads at once, and two that import can wait for each other."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ROOST_")}
    done = subprocess.run(
        [sys.executable, "-c", LOOKED_AT, redis_server.url],
        capture_output=True,
        text=True,
        timeout=120,
        env={**kept, "PYTHONPATH": str(ROOT)},
    )
    assert 0 == done.returncode, done.stderr
    assert [] == json.loads(done.stdout)


#: Does something, and reports on standard error which modules are loaded at the end.
TOLD = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
"""
SHORT = f"{TOLD}from roost_core.cli import main\nsys.argv[0] = 'roost'\nmain()"
#: Modules of Python's own that a short command loads besides the libraries it is compared with.
SMALL = {"_queue", "gc", "queue"}
#: What parses URLs; before Python 3.13 the libraries load it, too.
URLS = {"ipaddress", "urllib", "urllib.parse"}
#: What knows the user's name; from Python 3.13 on the libraries have it, too.
USER = {"pwd"}


def test_short_commands_load_what_they_need(redis_server):
    """``roost status`` loads its libraries, as benchmarks time them, and hardly anything else."""
    pytest.importorskip("benchmarks")
    from benchmarks.idle import LIBRARIES

    def run(program: str, *words: str) -> tuple[str, set[str]]:
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            capture_output=True,
            text=True,
            timeout=120,
            env={name: text for name, text in os.environ.items() if not name.startswith("ROOST_")},
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip(), set(json.loads(done.stderr))

    url = ("--redis-url", redis_server.url)
    work_id, _ = run(SHORT, "enqueue", "--engine", "none", "--any-engine", *url)
    _, loaded = run(SHORT, "status", work_id, *url)
    _, libraries = run(f"{TOLD}import {LIBRARIES}")
    others = {name for name in loaded if not name.startswith(("roost_core", "roost_plugins"))}
    assert set() == libraries - loaded
    assert SMALL <= others - libraries <= SMALL | URLS | USER
