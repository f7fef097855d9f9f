"""The picture of a life."""

from __future__ import annotations

import random
import re
from xml.etree import ElementTree

import pytest

from roost_plugins.console.drawing.scale import Scale
from roost_plugins.console.drawing.svg import svg
from roost_plugins.console.drawing.timeline import rows, timeline
from tests.unit.console.drawing.lives import at, happened, leased, usual

#: The policy blocks what has these.
BARRED = re.compile(r"<script|<style|\sstyle=|\son\w+=|javascript:|href=\"(?!#)", re.IGNORECASE)
HOSTILE = '"><script>alert(1)</script>\u202e'


def long_life(leases: int, people: int = 0) -> list:
    """Return a life of many short leases, each with steps, failures, events and people."""
    dice = random.Random(7)
    story = [happened("enqueued", 0, 0, "queued")]
    seconds, version = 1.0, 0
    for number in range(leases):
        story.append(happened("claimed", seconds, version, "running", worker_id=f"host-{number}"))
        for _ in range(dice.randrange(3)):
            seconds += dice.random()
            version += 1
            story.append(happened("committed", seconds, version, "running", step="x"))
            story.append(happened("emitted", seconds, version, "running", note=HOSTILE))
        seconds += dice.random()
        kind = dice.choice(["attempt_failed", "recovered", "interrupted"])
        story.append(happened(kind, seconds, version, "queued", error={"message": HOSTILE}))
        if number < people:
            story.append(happened("paused", seconds, version, "paused", who="ada", tool="x"))
        seconds += dice.random() * 100
    return story


def test_long_waits_are_drawn_shorter():
    """Everything else stays true to scale, and nothing stands outside."""
    scale = Scale.over(at(0), at(1110), [(at(10), at(1010))])
    active = scale.place(at(10)) - scale.place(at(0))
    assert scale.is_squeezed
    assert active * 10 == pytest.approx(scale.place(at(1110)) - scale.place(at(1010)))
    assert scale.place(at(1010)) - scale.place(at(10)) < 20
    for seconds in (-5, 0, 4, 500, 1050, 1110, 2000):
        assert 0 <= scale.place(at(seconds)) <= 100
    assert not Scale.over(at(0), at(10), [(at(1), at(1.2))]).is_squeezed


def test_what_never_ran_is_not_squeezed():
    """There is nothing that it could be compared with; no time at all is fine, too."""
    scale = Scale.over(at(0), at(100), [(at(0), at(100))])
    assert (0, 50, 100) == tuple(scale.place(at(one)) for one in (0, 50, 100))
    assert 0 <= Scale.over(at(0), at(0), []).place(at(0)) <= 100


def test_a_usual_life():
    """Each lane has what belongs there, in order, inside of the picture."""
    picture = timeline(usual(), at(3605))
    assert ["Leases", "Steps", "People", "Events"] == [lane.name for lane in picture.lanes]
    leases, steps, people, said = ([mark.kind for mark in lane.marks] for lane in picture.lanes)
    assert (4, 4, 1) == tuple(leases.count(kind) for kind in ("lease", "wait", "death"))
    assert (["step"] * 6, ["act"], ["said"]) == (steps, people, said)
    assert all(0 <= mark.x and mark.x + mark.width <= 100 for mark in picture.marks)
    assert picture.summary.startswith("60 m in all, 4 leases by 2 workers, 1 of them has died")
    titles = [mark.title for mark in picture.marks]
    assert "host-a fell silent, 20 s after it began" in titles
    assert "a try of v3 failed, took 4 s, 21 s after it began: IOError: 429" in titles
    assert [True] == [mark.is_open for mark in picture.lanes[0].marks if mark.tone == "busy"]


@pytest.mark.parametrize(("leases", "people"), [(150, 8), (2_000, 0), (10_000, 2_000)])
def test_a_long_life_is_bounded(leases, people):
    """However much has happened: some 300 marks, which say how many things they stand for."""
    picture = timeline(long_life(leases, people), at(10**6))
    marks = list(picture.marks)
    assert len(marks) <= 320
    assert picture.is_merged
    assert leases == sum(mark.count for mark in marks if mark.kind == "lease")
    assert len(svg(picture)) < 250_000


def test_steps_whose_times_are_lost():
    """They are told with their number, and the part that is not kept is said."""
    story = [happened("enqueued", 0, 0, "queued"), leased(500, 510, 900, 950, "committed")]
    picture = timeline(story, at(512))
    titles = {mark.kind: mark.title for mark in picture.marks}
    assert titles["step"].startswith("50 steps, v901 to v950, accepted within 10 s")
    assert "what happened here is not kept any more" == titles["gap"]
    assert "Versions 1 to 900 came before what is still kept." == picture.missing


def test_the_table_has_each_thing_by_itself():
    """In the order in which they began."""
    picture = timeline(long_life(500), at(10**6))
    found = rows(picture)
    assert all(mark.merged == 1 for mark in found)
    assert sorted(mark.at for mark in found) == [mark.at for mark in found]
    assert 500 == sum(mark.kind == "lease" for mark in found)


def test_the_picture_is_safe():
    """It is well-formed; texts of strangers are texts; there is nothing that the policy blocks."""
    story = [
        *usual(),
        happened("paused", 3602, 3, "paused", who=HOSTILE, tool=HOSTILE, reason=HOSTILE),
        happened("claimed", 3603, 3, "running", worker_id=HOSTILE),
        happened("committed", 3604, 4, "done", step=HOSTILE),
    ]
    text = str(svg(timeline(story, at(3605))))
    assert [] == BARRED.findall(text)
    assert "\u202e" not in text
    root = ElementTree.fromstring(text)
    assert any("alert(1)" in (one.text or "") for one in root.iter("title"))
    assert {"svg", "title", "rect", "text", "line", "path", "circle", "a"} >= {
        one.tag for one in root.iter()
    }


def test_steps_lead_to_their_versions():
    """One that is accepted does; a try, and several that are drawn as one, do not."""
    picture = timeline(usual(), at(3605))
    text = str(svg(picture, lambda version: f"/work/w-1/diff?to={version}&a='\""))
    assert ["1", "2", "3"] == re.findall(r'<a href="/work/w-1/diff\?to=(\d)&amp;', text)
    assert text.count('tabindex="-1"') == 3
    ElementTree.fromstring(text)
    assert "/diff" not in str(svg(picture))
    many = timeline(long_life(500), at(10**6))
    assert all(mark.version is None for mark in many.marks if mark.merged > 1)
