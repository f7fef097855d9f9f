"""The page about an LLM agent: its lines run, against a model server on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest

from roost_core.testing import run_to_end
from tests.docs.pages import blocks, page
from tests.docs.shell import LIMIT, environment, wait_for_the_server

(CODE,) = [one.text for one in blocks(page("llm-agent")) if one.language == "python"]
(TERMINAL,) = [one.text for one in blocks(page("llm-agent")) if one.language == "sh"]
CALL = {"id": "call-1", "function": {"name": "add", "arguments": '{"a": 19, "b": 23}'}}


class ModelServer(ThreadingHTTPServer):
    """Speaks chat completions: refuses the first request, wants a tool, and answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Any] = []

    def reply(self, asked: Any) -> tuple[int, Any]:
        """Return a status and a body."""
        self.asked.append(asked)
        if len(self.asked) == 1:
            return 429, {}
        results = [one["content"] for one in asked["messages"] if one["role"] == "tool"]
        message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        if results:
            message = {"role": "assistant", "content": f"It is {results[0]}."}
        return 200, {"choices": [{"message": message}]}


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert ("/v1/chat/completions", "Bearer key") == (self.path, self.headers["Authorization"])
        status, answer = self.server.reply(json.loads(body))
        raw = json.dumps(answer).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0.2")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving() -> Iterator[ModelServer]:
    """Give a model server that runs."""
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def model(monkeypatch) -> Iterator[ModelServer]:
    """Give a model server, and its address to the agent."""
    with serving() as server:
        monkeypatch.setenv("LLM_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("LLM_MODEL", "fake")
        monkeypatch.setenv("LLM_KEY", "key")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


def agent() -> ModuleType:
    """Return the page's engine as a module."""
    module = ModuleType("agent")
    exec(CODE, module.__dict__)
    return module


def test_it_is_as_short_as_it_says():
    """Forty lines of code."""
    assert 40 >= len([line for line in CODE.splitlines() if line.strip()])


def test_it_calls_tools_and_waits_for_the_rate_limit(model):
    """A refused call comes again later and is no attempt; the answer is the last message."""
    run = run_to_end(agent(), {"task": "What is 19 + 23?"})
    assert run.status.snapshot is not None
    messages = run.status.snapshot.data["messages"]
    assert ["user", "assistant", "tool", "assistant"] == [one["role"] for one in messages]
    assert "It is 42." == messages[-1]["content"]
    assert (3, 0) == (len(model.asked), run.status.meta.attempts)
    assert 0.2 == run.elapsed_seconds
    assert "attempt_failed" not in [event.kind for event in run.events]


def test_it_bears_that_every_step_runs_twice(model):
    """The transcript is the same, at the price of some calls."""
    run = run_to_end(agent(), {"task": "What is 19 + 23?"}, every_step_twice=True)
    assert run.status.snapshot is not None
    assert "It is 42." == run.status.snapshot.data["messages"][-1]["content"]


def test_it_runs_as_the_page_says(folder, model):
    """The page's terminal: worker, enqueue, watch."""
    (folder / "agent.py").write_text(CODE)
    llm = {name: value for name, value in os.environ.items() if name.startswith("LLM_")}
    terminal = subprocess.Popen(
        ["sh", "-c", f"{TERMINAL}wait $!"],
        cwd=folder,
        env=environment(folder) | llm,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        seen, said = terminal.communicate(timeout=LIMIT)
    finally:
        # Also the worker, if something kept the page's last line from being reached.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(terminal.pid, signal.SIGKILL)
        if (folder / ".roost").exists():
            wait_for_the_server(folder)
    assert 0 == terminal.returncode, said
    assert "done" in seen
    assert 3 == len(model.asked)
