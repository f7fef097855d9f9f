"""JSON from outside is decoded in one place, which looks first at how deep it nests."""

from __future__ import annotations

import ast

import pytest

from tests.packaging.sources import modules, tree

#: Who decodes JSON itself, and why it need not be checked.
DECODES = {
    "roost_core.codec.strict_json": "it is that place",
    "roost_plugins.console.dev.child": "its own supervisor, encoded by itself just before",
    "roost_plugins.console.dev.messages": "its own worker, encoded by itself just before",
    "roost_plugins.redis_saq.ledger.renewer": "its own worker, encoded by itself just before",
    "roost_plugins.watchlist.demo": "a report that the demo's own engine has written",
}


@pytest.mark.parametrize("name", [one for one in modules() if ".testing" not in one])
def test_json_is_decoded_in_one_place(name: str) -> None:
    """``json.loads`` alone runs into the end of the stack over ``[[[[...``."""
    found = {
        node.lineno
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("json", "loads"), ("json", "load")}
    }
    assert (name in DECODES) == bool(found), f"lines {sorted(found)}: use strict_json.parse"
