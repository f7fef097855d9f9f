"""Names of a package that are imported when somebody first uses them, so that others start fast."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def late_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Type checkers and editors do not follow it: for them, the package imports the same names under
    ``TYPE_CHECKING``, and these two stand in the ``else``, so that a wrong name is an error.

    :param package: its ``__name__``, while it is being imported.
    :param homes: for each name, the module in the package that it is imported from.
    """
    module = sys.modules[package]
    return lambda name: _fetch(module, homes, name), lambda: sorted({*vars(module), *homes})


def _fetch(package: ModuleType, homes: Mapping[str, str], name: str) -> Any:
    home = homes.get(name)
    if home is None:
        raise AttributeError(
            f"module {package.__name__!r} has no attribute {name!r}", name=name, obj=package
        )
    value = getattr(import_module(f"{package.__name__}.{home}"), name)
    setattr(package, name, value)  # so that this is asked once
    return value
