"""Patches, and what a person types."""

from __future__ import annotations

import copy
import json

import pytest

from roost_core.differences import assigned, parse_patch, patched
from roost_core.errors import InvalidInput

DOCUMENT = {
    "a": 1,
    "list": [1, 2, {"b": "x"}],
    "o": {"deep": {"er": None}},
    "m/n": 1,
    "~": 2,
    "": 3,
}

WORKS = [
    ({"op": "add", "path": "/new", "value": 5}, ("new",), 5),
    ({"op": "add", "path": "/list/1", "value": 9}, ("list",), [1, 9, 2, {"b": "x"}]),
    ({"op": "add", "path": "/list/3", "value": 9}, ("list",), [1, 2, {"b": "x"}, 9]),
    ({"op": "add", "path": "/list/-", "value": 9}, ("list",), [1, 2, {"b": "x"}, 9]),
    ({"op": "replace", "path": "/list/2/b", "value": "y"}, ("list",), [1, 2, {"b": "y"}]),
    ({"op": "remove", "path": "/list/0"}, ("list",), [2, {"b": "x"}]),
    ({"op": "move", "from": "/list/2/b", "path": "/a"}, ("a",), "x"),
    ({"op": "move", "from": "/list/0", "path": "/list/1"}, ("list",), [2, 1, {"b": "x"}]),
    ({"op": "copy", "from": "/o", "path": "/o/deep/er"}, ("o", "deep", "er"), DOCUMENT["o"]),
    ({"op": "test", "path": "/o/deep", "value": {"er": None}}, ("a",), 1),
    ({"op": "test", "path": "/list", "value": [1.0, 2, {"b": "x"}]}, ("a",), 1),
    ({"op": "add", "path": "/note", "value": "***"}, ("note",), "***"),
    ({"op": "add", "path": "/token", "value": "a***b"}, ("token",), "a***b"),
    ({"op": "add", "path": "/token", "value": {"a": ["*** b"]}}, ("token",), {"a": ["*** b"]}),
    ({"op": "replace", "path": "/m~1n", "value": 7}, ("m/n",), 7),
    ({"op": "replace", "path": "/~0", "value": 7}, ("~",), 7),
    ({"op": "replace", "path": "/", "value": 7}, ("",), 7),
    ({"op": "replace", "path": "", "value": {"z": 1}}, ("z",), 1),
]

FAILS = [
    ("x", "a patch is a list of operations"),
    ([1], "operation 1 of the patch is not an object"),
    ([{"path": ""}], 'operation 1 of the patch has the "op" None; there are add, remove'),
    ([{"op": "add", "path": "/x"}], 'operation 1 of the patch, add, lacks "value"'),
    ([{"op": "move", "path": "/x"}], 'operation 1 of the patch, move, lacks "from"'),
    ([{"op": "remove", "path": 1}], '"path" has to be a JSON pointer'),
    ([{"op": "remove", "path": "a"}], "a is not a JSON pointer: it has to begin with /"),
    ([{"op": "remove", "path": "/a~2"}], "write ~0 for ~, and ~1 for / in a key"),
    (
        [{"op": "remove", "path": "/lst"}],
        "(remove /lst): the document has no 'lst'; did you mean list?",
    ),
    ([{"op": "remove", "path": ""}], "the whole document cannot be taken away"),
    ([{"op": "replace", "path": "/list/3", "value": 1}], "/list has 3 elements, and no 3"),
    (
        [{"op": "add", "path": "/list/4", "value": 1}],
        "/list has 3 elements, and a new one cannot be 4: 3 is the end",
    ),
    (
        [{"op": "move", "from": "/list/0", "path": "/list/3"}],
        "with /list/0 taken out, /list has 2 elements, and a new one cannot be 3: 2 is the end",
    ),
    (
        [
            {"op": "add", "path": "/o", "value": [1]},
            {"op": "copy", "from": "/a", "path": "/o/" + "9" * 5000},
        ],
        "/o has 1 element, and a new one cannot be 99",
    ),
    ([{"op": "replace", "path": "/list/01", "value": 1}], "'01' is no index of it"),
    ([{"op": "replace", "path": "/list/-", "value": 1}], "'-' is no index of it"),
    ([{"op": "remove", "path": "/list/" + "9" * 5000}], "/list has 3 elements, and no 99"),
    ([{"op": "add", "path": "/a/b", "value": 1}], "/a is neither an object nor a list"),
    ([{"op": "add", "path": "/o/x/y", "value": 1}], "/o has no 'x'"),
    ([{"op": "move", "from": "/o", "path": "/o/deep"}], "nothing can be moved into itself"),
    (
        [{"op": "test", "path": "/a", "value": True}],
        "(test /a): the document has another",
    ),
    (
        [{"op": "add", "path": "/b", "value": 1}, {"op": "test", "path": "/b", "value": 2}],
        "operation 2 (test /b)",
    ),
]


@pytest.mark.parametrize(("operation", "where", "expected"), WORKS)
def test_operations(operation, where, expected):
    """Each does what it says, to a copy."""
    document = copy.deepcopy(DOCUMENT)
    found = patched(document, parse_patch([operation]))
    for key in where:
        found = found[key]
    assert expected == found
    assert DOCUMENT == document


@pytest.mark.parametrize(("patch", "said"), FAILS)
def test_what_cannot_be_done(patch, said):
    """One short line says which operation, and why."""
    with pytest.raises(InvalidInput) as caught:
        patched(DOCUMENT, parse_patch(patch))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_what_is_put_in_is_not_shared():
    """The patch may be used again."""
    patch = parse_patch(
        [{"op": "add", "path": "/x", "value": []}, {"op": "add", "path": "/x/-", "value": 1}]
    )
    assert [1] == patched({}, patch)["x"]
    assert [1] == patched({}, patch)["x"]


@pytest.mark.parametrize(
    ("value", "other"),
    [(1, 1.0), (0, -0.0), (-0.0, 0.0), ([{"a": 10}], [{"a": 1e1}]), (2**60, float(2**60))],
)
def test_equal_numbers(value, other):
    """A test compares numbers by value, as RFC 6902 (4.6) says."""
    for one, two in ((value, other), (other, value)):
        patch = parse_patch([{"op": "test", "path": "/x", "value": two}])
        assert {"x": one} == patched({"x": one}, patch)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        *[(1, True), (0, False), (0, None), (False, None), ("1", 1), ("", None), ([], {})],
        *[([1], [1, 1]), ([1], [True]), ({"a": 1}, {"a": 1, "b": 1}), (2**53 + 1, float(2**53))],
    ],
)
def test_other_values(value, other):
    """Booleans are no numbers, nor are texts."""
    for one, two in ((value, other), (other, value)):
        patch = parse_patch([{"op": "test", "path": "/x", "value": two}])
        with pytest.raises(InvalidInput, match="another value"):
            patched({"x": one}, patch)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("/token", "***", "/token"),
        ("/token/inner", "***", "/token"),
        ("/list/0/db~1pwd", "***", "/list/0/db~1pwd"),
        ("/login", {"user": "bob", "pwd": "***"}, "/login/pwd"),
        ("", {"all": [1, {"cookie": "***"}]}, "/all/1/cookie"),
    ],
)
def test_what_stands_for_a_secret(path, value, place):
    """It is never written in its place, neither by a patch nor by an assignment."""
    for op in ("add", "replace"):
        with pytest.raises(InvalidInput) as caught:
            parse_patch([{"op": op, "path": path, "value": value}])
        said = f"{op}: *** only stands for what is hidden at {place}: make the patch with --reveal"
        assert f"operation 1 of the patch, {said}" == str(caught.value)
    if path:
        with pytest.raises(InvalidInput, match=r"\*\*\* only stands for .*: give the value itself"):
            assigned({"list": [{}]}, f"{path}={json.dumps(value)}")


def test_names_in_a_hidden_field_are_not_suggested():
    """Those elsewhere are."""
    for name, has_hint in (("list", True), ("by_token", False)):
        patch = parse_patch([{"op": "remove", "path": f"/{name}/vendor-13"}])
        with pytest.raises(InvalidInput) as caught:
            patched({name: {"vendor-12": 1}}, patch)
        assert has_hint == ("vendor-12" in str(caught.value))


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a=2", ("a",), 2),
        ("/a=two", ("a",), "two"),
        ("a=", ("a",), ""),
        ('a="2"', ("a",), "2"),
        ("new=a=b", ("new",), "a=b"),
        ("list.0=[]", ("list", 0), []),
        ("list.-=4", ("list", 3), 4),
        ("o.deep.er=true", ("o", "deep", "er"), True),
        ("/m~1n=null", ("m/n",), None),
        ("a=x{", ("a",), "x{"),
    ],
)
def test_assignments(text, path, value):
    """The value is JSON if it can be."""
    document = copy.deepcopy(DOCUMENT)
    found = assigned(document, text)
    for key in path:
        found = found[key]
    assert value == found
    assert DOCUMENT == document


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "'a' is no assignment: write path=value"),
        ("=1", "'=1' is no assignment"),
        ("list.3=1", "list.3: /list has 3 elements, and no 3"),
        ("o.x.y=1", "o.x.y: /o has no 'x'"),
        ("a.b=1", "a.b: /a is neither an object nor a list"),
        ('a={"x": 1, "x": 2}', "a: the value is not JSON: the key 'x' appears twice"),
        ("a=[1", "a: the value is not JSON"),
        (f"a={'[' * 65}{']' * 65}", "a: the value nests deeper than 64"),
    ],
)
def test_no_assignments(text, said):
    """One line says why."""
    with pytest.raises(InvalidInput) as caught:
        assigned(DOCUMENT, text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ([{"op": "copy", "from": "", "path": "/list/-"}] * 40, "operation 2"),
        ([{"op": "copy", "from": "/text", "path": "/list/-"}] * 20, "the limit is"),
        (
            [{"op": "add", "path": "/o" * number, "value": {}} for number in range(1, 70)],
            "nothing may nest deeper than 64",
        ),
    ],
    ids=["copies of copies", "many copies", "deeper and deeper"],
)
def test_a_patch_cannot_grow_without_bound(patch, said):
    """It is refused before it fills the memory, or nests deeper than anything can follow."""
    document = {"list": [], "text": "x" * 1_000_000}
    with pytest.raises(InvalidInput, match=r"^operation \d+ \((copy|add)") as caught:
        patched(document, parse_patch(patch))
    assert said in str(caught.value) or "the limit is" in str(caught.value)


def test_several_assignments():
    """One after the other, each on what those before have left."""
    assert {"a": {"b": [1]}} == assigned({"a": 1}, "a={}", "a.b=[]", "/a/b/-=1")
    with pytest.raises(InvalidInput, match="has no 'x'"):
        assigned({"a": {}}, "/a/b=1", "/a/x/y=1")
