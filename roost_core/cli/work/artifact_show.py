"""``roost artifact-show``."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from roost_core.cli import output
from roost_core.cli.arguments import ARTIFACT_ID_TYPE, EXTENSION_TYPE, FILE_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.errors import ArtifactError, ArtifactNotFound, InvalidInput


@click.command(
    "artifact-show",
    cls=RoostCommand,
    example=(
        "roost artifacts $ID",
        "roost artifact-show $AID --ext json | jq .verdict",
    ),
)
@click.argument("artifact_id", type=ARTIFACT_ID_TYPE)
@click.option(
    "--ext",
    type=EXTENSION_TYPE,
    help="Require that it was stored with this extension, such as json.",
)
@click.option("--output", "target", type=FILE_TYPE, metavar="FILE", help="Write it to a new file.")
@click.option("--force", is_flag=True, help="Let --output replace a file.")
@roost_options()
@click.pass_obj
def command(
    session: Session, artifact_id: str, ext: str | None, target: Path | None, force: bool
) -> None:
    """Print an artifact's exact bytes, verified against its id. No server is needed.

    Bytes that a terminal might obey are not printed to one: use --output or a pipe.
    """
    store = session.artifact_store()
    data = store.get(artifact_id)
    if ext is not None:
        stored_as = {artifact.ext for _, artifact in store.describe(artifact_id)}
        if stored_as and ext not in stored_as:
            raise ArtifactNotFound(
                f"artifact {artifact_id} is stored as {', '.join(sorted(stored_as))}, not as {ext}"
            )
    if target is not None:
        _write(target, data, force)
    elif output.on_terminal() and not _is_plain(data):
        raise InvalidInput("these bytes are not plain text: use --output FILE or a pipe")
    else:
        stream = sys.stdout.buffer
        stream.write(data)
        stream.flush()


def _is_plain(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r" for character in text)


def _write(target: Path, data: bytes, force: bool) -> None:
    try:
        with target.open("wb" if force else "xb") as file:
            try:
                file.write(data)
            except OSError:
                if not force:
                    with contextlib.suppress(OSError):
                        target.unlink()
                raise
    except FileExistsError as error:
        raise InvalidInput(f"{target} already exists: --force replaces it") from error
    except OSError as error:
        raise ArtifactError(f"cannot write {target}: {os.strerror(error.errno or 0)}") from error
