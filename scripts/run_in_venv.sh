# Sourced by the scripts in this folder: finds a Python and continues inside the clone's own .venv.
#
#   run_in_venv COMMAND [ARGUMENT...]    replaces this process; PATH begins with .venv/bin
#
# Nothing of the caller's own Python or Roost settings leaks in. What the .venv needs, when it is
# rebuilt, and how concurrent runs stay out of each other's way is in venv.py.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

forget_callers_python() {
    unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE __PYVENV_LAUNCHER__
    unset PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
    local name
    for name in $(compgen -e ROOST_ || true); do
        case $name in ROOST_X_*) ;; *) unset "$name" ;; esac
    done
}

# Print the first Python that will do: new enough, and able to make virtual environments.
find_python() {
    local name version found="" without_venv=""
    for name in python3.13 python3.12 python3.11 python3; do
        # A version manager's shim may exist and still refuse to run: only an answer counts.
        version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            found=$version
        elif "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$name"
            return
        else
            without_venv=$version
        fi
    done
    if [ -n "$without_venv" ]; then
        fail "Python $without_venv cannot make virtual environments: apt-get install python$without_venv-venv"
    fi
    fail "Roost needs Python 3.11 or later, found ${found:-none}: apt-get install python3 python3-venv"
}

run_in_venv() {
    forget_callers_python
    local python
    python=$(find_python) || exit 1
    exec "$python" "$root/scripts/venv.py" "$@"
}
