"""The kinds of hooks: how each is called."""

from __future__ import annotations

from typing import Final

from roost_core import hookspecs

#: Called on the one plugin that owns the engine.
ENGINE_HOOKS: Final = ("init_snapshot", "step")
#: Called on every plugin, each isolated from the others.
OBSERVER_HOOKS: Final = tuple(name for name in vars(hookspecs) if name.startswith("on_"))
#: These may be ``async def``; all others are ``def``.
ASYNC_HOOKS: Final = frozenset({*ENGINE_HOOKS, *OBSERVER_HOOKS})
