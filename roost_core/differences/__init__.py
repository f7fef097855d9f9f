"""How two JSON values differ, and patches that turn one into another (RFC 6902). Pure."""

from roost_core.differences.comparing import Difference, Kind, compare, patch_between
from roost_core.differences.patching import assigned, parse_patch, patched

__all__ = [
    "Difference",
    "Kind",
    "assigned",
    "compare",
    "parse_patch",
    "patch_between",
    "patched",
]
