"""The plugin's settings: where the artifacts are, and who has that folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from roost_core.settings import On, Settings, path, setting, yes_no
from roost_core.values import Value


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ArtifactSettings(Value):
    """Where the artifacts are, and who has that folder."""

    namespace: ClassVar[str] = "artifact"

    root: Path | None = setting(
        None,
        path,
        "Folder for artifacts. Empty: artifacts/ in ROOST_HOME.",
        "DIR",
        on=On.EVERY_COMMAND,
    )
    shared: bool = setting(
        False,
        yes_no,
        "Whether every worker of the queue has the same folder, such as a volume that all mount: "
        "then large values are kept there also beside a server of your own.",
        "yes|no",
    )


def folder(settings: Settings) -> Path:
    """Return the folder for artifacts."""
    return settings.of(ArtifactSettings).root or settings.home / "artifacts"
