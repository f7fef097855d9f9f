"""Plugins that are registered as objects, and what is reported about a set of plugins."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core import hookimpl
from roost_core.errors import (
    PluginConflict,
)
from roost_core.plugins.kinds import OBSERVER_HOOKS
from roost_core.plugins.registry import PluginReport, Plugins, PluginStatus
from tests.unit.plugins.plugin_samples.building import (
    ENGINE,
    HOOKS,
    ITEM,
    an_engine,
    observer,
    plugin,
    refused,
    registered,
    started,
)

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]


# -- registering objects -----------------------------------------------------------------------


async def test_a_module_an_instance_and_a_class_can_be_plugins() -> None:
    """A class is instantiated without arguments; a function is refused."""

    class Agent:
        engine_id = "agent"

        @hookimpl
        def step(self) -> str:
            return type(self).__name__

        @staticmethod
        @hookimpl
        def on_worker_start() -> None: ...

        @classmethod
        @hookimpl
        def on_worker_stop(cls) -> None: ...

    for one in (Agent, Agent()):
        plugins = registered(one)
        (report,) = plugins.reports()
        assert ("on_worker_start", "on_worker_stop", "step") == report.hooks
        made = await plugins.engines()["agent"].step(None, ITEM, None)
        assert "Agent" == made
    assert "it is a function, not a plugin" in refused(lambda: Agent())


def test_registering_twice_is_a_conflict() -> None:
    """Neither a name nor an object can be registered a second time."""
    one = an_engine("a")
    plugins = registered(one)
    with pytest.raises(PluginConflict, match="is already registered"):
        plugins.register(an_engine("b"), "mine")
    with pytest.raises(PluginConflict, match="is already registered"):
        plugins.register(one, "other")
    assert ["a"] == list(plugins.engines())


# -- reports -----------------------------------------------------------------------------------


def test_a_report_says_what_it_is(write_module: Write) -> None:
    """Name, status, source, place, hooks and engine."""
    write_module("acme_agent.py", "engine_id = 'agent'" + ENGINE)
    plugins = Plugins.load(explicit=["acme_agent"], installed=False, strict=True)
    expected = PluginReport(
        name="acme_agent",
        status=PluginStatus.OK,
        source="option",
        location="acme_agent",
        hooks=("step",),
        engine_id="agent",
    )
    assert (expected,) == plugins.reports()


async def test_every_hook_shows_in_a_report() -> None:
    """A plugin that implements everything is reported with everything, and all of it works."""

    class Everything:
        pass

    for hook, names in HOOKS.items():
        scope: dict[str, Any] = {}
        exec(f"def {hook}(self, {', '.join(names)}): pass", scope)
        setattr(Everything, hook, hookimpl(scope[hook]))
    plugins = registered(Everything())
    assert tuple(sorted(HOOKS)) == plugins.reports()[0].hooks
    observers = plugins.observers(timeout=30)
    for hook in OBSERVER_HOOKS:
        assert observers.has(hook)
        await observers.notify(hook, **dict.fromkeys(HOOKS[hook], "value"))


def test_the_shipped_plugins_load() -> None:
    """What the distribution itself installs can be loaded with nothing blocked or broken."""
    plugins = Plugins.load(strict=False)
    broken = [one for one in plugins.reports() if one.distribution == "roost-runtime"]
    assert broken
    assert [] == [one.error for one in broken if one.status is not PluginStatus.OK]


def test_around_step_of_a_set_is_a_context_manager() -> None:
    """What the stepper gets is falsy without plugins and callable with them."""
    assert not Plugins.empty().around_step()

    @hookimpl
    def around_step(self: object) -> AbstractAsyncContextManager[None] | None:
        return None

    around = registered(plugin(around_step=around_step)).around_step()
    assert around
    assert isinstance(around(None), AbstractAsyncContextManager)


@given(order=st.permutations(["tryfirst", "trylast", "", " ", "  "]))
def test_the_order_of_calls_is_pluggys(order: list[str]) -> None:
    """Whatever the marks and the order of registration, observers run as pluggy would run them."""
    seen: list[str] = []
    plugins = Plugins.empty()
    for name in order:
        options = {name: True} if name.strip() else {}
        plugins.register(observer(seen, name, **options), repr(name))
    started(plugins)
    ours = list(seen)
    seen.clear()
    plugins._manager.hook.on_worker_start(worker=None)
    assert seen == ours
    middle = [name for name in reversed(order) if not name.strip()]
    assert ["tryfirst", *middle, "trylast"] == ours
