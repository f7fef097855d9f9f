"""Which plugins are to be loaded: names, blocks and replacements, before anything is imported."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from roost_core.errors import PluginConflict
from roost_core.plugins import sources
from roost_core.plugins.reports import PluginStatus, Record
from roost_core.plugins.sources import Candidate, Installed, Source
from roost_core.wording.suggestions import did_you_mean


class Request(NamedTuple):
    """A request for plugins.

    :ivar explicit: names from ``--plugin``.
    :ivar environment: names from the setting ``plugins``.
    :ivar installed: whether to take installed plugins that are not named.
    """

    explicit: Sequence[str] = ()
    environment: Sequence[str] = ()
    installed: bool = True

    @property
    def looks(self) -> bool:
        """Whether installed plugins have to be looked up."""
        return bool(self.installed or self.explicit or self.environment)


class Choice:
    """What follows from a request.

    :ivar winners: what to load, in order.
    :ivar others: what is not loaded, and why: blocked, replaced, or in conflict.
    """

    def __init__(self) -> None:
        self.winners: list[Candidate] = []
        self.others: list[tuple[Record, PluginConflict | None]] = []

    def note(self, candidate: Candidate, status: PluginStatus, error: str) -> None:
        """Say why a plugin is not loaded."""
        self.others.append((Record(candidate, status, error=error), None))


def select(request: Request, there: Installed, only: Collection[str] | None = None) -> Choice:
    """Return what to load.

    :param only: the locations of the installed plugins that may be taken unnamed, None for all.
    :raises PluginLoadError: a name is empty.
    """
    texts = [(text, Source.ENVIRONMENT) for text in request.environment]
    texts += [(text, Source.OPTION) for text in request.explicit]
    candidates = list(there.plugins) if request.installed else []
    blocks: dict[str, Source] = {}
    for text, source in texts:
        blocked = sources.blocked_name(text)
        if blocked is None:
            candidates.append(sources.named(text, source, there.plugins))
        else:
            blocks[blocked] = source
    choice = Choice()
    _block(choice, candidates, blocks)
    left = [
        one
        for one in candidates
        if not {one.name, one.text} & blocks.keys()
        and (only is None or one.source is not Source.INSTALLED or one.location in only)
    ]
    _win(choice, left)
    return choice


def _block(choice: Choice, candidates: Sequence[Candidate], blocks: Mapping[str, Source]) -> None:
    missing = dict(blocks)
    for candidate in candidates:
        for name in {candidate.name, candidate.text} & blocks.keys():
            missing.pop(name, None)
            choice.note(candidate, PluginStatus.BLOCKED, f"by no:{name}")
    for name, source in missing.items():
        nobody = Candidate(name, source, f"no:{name}", "")
        hint = did_you_mean(name, [candidate.name for candidate in candidates])
        choice.note(nobody, PluginStatus.BLOCKED, f"no plugin has this name{hint}")


def _win(choice: Choice, candidates: Sequence[Candidate]) -> None:
    # Names are known before anything is imported, so a replaced plugin is never imported.
    last = {candidate.name: candidate for candidate in candidates}
    for candidate in candidates:
        winner = last[candidate.name]
        if winner is candidate:
            choice.winners.append(candidate)
        elif winner.location == candidate.location:
            continue  # the same plugin, named twice
        elif winner.source is Source.INSTALLED:
            conflict = PluginConflict(
                f"two installed plugins are named {candidate.name}: {_place(candidate)} "
                f"and {_place(winner)}; uninstall one, or block both with "
                f"no:{candidate.name} and name one by its module"
            )
            choice.others.append((Record(candidate), conflict))
        elif winner.source is candidate.source:
            # Whoever names one plugin twice over wants both, or has mistaken one for the other.
            conflict = PluginConflict(
                f"two plugins are named {candidate.name}: {candidate.described} and "
                f"{winner.described}; rename one, or name only one"
            )
            choice.others.append((Record(candidate), conflict))
        else:
            choice.note(candidate, PluginStatus.REPLACED, f"by {winner.described}")


def _place(candidate: Candidate) -> str:
    return f"{candidate.location} of {candidate.distribution} {candidate.version}"
