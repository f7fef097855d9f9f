"""Celery on the same server: a task a step, each sending the next; one worker process.

Late acknowledgement, so that a task outlives its worker; no results kept. The
state travels in the message. The last task of a work item notifies this process with
one push to a list.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.processes import ROOT, await_end, environment
from benchmarks.measuring.row import Row


def make_app(path: str, steps: int) -> Any:
    """Return the Celery application; the worker and the producer each make it."""
    from celery import Celery

    app = Celery("bench", broker=f"redis+socket://{path}")
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=4,
        task_default_queue="bench",
        worker_hijack_root_logger=False,
    )

    @app.task(name="step")
    def step(n: int, text: str) -> None:
        if n < steps:
            step.delay(n + 1, text)
        else:
            with app.pool.acquire(block=True) as connection:
                connection.default_channel.client.rpush("bench-done", n)

    return app


def _work(path: str, steps: int, lanes: int) -> None:
    options = ["--pool=threads", f"--concurrency={lanes}", "--loglevel=ERROR"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    make_app(path, steps).worker_main(["worker", *options])


def _run(job: Job, clock: Clock) -> None:
    import redis

    path = job.url.removeprefix("unix://")
    client = redis.Redis(unix_socket_path=path)
    app = make_app(path, job.steps)
    words = ["-m", __name__, path, str(job.steps), str(job.lanes)]
    worker = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, *words], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL
    )

    def send(items: int) -> None:
        for _ in range(items):
            app.send_task("step", (1, job.text))

    def await_done(items: int) -> None:
        for _ in range(items):
            if client.blpop(["bench-done"], 60) is None:
                raise RuntimeError("the Celery worker is silent")

    try:
        send(10)
        await_done(10)
        clock.start(cpu_of=worker.pid)
        # The work has to be sent while the worker runs: that is 1 command in 10, and counts.
        send(job.items)
        await_done(job.items)
        clock.stop(job.items * job.steps)
    finally:
        worker.terminate()
        await_end(worker, 5)
        client.close()
    # Celery's own threads would keep the process alive.
    os._exit(0)


ROW = Row(
    key="celery",
    title="Celery, a task a step",
    run=_run,
    durability="the next message only; AOF {fsync}",
    rate=300,
    needs="celery",
)

if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
