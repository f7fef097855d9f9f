"""What the console's templates are written with, without a browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roost_core.errors import InvalidInput
from roost_core.models import State
from roost_core.models.control import Verb
from roost_plugins.console import kit
from roost_plugins.console.kit.folding import MOST_LINES, folded
from roost_plugins.console.kit.installing import STATES, VERBS
from roost_plugins.console.kit.tree import BUDGET, CHILDREN, Node, tree
from roost_plugins.console.kit.visible import coded, dated, masked, sentence, shown

#: What macros are made of.
INNER = {"value", "more"}


def nodes(node: Node) -> int:
    """Return how many nodes are drawn."""
    return 1 + sum(map(nodes, node.children))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain <b> & ü مرحبا", "plain <b> & ü مرحبا"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred\x00", "⟨ESC⟩[31mred⟨NUL⟩"),
        ("\x7f\x85", "⟨U+007F⟩⟨U+0085⟩"),
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("a\u200bb\ufeff", "a⟨U+200B⟩b⟨U+FEFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
        (None, ""),
        (12, "12"),
    ],
)
def test_what_cannot_be_seen_is_shown(text, expected):
    """Controls, marks that reorder, and what has no width; letters of any script stay."""
    assert expected == shown(text)
    expected.encode()  # an answer can be sent


def test_a_long_text_is_cut_and_says_so():
    """Megabytes cost what is shown of them."""
    assert "xxxx… (9,999,996 more characters)" == shown("x" * 10_000_000, 4)
    assert "xxxx" == shown("xxxx", 4)


def test_passwords_are_masked():
    """An error's text may have a URL in it."""
    assert "https://ada:***@example.com/" == masked("https://ada:hunter2@example.com/")
    assert "" == masked(None)


def test_code_in_a_message():
    """What a reader is to type stands out; markup in it stays text."""
    assert "run <code>roost ui</code>" == coded("run `roost ui`")
    assert "<code>&lt;b&gt;</code> &lt;i&gt; `" == coded("`<b>` <i> `")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version 3 of b-many is not kept any more", "Version 3 of b-many is not kept any more."),
        ("no work item 'c-1' in the queue 'default'", "No work item 'c-1' in the queue 'default'."),
        ("c-1 has no version 9: the newest is 3", "c-1 has no version 9: the newest is 3."),
        ("done has no version 9", "done has no version 9."),
        ("`roost pause` first", "`roost pause` first."),
        ("'x' is no version", "'x' is no version."),
        ("a_b is none", "a_b is none."),
        ("Not now!", "Not now!"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_message_as_a_sentence(text, told):
    """An id stays as it is written, also in front."""
    assert told == sentence(text, "done")


def test_every_state_and_verb_has_its_look():
    """A new one is not forgotten; no two states look alike."""
    assert set(State) == set(STATES)
    assert set(Verb) == set(VERBS)
    assert len(set(STATES.values())) == len(STATES)


def test_a_small_value_is_drawn_whole():
    """Names, kinds and places are right."""
    root = tree({"a": [1, "x", None], "b/~": {}, "c": True})
    assert ("object", "3 keys", "") == (root.kind, root.text, root.at)
    first, second, third = root.children
    assert ["number", "text", "word"] == [one.kind for one in first.children]
    assert ["1", "x", "null"] == [one.text for one in first.children]
    assert "/a/2" == first.children[2].at
    assert ("b/~", "/b~1~0", "0 keys", False) == (
        second.key,
        second.at,
        second.text,
        second.is_branch,
    )
    assert ("word", "true") == (third.kind, third.text)


@pytest.mark.parametrize(
    "value",
    [
        list(range(1_000_000)),
        {str(n): {str(m): list(range(50)) for m in range(50)} for n in range(50)},
        [[[[[n] * 10] * 10] * 10] * 10 for n in range(10)],
    ],
)
def test_a_large_value_is_drawn_in_part(value):
    """However large it is, the drawing has a bound."""
    assert nodes(tree(value)) <= BUDGET + CHILDREN + 1


def test_a_deep_value_is_drawn():
    """JSON may be 64 levels deep."""
    value: object = 1
    for _ in range(64):
        value = [value]
    assert 65 == nodes(tree(value))


def test_a_part_is_drawn_when_it_is_asked_for():
    """A branch by its place, and the children that come after those that were drawn."""
    value = {"plan": [{"n": n} for n in range(250)]}
    node = tree(value, "/plan", 200)
    assert ("plan", 200, 50, 0) == (node.key, node.start, len(node.children), node.left)
    assert "/plan/200" == node.children[0].at
    node = tree(value, "/plan")
    assert (100, 150) == (node.next, node.left)
    assert "7" == tree(value, "/plan/7/n").text


@pytest.mark.parametrize(
    "at",
    ["/x", "/plan/9", "/plan/x", "/plan/0/deeper", "/plan/-1", "/plan/00", f"/plan/{'9' * 5000}"],
)
def test_a_part_that_is_gone(at):
    """The value has changed since the page was made."""
    with pytest.raises(InvalidInput, match="any more"):
        tree({"plan": [1]}, at)


def test_a_traceback_is_folded():
    """Frames of Roost are parts of their own; of a very long one the end is what counts."""
    core = '  File "/x/roost_core/stepping/attempt.py", line 1, in f\n    call()'
    own = '  File "/home/me/scout.py", line 2, in step\n    fetch()'
    parts = folded(f"Traceback (most recent call last):\n{core}\n{core}\n{own}\nValueError: x")
    assert [0, 2, 0] == [part.hidden for part in parts]
    assert parts[2].text.endswith("ValueError: x")
    parts = folded("\n".join(f"line {n}" for n in range(MOST_LINES + 7)))
    assert "… 7 lines before" == parts[0].text
    assert [] == list(folded(""))


KIT = Path(kit.__file__).parent.parent / "templates/kit"


@pytest.mark.parametrize(
    "path", sorted(set(KIT.glob("*.html")) - {KIT / "all.html"}), ids=lambda one: one.stem
)
def test_each_macro_is_documented_and_offered(path):
    """The top of its file says what it does, and pages have it by the name of the kit."""
    text = path.read_text(encoding="utf-8")
    macros = set(re.findall(r"{% macro (\w+)\(", text)) - INNER
    assert macros
    top = text.partition("#}")[0]
    assert set() == macros - set(re.findall(r"\b(\w+)\(", top))
    offered = (KIT / "all.html").read_text(encoding="utf-8")
    assert set() == macros - set(re.findall(r"\.(\w+)\b", offered))


def test_secrets_are_hidden_in_a_tree():
    """By their names and in texts; what is below such a name cannot be had by its place."""
    value = {"api_key": {"inner": "hunter2"}, "text": "https://ada:hunter2@x.example/", "n": [1]}
    key, text, _ = tree(value).children
    assert ("***", False) == (key.text, key.is_branch)
    assert "https://ada:***@x.example/" == text.text
    with pytest.raises(InvalidInput):
        tree(value, "/api_key/inner")


def test_a_long_text_costs_what_is_shown_of_it():
    """The rest is a number."""
    (leaf,) = tree({"a": "x" * 1_000_000}).children
    assert (4_000, 1_000_000) == (len(leaf.text), leaf.length)


def test_what_a_reader_opens_shows_its_children_closed():
    """A hundred open objects would be a very long page."""
    value = {"rows": [{"n": n} for n in range(50)], "few": [{"n": 1}]}
    assert not any(one.is_open for one in tree(value, "/rows").children)
    assert tree(value).children[1].is_open


def test_times_in_full_are_found_in_a_message():
    """For a page to tell how long ago each was; what only looks like a time is left as it is."""
    parts = dated("held since 2026-01-31T12:00:00Z: `x`; since 2026-13-99T12:00:00Z")
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert ["held for ", at, ": `x`; since 2026-13-99T12:00:00Z"] == parts
    assert ["nothing"] == dated("nothing")


def test_every_macro_of_the_kit_is_of_use():
    """To a page, or to another macro: what only the kit's own test shows is dead."""
    texts = {path: path.read_text() for path in KIT.parent.rglob("*.html")}
    lists = re.findall(r"{% set (.*?) =", texts[KIT / "all.html"])
    names = [name.strip() for one in lists for name in one.split(",")]
    pages = "".join(text for path, text in texts.items() if path.parent.name != "kit")
    kit_itself = "".join(text for path, text in texts.items() if path.parent.name == "kit")
    used = re.findall(r"\bkit\.(\w+)", pages) + re.findall(r"{{-? ?(\w+)\(", kit_itself)
    assert names
    assert [] == [name for name in names if name not in used]
