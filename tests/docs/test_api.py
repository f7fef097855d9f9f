"""The page about the JSON API: its table is complete, and its example runs word for word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

from roost_plugins.console.api.openapi import PROBLEMS
from roost_plugins.console.api.routing import ROUTES
from tests.consoles import running
from tests.docs.pages import blocks, page, rows, sections
from tests.docs.shell import LIMIT
from tests.integration.cli_bench import Shell
from tests.servers import need

PAGE = page("api")
TOKEN = "a-token-for-an-example"


def test_each_route_is_in_the_table():
    """As the document writes it, and no other."""
    named = [row[0].strip("`") for row in rows(sections(PAGE)["Routes"])[1:]]
    assert sorted(f"{one.method} {one.path}" for one in ROUTES) == sorted(named)


def test_each_status_is_in_the_table():
    """Every one that a problem may have."""
    text = " ".join(row[0] for row in rows(sections(PAGE)["Problems"]))
    assert set(PROBLEMS) == set(map(int, re.findall(r"\d{3}", text)))


def test_the_example_runs(redis_server, tmp_path):
    """On a console as people start it."""
    need(shutil.which("curl"), "curl")
    (example,) = [one.text for one in blocks(PAGE) if one.language == "sh"]
    shell = Shell(
        tmp_path,
        {
            "ROOST_REDIS_URL": redis_server.url,
            "ROOST_NAMESPACE": f"docs-{tmp_path.name}",
            "ROOST_HOME": str(tmp_path / "home"),
            "ROOST_CONSOLE_TOKEN": TOKEN,
        },
    )
    with running(shell) as console:
        done = subprocess.run(
            ["sh", "-eu", "-c", example],
            cwd=tmp_path,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "API": f"{console.origin}/api/v1",
                "ROOST_CONSOLE_TOKEN": TOKEN,
            },
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stderr), done.stdout
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    enqueued, status, why, events, paused, preview, bulk, page_of_work = answers
    assert {"work_id": "front-page"} == enqueued
    assert "queued" == status["meta"]["state"]
    assert why["sentence"]
    assert ["enqueued"] == [one["kind"] for one in events["events"]]
    assert "done" == paused["outcome"]
    assert (1, 1) == (preview["total"], bulk["outcomes"]["done"])
    assert ["front-page"] == [one["work_id"] for one in page_of_work["items"]]
    assert [{"name": "watchlist", "count": 1}] == page_of_work["count"]["groups"]
