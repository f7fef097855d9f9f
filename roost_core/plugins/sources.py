"""What a plugin's name means, and how it becomes an object.

A name, in ``--plugin`` or the setting ``plugins``, is one of these, tried in
this order:

``no:NAME``
    blocks the plugin of that name, wherever it would come from;
``./agent.py``, ``/srv/agent.py``
    anything that ends in ``.py`` or contains a path separator is a file. It is
    imported under a module name of its own, and named by its stem. Its folder is
    **not** put on the import path: a lone file cannot shadow a module that
    something else imports later. Several files are a package: name ``pkg.module``;
``watchlist``
    an entry point of group ``roost`` or ``roost.engines``;
``pkg.module``, ``pkg.module:attr``
    a module, or an object in it. A class is instantiated without arguments; a
    function is never called, except the factories of group ``roost.engines``.

Nothing is imported before :func:`load`, so that blocks come first.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import attrs

from roost_core.errors import PluginLoadError
from roost_core.plugins import distributions
from roost_core.plugins.errors import place, telling_ctrl_c
from roost_core.wording.suggestions import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

#: Entry points that are plugins.
PLUGIN_GROUP: Final = "roost"
#: Entry points that are factories of engines: ``build_engine(**kwargs)``.
ENGINE_GROUP: Final = "roost.engines"
#: Entry points that say which plugin has the backend for which setting: the name is the setting
#: that chooses it when it is given, or :data:`DEFAULT`; the value is that of the plugin's entry.
BACKEND_GROUP: Final = "roost.backends"
#: Names the plugin whose backend it is where no setting chooses one.
DEFAULT: Final = "default"
BLOCK_PREFIX: Final = "no:"
_GROUPS: Final = (PLUGIN_GROUP, ENGINE_GROUP, BACKEND_GROUP)

#: Causes are shown on one line of at most this many characters.
MAX_CAUSE: Final = 300


class Source(enum.StrEnum):
    """Where a plugin was named; later sources win over earlier ones."""

    INSTALLED = "installed"
    ENVIRONMENT = "environment"
    OPTION = "option"
    REGISTERED = "registered"


def _nowhere() -> tuple[None, None]:
    return None, None


@attrs.frozen(eq=False)
class Candidate:
    """A plugin with a name and a location that is not imported yet.

    :ivar text: what was typed, or the entry point's name.
    :ivar location: ``pkg.module[:attr]``, or the absolute path of a file.
    :ivar find: imports it; None where there is nothing to import.
    :ivar is_factory: the object found makes the engine when called.
    """

    name: str
    source: Source
    text: str
    location: str
    is_factory: bool = False
    find: Callable[[], object] | None = attrs.field(default=None, repr=False)
    _origin: Callable[[], tuple[str | None, str | None]] = attrs.field(default=_nowhere, repr=False)

    @property
    def distribution(self) -> str | None:
        """The distribution that installed it."""
        return self._origin()[0]

    @property
    def version(self) -> str | None:
        """That distribution's version."""
        return self._origin()[1]

    @property
    def described(self) -> str:
        """The plugin and where it comes from, for people."""
        if self.source is Source.INSTALLED:
            return f"{self.name} (installed by {self.distribution} {self.version})"
        if self.source is Source.ENVIRONMENT:
            return f"{self.name} (setting plugins: {self.text})"
        if self.source is Source.OPTION:
            return f"{self.name} (--plugin {self.text})"
        return f"{self.name} (registered by the program)"

    @property
    def options(self) -> tuple[str, ...] | None:
        """The words that name it to a command; None if a program has registered it."""
        if self.source is Source.OPTION:
            return ("--plugin", self.text)
        return () if self.source in (Source.INSTALLED, Source.ENVIRONMENT) else None


def cause(error: BaseException, without: Callable[[str], str] = str) -> str:
    """Return an error's type and text on one line.

    :param without: takes secrets out of the text, before it is cut.
    """
    # Only the message of a syntax error, because its full location follows anyway.
    said = without(str(error))
    if isinstance(error, SyntaxError) and place(error, ""):
        said = error.msg
    text = " ".join(said.split())
    shown = text if len(text) <= MAX_CAUSE else text[:MAX_CAUSE] + "…"
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


# -- what is installed -------------------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class Installed:
    """What is installed; nothing of it is imported.

    :ivar plugins: the plugins, then the factories of engines, each sorted by name.
    :ivar backends: the locations of plugins by the settings that choose their backends.
    """

    plugins: Sequence[Candidate] = ()
    backends: Mapping[str, Collection[str]] = attrs.field(factory=dict)

    def for_backend(self, given: Collection[str]) -> Collection[str]:
        """Return the locations of the plugins that have the backend for the given settings."""
        chosen = [one for name in given if name != DEFAULT for one in self.backends.get(name, ())]
        return chosen or self.backends.get(DEFAULT, ())


def look() -> Installed:
    """Look up what is installed.

    A distribution whose entry points cannot be read becomes a candidate that
    fails to load; it does not hide the others.
    """
    points: list[EntryPoint] = []
    unreadable: list[Candidate] = []
    for distribution in distributions.with_text(f"[{PLUGIN_GROUP}"):
        try:
            points.extend(one for one in distribution.entry_points if one.group in _GROUPS)
        except Exception as error:  # noqa: BLE001 - one malformed file anywhere; attributed to it
            unreadable.append(_unreadable(_name_of(distribution), error))
    backends: dict[str, list[str]] = {}
    for point in points:
        if point.group == BACKEND_GROUP:
            backends.setdefault(point.name, []).append(point.value)
    candidates = [_from_entry_point(point) for point in points if point.group != BACKEND_GROUP]
    candidates.sort(key=lambda one: (one.is_factory, one.name, one.location))
    return Installed(candidates + unreadable, backends)


def installed() -> Sequence[Candidate]:
    """Return the installed plugins, see :class:`Installed`."""
    return look().plugins


def _name_of(distribution: Distribution) -> str:
    # As plain text: a parser takes longer to import than the rest of this module.
    try:
        about = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        found = re.search(r"^Name:[ \t]*(\S+)", about, re.MULTILINE)
    except Exception:  # noqa: BLE001 - damaged metadata is expected here
        found = None
    if found is None:
        return f"unnamed distribution {id(distribution):x}"
    return re.sub(r"[-_.]+", "-", found[1]).lower()


def _unreadable(name: str, error: Exception) -> Candidate:
    def find() -> object:
        raise error

    return Candidate(
        name,
        Source.INSTALLED,
        name,
        "entry_points.txt",
        find=find,
        origin=lambda: (name, "with unreadable entry points"),
    )


def _from_entry_point(point: EntryPoint) -> Candidate:
    @functools.cache
    def origin() -> tuple[str, str]:
        # Reading it takes a millisecond each, and only reports and errors show it.
        if point.dist is not None:
            with contextlib.suppress(Exception):  # damaged metadata, not the plugin's fault
                return point.dist.name, point.dist.version
        return "an unknown distribution", ""

    return Candidate(
        point.name,
        Source.INSTALLED,
        point.name,
        point.value,
        is_factory=point.group == ENGINE_GROUP,
        find=point.load,
        origin=origin,
    )


# -- what is named -----------------------------------------------------------------------------


def blocked_name(text: str) -> str | None:
    """Return NAME of ``no:NAME``, or None if the text is something else.

    :raises PluginLoadError: the name is missing.
    """
    if not text.startswith(BLOCK_PREFIX):
        return None
    name = text.removeprefix(BLOCK_PREFIX).strip()
    if not name:
        raise PluginLoadError("no: blocks a plugin and needs its name, as in no:watchlist")
    return name


def named(text: str, source: Source, entries: Sequence[Candidate]) -> Candidate:
    """Return what a text names. Nothing is looked for on disk or imported yet.

    :param entries: what is installed, for names of entry points.
    :raises PluginLoadError: the text is empty.
    """
    text = text.strip()
    if not text:
        raise PluginLoadError("a plugin's name is empty; name an entry point, a module or a file")
    if text.endswith(".py") or any(mark in text for mark in (os.sep, os.altsep) if mark):
        # Not resolved: a symbolic link keeps the name that the person used.
        path = Path(os.path.abspath(os.path.expanduser(text)))
        find = functools.partial(_import_file, path)
        return Candidate(path.stem, source, text, str(path), find=find)
    for entry in entries:
        if entry.name == text:
            return attrs.evolve(entry, source=source)
    known = [entry.name for entry in entries]
    return Candidate(text, source, text, text, find=functools.partial(_import_name, text, known))


def _import_name(text: str, known: Sequence[str]) -> object:
    module_name, colon, attribute = text.partition(":")
    parts = module_name.split(".") + (attribute.split(".") if colon else [])
    if not all(part.isidentifier() for part in parts):
        raise PluginLoadError(
            f"{text} is neither an installed plugin nor a name that can be imported"
            + did_you_mean(text, known)
        )
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module exists; something that it needs does not
        file = Path(*module_name.split(".")).with_suffix(".py")
        hint = f"; did you mean ./{file}?" if file.is_file() else did_you_mean(text, known)
        raise PluginLoadError(
            f"{text} is neither an installed plugin nor importable: {cause(error)}{hint}"
        ) from error
    return functools.reduce(getattr, attribute.split("."), found) if colon else found


class _UncachedLoader(SourceFileLoader):
    """Compiles the source each time: no stale code, and no cache folder next to people's files."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _import_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise PluginLoadError(f"{path} is a folder; name a .py file in it, or import it as pkg")
    if not path.is_file():
        raise PluginLoadError(f"there is no file {path}")
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    name = f"roost_plugin_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"
    loader = _UncachedLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses, attrs and typing look modules up there
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            _explain_sibling(path, error)
        raise
    return module


def _explain_sibling(path: Path, error: ModuleNotFoundError) -> None:
    sibling = path.parent / str(error.name).partition(".")[0]
    if sibling.is_dir() or sibling.with_suffix(".py").is_file():
        raise PluginLoadError(
            f"{cause(error)}: it is next to the file, whose folder is not on the import path; "
            "make them a package and name its module"
        ) from error


# -- from a candidate to an object -------------------------------------------------------------


def load(candidate: Candidate) -> object:
    """Import a candidate and return the plugin object.

    :raises PluginLoadError: one line with plugin and cause, whatever happened: a plugin that exits
        or raises KeyboardInterrupt at import does not end the process.
    """
    with telling_ctrl_c() as was_pressed:
        try:
            found = None if candidate.find is None else candidate.find()
            return _made(found) if candidate.is_factory else _instance(found)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and was_pressed():
                raise
            what = told(error, candidate.location)
            line = " ".join(f"cannot load plugin {candidate.described}: {what}".split())
            raise PluginLoadError(line) from error


def told(error: BaseException, location: str) -> str:
    """Return what went wrong in a plugin, and at which of its lines."""
    if isinstance(error, PluginLoadError):
        if error.at is not None:
            return f"{error} ({error.at[0]}:{error.at[1]})"
        # Roost's own message; its cause may have a place.
        reason = error.__cause__
        return f"{error}{place(reason, location) if reason is not None else ''}"
    return f"{cause(error)}{place(error, location)}"


def _instance(found: Any) -> object:
    if inspect.isclass(found):
        found = found()
    if found is None:
        raise PluginLoadError("it is None, not a plugin")
    if inspect.isroutine(found):
        raise PluginLoadError(
            "it is a function, not a plugin; name a module, a class, or an object with hooks "
            f"(factories belong to the entry point group {ENGINE_GROUP})"
        )
    return found


def _made(factory: Any) -> object:
    if not callable(factory):
        raise PluginLoadError(
            f"an entry of group {ENGINE_GROUP} must be a factory, not {type(factory).__name__}"
        )
    made: object = factory()
    if inspect.iscoroutine(made):
        made.close()
        raise PluginLoadError("its factory is async; make it a plain function")
    if made is None or inspect.isclass(made) or inspect.isroutine(made):
        raise PluginLoadError(f"its factory returned {made!r:.80}, not an engine")
    return made
