"""Artifacts of one work item: a look at their beginning, and the bytes to save.

They come from engines and strangers. Nothing of them is ever a page: text is escaped and cut, and
bytes are sent as a file. Of pictures only those are shown whose formats have no scripts, told by
their own bytes and not by their name, and only when a reader asks for them.
"""

from __future__ import annotations

from typing import Final

import attrs
from flask import Response, render_template, url_for

from roost_core.codec.strict_json import loads
from roost_core.errors import ArtifactNotFound, CodecError, InvalidInput
from roost_core.models import Artifact
from roost_plugins.console.here import here
from roost_plugins.console.kit.tree import Node, tree
from roost_plugins.console.pages.item.routing import blueprint, place, snapshots
from roost_plugins.console.pages.item.safely import as_file, as_picture, picture_kind

#: Larger ones are not looked into, and not sent. Bytes.
_MOST_SHOWN: Final = 8 << 20
MOST_SENT: Final = 256 << 20
#: This much of a text is shown. Characters.
_TEXT: Final = 32_000


@attrs.frozen
class Look:
    """What is shown of an artifact: a text, a tree, a picture, or why nothing is.

    :ivar more: how many characters there are besides.
    """

    text: str | None = None
    more: int = 0
    node: Node | None = None
    picture: str | None = None
    why: str = ""


def look_at(data: bytes, picture: str) -> Look:
    """Return what is shown of an artifact's bytes.

    :param picture: where they can be fetched, if they are a picture.
    """
    if picture_kind(data) is not None:
        return Look(picture=picture)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Look(why="These bytes are no text.")
    if "\0" in text:
        return Look(why="These bytes are no text.")
    if text[:1] in ("{", "["):
        try:
            return Look(node=tree(loads(data, "the artifact", _MOST_SHOWN)))
        except CodecError:
            pass
    return Look(text=text[:_TEXT], more=max(0, len(text) - _TEXT))


def named(work_id: str, artifact_id: str) -> Artifact:
    """Return what is known of an artifact that a snapshot names: the page's, or the newest."""
    state = snapshots().that_names(work_id, artifact_id) or snapshots().read(here(), work_id)
    found = state.artifact(artifact_id)
    if found is None:
        raise ArtifactNotFound(
            f"{work_id} names no artifact {artifact_id!r:.80}: read the page again"
        )
    return found


def bytes_of(artifact: Artifact, most: int) -> bytes:
    """Return its bytes, if these are at most this many.

    :raises InvalidInput: it is larger.
    """
    if artifact.size_bytes > most:
        raise InvalidInput(
            f"it is too large to be shown here: `roost artifact-show {artifact.artifact_id} "
            "--output FILE` writes it"
        )
    return here().ask(lambda roost: roost.artifact(artifact.artifact_id), timeout=60)


@blueprint.get("/<work_id>/artifacts/<artifact_id>")
def preview(work_id: str, artifact_id: str) -> str:
    """Show its beginning, as a part of the page."""
    artifact = named(work_id, artifact_id)
    if artifact.size_bytes > _MOST_SHOWN:
        look = Look(why="It is too large to be shown here.")
    else:
        url = url_for("item.picture", work_id=work_id, artifact_id=artifact_id)
        look = look_at(bytes_of(artifact, _MOST_SHOWN), url)
    return render_template("item/artifact.html", look=look, artifact=artifact, work_id=work_id)


@blueprint.get("/<work_id>/artifacts/<artifact_id>/branch")
def artifact_branch(work_id: str, artifact_id: str) -> str:
    """Show one branch of an artifact that is JSON."""
    artifact = named(work_id, artifact_id)
    try:
        value = loads(bytes_of(artifact, _MOST_SHOWN), "the artifact", _MOST_SHOWN)
    except CodecError:
        raise InvalidInput("it is no JSON") from None
    at, start = place()
    url = url_for("item.artifact_branch", work_id=work_id, artifact_id=artifact_id)
    return render_template("item/branch.html", node=tree(value, at, start), url=url)


@blueprint.get("/<work_id>/artifacts/<artifact_id>/picture")
def picture(work_id: str, artifact_id: str) -> Response:
    """Send a picture for the page."""
    data = bytes_of(named(work_id, artifact_id), _MOST_SHOWN)
    kind = picture_kind(data)
    if kind is None:
        raise InvalidInput("it is no picture")
    return as_picture(data, kind)


@blueprint.get("/<work_id>/artifacts/<artifact_id>/file")
def file(work_id: str, artifact_id: str) -> Response:
    """Send it as a file."""
    artifact = named(work_id, artifact_id)
    name = artifact.name or f"{artifact_id[:12]}.{artifact.ext}"
    return as_file(bytes_of(artifact, MOST_SENT), name)
