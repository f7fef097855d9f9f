"""The default artifact store: files in a folder.

It is tried last, so a plugin with another store only has to be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core import hookimpl
from roost_plugins.fs_artifacts.settings import ArtifactSettings, folder

if TYPE_CHECKING:
    from roost_core.backend import ArtifactStore
    from roost_core.settings import Settings


@hookimpl
def register_settings() -> type[ArtifactSettings]:
    """Declare where the artifacts are."""
    return ArtifactSettings


@hookimpl(trylast=True)
def artifact_store(settings: Settings) -> ArtifactStore:
    """Return the store in the folder that the settings name; nothing is created yet."""
    # Imported here: most commands never touch an artifact.
    from roost_plugins.fs_artifacts.store import FilesystemStore

    is_shared = settings.of(ArtifactSettings).shared
    return FilesystemStore(folder(settings), is_shared=is_shared)
