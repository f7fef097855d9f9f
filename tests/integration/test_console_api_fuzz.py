"""The API under requests that a program makes up from its document: valid ones, and invalid."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

from tests.integration.api_bench import api, fill
from tests.integration.redis_bench import settings_for
from tests.servers import need

#: No measure: it only ends what hangs. Seconds.
_LIMIT = 900
_EXCLUDED = {
    # What a query, an id or an engine may be is more than a schema can say.
    "positive_data_acceptance",
    # Methods that no route has are refused before anything looks at the path.
    "allow_header_conformance",
}


def test_schemathesis_finds_nothing(redis_server, tmp_path):
    """Each answer is documented and fits its schema, and no request is a fault of the server's."""
    need("" if find_spec("schemathesis") else None, "schemathesis")
    with api(settings_for(redis_server, home=tmp_path / "home")) as found:
        fill(found.items)
        options = {
            "--header": f"Authorization: Bearer {found.site.token}",
            "--max-examples": "4",
            "--exclude-path": "/events/live",  # it never ends
            "--exclude-checks": ",".join(sorted(_EXCLUDED)),
        }
        words = [word for pair in options.items() for word in pair]
        words += ["--generation-deterministic", "--no-shrink", "--no-color"]
        url = f"{found.site.origin}/api/v1/openapi.json"
        end = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", url, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        assert (0, "") == (end.returncode, end.stderr), end.stdout[-8000:]
        # It did ask: of everything but the stream.
        assert "Tested: 25" in end.stdout
        assert 200 == found.get("/overview").status
