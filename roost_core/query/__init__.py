"""The one language in which work is asked for: command line, client and web pages share it.

``docs/finding.md`` has it for people. Everything here is pure: a text becomes a :class:`Query`, a
query becomes a text again, and a query says whether a work item is one that it asks for.
"""

from __future__ import annotations

from roost_core.query.fingerprints import fingerprint
from roost_core.query.grouping import By
from roost_core.query.matching import Subject, matches
from roost_core.query.parsing import parse
from roost_core.query.terms import Op, Query, Term, Test

__all__ = ["By", "Op", "Query", "Subject", "Term", "Test", "fingerprint", "matches", "parse"]
