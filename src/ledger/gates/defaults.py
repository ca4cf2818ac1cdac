"""The defaults: the gates that are there without a word of configuration, and what formats measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ledger.policies import Better, Mode, Policy, Rule, Step, resolve_feeders

METRICS: Mapping[str, tuple[str, ...]] = {
    "exit": ("failed",),
    "ruff-check": ("violations",),
    "ruff-format": ("reformat",),
    "ruff-files": ("files",),
    "paths": ("files",),
    "junit": ("broken", "failed", "errors", "skipped", "xfailed", "passed"),
    "coverage": ("combined", "statements", "branches"),
    "cobertura": ("combined", "statements", "branches"),
    "sarif": ("findings", "errors", "warnings", "notes", "suppressed", "undecided"),
    "pyright": ("errors", "warnings"),
    "mypy": ("errors", "warnings"),
    "gitlab": ("errors", "warnings", "findings"),
    "bandit": ("findings", "high", "medium", "low"),
    "detect-secrets": ("findings",),
    "pip-audit": ("vulnerabilities",),
    "pip-licenses": ("findings", "packages", "licenses"),
    "nox": ("failed", "skipped", "passed"),
    "audit": ("findings", "warnings"),
    "tokens": ("max_tokens", "tokens", "patches"),
}
"""What a report of each format counts; the first decides where a gate names no metric."""

_OPEN_METRICS: Mapping[str, str] = {"pip-licenses": "license:"}
"""How metrics begin that a format names by what it finds."""

_LISTED = "files"
"""What the formats count that only list: beside another, they are there to say how much was examined."""

_HIGHER = frozenset({"combined", "statements", "branches", "passed"})

_SUMS: Mapping[str, frozenset[str]] = {"problems": frozenset({"violations", "reformat"})}
"""Metrics that no tool reports: sums of what the several steps of a gate do. Lint is judged by one."""

TYPE_CHECKERS: Mapping[str, Step] = {
    "pyright": Step(command=("pyright", "--outputjson"), format="pyright"),
    "basedpyright": Step(command=("basedpyright", "--outputjson"), format="pyright"),
    "mypy": Step(command=("mypy", "--output", "json", "{paths}"), format="mypy", paths=("src", "tests")),
    # Without -v it does not say how many files it looked at.
    "ty": Step(command=("ty", "check", "-v", "--output-format", "gitlab"), format="gitlab"),
}

DEFAULT_MODES: Mapping[str, Mode] = {"dev": "soft", "release": "strict"}
"""The profiles that are always there, and the mode of a gate in them that says none."""

_PATHS = ("src", "tests")
_JUNIT = "{scratch}/junit.xml"
_COVERAGE = "{scratch}/coverage.json"

GATES: Mapping[str, Rule] = {
    "lint": Rule(
        mode="soft",
        steps=(
            Step(
                # A project's `fix = true` would repair the tree that is measured, and find nothing in it.
                command=(
                    "ruff",
                    "check",
                    "{paths}",
                    "--no-fix",
                    "--no-fix-only",
                    "--output-format",
                    "json",
                ),
                format="ruff-check",
                paths=_PATHS,
            ),
            Step(command=("ruff", "format", "--check", ".", "--output-format", "json"), format="ruff-format"),
            # The two before name only the files that they complain about.
            Step(command=("ruff", "check", "{paths}", "--show-files"), format="ruff-files", paths=_PATHS),
        ),
        metric="problems",
    ),
    "tests": Rule(
        mode="soft",
        steps=(Step(command=("pytest", "-q", f"--junitxml={_JUNIT}"), format="junit", report=_JUNIT),),
        metric="broken",
        fed_by="cov",
    ),
    "cov": Rule(
        mode="soft",
        steps=(
            Step(
                # A threshold of pytest's own configuration would make the exit code say less.
                command=(
                    "pytest",
                    "-q",
                    "--cov",
                    "--cov-fail-under=0",
                    f"--cov-report=json:{_COVERAGE}",
                    f"--junitxml={_JUNIT}",
                ),
                format="coverage",
                report=_COVERAGE,
            ),
        ),
        metric="combined",
        better="higher",
        threshold=3.5,
    ),
    "types": Rule(
        mode="off",
        steps=(TYPE_CHECKERS["pyright"],),
        metric="errors",
        reason="not configured",
    ),
}
"""The built-in gates as they stand in ``dev``; one that is off is measured where it is configured."""


# The command is ours, also where the measured tree has packages of these names.
_OURS = ("codex_ml", "ingestion", "ledger", "patches")


def _audit(name: str, *options: str) -> Rule:
    """Return the gate that is one of the ledger's own audits, which reads the tree and imports none of it."""
    command = ("ledger", "audit", name, *options, "--json")
    return Rule(
        mode="soft",
        steps=(Step(command=command, format="audit"),),
        metric="findings",
        outside=_OURS,
    )


AUDITS: Mapping[str, Rule] = {
    "secrets": _audit("secrets"),
    "licenses": _audit("licenses"),
    "manifest": _audit("manifest"),
    "capabilities": _audit("capabilities"),
    "questions": _audit("questions", "--fail-on-open"),
    "tokens": Rule(
        mode="soft",
        steps=(Step(command=("ledger", "tokens", "{range}", "--json"), format="tokens"),),
        metric="max_tokens",
        threshold=4000,
        outside=_OURS,
    ),
}
"""Gates that are there where the configuration names them, and in no policy where it does not."""

NOT_CONFIGURED = "not configured: `[gates.{}]` in `ledger.toml` asks for it, then `ledger policy accept`"
"""What to tell whoever asks for one of the audits that is in no policy."""

BUILT_IN: Mapping[str, Rule] = {**GATES, **AUDITS}
"""Every gate that needs no command of the configuration's."""


def default_policy(profile: str) -> Policy:
    """Return one of the built-in policies: ``dev``, all soft, or ``release``, all strict."""
    mode = DEFAULT_MODES[profile]
    return Policy(
        gates=resolve_feeders(
            {
                name: rule if rule.mode == "off" else msgspec.structs.replace(rule, mode=mode)
                for name, rule in GATES.items()
            }
        )
    )


def metrics_of(formats: Iterable[str]) -> tuple[str, ...]:
    """Return the metrics of a gate whose steps have these formats, the one that decides by default first."""
    found = dict.fromkeys(metric for name in formats for metric in METRICS[name])
    sums = (name for name, parts in _SUMS.items() if parts <= found.keys())
    return (*sums, *sorted(found, key=_LISTED.__eq__))


def has_metric(formats: Iterable[str], metric: str) -> bool:
    """Return whether a gate whose steps have these formats may report a metric."""
    formats = tuple(formats)
    opened = tuple(_OPEN_METRICS[name] for name in formats if name in _OPEN_METRICS)
    return metric in metrics_of(formats) or metric.startswith(opened)


def derive_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a gate's merged reports with those that are sums of others."""
    sums = {
        name: sum(metrics[part] for part in sorted(parts))
        for name, parts in _SUMS.items()
        if parts <= metrics.keys()
    }
    return {**metrics, **sums}


def better_of(metric: str) -> Better:
    """Return which way of a metric is better where nothing else is said."""
    return "higher" if metric in _HIGHER else "lower"
