"""What commands that take a query share: how it is typed, and what is said of the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import click

from roost_core.backend.searching import LOOK
from roost_core.cli import output
from roost_core.cli.arguments import WholeType
from roost_core.cli.options import RoostCommand
from roost_core.errors import InvalidInput
from roost_core.query.parsing import parse
from roost_core.query.terms import KEYS, Query
from roost_core.wording.suggestions import is_slip

#: A term that is negated, and no option: those of one letter are alone or have a value.
_NEGATED: Final = re.compile(r"-[A-Za-z_]+:.*|-[\w\"][^=]*[\w\"]", re.DOTALL)
#: A key of texts, and a text with blanks whose quotes the shell has taken.
_UNQUOTED: Final = re.compile(r'(-?(?:error|title):)([^"]*\s[^"]*)')
_OTHER_KEY: Final = re.compile(rf"\s-?(?:{'|'.join(KEYS)}):")
#: What looks like another term, which prose does not: it has a blank behind its colons.
_OTHER_TERM: Final = re.compile(r"\s-?([A-Za-z_]+):(?=\S)")


class QueryCommand(RoostCommand):
    """A command whose arguments are a query: in it, ``-state:done`` is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options; what looks like a negated term is part of the query.

        :raises click.UsageError: it looks more like an option that lacks a dash.
        """
        own, _, rest = _split(args, "--")
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        takes_value = {name for one in options if not one.is_flag for name in one.opts}
        names = {name for one in options for name in one.opts} | set(ctx.help_option_names)
        kept: list[str] = []
        negated: list[str] = []
        for before, arg in zip(["", *own], own, strict=False):
            is_term = _NEGATED.fullmatch(arg) is not None and before not in takes_value
            if is_term and f"-{arg}" in names:
                raise click.UsageError(
                    f"Is {arg} the option -{arg}? Text goes in quotes: '-\"{arg[1:]}\"'.", ctx
                )
            (negated if is_term else kept).append(arg)
        return super().parse_args(ctx, [*kept, "--", *negated, *rest])


def _split(args: Sequence[str], mark: str) -> tuple[list[str], list[str], list[str]]:
    if mark not in args:
        return [*args], [], []
    place = list(args).index(mark)
    return [*args[:place]], [mark], [*args[place + 1 :]]


def query_from(words: Sequence[str], state: str | None = None, engine: str | None = None) -> Query:
    """Return the query that a command line means.

    :param words: the arguments. The quotes of ``error:"too many"`` may be gone: the shell takes
        them.
    :raises InvalidInput: it is none; or state or engine are given twice.
    """
    query = parse(" ".join(map(_quoted, words)))
    for key, value in (("state", state), ("engine", engine)):
        if value is None:
            continue
        if query.of(key):
            raise InvalidInput(f"give --{key} or {key}: in the query, not both")
        query = query.narrowed(key, value)
    return query


def _quoted(word: str) -> str:
    found = _UNQUOTED.fullmatch(word)
    if found is None or _OTHER_KEY.search(word):
        return word
    if any(is_slip(one[1].lower(), KEYS) for one in _OTHER_TERM.finditer(word)):
        return word  # so that its key is refused
    escaped = found[2].replace("\\", "\\\\")
    return f'{found[1]}"{escaped}"'


def look_option() -> click.Option:
    """Make ``--look``."""
    return click.Option(
        ["--look"],
        type=WholeType(1, 100_000_000),
        metavar="N",
        default=LOOK,
        show_default=True,
        help="Look at no more than this many, where the index does not tell.",
    )


def tell_of_index(is_indexed: bool) -> None:
    """Say on standard error that the index lacks work items, if it does."""
    if not is_indexed:
        output.note(
            "index incomplete: an older Roost has enqueued or removed work; everything was looked "
            "at instead. roost doctor --repair completes it"
        )
