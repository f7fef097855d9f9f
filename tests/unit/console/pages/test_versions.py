"""The versions of a work item as a page lists them."""

from __future__ import annotations

import pytest

from roost_core import Snapshot
from roost_core.backend import StoredWork
from roost_core.backend.history import WHOLE, StoredHistory, StoredVersion
from roost_core.backend.reports import StoredFork
from roost_core.codec.records import encode_item
from roost_core.codec.snapshots import encode_snapshot
from roost_core.models import State, WorkItem
from roost_core.models.work import ForkedFrom
from roost_plugins.console.pages.item.versions import history_view, label_of, readable


def text(version, **data):
    """Return a version's bytes."""
    return encode_snapshot(Snapshot("w-1", "crawl", version, f"step {version}", data))


def history(newest, kept=None, forks=(), origin=None, by_hand=()):
    """Make a history whose versions each have their number in their data."""
    kept = range(1, newest + 1) if kept is None else kept
    item = WorkItem("w-1", "crawl", forked_from=origin)
    work = StoredWork(
        "w-1", "crawl", State.QUEUED, version=newest, step=f"step {newest}", forks=forks,
        item=encode_item(item), snapshot=text(newest, n=newest), created_ms=1,
    )  # fmt: skip
    commits = tuple(
        StoredVersion(
            one,
            one * 1000,
            None if one in by_hand else 5,
            "@ada" if one in by_hand else "host-1",
            f"step {one}",
            WHOLE + text(one - 1, n=one - 1) if one > 1 else b"",
        )
        for one in reversed(kept)
    )
    return StoredHistory(work, text(newest, n=newest) if newest else None, newest, commits)


def test_what_is_listed():
    """Newest first, each with the one that it is compared with."""
    view = history_view(history(3), 50)
    assert [(3, 2), (2, 1), (1, None)] == [(one.one.version, one.before) for one in view.rows]
    assert ([], None, 3) == ([*view.remarks], view.more, view.newest)


def test_who_made_it():
    """A person stands out from workers."""
    view = history_view(history(3, by_hand=(3,)), 50)
    assert ["ada", "", ""] == [one.person for one in view.rows]


def test_many_are_listed_in_parts():
    """What is not listed is said, and can be asked for."""
    view = history_view(history(60), 50)
    assert (50, 200) == (len(view.rows), view.more)
    assert ["10 earlier ones not listed"] == view.remarks
    assert history_view(history(60), 200).more is None


def test_what_the_history_lacks():
    """It is said as the command line says it."""
    view = history_view(history(9, kept=(5, 6, 7, 8, 9)), 50)
    assert view.remarks[0].startswith("versions before 4 are not kept any more")
    view = history_view(history(9, kept=(9,)), 50, is_off=True)
    assert "ROOST_HISTORY_VERSIONS is 0" in view.remarks[-1]


def test_a_fork_inherits():
    """What it has of its origin is told apart; the other one may be gone."""
    view = history_view(history(4, origin=ForkedFrom("w-0", 2), by_hand=(3,)), 50, {"w-0"})
    assert [4, 3] == [one.one.version for one in view.own]
    assert [2, 1] == [one.one.version for one in view.inherited]
    assert ("w-0", False) == (view.origin.work_id, view.is_origin_there)


def test_its_forks_stand_with_their_versions():
    """Those that are gone are named, too."""
    forks = (StoredFork("w-3", 2, 9), StoredFork("w-2", 2, 8), StoredFork("w-4", 1, 7))
    rows = history_view(history(3, forks=forks), 50, {"w-2"}).rows
    assert [(), [("w-3", True), ("w-2", False)], [("w-4", True)]] == [
        [(fork.work_id, fork.is_there) for fork in one.forks] or () for one in rows
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (history(0, kept=()), "no version can be read"),
        (history(1), "version 1 can be read"),
        (history(9), "versions 1 to 9 can be read"),
        (history(9, kept=(3, 8, 9)), "versions 2 and 7 to 9 can be read"),
    ],
)
def test_which_can_be_read(found, said):
    """As ranges."""
    assert said == readable(found)


def test_labels():
    """Of commits that are remembered, and of the newest version."""
    assert ["step 3", "step 2", ""] == [label_of(history(3, kept=(2,)), n) for n in (3, 2, 1)]
