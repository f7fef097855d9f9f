"""``roost artifacts`` on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain
from roost_core.models.snapshot import Artifact
from roost_core.shown.sizes import size

_COLUMNS: Final = (
    Column("artifact id"),
    Column("name", least=8, rank=1),
    Column("ext", rank=3),
    Column("size", rank=2, is_right=True),
)


def show(console: Console, work_id: str, artifacts: Sequence[Artifact]) -> None:
    """Print the artifacts, and how to see one."""
    if not artifacts:
        console.print(plain(f"the last snapshot of {work_id} names no artifact"))
        return
    draw(console, _COLUMNS, [_cells(one) for one in artifacts])
    console.print()
    hint = f"print one: roost artifact-show {artifacts[-1].artifact_id}"
    console.print(Text(hint, "dim"), soft_wrap=True)


def _cells(artifact: Artifact) -> list[Text | None]:
    return [
        plain(artifact.artifact_id, "bold"),
        None if artifact.name is None else plain(artifact.name),
        plain(artifact.ext),
        plain(size(artifact.size_bytes)),
    ]
