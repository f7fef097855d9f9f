"""Only what has the backend, and the rest when it is needed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from roost_core.errors import PluginLoadError, SettingsError
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from tests.unit.plugins.plugin_samples.building import statuses

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Install, Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]

#: Records that it is executed, and may have a backend.
NOTED = """
    import builtins
    from roost_core import hookimpl
    builtins.acme_seen.append(__name__)

    class Plugin:
        @hookimpl
        def on_worker_start(self):
            pass

        @hookimpl
        def backend(self, settings):
            return None
"""
#: A file that records that it is executed.
NAMED = """
    import builtins
    from roost_core import hookimpl
    builtins.acme_seen.append("mine")

    @hookimpl
    def on_worker_start():
        pass
"""
INDEXED = """
    [roost]
    redis = acme_redis:Plugin
    postgres = acme_postgres:Plugin
    other = acme_other:Plugin
    [roost.backends]
    default = acme_redis:Plugin
    redis_url = acme_redis:Plugin
    pg_url = acme_postgres:Plugin
"""


@pytest.fixture
def seen(
    install_distribution: Install, write_module: Write, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Install plugins with an index of backends; give the list of those that are executed."""
    found: list[str] = []
    monkeypatch.setattr("builtins.acme_seen", found, raising=False)
    install_distribution("acme", textwrap.dedent(INDEXED))
    for name in ("redis", "postgres", "other"):
        write_module(f"acme_{name}.py", NOTED)
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["redis"]),
        (["queue", "s3_bucket"], ["redis"]),
        (["redis_url"], ["redis"]),
        (["pg_url"], ["postgres"]),
        (["pg_url", "redis_url"], ["postgres", "redis"]),
        (["default"], ["redis"]),
    ],
)
def test_the_index_says_who_has_the_backend(
    seen: list[str], given: list[str], expected: list[str]
) -> None:
    """A given setting chooses; where none is given, it is the default's."""
    plugins = Plugins.for_backend(given)
    assert [(name, "ok") for name in expected] == statuses(plugins)
    assert [f"acme_{name}" for name in expected] == seen


def test_all_others_are_loaded_when_they_are_needed(seen: list[str], write_module: Write) -> None:
    """In the usual order, and nothing is executed, or made, a second time."""
    mine = write_module("mine.py", NAMED)
    plugins = Plugins.for_backend([], explicit=[str(mine)])
    assert [("redis", "ok"), ("mine", "ok")] == statuses(plugins)
    everything = plugins.complete()
    assert everything is plugins.complete()
    assert everything is everything.complete()
    assert [(name, "ok") for name in ("other", "postgres", "redis", "mine")] == statuses(everything)
    assert 4 == len(seen)
    assert plugins._manager.get_plugin("redis") is everything._manager.get_plugin("redis")
    assert (False, True) == (plugins.is_complete, everything.is_complete)


def test_blocks_and_replacements_hold_without_loading_all(seen: list[str]) -> None:
    """no:NAME is known though its plugin would not be loaded; a named plugin replaces another."""
    plugins = Plugins.for_backend([], explicit=["no:other"])
    assert [("other", "blocked"), ("redis", "ok")] == statuses(plugins)
    assert () == plugins.vain_blocks()
    plugins = Plugins.for_backend([], explicit=["no:redis"])
    assert [("redis", "blocked")] == statuses(plugins)
    with pytest.raises(SettingsError, match="asked: postgres, other"):
        plugins.make_server(Settings())


def test_a_broken_plugin_is_told_when_it_is_needed(seen: list[str], write_module: Write) -> None:
    """With keep_going it is reported; its error is raised only on request, and only if strict."""
    write_module("acme_other.py", "raise ValueError('broken')")
    everything = Plugins.for_backend([], keep_going=True).complete()
    assert [("other", "broken"), ("postgres", "ok"), ("redis", "ok")] == statuses(everything)
    everything.refuse_broken(strict=False)
    with pytest.raises(PluginLoadError, match=r"plugin other .*ValueError: broken"):
        everything.refuse_broken(strict=True)
