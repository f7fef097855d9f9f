"""Opening the console in a browser, where there is one."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Callable


def open_in_browser(url: str, tell: Callable[[str], None]) -> None:
    """Open a URL, without waiting for the browser.

    :param url: signs in once; it may be read by others on the machine.
    :param tell: says in one line that there is no browser, as over SSH or in a container.
    """

    def opening() -> None:
        # Some browsers run in the terminal, and return when they are closed.
        if not webbrowser.open(url):
            tell("no browser could be opened here: open the console's URL in one yourself")

    threading.Thread(target=opening, daemon=True).start()
