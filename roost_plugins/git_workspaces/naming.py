"""What a work item's folder and branch are called."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from roost_core.errors import InvalidInput
from roost_core.models import WORK_ID

#: The branch of a workspace is this and its name.
BRANCH_PREFIX: Final = "roost/"

#: What git forbids in a branch name, of the characters a work id may have.
_NOT_IN_BRANCHES: Final = re.compile(r"\.{2,}|\.$|\.lock$")


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
