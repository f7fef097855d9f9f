"""What a plugin must look like, and what makes it an engine."""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core import hookimpl
from roost_core.errors import (
    PluginConflict,
    PluginLoadError,
)
from roost_core.plugins.kinds import ASYNC_HOOKS
from roost_core.plugins.registry import Plugins
from tests.unit.plugins.plugin_samples.building import (
    ENGINE,
    HOOKS,
    ITEM,
    an_engine,
    plugin,
    refused,
    registered,
    statuses,
)

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Install, Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]


# -- what a plugin must look like --------------------------------------------------------------


@pytest.mark.parametrize("hook", sorted(HOOKS))
@pytest.mark.parametrize("option", ["wrapper", "hookwrapper"])
def test_t2_wrappers_are_refused(hook: str, option: str) -> None:
    """T2: a wrapper would end before the coroutine runs; the error points to around_step."""

    def wrapper(self: object) -> Any:
        return (yield)

    marked = hookimpl(**{option: True})(wrapper)
    message = refused(plugin(**{hook: marked}))
    assert f"{hook} is marked as a wrapper" in message
    assert "around_step" in message


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_t1_async_def_is_for_hooks_that_are_awaited(hook: str) -> None:
    """T1: engines and observers may be async def; a provider could never decline."""

    async def function(self: object) -> None: ...

    async def step(self: object) -> None: ...

    members = {"step": hookimpl(step), hook: hookimpl(function)}
    if hook in ASYNC_HOOKS:
        registered(plugin(**members))
        return
    message = refused(plugin(**members))
    assert f"{hook} is async def, but is not awaited; make it a plain def" in message
    assert (hook == "around_step") == ("that returns an async context manager (" in message)


def test_around_step_without_its_decorator_says_which() -> None:
    """An async generator is one decorator away from a context manager."""

    @hookimpl
    async def around_step(self: object) -> Any:
        yield

    assert "decorate it with contextlib.asynccontextmanager" in refused(
        plugin(around_step=around_step)
    )


def test_a_generator_is_no_step() -> None:
    """A step that yields would return a generator instead of a snapshot."""

    @hookimpl
    def step(self: object) -> Any:
        yield

    assert "step is a generator, because it contains yield; return instead" in refused(
        plugin(step=step)
    )


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("snapshot=None", "argument snapshot has a default and would never get another value"),
        ("*, snapshot", "argument snapshot is keyword-only and would never get a value"),
        ("*args", "step takes *args; name its arguments: it may take snapshot, item, context"),
        ("**kwargs", "step takes **kwargs; name its arguments"),
        ("snapshot, contxt", "unknown argument contxt; did you mean context?; it may take snap"),
        ("worker", "unknown argument worker; it may take snapshot, item, context"),
    ],
)
def test_t7_arguments_that_would_never_get_a_value(kind: str, arguments: str, shown: str) -> None:
    """T7: pluggy passes nothing to defaults and keyword-only arguments, so they are refused."""
    scope: dict[str, Any] = {}
    exec(f"{kind} step({arguments}): pass", scope)
    module = ModuleType("module")
    module.step = hookimpl(scope["step"])
    assert shown in refused(module)


@given(hook=st.sampled_from(sorted(HOOKS)), data=st.data())
def test_any_choice_of_a_hooks_arguments_is_accepted(hook: str, data: st.DataObject) -> None:
    """Each hook may take any of its arguments, in any order."""
    names = data.draw(st.lists(st.sampled_from(HOOKS[hook] or [""]), unique=True).map(tuple))
    names = tuple(name for name in names if name)
    scope: dict[str, Any] = {}
    exec(f"def function({', '.join(names)}): pass\ndef step(): pass", scope)
    module = ModuleType("module")
    module.step = hookimpl(scope["step"])
    setattr(module, hook, hookimpl(scope["function"]))
    assert {hook, "step"} == set(registered(module).reports()[0].hooks)


def test_t8_plugins_must_be_hashable_and_distinct() -> None:
    """T8: attrs classes need eq=False; the error says so."""

    @attrs.define
    class Unhashable:
        @hookimpl
        def on_worker_start(self) -> None: ...

    assert "not hashable" in refused(Unhashable())
    assert "@attrs.define(eq=False)" in refused(Unhashable())

    class Same(NamedTuple):
        number: int

        @hookimpl
        def on_worker_start(self) -> None: ...

    plugins = registered(Same(1), "first")
    with pytest.raises(PluginLoadError, match=r"it equals plugin first .*eq=False"):
        plugins.register(Same(1), "second")
    plugins.register(Same(2), "second")
    assert [("first", "ok"), ("second", "ok")] == statuses(plugins)


def test_t9_registration_runs_no_property() -> None:
    """T9: looking for hooks runs neither properties nor lazy attributes."""
    ran = []

    class Plugin:
        @property
        def costly(self) -> object:
            return ran.append("property")

        @functools.cached_property
        def cached(self) -> object:
            return ran.append("cached")

        @hookimpl
        def on_worker_start(self) -> None: ...

        def __getattr__(self, name: str) -> object:
            if name == "engine_id":
                raise AttributeError(name)
            ran.append(name)
            raise AttributeError(name)

        def __dir__(self) -> list[str]:
            return [*super().__dir__(), "lazy"]

    registered(Plugin())
    assert [] == [name for name in ran if not name.startswith("__")]


def test_hooks_without_a_mark_are_pointed_out() -> None:
    """A plugin whose author forgot the decorator is not accepted silently."""

    def step(self: object) -> None: ...

    def init_snapshot(self: object) -> None: ...

    assert "it implements no hook; mark its step with @roost_core.hookimpl" in refused(
        plugin(step=step)
    )
    assert "it implements no hook; mark its functions" in refused(plugin())
    assert "step is marked with @hookimpl and init_snapshot is not; mark both" in refused(
        plugin(step=hookimpl(step), init_snapshot=init_snapshot)
    )
    unmarked = plugin(init_snapshot=hookimpl(lambda self: None), step=lambda self: None)
    assert "init_snapshot is marked with @hookimpl and step is not; mark both" in refused(unmarked)
    assert "init_snapshot without step" in refused(
        plugin(init_snapshot=hookimpl(lambda self: None))
    )


def test_one_plugin_is_one_engine() -> None:
    """With two steps in one plugin it would be unclear which one runs."""
    twice = plugin(
        step=hookimpl(lambda self: None), other=hookimpl(specname="step")(lambda self: None)
    )
    assert "it implements step twice" in refused(twice)


# -- engines -----------------------------------------------------------------------------------


def test_an_engines_id_is_its_attribute_or_the_plugins_name(
    install_distribution: Install, write_module: Write, tmp_path: Path
) -> None:
    """A module's name, an entry point's, or a file's stem, unless it says otherwise."""
    install_distribution("acme", "[roost]\nby-entry = acme_entry\n")
    write_module("acme_entry.py", ENGINE)
    write_module("acme_pkg/__init__.py")
    write_module("acme_pkg/agent.py", ENGINE)
    write_module("acme_says.py", "engine_id = 'says'" + ENGINE)
    (tmp_path / "by_file.py").write_text(ENGINE)
    plugins = Plugins.load(
        explicit=["acme_pkg.agent", "acme_says", str(tmp_path / "by_file.py")], strict=True
    )
    homes = {engine_id: one.plugin_name for engine_id, one in plugins.engines().items()}
    assert {
        "acme_pkg.agent": "acme_pkg.agent",
        "by-entry": "by-entry",
        "by_file": "by_file",
        "says": "acme_says",
    } == homes
    assert sorted(homes) == list(plugins.engines())
    assert set(homes) == {report.engine_id for report in plugins.reports()}


@pytest.mark.parametrize("engine_id", ["", "a b", "-a", "a" * 65, "a:b", 7, b"a", "a\n"])
def test_an_engine_id_is_checked(engine_id: Any) -> None:
    """What work items could not name is refused when it is loaded."""
    assert "is not a valid engine id; set its engine_id" in refused(an_engine(engine_id))


def test_a_name_that_is_no_engine_id_asks_for_one(tmp_path: Path) -> None:
    """A file's stem may be no valid id; without an engine it does not matter."""
    path = tmp_path / "my agent.py"
    path.write_text(ENGINE)
    with pytest.raises(PluginLoadError, match="'my agent' is not a valid engine id"):
        Plugins.load(explicit=[str(path)], installed=False, strict=False)
    path.write_text("engine_id = 'mine'" + ENGINE)
    plugins = Plugins.load(explicit=[str(path)], installed=False, strict=False)
    assert ["mine"] == list(plugins.engines())


def test_two_engines_of_one_id_name_both(
    install_distribution: Install, write_module: Write
) -> None:
    """The error says which plugins, and where from."""
    install_distribution("acme", "[roost]\nagent = acme_agent\n")
    write_module("acme_agent.py", ENGINE)
    write_module("acme_other.py", "engine_id = 'agent'" + ENGINE)
    with pytest.raises(PluginConflict) as raised:
        Plugins.load(explicit=["acme_other"], strict=False)
    expected = (
        "two plugins have the engine agent: agent (installed by acme 1.0) and "
        "acme_other (--plugin acme_other); block one, for example with --plugin no:agent"
    )
    assert expected == str(raised.value)
    plugins = Plugins.load(explicit=["acme_other", "no:agent"], strict=True)
    assert "acme_other" == plugins.engines()["agent"].plugin_name


FACTORIES = """
from roost_core import hookimpl

class Plain:
    __slots__ = ()
    engine_id = "plain"
    def init_snapshot(self, item):
        return "first", item.work_id
    async def step(self, context, snapshot):
        return "plain", snapshot, context

class Marked:
    engine_id = "marked"
    @hookimpl
    def init_snapshot(self, item):
        return "first", item.work_id
    @hookimpl
    def step(self, context, snapshot):
        return "marked", snapshot, context

class Odd:
    def __init__(self):
        import functools
        self.step = functools.partial(self.move, "odd")
    def move(self, name, snapshot, context):
        return name, snapshot, context

plain = Plain()
def build_plain(**kwargs): return plain
build_marked = Marked
def build_odd(**kwargs): return Odd()
def build_nothing(**kwargs): return object()
"""


async def test_factories_make_engines_with_or_without_marks(
    install_distribution: Install, write_module: Write
) -> None:
    """Group roost.engines: a plain object becomes a plugin and is not touched."""
    write_module("acme_made.py", FACTORIES)
    names = ["plain", "marked", "odd"]
    install_distribution(
        "acme", "[roost.engines]\n" + "".join(f"{n} = acme_made:build_{n}\n" for n in names)
    )
    plugins = Plugins.load(strict=True)
    engines = plugins.engines()
    assert sorted(names) == list(engines)
    for name in names:
        stepped = await engines[name].step("snapshot", ITEM, "context")
        assert (name, "snapshot", "context") == stepped
    for name in ("plain", "marked"):
        assert ("first", "w") == await engines[name].init_snapshot(None, ITEM, None)
    assert ("step",) == plugins.reports()[1].hooks
    again = Plugins.load(explicit=["plain"], strict=True)
    assert "option" == again.reports()[-1].source


def test_a_factorys_object_without_step_is_refused(
    install_distribution: Install, write_module: Write
) -> None:
    """The error names entry point and distribution."""
    write_module("acme_made.py", FACTORIES)
    install_distribution("acme", "[roost.engines]\nnone = acme_made:build_nothing\n")
    with pytest.raises(PluginLoadError, match=r"none \(installed by acme 1.0\): .*has no step"):
        Plugins.load(strict=True)


@pytest.mark.parametrize(
    ("hook", "line"),
    [("def stepp(snapshot)", "unknown hook"), ("def step(snap)", "unknown arg")],
)
def test_a_wrong_hook_has_its_place(tmp_path, hook: str, line: str) -> None:
    """The error ends with file and line, as that of code that does not run."""
    path = tmp_path / "engine_here.py"
    path.write_text(f"from roost_core import hookimpl\n\n\n@hookimpl\n{hook}:\n    pass\n")
    with pytest.raises(PluginLoadError, match=line) as caught:
        Plugins.load(explicit=[str(path)], installed=False, strict=True)
    assert str(caught.value).endswith(f" ({path}:4)")
