"""Versions that are listed as readable are those that can be read, however they are stored."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_core.backend.history import WHOLE, StoredHistory
from roost_core.errors import CorruptRecord, VersionGone
from roost_core.shown.versions import remarks, snapshot, versions
from tests.unit.shown.test_versions import TEXTS, change, commit, history

_NEWEST = len(TEXTS) - 1


@st.composite
def histories(draw: st.DrawFn) -> StoredHistory:
    """Draw what may be kept of five versions: whole, as changes, damaged, or not at all."""
    base_version = draw(st.integers(1, _NEWEST))
    commits = []
    for version in range(_NEWEST, 0, -1):
        ways = {
            "whole": WHOLE + TEXTS[version - 1],
            "damaged whole": WHOLE + b"\xff",
            "change": b"" if version == 1 else change(TEXTS[version - 1], TEXTS[version]),
            "unknown": b"",
        }
        ways["damaged change"] = ways["change"][:-1] + b"\xff"
        # What follows the base is only ever stored as changes.
        known = [one for one in ways if version <= base_version or "whole" not in one]
        how = draw(st.sampled_from([*known, "missing"]))
        if version == 1 or how == "unknown":
            commits.append(commit(version))
        elif how != "missing":
            commits.append(commit(version, ways[how]))
    if draw(st.booleans()):
        commits = commits[: draw(st.integers(0, _NEWEST))]
    base = draw(st.sampled_from([TEXTS[base_version], TEXTS[base_version], None, b"{}"]))
    return attrs.evolve(history(base, base_version, *commits, version=_NEWEST))


def can_be_read(kept: StoredHistory, version: int) -> bool:
    """Whether a version can be read."""
    try:
        snapshot(kept, version)
    except (CorruptRecord, VersionGone):
        return False
    return True


@given(histories())
@settings(max_examples=2000, deadline=None)
def test_what_is_listed(kept: StoredHistory) -> None:
    """Each that can be read is listed, with its size; of each other the reason is told."""
    found = {one.version: one for one in versions(kept)}
    assert sorted(found, reverse=True) == [*found]
    for version in range(1, _NEWEST + 1):
        one = found.get(version)
        is_listed = one is not None and one.is_readable
        assert can_be_read(kept, version) == is_listed
        if one is not None:
            assert (one.size_bytes is not None) == is_listed == (one.problem is None)
        if is_listed:
            assert len(TEXTS[version]) == one.size_bytes
    assert all(remarks([*found.values()]))
