"""Capabilities: what this installation can do, each with the evidence of having tried it.

See: `ledger.audits.trials`; ``tools/status/status.schema.json`` for the shape of a `Status`.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from ledger.errors import LedgerError
from ledger.gates.processes import Ending, Limits, run_group
from ledger.measurements import Finding, Report

Part: TypeAlias = Literal["core", "extra", "program"]

TIMEOUT_S = 90.0
"""How long one trial may take: MLflow alone is imported for seconds, and disks may be cold."""

_AT_ONCE = 4
_CHILD = "import sys; from ledger.audits.trials import run; print('\\n' + run(*sys.argv[1:]))"
_ASIDE = frozenset({"COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE", "PYTEST_ADDOPTS"})


class UnknownCapability(LedgerError):
    """Nothing of this name can be tried. Nothing was."""

    hint = "`ledger doctor` lists them"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"there is no capability {name}\n  there are: {', '.join(known)}")


class Described(NamedTuple):
    """What a capability is for, whether the ledger can do without it, and what brings it."""

    part: Part
    purpose: str
    hint: str


def _extra(purpose: str, name: str) -> Described:
    return Described("extra", purpose, f"pip install 'patch-ledger[{name}]'")


def _program(purpose: str, hint: str) -> Described:
    return Described("program", purpose, hint)


_AGAIN = "pip install --force-reinstall patch-ledger"

CAPABILITIES: Mapping[str, Described] = {
    "python": Described("core", "the interpreter", "run in a UTF-8 locale, as with `LC_ALL=C.UTF-8`"),
    "git": Described("core", "reading and writing repositories", "install git 2.30 or later"),
    "objects": Described("core", "Git's objects, through libgit2", _AGAIN),
    "query": Described("core", "SQL over the log", _AGAIN),
    "locks": Described("core", "several writers at once", "put the repository on a local file system"),
    "durability": Described("core", "surviving a crash", "put the repository on a local file system"),
    "secrets": Described("core", "keeping secrets out of the log", _AGAIN),
    "encodings": Described("core", "reading text of any encoding", _AGAIN),
    "signatures": Described("core", "signed checkpoints", _AGAIN),
    "licenses": _extra("`ledger audit licenses`", "audit"),
    "mlflow": _extra("`ledger project mlflow`", "ml"),
    "tokenizers": _extra("counting tokens", "ml"),
    "postgres": _extra("a ledger in PostgreSQL", "postgres"),
    "web": _extra("the web page", "web"),
    "ruff": _program("the gate `lint`", "pip install ruff"),
    "pytest": _program("the gates `tests` and `cov`", "pip install pytest pytest-cov"),
    "node": _program("pyright, for the gate `types`", "pip install 'pyright[nodejs]', or install Node.js"),
    "strace": _program("the crash tests of this project", "install strace, and allow ptrace"),
    "chromium": _program("the browser tests of this project", "install chromium"),
}
"""What is tried, in the order in which it is shown."""


class Capability(Struct, frozen=True, kw_only=True):
    """One thing that was tried. Where it is not available, ``why_not`` says why and ``hint`` what helps."""

    name: str
    part: Part
    purpose: str
    available: bool
    version: str = ""
    evidence: str = ""
    why_not: str = ""
    hint: str = ""
    took_ms: int = 0


class Status(Struct, frozen=True, kw_only=True):
    """What one installation can do, for programs."""

    ledger: str
    python: str
    platform: str
    at_ns: int
    healthy: bool
    """Whether every capability of the core is there."""
    capabilities: tuple[Capability, ...]


class _Outcome(Struct):
    available: bool
    version: str = ""
    evidence: str = ""
    why_not: str = ""


def discover(directory: Path, names: Sequence[str] = (), *, timeout_s: float = TIMEOUT_S) -> Status:
    """Try what this installation can do, some of it at once, each in a process of its own.

    Args:
        directory: Where the ledger lies or would: locks and syncs are tried on its file system.
        names: What to try; by default everything.
        timeout_s: How long each may take before it counts as not available.

    Raises:
        UnknownCapability: There is none of that name.
    """
    for name in names:
        if name not in CAPABILITIES:
            raise UnknownCapability(name, tuple(CAPABILITIES))
    chosen = [name for name in CAPABILITIES if not names or name in names]
    at_ns, stop = time.time_ns(), Event()

    def attempt(name: str) -> Capability:
        return _try(name, directory, Limits(timeout_s, stop))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            found = tuple(pool.map(attempt, chosen))
        finally:
            # An interrupt ends the processes that run, instead of waiting for them.
            stop.set()
    return Status(
        ledger=version("patch-ledger"),
        python=platform.python_version(),
        platform=platform.platform(),
        at_ns=at_ns,
        healthy=all(each.available for each in found if each.part == "core"),
        capabilities=found,
    )


def report_status(status: Status) -> Report:
    """Return the report: ``findings`` are what the core lacks, ``warnings`` what else is not there."""
    findings = tuple(
        Finding(
            f"no-{each.name}",
            message=f"{each.why_not}: {each.hint}",
            severity="error" if each.part == "core" else "warning",
        )
        for each in status.capabilities
        if not each.available
    )
    broken = sum(each.severity == "error" for each in findings)
    return Report(
        metrics={"findings": float(broken), "warnings": float(len(findings) - broken)},
        examined=len(status.capabilities),
        unit="capabilities",
        findings=findings,
    )


def _try(name: str, directory: Path, limits: Limits) -> Capability:
    described, output = (
        CAPABILITIES[name],
        {"stdout": bytearray(), "stderr": bytearray(), "tick": bytearray()},
    )
    environment = {key: value for key, value in os.environ.items() if key not in _ASIDE}
    # Where the programs lie that were installed with the ledger, whether or not its environment is active.
    paths = [environment.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    started = time.monotonic()
    ending = run_group(
        [sys.executable, "-c", _CHILD, name, str(directory)],
        program=Path(sys.executable),
        cwd=directory,
        environment=environment | {"PATH": os.pathsep.join(paths)},
        limits=limits,
        receive=lambda source, data: output[source].extend(data),
        separate=True,
    )
    said = bytes(output["stdout"]), bytes(output["stderr"])
    outcome = _read_outcome(*said, ending, limits.timeout_s)
    return Capability(
        name=name,
        part=described.part,
        purpose=described.purpose,
        available=outcome.available,
        version=outcome.version,
        evidence=outcome.evidence,
        why_not=outcome.why_not,
        hint="" if outcome.available else described.hint,
        took_ms=round((time.monotonic() - started) * 1000),
    )


def _read_outcome(output: bytes, errors: bytes, ending: Ending, timeout_s: float) -> _Outcome:
    """Return what a trial's process said in its last line, or how it ended without one."""
    if ending.cause == "timeout":
        return _Outcome(available=False, why_not=f"no answer within {timeout_s:g} s")
    if ending.cause == "stop":
        return _Outcome(available=False, why_not="interrupted")
    try:
        return msgspec.json.decode(output.strip().rpartition(b"\n")[2], type=_Outcome)
    except msgspec.DecodeError:
        # A library may raise what only it knows: the last line of a traceback names it.
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return _Outcome(available=False, why_not=last or f"its process ended with {ending.returncode}")
