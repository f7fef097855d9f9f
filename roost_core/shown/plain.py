"""Models as plain JSON values, for people and programs.

Anything for a terminal or an error text goes through :mod:`roost_core.shown.redaction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import attrs

from roost_core.models.standing import WorkMeta, WorkRow, WorkStatus
from roost_core.shown.redaction import redacted
from roost_core.values import Json

if TYPE_CHECKING:
    # Most commands are about one work item.
    from roost_core.models.overview import Overview


def to_plain(value: Any) -> Json:
    """Turn a model into plain JSON values for people: every field, times in ISO 8601."""
    if attrs.has(type(value)):
        plain = {
            field.name: to_plain(getattr(value, field.name))
            for field in attrs.fields(type(value))
            if field.name != "extra"
        }
        return {**getattr(value, "extra", {}), **plain}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(child) for key, child in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(child) for child in value]
    return value


def status_json(value: WorkStatus) -> dict[str, Json]:
    """Return ``{"meta", "item", "snapshot", "forks"}`` as plain JSON, and ``"stuck"`` if it is.

    ``"problem"`` is there if the snapshot cannot be read. Item and snapshot are the person's own
    data and stay whole. The error, the heartbeat and the reason are texts from code: anything in
    them that looks like a secret is hidden. The lease's token is never included.
    """
    plain = {
        "meta": meta_json(value.meta),
        "item": to_plain(value.item),
        "snapshot": to_plain(value.snapshot),
        "forks": to_plain(value.forks),
    }
    if value.stuck is not None:
        plain["stuck"] = to_plain(value.stuck)
    if value.problem is not None:
        plain["problem"] = redacted(value.problem)
    return plain


def meta_json(value: WorkMeta) -> dict[str, Json]:
    """Return a work item's standing as plain JSON, without the lease's token."""
    plain: dict[str, Json] = to_plain(value)
    if plain["lease"] is not None:
        del plain["lease"]["token"]
    for name in ("error", "heartbeat", "act", "reason"):
        plain[name] = redacted(plain[name])
    return plain


def row_json(value: WorkRow) -> dict[str, Json]:
    """Return a listing's line as plain JSON: standing, title, and whether it can be read."""
    plain = meta_json(value.meta)
    del plain["reason"]  # a listing does not look it up
    return {
        **plain,
        "title": redacted(value.title),
        "is_readable": value.is_readable,
        "is_newer": value.is_newer,
    }


def shown_title(row: WorkRow) -> str | None:
    """Return a work item's title, or in brackets why it cannot be read."""
    if row.is_newer:
        return "(a newer Roost wrote it)"
    return row.title if row.is_readable else "(its stored bytes do not decode)"


def overview_json(value: Overview) -> Json:
    """Return an overview as plain JSON; what looks like a secret in texts of others is hidden."""
    return redacted({**to_plain(value), "is_well": value.is_well})
