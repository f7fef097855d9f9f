"""``python -m roost_core.cli`` is ``roost``."""

from __future__ import annotations

from roost_core.cli import main

if __name__ == "__main__":
    main()
