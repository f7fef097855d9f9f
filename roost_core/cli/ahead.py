"""What a command line says before it is parsed: which plugins affect how to parse it.

A plugin that is named is code that runs, and a value may be a text from anywhere, as in
``roost enqueue --title "$TITLE"``. So only what click will take for an option counts as one: how
many values each option takes has to be known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import click

_HELP: Final = frozenset({"--help", "-h"})


def arity(params: Iterable[click.Parameter]) -> dict[str, int]:
    """Return how many values the options among the parameters take, by their names."""
    return {
        name: 0 if one.is_flag or one.count else one.nargs
        for one in params
        if isinstance(one, click.Option)
        for name in (*one.opts, *one.secondary_opts)
    }


def options(
    args: Sequence[str], own: Mapping[str, int], of_command: Callable[[str], Mapping[str, int]]
) -> Iterator[tuple[str, str | None]]:
    """Yield the options of a command line, each with its first value.

    An unknown option counts as one that takes a value: what follows it is not obeyed.

    :param own: how many values the options before the command's name take.
    :param of_command: returns the same for those after it, by the command's name.
    """
    left = deque(args)
    yield from _options(left, own, is_group=True)
    if left:
        yield from _options(left, of_command(left.popleft()))


def has_unknown(
    args: Sequence[str], params: Iterable[click.Parameter], *, is_group: bool = False
) -> bool:
    """Return whether there is an option that none of the parameters has.

    :param is_group: only what precedes the first argument concerns the parameters.
    """
    known = arity(params)
    found = _options(deque(args), known, is_group=is_group)
    return any(name.startswith("--") and name not in known for name, _ in found)


def asks_for_help(args: Sequence[str]) -> bool:
    """Return whether help is requested."""
    return not _HELP.isdisjoint(args)


def _options(
    left: deque[str], takes: Mapping[str, int], *, is_group: bool = False
) -> Iterator[tuple[str, str | None]]:
    """Yield options and take them away; a group's end before the first argument."""
    while left:
        arg = left.popleft()
        if arg == "--":
            return
        if not arg.startswith("-") or arg == "-":
            if is_group:
                left.appendleft(arg)
                return
            continue
        for name, value in _parts(arg, takes):
            count = takes.get(name, 1) if value is None else 0
            values = [left.popleft() for _ in range(min(count, len(left)))]
            yield name, values[0] if values else value


def _parts(arg: str, takes: Mapping[str, int]) -> Iterator[tuple[str, str | None]]:
    """Yield an option with the value in the same word; several if they are short flags."""
    name, equals, value = arg.partition("=")
    if arg.startswith("--") or name in takes:
        yield name, value if equals else None
        return
    for at in range(1, len(arg)):
        name, rest = f"-{arg[at]}", arg[at + 1 :]
        if rest and takes.get(name, 1):
            yield name, rest
            return
        yield name, None
