"""A web application without asyncio: it takes orders for work, and tells how they stand.

It is a plain WSGI application, as Flask and Django are; any number of its threads share the one
connection. Without a web server, this file asks itself: it enqueues, cancels, and looks.

Run it, in this folder::

    python web.py
"""

import json
from wsgiref.util import setup_testing_defaults

from roost_core import RoostError, SyncRoost


def application(roost):
    """Return an application: POST enqueues, GET and DELETE of /ID tell and cancel."""

    def handle(environ, start_response):
        work_id = environ["PATH_INFO"].strip("/")
        status = "200 OK"
        try:
            if environ["REQUEST_METHOD"] == "POST":
                work_id = roost.enqueue("countdown", {"from": 3}, any_engine=True).work_id
            elif environ["REQUEST_METHOD"] == "DELETE":
                roost.work(work_id).cancel(reason="over the web")
            answer = {"id": work_id, "state": roost.work(work_id).status().meta.state}
        except RoostError as error:
            status, answer = "400 Bad Request", {"error": str(error)}
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    return handle


def ask(app, method, path="/"):
    """Ask an application as a web server would; return what it answers."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    setup_testing_defaults(environ)
    return json.loads(b"".join(app(environ, lambda _status, _headers: None)))


if __name__ == "__main__":
    with SyncRoost.connect() as roost:
        app = application(roost)
        made = ask(app, "POST")
        print(made["state"])
        print(ask(app, "DELETE", f"/{made['id']}")["state"])
        print(ask(app, "GET", "/w-nobody")["error"])
