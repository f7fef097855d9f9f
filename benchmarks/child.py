"""A child process: runs one row, as its argument says. Started by the harness."""

from __future__ import annotations

import json
import sys

from benchmarks.catalogue import row
from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.processes import unwind_when_told
from roost_core.cli import hold_collector_back


def main() -> None:
    """Run the row that the job names."""
    # A row's own processes end as well.
    unwind_when_told()
    # As the `roost` command does, for all rows: otherwise a collection that visits every module,
    # some 50 ms, falls into one sample and not into another.
    hold_collector_back()
    job = Job(**json.loads(sys.argv[1]))
    row(job.row).run(job, Clock())


if __name__ == "__main__":
    main()
