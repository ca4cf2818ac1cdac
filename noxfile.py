"""The suite on every supported Python (``make`` covers the one that .venv has), and `status-validate`."""

from __future__ import annotations

import sys

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "venv"


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    session.install("-c", "constraints.txt", "-e", ".[all,dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13"])
def core(session: nox.Session) -> None:
    """The demo, with nothing but the core installed."""
    session.install("-c", "constraints.txt", "-e", ".")
    session.run("python", "tools/demo.py", *session.posargs)


@nox.session(name="status-validate", venv_backend="none")
def status_validate(session: nox.Session) -> None:
    """What this installation can do, tried and held against the schema: nothing is installed."""
    session.run(sys.executable, "tools/status/validate_status.py", *session.posargs)
