"""One set of plugins: order, names, blocks and failures."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core import hookimpl
from roost_core.errors import (
    PluginConflict,
    PluginError,
    PluginLoadError,
)
from roost_core.plugins.checks import Manager
from roost_core.plugins.registry import Plugins
from tests.unit.plugins.plugin_samples.building import (
    ENGINE,
    an_engine,
    nothing_left,
    observer,
    plugin,
    refused,
    registered,
    started,
    statuses,
)

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Install, Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]


# -- order -------------------------------------------------------------------------------------


def test_t11_the_last_one_registered_is_called_first() -> None:
    """T11: this is the place that pins the order; tryfirst and trylast change it."""
    seen: list[str] = []
    plugins = Plugins.empty()
    plugins.register(observer(seen, "first"), "first")
    plugins.register(observer(seen, "trylast", trylast=True), "trylast")
    plugins.register(observer(seen, "second"), "second")
    plugins.register(observer(seen, "tryfirst", tryfirst=True), "tryfirst")
    plugins.register(observer(seen, "third"), "third")
    started(plugins)
    assert ["tryfirst", "third", "second", "first", "trylast"] == seen


async def test_around_step_is_the_mirror_image() -> None:
    """The first one registered is outermost; tryfirst enters before, trylast after the others."""
    seen: list[str] = []

    def around(name: str, **options: Any) -> Any:
        @hookimpl(**options)
        @asynccontextmanager
        async def around_step(self: object, context: object) -> Any:
            seen.append(f"+{name}")
            yield
            seen.append(f"-{name}")

        return plugin(around_step=around_step)

    plugins = Plugins.empty()
    for name in ("a", "b"):
        plugins.register(around(name), name)
    plugins.register(around("last", trylast=True), "last")
    plugins.register(around("later", trylast=True), "later")
    plugins.register(around("first", tryfirst=True), "first")
    async with plugins.around_step()(None):
        pass
    order = ["first", "a", "b", "last", "later"]
    assert [f"+{one}" for one in order] + [f"-{one}" for one in reversed(order)] == seen


def test_sources_are_loaded_in_their_order(
    install_distribution: Install, write_module: Write
) -> None:
    """Installed by name, then the environment, then options; each later one is called earlier."""
    source = """
        import acme_seen
        from roost_core import hookimpl

        @hookimpl
        def on_worker_start():
            acme_seen.names.append(__name__)
    """
    write_module("acme_seen.py", "names = []")
    for name in ("acme_a", "acme_b", "acme_c", "acme_d", "acme_e"):
        write_module(f"{name}.py", source)
    install_distribution("acme", "[roost]\nzeta = acme_a\nbeta = acme_b\n")
    plugins = Plugins.load(
        environment=["acme_d", "acme_c"], explicit=["acme_e", "zeta"], strict=True
    )
    assert ["beta", "acme_d", "acme_c", "acme_e", "zeta"] == [
        report.name for report in plugins.reports()
    ]
    started(plugins)
    assert ["acme_a", "acme_e", "acme_c", "acme_d", "acme_b"] == sys.modules["acme_seen"].names


def test_each_set_is_its_own() -> None:
    """No state is shared between two sets of plugins."""
    one, other = registered(an_engine("a")), Plugins.empty()
    assert ["a"] == list(one.engines())
    nothing_left(other)


# -- names, blocks and replacement -------------------------------------------------------------


def test_a_later_plugin_of_a_name_replaces_the_earlier(
    install_distribution: Install, write_module: Write, tmp_path: Path
) -> None:
    """The earlier one is reported and not even imported."""
    install_distribution("acme", "[roost]\nagent = acme_agent\n")
    write_module("acme_agent.py", "raise AssertionError('imported')")
    paths = []
    for folder in ("one", "two"):
        path = tmp_path / folder / "agent.py"
        path.parent.mkdir()
        path.write_text(ENGINE)
        paths.append(str(path))
    plugins = Plugins.load(environment=paths[:1], explicit=paths[1:], strict=True)
    assert [("agent", "replaced"), ("agent", "replaced"), ("agent", "ok")] == statuses(plugins)
    first, second, third = plugins.reports()
    assert ("installed", "environment", "option") == (first.source, second.source, third.source)
    assert f"by agent (--plugin {paths[1]})" == first.error
    assert paths[1] == third.location
    assert ["agent"] == list(plugins.engines())


def test_a_plugin_named_again_moves_to_the_end(
    install_distribution: Install, write_module: Write
) -> None:
    """Naming what is installed is no replacement; it only changes the order and who answers."""
    install_distribution("acme", "[roost]\nagent = acme_agent\nbeta = acme_beta\n")
    write_module("acme_agent.py", ENGINE)
    write_module("acme_beta.py", ENGINE)
    plugins = Plugins.load(environment=["agent"], explicit=["agent"], strict=True)
    assert [("beta", "ok"), ("agent", "ok")] == statuses(plugins)
    report = plugins.reports()[1]
    expected = ("option", "acme", "1.0", "acme_agent")
    assert expected == (report.source, report.distribution, report.version, report.location)


def test_one_object_under_two_names_is_one_plugin(
    install_distribution: Install, write_module: Write
) -> None:
    """An installed module that is named by its module too does not run twice."""
    install_distribution("acme", "[roost]\nagent = acme_agent\n")
    write_module("acme_agent.py", "engine_id = 'agent'" + ENGINE)
    plugins = Plugins.load(explicit=["acme_agent"], strict=True)
    assert [("agent", "replaced"), ("acme_agent", "ok")] == statuses(plugins)
    assert "acme_agent" == plugins.engines()["agent"].plugin_name


@pytest.mark.fault(13, "two plugins of one name")
def test_two_installed_plugins_of_one_name_are_a_conflict(
    install_distribution: Install, write_module: Write
) -> None:
    """Which one of two distributions wins is not left to chance or to the alphabet."""
    install_distribution("acme-a", "[roost]\nagent = acme_one\n")
    install_distribution("acme-b", "[roost]\nagent = acme_two\n")
    write_module("acme_one.py", ENGINE)
    write_module("acme_two.py", ENGINE)
    text = "two installed plugins are named agent: acme_one of acme-a 1.0 and acme_two of acme-b"
    with pytest.raises(PluginConflict, match=text):
        Plugins.load(strict=True)
    assert [("agent", "broken"), ("agent", "ok")] == statuses(Plugins.load(strict=False))
    plugins = Plugins.load(explicit=["no:agent", "acme_one"], strict=True)
    assert ["acme_one"] == list(plugins.engines())


@pytest.mark.parametrize("where", ["environment", "explicit"])
def test_two_plugins_of_one_name_in_one_place_are_a_conflict(where: str, tmp_path: Path) -> None:
    """Two files called alike, in two folders, are not one that replaces the other."""
    paths = []
    for folder in ("one", "two"):
        path = tmp_path / folder / "agent.py"
        path.parent.mkdir()
        path.write_text("raise AssertionError('imported')")
        paths.append(str(path))
    named: Any = {where: paths}
    with pytest.raises(PluginConflict, match="two plugins are named agent: ") as raised:
        Plugins.load(**named, strict=False)
    assert all(path in str(raised.value) for path in paths)
    assert "rename one" in str(raised.value)
    named = {where: paths[:1] * 2}
    with pytest.raises(PluginLoadError, match="imported"):
        Plugins.load(**named, strict=False)


@pytest.mark.parametrize("where", ["environment", "explicit"])
@pytest.mark.parametrize("first", [True, False])
def test_a_block_comes_before_any_import(
    install_distribution: Install, write_module: Write, where: str, first: bool
) -> None:
    """``no:NAME`` wins wherever it is given, over every source, and nothing is imported."""
    install_distribution("acme", "[roost]\nagent = acme_agent\n[roost.engines]\nmade = acme_made:x")
    for name in ("acme_agent", "acme_made", "acme_named", "acme_file"):
        path = write_module(f"{name}.py", "raise AssertionError('imported')")
    blocks = ["no:agent", "no:made", "no:acme_named", "no:acme_file", "no:nobody"]
    names = ["agent", "acme_named", str(path)]
    texts = {"environment": names, "explicit": names}
    texts[where] = blocks + names if first else names + blocks
    plugins = Plugins.load(**texts, strict=True)
    assert {"blocked"} == {status for _, status in statuses(plugins)}
    assert {"agent", "made", "acme_named", "acme_file", "nobody"} == {
        name for name, _ in statuses(plugins)
    }
    nothing_left(plugins)


@given(
    texts=st.lists(st.sampled_from(["a", "b", "no:a", "no:b", "no:c"]), max_size=6),
    split=st.integers(min_value=0, max_value=6),
)
def test_blocks_and_order_for_any_list(texts: list[str], split: int) -> None:
    """The plugins left are those named and not blocked, by where they were named last."""
    modules = {}
    for name in ("a", "b"):
        module = ModuleType(f"acme_sample_{name}")
        exec(ENGINE, vars(module))
        modules[module.__name__] = module
    long = {name.removeprefix("acme_sample_"): name for name in modules}
    named = [
        f"no:{long.get(text.removeprefix('no:'), 'c')}" if text.startswith("no:") else long[text]
        for text in texts
    ]
    sys.modules.update(modules)
    try:
        plugins = Plugins.load(
            environment=named[:split], explicit=named[split:], installed=False, strict=True
        )
    finally:
        for name in modules:
            del sys.modules[name]
    blocked = {name.removeprefix("no:") for name in named if name.startswith("no:")}
    kept = [name for name in reversed(named) if not name.startswith("no:") and name not in blocked]
    expected = list(reversed(dict.fromkeys(kept)))
    assert expected == [one.name for one in plugins.reports() if one.status == "ok"]
    assert blocked == {one.name for one in plugins.reports() if one.status == "blocked"}


def test_installed_plugins_can_be_left_out(
    install_distribution: Install, write_module: Write
) -> None:
    """With installed=False only what is named is loaded, entry points included."""
    install_distribution("acme", "[roost]\nagent = acme_agent\nother = acme_other\n")
    write_module("acme_agent.py", ENGINE)
    plugins = Plugins.load(explicit=["agent"], installed=False, strict=True)
    assert [("agent", "ok")] == statuses(plugins)


# -- failures ----------------------------------------------------------------------------------


BROKEN = {
    "raises": "raise ValueError('bad')",
    "exits": "raise SystemExit(0)",
    "typo": "from roost_core import hookimpl\n@hookimpl\ndef on_worker_strat(): pass",
    "conflict": "from roost_core import hookimpl\nengine_id = 'taken'\n@hookimpl\ndef step(): pass",
    "no hook": "x = 1",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_t5_a_broken_installed_plugin_hides_no_other(
    install_distribution: Install, write_module: Write, kind: str
) -> None:
    """T5: strict raises with distribution and name; otherwise it is reported and the rest works."""
    install_distribution("acme", "[roost]\na = acme_a\nbroken = acme_broken\nz = acme_z\n")
    write_module("acme_a.py", "engine_id = 'taken'" + ENGINE)
    write_module("acme_broken.py", BROKEN[kind])
    write_module("acme_z.py", ENGINE)
    with pytest.raises(PluginError, match=r"broken \(installed by acme 1\.0\)"):
        Plugins.load(strict=True)
    plugins = Plugins.load(strict=False)
    assert [("a", "ok"), ("broken", "broken"), ("z", "ok")] == statuses(plugins)
    assert ["taken", "z"] == list(plugins.engines())
    report = plugins.reports()[1]
    assert (("acme", "1.0"), ()) == ((report.distribution, report.version), report.hooks)
    assert "broken (installed by acme 1.0)" in str(report.error)
    assert not plugins._manager.has_plugin("broken")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("where", ["environment", "explicit"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_that_somebody_named_stops(
    write_module: Write, kind: str, where: str, strict: bool
) -> None:
    """Named ones always raise: nothing starts half-equipped."""
    write_module("acme_a.py", "engine_id = 'taken'" + ENGINE)
    write_module("acme_broken.py", BROKEN[kind])
    with pytest.raises(PluginError, match=r"plugin|two plugins") as raised:
        Plugins.load(**{where: ["acme_a", "acme_broken"]}, installed=False, strict=strict)
    assert 2 == raised.value.exit_code
    assert str(raised.value).isprintable()
    assert "acme_broken (" in str(raised.value)


@pytest.mark.parametrize("kind", BROKEN)
def test_who_looks_at_plugins_sees_the_broken_ones(write_module: Write, kind: str) -> None:
    """With keep_going, a named one is reported as well, and the rest works."""
    write_module("acme_a.py", "engine_id = 'taken'" + ENGINE)
    write_module("acme_broken.py", BROKEN[kind])
    write_module("acme_z.py", ENGINE)
    texts = ["acme_a", "acme_broken", "acme_z"]
    plugins = Plugins.load(explicit=texts, installed=False, strict=False, keep_going=True)
    assert [("acme_a", "ok"), ("acme_broken", "broken"), ("acme_z", "ok")] == statuses(plugins)
    assert "acme_broken (" in str(plugins.reports()[1].error)


def test_a_block_of_nothing_is_told(install_distribution: Install, write_module: Write) -> None:
    """``no:NAME`` without such a plugin blocks nothing: a line says so, with the closest name."""
    install_distribution("acme", "[roost]\nagent = acme_agent\n")
    write_module("acme_agent.py", ENGINE)
    plugins = Plugins.load(explicit=["no:agnet"], strict=True)
    expected = "no:agnet blocks nothing: no plugin has this name; did you mean agent?"
    assert (expected,) == plugins.vain_blocks()
    assert () == Plugins.load(explicit=["no:agent"], strict=True).vain_blocks()


def test_t10_an_unknown_hook_fails_with_a_hint() -> None:
    """T10: a typo is an error that offers the right name; optionalhook is the way out."""

    @hookimpl
    def on_step_commited(self: object) -> None: ...

    assert "unknown hook on_step_commited; did you mean on_step_committed?" in refused(
        plugin(on_step_commited=on_step_commited)
    )

    @hookimpl(specname="stepp")
    def other(self: object) -> None: ...

    assert "unknown hook stepp; did you mean step?" in refused(plugin(other=other))

    @hookimpl(optionalhook=True)
    def on_step_planned(self: object) -> None: ...

    assert [("mine", "ok")] == statuses(registered(plugin(on_step_planned=on_step_planned)))


def test_t4_registration_is_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """T4: when pluggy itself fails halfway, what it had registered does not fire."""
    for error in (ValueError("late"), SystemExit(1)):

        def check_pending(self: object, error: BaseException = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(Manager, "check_pending", check_pending)
            assert type(error).__name__ in refused(an_engine("a"))


def test_a_failed_plugin_leaves_the_name_free() -> None:
    """A second try under the same name works, and other plugins are untouched."""
    plugins = registered(an_engine("kept"), "kept")
    with pytest.raises(PluginError):
        plugins.register(plugin(x=1), "mine")
    plugins.register(an_engine("a"), "mine")
    assert ["a", "kept"] == list(plugins.engines())
