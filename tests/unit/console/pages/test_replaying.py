"""The form that runs work again: what is typed, and what it comes to."""

from __future__ import annotations

import json
import shlex

import attrs
import pytest

from roost_core.backend.history import StoredVersion
from roost_core.client.replaying import Seen, planned
from roost_core.large_values import Texts
from roost_core.models import State
from roost_plugins.console.pages.item.replaying import (
    MOST_LINES,
    MOST_OPERATIONS,
    MOST_TYPED,
    Form,
    Mistyped,
    barred,
    cost_of,
    fork_id,
    has_changed,
)
from tests.unit.console.pages.test_versions import history

#: More operations than a page takes.
MANY = json.dumps([{"op": "remove", "path": "/a"}] * (MOST_OPERATIONS + 1))


def test_lines_and_a_patch():
    """The patch first, then the lines, as on the command line."""
    form = Form(patch='[{"op": "add", "path": "/plan", "value": []}]', lines=" plan.-=a b\n\n/n=2")
    assert {"n": 2, "plan": ["a b"]} == form.edit()({"n": 1})
    assert Form(lines=" \n").edit() is None


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"lines": "goal"}, "lines", "is no assignment"),
        ({"lines": "/x/y=1"}, "lines", "has no 'x'"),
        ({"lines": "n={broken"}, "lines", "is not JSON"),
        ({"patch": "{"}, "patch", "JSON"),
        ({"patch": "{}"}, "patch", "a patch is a list of operations"),
        ({"patch": '[{"op": "fly", "path": ""}]'}, "patch", 'has the "op"'),
        ({"patch": '[{"op": "remove", "path": "/x"}]'}, "patch", "has no 'x'"),
        ({"patch": '[{"op": "replace", "path": "", "value": 3}]'}, "patch", "stay an object"),
        ({"patch": '[{"op": "add", "path": "/pwd", "value": "***"}]'}, "patch", "with --reveal"),
        ({"lines": "token=***"}, "lines", "give the value itself"),
        ({"patch": "[" * 100_000}, "patch", "nests deeper"),
        ({"patch": "[" + "1," * MOST_TYPED + "1]"}, "patch", "a page takes"),
        ({"lines": "a=" + "x" * MOST_TYPED}, "lines", "a page takes"),
        ({"lines": "a=1\n" * (MOST_LINES + 1)}, "lines", "are the most"),
        ({"patch": MANY}, "patch", "are the most"),
    ],
)
def test_what_cannot_be_carried_out(fields, field, said):
    """Each is one line beside its field."""
    with pytest.raises(Mistyped, match=said) as caught:
        Form(**fields).edit()({"n": 1})
    assert field == caught.value.field
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.5", "9" * 30, "\u0661"])
def test_no_version(text):
    """Anything may be sent."""
    with pytest.raises(Mistyped, match="is no version"):
        _ = Form(version=text).number


def test_a_form_as_it_is_sent():
    """Line ends are what they were; a request that is none is made anew."""
    form = Form.of({"lines": "a=1\r\nb=2", "request": "no word", "what": "else"})
    assert ["a=1", "b=2"] == form.assignments
    assert 24 == len(form.request)
    assert "r-1" == Form.of({"request": "r-1"}).request
    assert fork_id(Form(request="r-1")) == fork_id(Form(request="r-1"))
    assert "w-9" == fork_id(Form(new_id=" w-9 "))


def test_ids_and_deadlines():
    """Each belongs to one of the two ways, and is ignored by the other."""
    assert {"deadline_seconds": 7200.0} == Form(how="in-place", deadline="2h").deadline_given()
    assert {} == Form(deadline="2h").deadline_given()
    assert Form(how="in-place", new_id="w-9").id_of_fork() is None
    for fields in ({"new_id": "../x"}, {"how": "in-place", "deadline": "soon"}):
        form = Form(**fields)
        with pytest.raises(Mistyped):
            form.id_of_fork() or form.deadline_given()


def test_what_was_seen():
    """Every field that changes what would be done changes the digest; a reason does not."""
    form = Form(version="2", lines="a=1")
    for name, text in (
        ("version", "3"), ("how", "in-place"), ("lines", "a=2"), ("patch", "[]"), ("new_id", "x"),
    ):  # fmt: skip
        assert form.digest != attrs.evolve(form, **{name: text}).digest, name
    assert form.digest == attrs.evolve(form, reason="late", lines="\n a=1 ").digest
    assert Form(seen_version="5", seen_fence="3", seen_life="1").seen == Seen(5, 3, 1)
    assert Form(seen_version="5", seen_fence="x", seen_life="1").seen is None


def test_the_command_does_the_same():
    """Quoted for a shell."""
    form = Form(version="3", lines="goal=it's late", patch="[]", new_id="w-9", reason="a b")
    assert [
        "roost", "replay", "w-1", "--from-version", "3", "--edit", "[]", "-e", "goal=it's late",
        "--work-id", "w-9", "--reason", "a b",
    ] == shlex.split(form.command("w-1"))  # fmt: skip
    form = Form(version="3", how="in-place", deadline="2h", new_id="w-9")
    assert form.command("w-1").endswith("--from-version 3 --in-place --deadline 2h")


def test_what_it_would_cost():
    """The steps since, without what people did; and what the snapshots count."""
    found = history(5, by_hand=(4,))
    cost = cost_of(found, 2)
    assert (2, 0.01, 1, 0) == (cost.steps, cost.seconds, cost.by_people, cost.missing)
    assert ["v3 step 3", "v5 step 5"] == cost.named
    few = attrs.evolve(found, commits=found.commits[:1])
    assert "versions 3 to 4 are not remembered" in cost_of(few, 2).forgotten
    assert "" == cost.forgotten
    assert (1, 2) == (cost_of(few, 2).steps, cost_of(few, 2).missing)
    many = tuple(StoredVersion(n, n, None, "w", "s") for n in range(99, 0, -1))
    assert cost_of(attrs.evolve(found, commits=many), 1).seconds is None
    assert 12 == len(cost_of(attrs.evolve(found, commits=many), 1).named)


@pytest.mark.parametrize(
    ("how", "state", "seen", "changed"),
    [
        ("fork", State.QUEUED, (5, 0, 1), False),
        ("fork", State.QUEUED, (4, 0, 1), True),
        ("fork", State.RUNNING, (4, 0, 1), False),
        ("fork", State.RUNNING, (5, 0, 2), True),
        ("in-place", State.QUEUED, (5, 0, 1), False),
        ("in-place", State.QUEUED, (5, 1, 1), True),
        ("in-place", State.RUNNING, (4, 0, 1), True),
    ],
)
def test_what_has_changed_since(how, state, seen, changed):
    """While work runs, new work may begin with a version of it nevertheless."""
    version, fence, life = map(str, seen)
    form = Form(how=how, seen_version=version, seen_fence=fence, seen_life=life)
    found = history(5)
    found = attrs.evolve(found, work=attrs.evolve(found.work, state=state))
    assert changed == has_changed(form, planned(found, 2, None, Texts(None)))
    assert (state is State.RUNNING) == bool(barred(found))
