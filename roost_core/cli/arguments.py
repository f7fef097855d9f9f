"""Types of arguments, checked before anything else happens, so that a typo exits with 2."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from roost_core.errors import InvalidInput
from roost_core.models.checks import (
    ARTIFACT_ID,
    ENGINE_ID,
    EXTENSION,
    LABEL_KEY,
    LABEL_VALUE,
    RESOURCE,
    WORK_ID,
    check_seconds,
    in_words,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _Type = click.ParamType[Any]
else:
    # Older releases of click take no parameter here.
    _Type = click.ParamType

_RELATIVE: Final = r"([0-9]+(?:\.[0-9]+)?)([smhdw])"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class PatternType(_Type):
    """A string that one of the model's patterns matches."""

    def __init__(self, name: str, pattern: re.Pattern[str]) -> None:
        self.name = name
        self.pattern = pattern

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value as it is, or fail and say what is expected."""
        if self.pattern.fullmatch(value) is None:
            wanted = in_words(self.pattern)
            self.fail(f"{value!r} is not a valid {self.name}: {wanted}", param, ctx)
        return value


class WorkIdType(PatternType):
    """The id of a work item."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete ids of the queue."""
        from roost_core.cli import completing

        del param
        return completing.ids(ctx, incomplete)


class EngineType(PatternType):
    """The id of an engine."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete engines."""
        from roost_core.cli import completing

        del param
        return completing.engines(ctx, incomplete)


class LabelType(_Type):
    """A label: ``key=value``, as a pair."""

    name = "label"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete labels that work has."""
        from roost_core.cli import completing

        del param
        return completing.labels(ctx, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return key and value, or fail and say what is expected."""
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is not a label: write KEY=VALUE, as in team=search", param, ctx)
        for part, pattern, what in ((key, LABEL_KEY, "key"), (text, LABEL_VALUE, "value")):
            if pattern.fullmatch(part) is None:
                wanted = in_words(pattern)
                self.fail(f"{part!r} is not a valid {what} of a label: {wanted}", param, ctx)
        return key, text


class QueryWordType(_Type):
    """A word of a query."""

    name = "query"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete words of a query."""
        from roost_core.cli import completing

        return completing.words(ctx, ctx.params.get(str(param.name)) or (), incomplete)


class TargetType(_Type):
    """The id of a work item, or a word of a query."""

    name = "target"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete ids, else words of a query."""
        from roost_core.cli import completing

        before = ctx.params.get(str(param.name)) or ()
        return completing.ids(ctx, incomplete) or completing.words(ctx, before, incomplete)


class PluginType(_Type):
    """A plugin: its name, a module, a file, or ``no:NAME``."""

    name = "plugin"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete names of plugins, else files."""
        from roost_core.cli import completing

        del param
        return completing.plugins(ctx, incomplete)


PLUGIN_TYPE: Final = PluginType()
QUERY_WORD_TYPE: Final = QueryWordType()
TARGET_TYPE: Final = TargetType()
LABEL_TYPE: Final = LabelType()
WORK_ID_TYPE: Final = WorkIdType("work id", WORK_ID)
ENGINE_TYPE: Final = EngineType("engine", ENGINE_ID)
RESOURCE_TYPE: Final = PatternType("resource", RESOURCE)
ARTIFACT_ID_TYPE: Final = PatternType("artifact id", ARTIFACT_ID)
EXTENSION_TYPE: Final = PatternType("extension", EXTENSION)


class WholeType(click.IntRange):
    """A whole number between bounds, which help tells in words: ``1 to 100,000``."""

    def _describe_range(self) -> str:
        # Click's own is 1<=x<=100000. Should it ask another way one day, help has that again.
        if self.max is None:
            return f"{self.min:,} or more"
        return f"{self.min:,} to {self.max:,}"


class VersionType(_Type):
    """The number of a version: ``3``, or ``v3`` as screens have it."""

    name = "version"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the versions of the work item that is named before."""
        from roost_core.cli import completing

        del param
        return completing.versions(ctx, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"v?([0-9]{1,18})", value)
        if found is None:
            self.fail(f"{value!r} is not a version: write a number, such as 3", param, ctx)
        if not int(found[1]):
            self.fail("the first version is 1: what is before it has no data", param, ctx)
        return int(found[1])


class SecondsType(_Type):
    """Seconds, or a number with a unit: ``90``, ``90s``, ``10m``, ``2h``, ``3d``, ``1w``."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds as a float."""
        seconds = relative_seconds(value)
        try:
            number = float(value) if seconds is None else seconds
        except ValueError:
            self.fail(f"{value!r} is neither seconds nor like 90s, 10m, 2h or 3d", param, ctx)
        try:
            return check_seconds(number, "the time")
        except InvalidInput as error:
            # A usage error names the option.
            self.fail(str(error), param, ctx)


class DeadlineType(_Type):
    """A time with its zone, or a span from now on: a ``datetime`` or ``float`` seconds."""

    name = "deadline"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an aware ``datetime``, or seconds from now."""
        seconds = relative_seconds(value)
        if seconds is not None:
            try:
                return check_seconds(seconds, "the deadline")
            except InvalidInput as error:
                self.fail(str(error), param, ctx)
        try:
            return iso_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def relative_seconds(value: str) -> float | None:
    """Return the seconds that a string like ``10m`` means, or None if it has another form."""
    found = re.fullmatch(_RELATIVE, value.strip())
    return None if found is None else float(found[1]) * _UNITS[found[2]]


def iso_time(value: str) -> datetime:
    """Return the aware time that an ISO 8601 string means.

    :raises ValueError: it is not one, or has no zone.
    """
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        example = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        raise ValueError(
            f"{value!r} is neither like {example} nor like 90s, 10m, 2h or 3d"
        ) from None
    if time.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: add Z or an offset like +02:00")
    return time


SECONDS_TYPE: Final = SecondsType()
VERSION_TYPE: Final = VersionType()
DEADLINE_TYPE: Final = DeadlineType()
FILE_TYPE: Final = click.Path(path_type=Path)
