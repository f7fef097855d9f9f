"""Plugins in one line, and what their tests check."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roost_core import hookimpl
from roost_core.errors import PluginLoadError
from roost_core.models import WorkItem
from roost_core.plugins.checks import Manager
from roost_core.plugins.kinds import OBSERVER_HOOKS
from roost_core.plugins.registry import Plugins, PluginStatus

ITEM = WorkItem(work_id="w", engine="e")
#: Every hook's arguments.
HOOKS = Manager().arguments()

#: A module that is an engine and says where it is from.
ENGINE = """
from roost_core import hookimpl

@hookimpl
def step(snapshot):
    return __name__
"""


def plugin(**members: Any) -> Any:
    """Return an instance of a class with these members; functions become methods."""
    return type("Plugin", (), members)()


def observer(seen: list[str], name: str, **options: Any) -> Any:
    """Return a plugin that notes when a worker starts."""

    @hookimpl(**options)
    def on_worker_start(self: object) -> None:
        seen.append(name)

    return plugin(on_worker_start=on_worker_start)


def an_engine(engine_id: str | None = None) -> Any:
    """Return a plugin with an engine."""

    @hookimpl
    async def step(self: object, snapshot: object) -> object:
        return engine_id, snapshot

    return plugin(step=step, **({} if engine_id is None else {"engine_id": engine_id}))


def started(plugins: Plugins) -> None:
    """Tell the observers that a worker starts."""
    asyncio.run(plugins.observers().notify("on_worker_start", worker=None))


def registered(one: object, name: str = "mine") -> Plugins:
    """Return a set with one plugin."""
    plugins = Plugins.empty()
    plugins.register(one, name)
    return plugins


def refused(one: object) -> str:
    """Return why a plugin cannot be registered; nothing of it may be left behind."""
    plugins = Plugins.empty()
    with pytest.raises(PluginLoadError) as raised:
        plugins.register(one, "mine")
    message = str(raised.value)
    assert message.startswith(("plugin mine (registered by the program): ", "cannot load plugin m"))
    assert message.isprintable()
    nothing_left(plugins)
    return message


def nothing_left(plugins: Plugins) -> None:
    """Check that no plugin is registered and none would fire."""
    assert () == tuple(one for one in plugins.reports() if one.status is PluginStatus.OK)
    assert {} == dict(plugins.engines())
    assert not plugins.around_step()
    assert not any(map(plugins.observers().has, OBSERVER_HOOKS))
    assert set() == plugins._manager.get_plugins()
    assert not any(hook.get_hookimpls() for hook in vars(plugins._manager.hook).values())


def statuses(plugins: Plugins) -> list[tuple[str, str]]:
    """Return names and statuses in the order of the reports."""
    return [(report.name, str(report.status)) for report in plugins.reports()]
