"""The installed distributions that may have plugins, found without reading what all others say.

``importlib.metadata`` makes objects and paths for each of some hundred distributions, which takes
several times as long as looking into their files. So the folders of the path are looked at here,
and it gets only what has a certain text in its entry points.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_ENDINGS = (".dist-info", ".egg-info")
_ENTRY_POINTS = "entry_points.txt"


def with_text(text: str) -> Iterator[Distribution]:
    """Yield the installed distributions whose entry points contain a text, or cannot be read.

    Of several of one name the first on the path counts, whatever the others say.
    """
    from importlib import metadata  # lazily: its own imports take some 40 ms

    seen: set[str] = set()
    for finder in sys.meta_path:
        if finder is PathFinder:
            for entry in dict.fromkeys(sys.path):
                if _is_folder(entry):
                    found = _in_folder(entry, text.encode(), seen)
                    yield from map(metadata.PathDistribution, found)
                else:  # an archive, for example
                    yield from _first(metadata.distributions(path=[entry]), seen)
        elif hasattr(finder, "find_distributions"):
            context = metadata.DistributionFinder.Context()
            yield from _first(finder.find_distributions(context), seen)


def _is_folder(entry: str) -> bool:
    return os.path.isdir(entry or ".") and not entry.lower().endswith(".egg")


def _in_folder(entry: str, text: bytes, seen: set[str]) -> Iterator[Path]:
    """Yield the folders of distributions, and note the names of all."""
    try:
        names = os.listdir(entry or ".")
    except OSError:
        return
    for name in names:
        if not name.lower().endswith(_ENDINGS):
            continue
        known = _plain(name.rpartition(".")[0].partition("-")[0])
        if known in seen:
            continue
        seen.add(known)
        try:
            with open(f"{entry or '.'}/{name}/{_ENTRY_POINTS}", "rb", buffering=0) as file:
                is_wanted = text in file.read()
        except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
            continue
        except OSError:
            is_wanted = True  # told where it is read
        if is_wanted:
            yield Path(entry, name)


def _first(found: Iterable[Distribution], seen: set[str]) -> Iterator[Distribution]:
    """Yield those whose names were not seen yet; those without a name, too."""
    for one in found:
        try:
            known = _plain(one.metadata["Name"] or "")
        except Exception:  # noqa: BLE001 - damaged metadata; told where the rest is read
            known = ""
        if not known or known not in seen:
            seen.add(known)
            yield one


def _plain(name: str) -> str:
    return "-".join(
        part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part
    )
