#!/usr/bin/env bash
# Roost's main job through its real command line, with kill -9 midway: scripts/e2e_watchlist.sh
#
# Watches a page on this machine, three visits a time, twice: once the worker is killed in the
# middle of a step, once the embedded server. Prints the evidence report, and exits with 1 if
# anything that Roost promises did not hold.
# Sets up .venv itself; works in a temporary folder and leaves nothing behind.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/run_in_venv.sh"
if [ "${ROOST_X_E2E_STAGE:-}" != inside ]; then
    export ROOST_X_E2E_STAGE=inside
    run_in_venv bash "$root/scripts/e2e_watchlist.sh" "$@"
fi

SECONDS=0
work=$(mktemp -d "${TMPDIR:-/tmp}/roost-e2e-XXXXXX")
# Processes that carry this in their environment are ours.
export ROOST_X_E2E_MARK="$work"
export ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES=yes # the page is on this machine
export ROOST_LEASE_TTL=2                 # how long a dead worker's work waits, in seconds
export ROOST_EMBEDDED_IDLE=1             # how long the server stays after its last user
worker="" page="" servers=""

say() { printf '\n== [%3ds] %s\n' "$SECONDS" "$*"; }
note() { printf '   %s\n' "$*"; }
wrong() {
    printf '\nWRONG: %s\n' "$*" >&2
    exit 1
}
check() { python "$root/scripts/e2e_check.py" "$@"; }

# Print the ids of all processes that this run has started and that are still alive.
ours() { check processes "$ROOST_X_E2E_MARK" $worker $page $servers; }

cleanup() {
    local code=$? pid
    trap - EXIT INT TERM
    if [ "$code" -ne 0 ] && [ -s "$work/worker.log" ]; then
        printf '\nThe workers said:\n' >&2
        tail -n 50 "$work/worker.log" >&2
    fi
    for pid in $(ours); do kill -9 "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_until SECONDS WHAT COMMAND...: try until the command succeeds.
wait_until() {
    local ends=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$ends" ]; then wrong "timed out waiting for $what"; fi
        sleep 0.05
    done
}

start_worker() {
    roost worker --engines watchlist >> "$work/worker.log" 2>&1 &
    worker=$!
    note "worker: process $worker"
}

server_pid() { check get "$1" < .roost/server/server.json; }

enqueue() {
    roost enqueue --engine watchlist --payload "{
        \"url\": \"$url\", \"claim\": \"Roosts are open\",
        \"checks_required\": 3, \"delay_seconds\": 0.5}"
}

# Wait until the work item has version 2, that is, until the page was visited once and the next
# visit is held in the middle of a step.
until_held_in_second_visit() {
    local id=$1
    wait_until 30 "the first observation of $id" has_version "$id" 2
    wait_until 30 "a visit that is held" test -e "$work/page/held"
}

has_version() { [ "$(roost status "$1" | check get meta.version)" -ge "$2" ]; }

# The page answers the first visit and holds what comes after it.
hold_from_second_visit() {
    local seen
    seen=$(wc -l < "$work/page/visits")
    wait_until 30 "the first visit" has_more_visits_than "$seen"
    touch "$work/page/hold"
}

has_more_visits_than() { [ "$(wc -l < "$work/page/visits")" -gt "$1" ]; }

check_outcome() {
    local id=$1 artifact digest found
    if ! timeout 60 roost watch "$id" > "$work/watch.log"; then
        cat "$work/watch.log"
        wrong "$id is not done"
    fi
    roost status "$id" > "$work/status.json"
    artifact=$(check status "$url" < "$work/status.json")
    note "done at version 4, step done, three observations, verdict confirmed"
    roost artifact-show "$artifact" > "$work/report.json"
    digest=$(sha256 < "$work/report.json")
    [ "$digest" = "$artifact" ] || wrong "the artifact's SHA-256 is $digest, not its id $artifact"
    roost artifact-show "$artifact" --ext json | check report "$id" "$url"
    found=$(find .roost/artifacts -type f -name "*$artifact*" | wc -l)
    [ "$found" -ge 1 ] || wrong "the artifact is not among the files in .roost/artifacts"
    note "one JSON artifact, named by its SHA-256: $artifact"
    note "versions accepted, each once: $(roost events --work "$id" --json | check events)"
}

sha256() { if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }

cd "$work"
mkdir page
touch page/visits
roost --version
say "a page to watch"
python "$root/scripts/held_page.py" "$work/page" &
page=$!
wait_until 20 "the page's port" test -s page/port
url="http://127.0.0.1:$(cat page/port)/"
note "$url, process $page"

say "one work item, whose worker is killed in the middle of a step"
start_worker
id=$(enqueue)
note "enqueued $id"
hold_from_second_visit
until_held_in_second_visit "$id"
servers="$(server_pid server_pid) $(server_pid supervisor_pid)"
note "its second look at the page is under way: kill -9 $worker"
kill -9 "$worker"
wait "$worker" 2>/dev/null || true
[ "$(roost status "$id" | check get meta.state)" = running ] || wrong "$id is not leased any more"
rm page/hold
start_worker
check_outcome "$id"
roost events --work "$id" --json > "$work/events.log"
grep -q '"recovered"' "$work/events.log" || wrong "nothing was recovered"

say "another work item, while the embedded server is killed"
second=$(enqueue)
note "enqueued $second"
hold_from_second_visit
until_held_in_second_visit "$second"
old=$(server_pid server_pid)
note "its second look at the page is under way: kill -9 $old, the server"
kill -9 "$old"
rm page/hold
check_outcome "$second"
new=$(server_pid server_pid)
[ "$new" != "$old" ] || wrong "the server was not killed"
servers="$new $(server_pid supervisor_pid)"
note "the server that took over: process $new"
[ "$(roost status "$id" | check get meta.version)" = 4 ] || wrong "the first work item was lost"
kill -0 "$worker" || wrong "the worker did not survive the server's death"

say "the evidence report of $second"
check show < "$work/report.json"

say "the end: nothing is left"
kill -TERM "$worker"
wait "$worker" || wrong "the worker left with exit code $?"
kill "$page"
wait "$page" 2>/dev/null || true
none_of_ours() { [ -z "$(ours)" ]; }
wait_until 20 "the end of processes $(ours | tr '\n' ' ')" none_of_ours
note "no process, and the folder goes as well"

say "all as promised"
