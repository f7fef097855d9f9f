"""What steps have used, from the versions that they have made."""

from __future__ import annotations

import attrs
import pytest

from roost_core.backend import StoredWork
from roost_core.backend.history import WHOLE, StoredHistory, StoredVersion
from roost_core.models import State
from roost_plugins.console.pages.item.used import used_since
from tests.unit.console.pages.test_versions import text


def history(*datas, by_hand=(), broken=()):
    """Make a history whose versions have these data."""
    texts = [
        b"broken" if number in broken else text(number, **data)
        for number, data in enumerate(datas, 1)
    ]
    newest = len(datas)
    work = StoredWork(
        "w-1", "crawl", State.QUEUED, version=newest, step="s", snapshot=texts[-1], created_ms=1
    )
    commits = tuple(
        StoredVersion(
            number,
            number,
            5,
            "@ada" if number in by_hand else "host-1",
            "s",
            WHOLE + texts[number - 2] if number > 1 else b"",
        )
        for number in range(newest, 0, -1)
    )
    return StoredHistory(work, texts[-1], newest, commits)


def told(found):
    """Return figures as a page tells them."""
    return [(one.name, one.amount) for one in found.figures]


@pytest.mark.parametrize(
    ("old", "new", "figures"),
    [
        ({"total_tokens": 10}, {"total_tokens": 1_210}, [("total_tokens", "1,200")]),
        ({}, {"usage": {"cost_usd": 0.25}}, [("usage.cost_usd", "0.25")]),
        ({"tokens": 5}, {"tokens": 5}, []),
        ({"tokens": 5}, {"tokens": "many"}, []),
        ({"tokens": 5}, {"tokens": True, "tokenizer": 7, "accost": 3}, []),
        ({"a": [{"tokens": 1}]}, {"a": [{"tokens": 9}]}, []),
    ],
)
def test_what_counts(old, new, figures):
    """Counts of tokens and money, by their names."""
    assert figures == told(used_since(history(old, new), 1))


def test_what_was_used_stays_used():
    """A version that was put back takes the counts back; the steps before it have run even so."""
    counts = [100, 200, 300, 100, 150, 250]
    found = history(*({"tokens": one} for one in counts), by_hand=(4,))
    assert ([("tokens", "350")], False) == (
        told(used_since(found, 1)),
        used_since(found, 1).is_least,
    )
    # What a person writes in is no use of a step.
    found = history({"tokens": 5}, {"tokens": 900}, {"tokens": 907}, by_hand=(2,))
    assert [("tokens", "7")] == told(used_since(found, 1))


def test_versions_between_that_cannot_be_read():
    """A step that is lost is told with the next one; and it is said that it may be more."""
    counts = [{"tokens": one} for one in (100, 200, 300)]
    found = used_since(history(*counts, broken=(2,)), 1)
    assert ([("tokens", "200")], True) == (told(found), found.is_least)
    # After a version of a person's nothing is known of what was before.
    found = used_since(history(*counts, by_hand=(2,), broken=(2,)), 1)
    assert ([], True) == (told(found), found.is_least)
    few = history(*counts)
    few = attrs.evolve(few, commits=few.commits[:1])
    assert used_since(few, 1).is_least


def test_versions_that_are_large():
    """The two ends are always read."""
    counts = [{"tokens": one} for one in (100, 200, 300)]
    found = used_since(history(*counts), 1, room=0)
    assert ([("tokens", "200")], True) == (told(found), found.is_least)
