#!/usr/bin/env bash
# Run the tests: scripts/test.sh [PYTEST-ARGUMENT...]
#
# Sets up .venv itself. Tests that need a redis-server, git or Chromium are skipped, with the
# reason, where it is missing; with CI=1 they fail instead.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/run_in_venv.sh"
cd "$root"
run_in_venv python -m pytest "$@"
