"""The process of one worker of ``roost dev``: held until it may begin.

It is told as JSON what its supervisor wants, and then the words of the command line.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Mapping, Sequence

from roost_core.cli.supervised import SupervisedWorker
from roost_core.models import Json
from roost_plugins.console.dev import faults
from roost_plugins.console.dev.link import Link
from roost_plugins.console.dev.messages import Broken, Ready
from roost_plugins.console.dev.reading import Reads


class Child:
    """One worker: it loads its plugins, says how that went, waits for the word, and works."""

    def __init__(self, link: Link, reads: Reads, words: Sequence[str]) -> None:
        self._link, self._reads = link, reads
        self._worker = SupervisedWorker(words, self._hold)

    def run(self) -> object:
        """Return the exit code."""
        try:
            code = self._worker.run()
            if self._worker.failure is not None:
                self._tell(self._worker.failure)
        finally:
            self._link.leave()
        return code

    def _hold(self, engines: Sequence[str], own: Mapping[str, Json]) -> None:
        self._end_loading()
        examples = {name: one if _is_json(one) else None for name, one in own.items()}
        self._link.tell(Ready(self._reads.seen(), engines, examples))
        self._link.wait()

    def _tell(self, error: BaseException) -> None:
        """Report what is wrong, once: the supervisor prints it."""
        self._end_loading()
        worker = self._worker
        if worker.is_loaded:
            lines = [worker.without_secrets(str(error))]
        else:
            lines = faults.block(error, self._reads.is_own, worker.without_secrets)
        seen = self._reads.seen(faults.missing(error))
        self._link.tell(Broken(seen, tuple(lines), worker.is_loaded))

    def _end_loading(self) -> None:
        self._link.loaded()
        self._reads.stop()


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _put_on_path(roots: Sequence[str]) -> None:
    """Let modules be found in folders: after Python's own library, before what is installed."""
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    at = next((at for at, one in enumerate(sys.path) if one in installed), len(sys.path))
    sys.path[at:at] = [one for one in roots if one not in sys.path]


def main() -> None:
    """Run the worker that the command line describes."""
    told = json.loads(sys.argv[1])
    link = Link(told["ear"], told["mouth"])
    reads = Reads(told["but"])
    link.start()
    _put_on_path(told["roots"])
    code = Child(link, reads, sys.argv[2:]).run()
    sys.exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    main()
