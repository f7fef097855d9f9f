"""What a command line says before it is parsed: which plugins affect how to parse it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import click

_HELP: Final = frozenset({"--help", "-h"})


def values_of(option: str, args: Sequence[str]) -> list[str]:
    """Return the values of an option, wherever it appears."""
    found = []
    for arg, following in itertools.zip_longest(args, args[1:]):
        if arg == option and following is not None:
            found.append(following)
        elif arg.startswith(f"{option}="):
            found.append(arg.partition("=")[2])
    return found


def named_settings(args: Sequence[str]) -> set[str]:
    """Return the names of settings that may be given as options."""
    return {
        arg.partition("=")[0].removeprefix("--").replace("-", "_")
        for arg in args
        if arg.startswith("--")
    }


def has_unknown(
    args: Sequence[str], params: Iterable[click.Parameter], *, is_group: bool = False
) -> bool:
    """Return whether there is an option that none of the parameters has.

    A value that looks like an option may be taken for one, but never the reverse.

    :param is_group: only what precedes the first argument concerns the parameters.
    """
    takes_value = {
        name: not one.is_flag
        for one in params
        if isinstance(one, click.Option)
        for name in one.opts
    }
    is_value = False
    for arg in args:
        if is_value:
            is_value = False
        elif arg == "--" or (is_group and not arg.startswith("-")):
            return False
        elif arg.startswith("--"):
            name, equals, _ = arg.partition("=")
            if name not in takes_value:
                return True
            is_value = takes_value[name] and not equals
    return False


def asks_for_help(args: Sequence[str]) -> bool:
    """Return whether help is requested."""
    return not _HELP.isdisjoint(args)
