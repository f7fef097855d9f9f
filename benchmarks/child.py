"""A child process: runs one row, as its argument says. Started by the harness."""

from __future__ import annotations

import json
import signal
import sys

from benchmarks.harness import Clock, Job
from benchmarks.rows import row


def main() -> None:
    """Run the row that the job names."""
    # A polite end unwinds, so that a row's own processes end as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    job = Job(**json.loads(sys.argv[1]))
    row(job.row).run(job, Clock())


if __name__ == "__main__":
    main()
