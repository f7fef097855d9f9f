"""A child process: runs one row, as its argument says. Started by the harness."""

from __future__ import annotations

import json
import sys

from benchmarks.harness import Clock, Job
from benchmarks.rows import row


def main() -> None:
    """Run the row that the job names."""
    job = Job(**json.loads(sys.argv[1]))
    row(job.row).run(job, Clock())


if __name__ == "__main__":
    main()
