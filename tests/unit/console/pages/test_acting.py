"""Verbs on one work item, where the server is away."""

from __future__ import annotations

from datetime import UTC, datetime

from roost_core.errors import BackendUnavailable
from roost_core.settings import Settings
from roost_plugins.console.here import Here
from roost_plugins.console.serving.app import create_app


class Away:
    """A connection, and live events, of a server that does not answer."""

    is_gone = True

    def ask(self, load, timeout):
        """Give up."""
        raise BackendUnavailable("no answer within 30 s")

    def now(self):
        """Return a time."""
        return datetime(2030, 1, 1, tzinfo=UTC)


def test_a_verb_without_an_answer():
    """The reader learns that nobody knows whether it was done; it is not called refused."""
    away = Away()
    browser = create_app(Here(away, away, Settings())).test_client()
    sent = browser.post("/work/w-1/cancel", data={"order": "o1"})
    assert 303 == sent.status_code
    page = browser.get(sent.headers["Location"])
    assert 503 == page.status_code
    text = page.get_data(as_text=True)
    assert "it is not known whether it was done" in text
    assert "Nothing was done" not in text
