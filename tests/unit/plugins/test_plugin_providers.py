"""Backends, artifact stores, workspaces and commands out of plugins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import click
import pytest

from roost_core import hookimpl
from roost_core.backend import ArtifactStore, Server
from roost_core.errors import (
    PluginError,
    SettingsError,
    WorkspaceError,
)
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings, setting, text
from roost_core.workspaces import NO_SOURCE, Workspaces
from roost_plugins import redis_saq
from tests.unit.plugins.plugin_samples.building import (
    an_engine,
    plugin,
    registered,
    statuses,
)

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Install, Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]


# -- providers ---------------------------------------------------------------------------------


class SampleServer(Server):
    """A server that can only be made."""


class SampleStore(ArtifactStore):
    """A store that can only be made."""


class SampleWorkspaces(Workspaces):
    """Workspaces that can only be made."""


for sample in (SampleServer, SampleStore, SampleWorkspaces):
    sample.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
PROVIDERS = [
    ("backend", "make_server", SampleServer),
    ("artifact_store", "make_artifact_store", SampleStore),
    ("workspace", "make_workspaces", SampleWorkspaces),
]
each_provider = pytest.mark.parametrize(("hook", "method", "made"), PROVIDERS)
URL = "redis://me:secret@example.com/0"
SETTINGS = Settings(extra={"redis_url": URL})


def provider(hook: str, result: object, **options: Any) -> Any:
    """Return a plugin whose provider hook returns, or raises, this."""

    @hookimpl(**options)
    def function(self: object, settings: Settings) -> object:
        if isinstance(result, BaseException):
            raise result
        return result(settings) if isinstance(result, type(provider)) else result

    return plugin(**{hook: function})


@each_provider
def test_the_first_provider_that_takes_it_wins(hook: str, method: str, made: Any) -> None:
    """The last one registered is asked first; None passes; a trylast default comes last."""
    seen = []
    plugins = Plugins.empty()
    plugins.register(provider(hook, lambda s: seen.append("never")), "never")
    wanted = made()
    plugins.register(provider(hook, wanted), "wanted")
    plugins.register(provider(hook, AssertionError("asked"), trylast=True), "default")
    plugins.register(provider(hook, lambda s: seen.append(s)), "passes")
    assert wanted is getattr(plugins, method)(SETTINGS)
    assert [SETTINGS] == seen


def test_a_backend_that_somebody_chose_goes_before_the_default() -> None:
    """The built-in one has a server for everybody who names none, so it is asked last."""
    plugins = Plugins.empty()
    chosen = SampleServer()
    plugins.register(provider("backend", chosen), "chosen")
    plugins.register(redis_saq, "redis_saq")
    assert chosen is plugins.make_server(Settings())


@each_provider
@pytest.mark.parametrize("result", [7, "made", Server, ArtifactStore, Workspaces, object()])
def test_a_wrong_result_names_the_plugin(hook: str, method: str, made: Any, result: object) -> None:
    """What is not a backend is refused, and so is a class instead of an object."""
    plugins = registered(provider(hook, result))
    with pytest.raises(PluginError, match=rf"^plugin mine: {hook} returned .*, not an? \w+$"):
        getattr(plugins, method)(SETTINGS)


@each_provider
def test_a_hidden_coroutine_is_a_wrong_result(hook: str, method: str, made: Any) -> None:
    """T1 again: a plain def that returns a coroutine is named, and the coroutine is closed."""

    async def hidden() -> object:
        return made()

    plugins = registered(provider(hook, lambda s: hidden()))
    with pytest.raises(PluginError, match="an object of coroutine"):
        getattr(plugins, method)(SETTINGS)


@each_provider
@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError])
def test_a_failing_provider_is_named_without_the_password(
    hook: str, method: str, made: Any, error: type[BaseException]
) -> None:
    """Plugin, type and text of the cause; the URL in it is redacted."""
    plugins = registered(provider(hook, error(f"cannot use {URL} today")))
    with pytest.raises(PluginError) as raised:
        getattr(plugins, method)(SETTINGS)
    expected = (
        f"plugin mine: {hook} raised {error.__name__}: "
        "cannot use redis://me:***@example.com/0 today"
    )
    assert expected == str(raised.value).partition(f" ({__file__}:")[0]


def declaration(name: str, metavar: str) -> Any:
    """Return a class that declares a secret of the namespace ``notify``."""
    fields = {name: setting("", text, "A secret.", metavar, secret=True)}
    return attrs.make_class("Notify", fields, class_body={"namespace": "notify"})


def test_an_error_is_cut_after_its_secrets_are_hidden() -> None:
    """Half a secret at the end of what is shown cannot be recognized."""
    kind = declaration("word", "TEXT")
    for blanks in range(280, 300):

        def fail(settings: Settings, blanks: int = blanks) -> object:
            raise ValueError(f"{'x' * blanks} {settings.of(kind).word}")

        plugins = registered(provider("backend", fail))
        with pytest.raises(PluginError) as raised:
            plugins.make_server(Settings(extra={"notify_word": "hunter22"}))
        assert "hunt" not in str(raised.value)


def test_another_plugins_secret_is_no_server() -> None:
    """Of a webhook's URL, which is a secret, an error about servers says nothing."""
    hook = "https://hooks.test/T1/B2"
    kind = declaration("webhook", "URL")

    @hookimpl
    def register_settings(self: object) -> Any:
        return kind

    plugins = registered(provider("backend", None))
    plugins.register(plugin(register_settings=register_settings), "notify")
    with pytest.raises(SettingsError) as raised:
        plugins.make_server(Settings(extra={"notify_webhook": hook}))
    assert "no plugin (asked: mine) has a backend for a server of Roost's own" == str(raised.value)


@each_provider
def test_a_providers_own_error_goes_through(hook: str, method: str, made: Any) -> None:
    """If a backend says what is wrong with the settings, its own error is kept."""
    plugins = registered(provider(hook, SettingsError("the URL needs a host")))
    with pytest.raises(SettingsError, match=r"^the URL needs a host$"):
        getattr(plugins, method)(SETTINGS)


def test_a_url_that_nobody_takes() -> None:
    """One line with the URL, redacted, and who was asked."""
    plugins = registered(provider("backend", None), "first")
    plugins.register(provider("backend", None), "second")
    for url, shown in (
        (URL, "the server redis://me:***@example.com/0"),
        ("redis://:secret@[::1", "the server redis://***"),
        ("http://example.com", "the server http://example.com"),
        ("", "a server of Roost's own"),
    ):
        with pytest.raises(SettingsError) as raised:
            plugins.make_server(Settings(extra={"redis_url": url}))
        expected = f"no plugin (asked: second, first) has a backend for {shown}"
        assert expected == str(raised.value)


@pytest.mark.parametrize("method", ["make_server", "make_artifact_store"])
def test_no_provider_at_all(
    install_distribution: Install, write_module: Write, method: str
) -> None:
    """The error says what is missing, and which plugins are blocked or broken."""
    with pytest.raises(PluginError, match=r"no plugin offers an? [a-z ]+ \(none is installed\)"):
        getattr(Plugins.empty(), method)(SETTINGS)
    install_distribution("acme", "[roost]\nredis = acme_redis\nother = acme_other\n")
    plugins = Plugins.load(environment=["no:redis"], strict=False)
    with pytest.raises(PluginError, match=r"\(redis is blocked; other is broken\)"):
        getattr(plugins, method)(SETTINGS)


def test_without_workspaces_who_asks_for_one_is_told(
    install_distribution: Install, write_module: Write
) -> None:
    """Nothing fails before; the line says which setting is missing, or who was asked."""
    sourced = Settings(extra={"workspace_source": "/srv/project"})
    passing = registered(provider("workspace", None), "first")
    passing.register(provider("workspace", None), "second")
    install_distribution("acme", "[roost]\nfolders = acme_folders\n")
    blocked = Plugins.load(environment=["no:folders"], strict=False)
    for plugins, settings, expected in (
        (Plugins.empty(), SETTINGS, NO_SOURCE),
        (passing, SETTINGS, NO_SOURCE),
        (Plugins.empty(), sourced, "no plugin offers workspaces (none is installed)"),
        (blocked, sourced, "no plugin offers workspaces (folders is blocked)"),
        (passing, sourced, "no plugin has workspaces for these settings (asked: second, first)"),
    ):
        workspaces = plugins.make_workspaces(settings)
        with pytest.raises(WorkspaceError) as raised:
            workspaces.ensure("w1", 1)
        assert expected == str(raised.value)
        assert expected == workspaces.description
        workspaces.remove("w1")
        assert [] == list(workspaces.diagnose())


# -- commands ----------------------------------------------------------------------------------


def commands(*names: str, error: BaseException | None = None) -> Any:
    """Return a plugin that adds commands, and may then raise."""

    @hookimpl
    def register_commands(self: object, cli: click.Group) -> None:
        for name in names:
            cli.add_command(click.Command(name))
        if error is not None:
            raise error

    return plugin(register_commands=register_commands)


def test_plugins_add_commands() -> None:
    """Each plugin that has the hook is called with the group."""
    cli = click.Group("roost", commands=[click.Command("status")])
    plugins = registered(commands("ui"), "console")
    plugins.register(commands("a", "b"), "other")
    plugins.register(an_engine(), "engine")
    plugins.register_commands(cli)
    assert ["a", "b", "status", "ui"] == sorted(cli.commands)


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        (commands("x", error=ValueError("bad")), "register_commands raised ValueError: bad"),
        (commands("x", error=SystemExit(2)), "register_commands raised SystemExit: 2"),
        (commands("x", "status"), "the command status already exists; rename it"),
        (commands("x", "ui"), "the command ui already exists; rename it"),
    ],
)
def test_a_plugin_with_bad_commands_adds_none(bad: Any, shown: str) -> None:
    """All or nothing, with the plugin's name; what was there stays as it was."""
    status = click.Command("status")
    cli = click.Group("roost", commands=[status])
    plugins = registered(bad, "bad")
    plugins.register(commands("ui"), "console")
    with pytest.raises(PluginError) as raised:
        plugins.register_commands(cli)
    text = str(raised.value).partition(f" ({__file__}:")[0]
    assert f"plugin bad (registered by the program): {shown}" == text
    assert ["status", "ui"] == sorted(cli.commands)
    assert status is cli.commands["status"]


def test_an_installed_plugin_with_bad_commands_becomes_broken(
    install_distribution: Install, write_module: Write
) -> None:
    """Not strict: it is reported, unregistered, and the others still add theirs."""
    install_distribution("acme", "[roost]\na = acme_a\nbad = acme_bad\nz = acme_z\n")
    source = """
        import click
        from roost_core import hookimpl

        @hookimpl
        def register_commands(cli):
            cli.add_command(click.Command(__name__))

        @hookimpl
        def step():
            pass
    """
    write_module("acme_a.py", source)
    write_module("acme_bad.py", source.replace("__name__)", "missing)"))
    write_module("acme_z.py", source)
    cli = click.Group("roost")
    plugins = Plugins.load(strict=False)
    plugins.register_commands(cli)
    assert ["acme_a", "acme_z"] == sorted(cli.commands)
    assert [("a", "ok"), ("bad", "broken"), ("z", "ok")] == statuses(plugins)
    assert "NameError" in str(plugins.reports()[1].error)
    assert ["a", "z"] == list(plugins.engines())
    with pytest.raises(PluginError, match=r"plugin bad \(installed by acme 1.0\)"):
        Plugins.load(strict=True).register_commands(click.Group("roost"))
