"""A page to watch, on a free port of the loopback address, that can hold its visitors.

    held_page.py FOLDER

It is steered by files in FOLDER: it writes ``port`` when it listens and adds a
line to ``visits`` for each request; while there is a file ``hold``, requests
stay unanswered, and ``held`` exists as long as one does.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
BODY = b"<h1>Roosts are open</h1>\n"
COUNTING = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the page."""

    def do_GET(self) -> None:
        """Note the visit, wait while it is held, answer."""
        with COUNTING, (FOLDER / "visits").open("a") as visits:
            visits.write(f"{self.path}\n")
        while (FOLDER / "hold").exists():
            (FOLDER / "held").touch()
            time.sleep(0.02)
        (FOLDER / "held").unlink(missing_ok=True)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server whose visitors may be killed."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a visitor that was killed does not read its answer."""


with Server(("127.0.0.1", 0), Handler) as server:
    (FOLDER / "port.new").write_text(str(server.server_address[1]))
    (FOLDER / "port.new").rename(FOLDER / "port")
    server.serve_forever()
