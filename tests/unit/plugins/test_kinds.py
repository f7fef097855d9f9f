"""The kinds of hooks."""

from __future__ import annotations

from roost_core import hookspecs
from roost_core.plugins.kinds import ASYNC_HOOKS, ENGINE_HOOKS, OBSERVER_HOOKS


def test_every_hook_has_its_kind() -> None:
    """The three kinds of hooks are all the hooks there are."""
    specs = {name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "roost_spec")}
    others = {
        "around_step",
        "backend",
        "artifact_store",
        "workspace",
        "register_commands",
        "register_settings",
    }
    assert specs == {*ENGINE_HOOKS, *OBSERVER_HOOKS} | others
    assert ASYNC_HOOKS == specs - others
