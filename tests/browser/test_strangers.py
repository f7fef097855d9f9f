"""What pages of other sites can do to a console in a real browser: lead to it, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.consoles import running

#: What Chromium says of what is refused, and of the icon that a line of text lacks.
REFUSED = ("403", "404", "Refused to", "ERR_BLOCKED", "net::ERR", "CORS", "violates", "Framing")


class Elsewhere(ThreadingHTTPServer):
    """A site whose one page a test writes.

    Under ``localhost`` it is another site than the console's 127.0.0.1; under that name it is the
    same site with another port, which browsers send the cookies of the console.
    """

    page = ""

    def url(self, host: str) -> str:
        """Return its address under a name."""
        return f"http://{host}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        """Send the page."""
        body = self.server.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Give a site of somebody else."""
    server = Elsewhere(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(console, eyes):
    """Give a window that is signed in."""
    found = eyes.page()
    found.goto(console.url)
    return found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_link_leads_to_the_page(console, page, elsewhere, host):
    """From a chat, a ticket, a log: without signing in again, though the cookie is strict."""
    elsewhere.page = f"<a href='{console.origin}/work?q=state:failed'>it failed</a>"
    page.goto(elsewhere.url(host))
    page.click("a")
    page.get_by_role("heading", name="Work", exact=True).wait_for()
    assert f"{console.origin}/work?q=state:failed" == page.url


def test_a_link_of_somebody_who_is_not_signed_in(console, eyes, elsewhere):
    """It leads to the page that says how to sign in, and does not load again and again."""
    eyes.expected += ("401",)
    elsewhere.page = f"<a href='{console.origin}/work'>it failed</a>"
    page = eyes.page()
    page.goto(elsewhere.url("localhost"))
    page.click("a")
    page.get_by_label("Token").wait_for()


def test_the_printed_address_as_a_link(console, eyes, elsewhere):
    """In a terminal that is itself a web page."""
    elsewhere.page = f"<a href='{console.url}'>open</a>"
    page = eyes.page()
    page.goto(elsewhere.url("localhost"))
    page.click("a")
    page.locator("#side [aria-current=page]", has_text="Overview").wait_for()
    assert f"{console.origin}/" == page.url


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_form_of_others_is_refused(console, page, eyes, elsewhere, host):
    """The browser says where it comes from."""
    eyes.expected += REFUSED
    elsewhere.page = f"""
        <form method="post" action="{console.origin}/sign-in"><button>Win</button></form>
    """
    page.goto(elsewhere.url(host))
    page.click("button")
    page.get_by_text("a page of another site sent this").wait_for()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_nothing_else_of_others_gets_an_answer(console, page, eyes, elsewhere, host):
    """Neither scripts nor pictures, frames or streams, with the cookie or without."""
    eyes.expected += REFUSED
    answers: dict[str, int] = {}
    page.on("response", lambda one: answers.__setitem__(one.url, one.status))
    own = console.origin
    elsewhere.page = f"""
        <img src="{own}/work?img"><script src="{own}/work?script"></script>
        <link rel="stylesheet" href="{own}/work?style"><iframe src="{own}/work?frame"></iframe>
        <script>
          const said = [];
          const end = () => document.body.append(document.createElement("hr"));
          const asked = [
            fetch("{own}/work?cors", {{credentials: "include"}}),
            fetch("{own}/work?opaque", {{credentials: "include", mode: "no-cors"}}),
            fetch("{own}/work?post", {{method: "POST", credentials: "include", mode: "no-cors"}}),
            fetch("{own}/work?put", {{method: "PUT", credentials: "include"}}),
            new Promise((done) => {{
              const stream = new EventSource("{own}/live", {{withCredentials: true}});
              stream.onmessage = stream.onerror = done;
            }}),
          ];
          Promise.allSettled(asked).then(end);
        </script>
    """
    page.goto(elsewhere.url(host))
    page.locator("hr").wait_for(state="attached")
    # What the page before still loads may come late: its icon, for example.
    of_ours = {
        url: status
        for url, status in answers.items()
        if url.startswith(own) and "/static/" not in url
    }
    assert of_ours
    assert {403} == set(of_ours.values()) - {405}, of_ours


def test_two_consoles_in_one_browser(shell, eyes):
    """Each stays signed in, though the browser sends both cookies to both."""
    context = eyes.context()
    with running(shell) as first, running(shell, "--read-only") as second:
        pages = [context.new_page() for _ in range(2)]
        for page, console in zip(pages, (first, second), strict=True):
            page.goto(console.url)
        for page, console in zip(pages, (first, second), strict=True):
            page.goto(f"{console.origin}/work")
            page.get_by_role("heading", name="Work", exact=True).wait_for()
        for page in pages:
            page.close()


def test_the_cookie_is_not_for_scripts(console, page):
    """Nor is the token anywhere in the page."""
    assert console.token not in page.content()
    names = [(one["name"], one["httpOnly"], one["sameSite"]) for one in page.context.cookies()]
    assert [(f"roost_{console.port}", True, "Strict")] == names
