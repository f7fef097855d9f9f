"""Which files have changed: their times, sizes and inodes are compared a few times a second.

Polling a few hundred files costs less than a hundredth of a core. It sees saves through a rename,
needs no library and no kernel watches, of which there may be too few, and works on the shared
folders of containers, which tell nobody of changes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import Final

#: When a file was changed (nanoseconds), its size and its inode; None if there is none.
Signature = tuple[int, int, int] | None

#: Code in a watched folder; other files count only if loading has read them.
_CODE: Final = ".py"
#: Folders in packages with other people's code, or with what tools make.
_NOT_CODE: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
#: A folder with more code than this is watched only as far as loading has read it.
MOST_FILES: Final = 5_000
#: Most folders to look into.
_MOST_FOLDERS: Final = 2_000


def signature(path: str) -> Signature:
    """Return what tells one content of a file from another, as far as that goes."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


class Watcher:
    """Knows files and folders, and says which have changed since it was asked last."""

    def __init__(self) -> None:
        self._files: dict[str, Signature] = {}
        self._folders: dict[str, Signature] = {}
        self._roots: tuple[str, ...] = ()
        self._kept: dict[str, Signature] = {}
        self._kept_roots: tuple[str, ...] = ()
        #: Folders that have too much in them to be watched whole.
        self.too_large: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return how many files there are."""
        return sum(one is not None for one in self._files.values())

    def keep(self, files: Mapping[str, Signature], folders: Iterable[str]) -> None:
        """Watch these, too, whatever else is watched; they count as they are here."""
        self._kept, self._kept_roots = dict(files), tuple(folders)
        self.watch_also(files, folders)

    def watch(self, files: Mapping[str, Signature], folders: Iterable[str]) -> None:
        """Watch these from now on, and nothing else.

        :param files: absolute paths, and what each file was when it was read: a file that has
            changed since counts as changed.
        :param folders: code in these counts as well, also that of files to come.
        """
        self._roots = tuple(dict.fromkeys((*self._kept_roots, *folders)))
        known = self._files
        self._files = {path: known.get(path, one) for path, one in self._kept.items()}
        self._files.update(files)
        self._look(known)

    def watch_also(self, files: Mapping[str, Signature], folders: Iterable[str] = ()) -> None:
        """Watch more; a file that is watched already counts as it is given here."""
        self._roots = tuple(dict.fromkeys((*self._roots, *folders)))
        self._files.update(files)
        self._look(self._files)

    def changes(self) -> list[str]:
        """Return the files that were changed, added or removed since the last call, sorted."""
        found = []
        for path, known in self._files.items():
            now = signature(path)
            if now != known:
                self._files[path] = now
                found.append(path)
        if any(signature(path) != known for path, known in self._folders.items()):
            before = set(self._files)
            self._look(self._files)
            found += [path for path in self._files if path not in before]
        return sorted(found)

    def _look(self, known: Mapping[str, Signature]) -> None:
        """List the code of the folders."""
        self._folders = {}
        too_large = []
        for root in self._roots:
            folders, files = _code_in(root)
            if len(files) > MOST_FILES or len(folders) > _MOST_FOLDERS:
                too_large.append(root)
                continue
            self._folders.update(folders)
            for path in files:
                if path not in self._files:
                    self._files[path] = known[path] if path in known else signature(path)
        self.too_large = tuple(too_large)


def _code_in(root: str) -> tuple[dict[str, Signature], list[str]]:
    """Return the folders under one, itself included, and the code in them; not endlessly many."""
    folders: dict[str, Signature] = {}
    files: list[str] = []
    left = [root]
    while left and len(files) <= MOST_FILES and len(folders) <= _MOST_FOLDERS:
        folder = left.pop()
        # Before its content is read, so that what comes meanwhile is seen the next time.
        folders[folder] = signature(folder)
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        if any(one.name == "pyvenv.cfg" for one in entries):
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.endswith(_CODE):
                files.append(entry.path)
            elif entry.name not in _NOT_CODE and _is_folder(entry):
                left.append(entry.path)
    return folders, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        # Not through links: they may lead back up.
        return stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return False


class Settling:
    """Holds changes back until no more come: editors and tools save in several moves.

    :param quiet: seconds without a change after which it is over.
    :param most: seconds after which it does not wait any longer.
    """

    def __init__(self, quiet: float = 0.15, most: float = 2.0) -> None:
        self._quiet, self._most = quiet, most
        self._paths: set[str] = set()
        self._began = self._last = 0.0

    def see(self, paths: Iterable[str], now: float) -> None:
        """Note changes.

        :param now: the monotonic clock.
        """
        found = set(paths)
        if found:
            self._began = self._began if self._paths else now
            self._last = now
            self._paths |= found

    def settled(self, now: float) -> list[str]:
        """Return what has changed, once that is over; nothing before."""
        is_over = now - self._last >= self._quiet or now - self._began >= self._most
        if not self._paths or not is_over:
            return []
        found, self._paths = sorted(self._paths), set()
        return found

    @property
    def is_waiting(self) -> bool:
        """Whether there are changes to come."""
        return bool(self._paths)
