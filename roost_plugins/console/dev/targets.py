"""What is to be run: a file, a plugin, a module, or a folder with a project.

A project need not be installed: its ``pyproject.toml`` names its plugins as entry points, and its
modules are found in its folder, or in the ``src`` in it.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import attrs

from roost_core.errors import InvalidInput
from roost_plugins.console.dev.watching import Signature, signature

#: Entry points that are plugins, and those that are factories of engines.
PLUGIN_GROUP: Final = "roost"
ENGINE_GROUP: Final = "roost.engines"
_BLOCK: Final = "no:"
_PROJECT: Final = "pyproject.toml"
_SOURCE: Final = "src"


@attrs.frozen
class Target:
    """What the worker has to load.

    :ivar plugins: what is named with ``--plugin``.
    :ivar roots: folders in which modules are found.
    :ivar files: files to watch besides those that are read.
    :ivar folders: packages to watch.
    """

    plugins: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def signatures(self) -> Mapping[str, Signature]:
        """Return what the files are now."""
        return {path: signature(path) for path in self.files}


def find(texts: Sequence[str]) -> Target:
    """Return what the words of a command line name; without any, the project of this folder.

    :raises InvalidInput: one names nothing; the text says what to do.
    """
    if not texts:
        here = Path.cwd()
        return _project(here, ".") if _entries(here) else Target()
    return together(_one(text) for text in texts)


def together(targets: Iterable[Target]) -> Target:
    """Return several as one."""
    found = Target()
    for one in targets:
        found = Target(
            tuple(dict.fromkeys(found.plugins + one.plugins)),
            tuple(dict.fromkeys(found.roots + one.roots)),
            found.files + one.files,
            found.folders + one.folders,
        )
    return found


def _one(text: str) -> Target:
    if text.startswith(_BLOCK):
        return Target((text,))
    path = Path(text).expanduser()
    if path.is_dir() and (_entries(path) or not _is_installed(text)):
        return _project(path, text)
    if text.endswith(".py") or os.sep in text:
        if not path.is_file():
            raise InvalidInput(f"there is no file {path}: `roost new NAME` writes an engine")
        return Target((text,), files=(str(_full(path)),))
    return _module(text)


def _module(text: str) -> Target:
    if _is_installed(text):
        return Target((text,))
    name = text.partition(":")[0].partition(".")[0]
    for root in (Path.cwd(), Path.cwd() / _SOURCE):
        folder, file = root / name, root / f"{name}.py"
        if folder.is_dir() or file.is_file():
            folders = (str(_full(folder)),) if folder.is_dir() else ()
            return Target((text,), (str(_full(root)),), folders=folders)
    if name.isidentifier() and importlib.util.find_spec(name) is not None:
        return Target((text,))
    known = _installed()
    near = [path.name for path in Path.cwd().glob("*.py")]
    near += [path.parent.name for path in Path.cwd().glob(f"*/{_PROJECT}")]
    close = difflib.get_close_matches(text, [*near, *known], 1)
    raise InvalidInput(
        f"{text} is neither a file, a folder with a project, an installed plugin nor a module"
        + (f"; did you mean {close[0]}?" if close else ": `roost new NAME` writes an engine")
    )


def _is_installed(text: str) -> bool:
    return text in _installed()


def _installed() -> set[str]:
    """Return the names of the installed plugins."""
    groups = (PLUGIN_GROUP, ENGINE_GROUP)
    return {one.name for group in groups for one in metadata.entry_points(group=group)}


def _project(folder: Path, text: str) -> Target:
    found = _entries(folder)
    if not found:
        raise InvalidInput(
            f"the folder {text} has no {_PROJECT} with [project.entry-points.{PLUGIN_GROUP}]: "
            "name the engine's .py file, or begin with `roost new NAME`"
        )
    plugins = tuple(one.module for one in found if not one.is_factory)
    if not plugins and not any(_is_installed(one.name) for one in found):
        raise InvalidInput(f"{text} has factories only, so install it: pip install -e {text}")
    roots: list[str] = []
    packages: list[str] = []
    for entry in found:
        name = entry.module.partition(":")[0].partition(".")[0]
        root = next((one for one in (folder / _SOURCE, folder) if _has_module(one, name)), folder)
        roots.append(str(_full(root)))
        if (root / name).is_dir():
            packages.append(str(_full(root / name)))
    return Target(
        tuple(dict.fromkeys(plugins)),
        tuple(dict.fromkeys(roots)),
        (str(_full(folder / _PROJECT)),),
        tuple(dict.fromkeys(packages)),
    )


def _has_module(root: Path, name: str) -> bool:
    return (root / name).is_dir() or (root / f"{name}.py").is_file()


@attrs.frozen
class _Entry:
    """An entry point that a project would have, if it were installed."""

    name: str
    module: str
    is_factory: bool


def _entries(folder: Path) -> list[_Entry]:
    """Return the entry points of a folder's project.

    :raises InvalidInput: the file cannot be read.
    """
    path = folder / _PROJECT
    try:
        with path.open("rb") as file:
            found: Any = tomllib.load(file)
    except FileNotFoundError:
        return []
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"cannot read {path}: {why}") from error
    groups = _table(_table(found, "project"), "entry-points")
    return [
        _Entry(name, module, group == ENGINE_GROUP)
        for group in (PLUGIN_GROUP, ENGINE_GROUP)
        for name, module in _table(groups, group).items()
        if isinstance(module, str)
    ]


def _table(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _full(path: Path) -> Path:
    """Return a path from the root on; links stay as they are named."""
    return Path(os.path.abspath(path))
