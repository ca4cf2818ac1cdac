#!/bin/sh
# Prints the command of a Python that can carry .venv: 3.11 or newer, with venv and ensurepip.
# Each candidate is run, not only looked up: a version manager's shim may exist and refuse.
# PYTHON=… chooses one by hand.
set -eu

ok() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

has_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

without_venv=
for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python3.14 python}; do
    ok "$candidate" || continue
    if has_venv "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
    without_venv="${without_venv:-$candidate}"
done

if [ -n "$without_venv" ]; then
    echo "error: $without_venv is new enough but has no venv or ensurepip, so it cannot make .venv" >&2
    echo "hint: on Debian and Ubuntu: apt-get install python3-venv" >&2
else
    echo "error: no Python 3.11 or newer was found${PYTHON:+ (PYTHON=$PYTHON)}" >&2
    echo "hint: install one, or name it: make PYTHON=/path/to/python3 ..." >&2
fi
exit 2
