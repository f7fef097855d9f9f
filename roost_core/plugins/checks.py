"""What a plugin must look like, checked before any of it can run.

pluggy accepts what Roost cannot call, or would silently call with the wrong arguments. Each refusal
here names the plugin and says what to do instead.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

import attrs
import pluggy

from roost_core import hookspecs
from roost_core.errors import PluginLoadError
from roost_core.markers import PROJECT, hookimpl
from roost_core.plugins.calls import is_async
from roost_core.plugins.kinds import ASYNC_HOOKS, ENGINE_HOOKS
from roost_core.wording.suggestions import did_you_mean

_WRAPPER_ADVICE: Final = (
    "Roost has no hook wrappers; to run code around every step, implement around_step, "
    "which returns an async context manager"
)


class Manager(pluggy.PluginManager):
    """A pluggy manager with Roost's hooks, for one set of plugins."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(hookspecs)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        """Look for a mark without running properties or a lazy ``__getattr__``.

        pluggy does so itself since 1.7; with older releases, looking would run them.
        """
        if isinstance(plugin, ModuleType):
            # Most names in a module are not functions, and inspecting them takes time.
            if not inspect.isroutine(vars(plugin).get(name)):
                return None
        else:
            static = inspect.getattr_static(plugin, name, None)
            if static is None or isinstance(static, property | functools.cached_property):
                return None
        return super().parse_hookimpl_opts(plugin, name)

    def arguments(self) -> Mapping[str, tuple[str, ...]]:
        """Return each hook's arguments, by the hook's name."""
        specs = {name: caller.spec for name, caller in vars(self.hook).items()}
        return {name: tuple(spec.argnames) for name, spec in specs.items() if spec is not None}


@attrs.frozen(eq=False)
class Implementation:
    """A marked function of a plugin, and the hook that it implements."""

    hook: str
    function: Callable[..., Any]
    options: Mapping[str, Any]


def implementations(manager: Manager, plugin: object) -> Iterator[Implementation]:
    """Yield what pluggy would register of a plugin."""
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            hook = options.get("specname") or name
            yield Implementation(hook, getattr(plugin, name), options)


def argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the arguments that an implementation takes, in its own order."""
    return tuple(inspect.signature(function).parameters)


def check(manager: Manager, plugin: object) -> list[Implementation]:
    """Refuse a plugin that could not work as its author expects; return what it implements.

    :raises PluginLoadError: what is wrong and what to do, without the plugin's name.
    """
    try:
        hash(plugin)
    except TypeError:
        raise PluginLoadError(
            f"{type(plugin).__name__} objects are not hashable, and plugins must be; "
            "declare the class with @attrs.define(eq=False), or without __eq__"
        ) from None
    specs = manager.arguments()
    found = list(implementations(manager, plugin))
    for one in found:
        if one.hook not in specs:
            if not one.options.get("optionalhook"):
                with _blaming(one.function):
                    raise PluginLoadError(f"unknown hook {one.hook}{did_you_mean(one.hook, specs)}")
            continue
        with _blaming(one.function):
            _check_kind(one)
            _check_arguments(one, specs[one.hook])
    _check_engine(plugin, [one.hook for one in found])
    if not found:
        marks = [name for name in specs if _is_function(plugin, name)]
        advice = f"mark its {' and '.join(marks)}" if marks else "mark its functions"
        raise PluginLoadError(f"it implements no hook; {advice} with @roost_core.hookimpl")
    return found


@contextlib.contextmanager
def _blaming(function: Callable[..., Any]) -> Iterator[None]:
    """Note where a function is that an error is about."""
    try:
        yield
    except PluginLoadError as error:
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is not None:
            error.at = (code.co_filename, code.co_firstlineno)
        raise


def _check_kind(one: Implementation) -> None:
    if one.options.get("wrapper") or one.options.get("hookwrapper"):
        raise PluginLoadError(f"{one.hook} is marked as a wrapper; {_WRAPPER_ADVICE}")
    if is_async(one.function) and one.hook not in ASYNC_HOOKS:
        advice = (
            "make it a plain def that returns an async context manager"
            if one.hook == "around_step"
            else "make it a plain def"
        )
        raise PluginLoadError(f"{one.hook} is async def, but is not awaited; {advice}")
    if inspect.isasyncgenfunction(one.function) or inspect.isgeneratorfunction(one.function):
        advice = (
            "decorate it with contextlib.asynccontextmanager"
            if one.hook == "around_step"
            else "return instead"
        )
        raise PluginLoadError(f"{one.hook} is a generator, because it contains yield; {advice}")


def _check_arguments(one: Implementation, known: tuple[str, ...]) -> None:
    try:
        parameters = inspect.signature(one.function).parameters.values()
    except (TypeError, ValueError) as error:
        raise PluginLoadError(f"the arguments of {one.hook} cannot be read: {error}") from error
    may = f"it may take {', '.join(known)}" if known else "it takes no arguments"
    for parameter in parameters:
        name = parameter.name
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginLoadError(f"{one.hook} takes {parameter}; name its arguments: {may}")
        if parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginLoadError(
                f"{one.hook}: argument {name} is keyword-only and would never get a value; "
                "remove the * before it"
            )
        if parameter.default is not parameter.empty:
            raise PluginLoadError(
                f"{one.hook}: argument {name} has a default and would never get another value; "
                "remove the default"
            )
        if name not in known:
            raise PluginLoadError(
                f"{one.hook}: unknown argument {name}{did_you_mean(name, known)}; {may}"
            )


def _check_engine(plugin: object, hooks: list[str]) -> None:
    for hook in ENGINE_HOOKS:
        if hooks.count(hook) > 1:
            raise PluginLoadError(f"it implements {hook} twice; one plugin is one engine")
    present = [hook for hook in ENGINE_HOOKS if hook in hooks]
    if len(present) != 1:
        return
    other = "step" if present == ["init_snapshot"] else "init_snapshot"
    if _is_function(plugin, other):
        raise PluginLoadError(
            f"{present[0]} is marked with @hookimpl and {other} is not; mark both"
        )
    if other == "step":
        raise PluginLoadError("it implements init_snapshot without step, so it is not an engine")


def _is_function(plugin: object, name: str) -> bool:
    static = inspect.getattr_static(plugin, name, None)
    return inspect.isroutine(static) or isinstance(static, staticmethod | classmethod)


class AdaptedEngine:
    """A plain object with ``step``, made a plugin without changing it.

    :ivar engine: the object itself.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.engine_id = getattr(engine, "engine_id", None)
        self.step = _marked(engine.step)
        if callable(getattr(engine, "init_snapshot", None)):
            self.init_snapshot = _marked(engine.init_snapshot)


def _marked(function: Callable[..., Any]) -> Callable[..., Any]:
    # A new function carries the mark; __wrapped__ lends it the original's arguments.
    if is_async(function):

        @functools.wraps(function)
        async def call(*args: Any) -> Any:
            return await function(*args)
    else:

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            return function(*args)

    return hookimpl(call)


def adapted(manager: Manager, engine: object) -> object:
    """Return an engine that a factory made, as a plugin: itself if it has marks.

    :raises PluginLoadError: it has no ``step``.
    """
    if any(True for _ in implementations(manager, engine)):
        return engine
    if not callable(getattr(engine, "step", None)):
        raise PluginLoadError(f"its factory returned {type(engine).__name__}, which has no step")
    return AdaptedEngine(engine)
