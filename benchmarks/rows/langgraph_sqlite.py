"""LangGraph with its SQLite checkpointer: a graph that loops, with a checkpoint each time."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row


class _State(TypedDict):
    n: int
    text: str


def _run(job: Job, clock: Clock) -> None:
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import END, START, StateGraph

    database = Path(job.folder) / "langgraph.sqlite"
    database.unlink(missing_ok=True)

    def work(state: _State) -> _State:
        return {"n": state["n"] + 1, "text": job.text}

    graph: Any = StateGraph(_State)
    graph.add_node("work", work)
    graph.add_edge(START, "work")
    graph.add_conditional_edges("work", lambda state: END if state["n"] >= job.steps else "work")
    connection = sqlite3.connect(database, check_same_thread=False)
    app = graph.compile(checkpointer=SqliteSaver(connection))

    def one(name: str) -> None:
        config = {"configurable": {"thread_id": name}, "recursion_limit": job.steps + 5}
        app.invoke({"n": 0, "text": ""}, config, durability="sync")

    with ThreadPoolExecutor(job.lanes) as pool:
        list(pool.map(one, (f"warm-{number}" for number in range(min(5, job.warm_items)))))
        clock.start()
        list(pool.map(one, (str(number) for number in range(job.items))))
        clock.stop(job.items * job.steps)
    connection.close()


ROW = Row(
    key="langgraph",
    title="LangGraph, SqliteSaver, sync",
    run=_run,
    durability="a checkpoint; SQLite as SqliteSaver sets it",
    rate=350,
    needs="langgraph",
)
