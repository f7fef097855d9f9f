"""Which of a person's own files loading has read: code, and whatever code reads while it loads.

Python tells of each file that is opened, also of one that does not compile. So a prompt that is
read at import is watched like code, and a file that a step writes is not.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from roost_plugins.console.dev.messages import Seen
from roost_plugins.console.dev.watching import Signature, signature

#: Folders of libraries and of what is known about them, wherever they are.
_LIBRARIES: Final = ("site-packages", "dist-packages", ".dist-info", ".egg-info")
#: What the system shows as files.
_SYSTEM: Final = ("/proc/", "/sys/", "/dev/", "/etc/")
#: Opened with one of these, a file is not only read.
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Reads:
    """Notes what is opened while it is on; Python offers no way to stop listening.

    :param but: folders whose files do not count, such as that of the data.
    """

    def __init__(self, but: Iterable[str] = ()) -> None:
        self._but = (*_own_libraries(), *(f"{os.path.realpath(one)}{os.sep}" for one in but))
        self._seen: dict[str, Signature] = {}
        self._is_on = True
        sys.addaudithook(self._hear)

    def stop(self) -> None:
        """Note nothing any more."""
        self._is_on = False

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._is_on or event != "open":
            return
        path, mode, flags = args
        is_read = not (flags & _WRITES if isinstance(flags, int) else 0)
        if isinstance(path, str | bytes | os.PathLike) and is_read and not _writes(mode):
            self._note(os.path.abspath(os.fsdecode(path)))

    def _note(self, path: str) -> None:
        if path.endswith(".pyc"):
            # Instead of the code itself, if it is up to date.
            try:
                path = importlib.util.source_from_cache(path)
            except ValueError:
                return
        # Of what is not there, only what code asked for counts: Python itself tries its whole path.
        if path not in self._seen and path not in sys.path and self.is_own(path):
            # Now, before it is read: a change that comes meanwhile is noticed then.
            self._seen[path] = signature(path)

    def is_own(self, path: str) -> bool:
        """Return whether a file is neither a library's nor the system's."""
        parts = path.split(os.sep)
        is_library = any(part.endswith(_LIBRARIES) for part in parts)
        return not is_library and not path.startswith(_SYSTEM) and not self._is_barred(path)

    def _is_barred(self, path: str) -> bool:
        return path.startswith(self._but) or os.path.realpath(path).startswith(self._but)

    def seen(self, missing: Iterable[str] = ()) -> Seen:
        """Return what was read, the code of all modules, and the packages among them.

        :param missing: names of modules that were not found: where they would be counts, too.
        """
        files = dict(self._seen)
        folders: set[str] = set()
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not path.endswith(".py") or not self.is_own(path):
                continue
            files.setdefault(os.path.abspath(path), signature(path))
            if hasattr(module, "__path__"):
                folders.add(os.path.dirname(os.path.abspath(path)))
        for name in missing:
            for path in self._places(name):
                files.setdefault(path, signature(path))
        regular = {path: one for path, one in files.items() if not os.path.isdir(path)}
        return Seen(regular, sorted(_outermost(folders)))

    def _places(self, name: str) -> Iterator[str]:
        """Yield where a module would be found."""
        parts = name.split(".")
        for root in sys.path:
            path = os.path.join(os.path.abspath(root), *parts)
            if self.is_own(path):
                yield f"{path}.py"
                yield os.path.join(path, "__init__.py")


def _writes(mode: object) -> bool:
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


def _own_libraries() -> Iterator[str]:
    """Yield the folders of Python's own library and of Roost."""
    paths = sysconfig.get_paths()
    here = Path(__file__).parents[2]
    core = importlib.util.find_spec("roost_core")
    homes = [paths["stdlib"], paths["platstdlib"], str(here)]
    homes += list(core.submodule_search_locations or ()) if core is not None else []
    for one in homes:
        yield f"{one}{os.sep}"
        yield f"{os.path.realpath(one)}{os.sep}"


def _outermost(folders: Iterable[str]) -> set[str]:
    """Return the folders that are in no other of them."""
    found: set[str] = set()
    for folder in sorted(folders):
        if not any(folder.startswith(f"{one}{os.sep}") for one in found):
            found.add(folder)
    return found
