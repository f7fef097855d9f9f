"""The script that becomes the embedded server's supervisor.

It runs without ``site``, so nothing installed can be imported. So the packages of the supervisor's
modules are put in place bare: their own ``__init__`` would import the whole plugin.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType


def main() -> int:
    """Run the supervisor with this script's arguments."""
    plugin = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for name, path in (
        ("roost_plugins", os.path.dirname(plugin)),
        ("roost_plugins.redis_saq", plugin),
    ):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    from roost_plugins.redis_saq.embedded.supervisor import main as supervise

    return supervise(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
