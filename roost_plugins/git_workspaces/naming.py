"""What a work item's folder and branch are called."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from roost_core.errors import InvalidInput
from roost_core.models import WORK_ID

#: The namespace and queue whose workspaces have the plain names: the defaults of the settings.
_PLAIN: Final = ("default", "default")

#: What git forbids in a branch name, of the characters a work id may have.
_NOT_IN_BRANCHES: Final = re.compile(r"\.{2,}|\.$|\.lock$")


def queue_name(namespace: str, queue: str) -> str:
    """Return the name that stands for a queue in folders and branches; empty for the default one.

    Ids are a queue's own, and work items of two queues that share a home and a source may have
    the same one.
    """
    if (namespace, queue) == _PLAIN:
        return ""
    both = f"{namespace}.{queue}"
    digest = hashlib.sha256(f"{namespace}/{queue}".encode()).hexdigest()[:16]
    return f"q-{_NOT_IN_BRANCHES.sub('-', both).lower()}+{digest}"


def branch_name(queue: str, name: str) -> str:
    """Return the branch of a workspace.

    :param queue: from :func:`queue_name`.
    :param name: from :func:`workspace_name`.
    """
    # Not below "roost/": there a branch that is called like the folder may exist.
    return f"roost-queues/{queue}/{name}" if queue else f"roost/{name}"


def workspace_name(work_id: str) -> str:
    """Return the name that stands for a work item in folder and branch.

    It is the id itself, unless the id has upper-case letters or is not a branch
    name; then those parts are replaced and a digest tells such ids apart.

    :raises InvalidInput: not a work id.
    """
    if not isinstance(work_id, str) or WORK_ID.fullmatch(work_id) is None:
        raise InvalidInput(f"{work_id!r:.200} is not a valid work id")
    plain = _NOT_IN_BRANCHES.sub("-", work_id)
    if plain == work_id and work_id == work_id.lower():
        return work_id
    return f"{plain}+{hashlib.sha256(work_id.encode()).hexdigest()[:16]}"
