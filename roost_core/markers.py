"""The two decorators of the plugin framework.

``hookimpl`` marks a function of a plugin as the implementation of a hook;
``hookspec`` marks the declarations in :mod:`roost_core.hookspecs`. Both belong
to the pluggy project ``roost``.
"""

from __future__ import annotations

import pluggy

PROJECT = "roost"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
