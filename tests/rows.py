"""Rows of the scripts' answers, for tests: values by their names, put into the table's order."""

from __future__ import annotations

from collections.abc import Mapping

from roost_plugins.redis_saq.record import fields

#: A claim's values besides its token: what does not matter to a test.
_CLAIM: Mapping[str, bytes] = {
    "engine": b"demo",
    "fence": b"4",
    "version": b"5",
    "attempts": b"1",
    "blame": b"-",
    "created": b"1000",
    "committed": b"2000",
    "deadline": b"3000",
    "expires": b"16000",
}


def shown(record: Mapping[str, bytes]) -> list[bytes]:
    """Return a record as the scripts show it; what it does not name is as in a new one."""
    return [record.get(field.name, field.kind.default.encode()) for field in fields.RECORD.shown]


def claimed(token: bytes, **values: bytes) -> bytes:
    """Return what a claim says about a work item, besides its bytes."""
    new = {field.name: field.kind.default.encode() for field in fields.RECORD}
    found = {**new, **_CLAIM, **values}
    names = (*(field.name for field in fields.RECORD.claimed.fields), "expires")
    return b" ".join((token, *(found[name] for name in names)))
