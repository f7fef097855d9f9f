"""The plugin's settings: where workspaces come from."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from roost_core.settings import On, path, setting
from roost_core.values import Value


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WorkspaceSettings(Value):
    """Where workspaces come from."""

    namespace: ClassVar[str] = "workspace"

    source: Path | None = setting(
        None,
        path,
        "Git repository that workspaces are made from. Empty: none.",
        "DIR",
        on=On.WORKER,
    )
