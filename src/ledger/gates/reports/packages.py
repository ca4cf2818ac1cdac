"""Installed packages: their known vulnerabilities (pip-audit) and their licences (pip-licenses)."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from ledger.gates.reports.source import Source
from ledger.measurements import Finding, Report
from ledger.spdx import name_of

_SHOWN = 3
_UNKNOWN = "UNKNOWN"


class _Vulnerability(Struct):
    id: str
    fixed_in: list[str] = field(name="fix_versions", default_factory=list[str])


class _Dependency(Struct):
    name: str
    version: str | None = None
    vulnerabilities: list[_Vulnerability] | None = field(name="vulns", default=None)
    skip_reason: str | None = None


class _Audit(Struct):
    dependencies: list[_Dependency]


class _Package(Struct):
    license: str = field(name="License")
    name: str = field(name="Name")
    version: str = field(name="Version", default="")


def parse_audit(source: Source) -> Report:
    """Return the report of ``pip-audit -f json``: ``vulnerabilities``. A skipped dependency is a problem.

    Where the index does not answer, pip-audit skips every dependency, says "No known vulnerabilities
    found" and exits with 0.
    """
    dependencies = source.json(_Audit).dependencies
    skipped = [each for each in dependencies if each.skip_reason is not None or each.vulnerabilities is None]
    findings = tuple(
        _vulnerability(each, vulnerability)
        for each in dependencies
        for vulnerability in each.vulnerabilities or ()
    )
    return Report(
        metrics={"vulnerabilities": float(len(findings))},
        examined=len(dependencies) - len(skipped),
        unit="packages",
        findings=findings,
        problems=_skipped(skipped),
    )


def parse_licenses(source: Source) -> Report:
    """Return the report of ``pip-licenses --format json``.

    Metrics: ``findings`` (packages of an unknown licence, in whose place nothing can be said), ``packages``,
    ``licenses`` (how many there are) and one ``license:NAME`` for each, by its SPDX name where it has one.
    """
    packages = source.json(list[_Package])
    counts = Counter(name for package in packages for name in normalize_license(package.license))
    findings = tuple(
        Finding(
            rule="unknown-license", message=f"{package.name} {package.version}: {package.license}".strip()
        )
        for package in packages
        if _UNKNOWN in normalize_license(package.license)
    )
    metrics = {
        "findings": float(len(findings)),
        "packages": float(len(packages)),
        "licenses": float(len(counts)),
    }
    metrics |= {f"license:{name}": float(number) for name, number in sorted(counts.items())}
    return Report(metrics=metrics, examined=len(packages), unit="packages", findings=findings)


def normalize_license(text: str) -> tuple[str, ...]:
    """Return the licences that a package's metadata names, by SPDX name where one is known.

    Several classifiers are joined by ``;``. An expression (``MIT OR Apache-2.0``) stays one name.
    """
    return tuple(name_of(name) for name in text.split(";") if name.strip()) or (_UNKNOWN,)


def _skipped(dependencies: list[_Dependency]) -> tuple[str, ...]:
    if not dependencies:
        return ()
    named = "; ".join(f"{each.name}: {each.skip_reason or 'not audited'}" for each in dependencies[:_SHOWN])
    more = f" and {len(dependencies) - _SHOWN} more" if len(dependencies) > _SHOWN else ""
    return (f"pip-audit skipped {len(dependencies)} of its dependencies: {named}{more}",)


def _vulnerability(each: _Dependency, vulnerability: _Vulnerability) -> Finding:
    remedy = f"fixed in {', '.join(vulnerability.fixed_in)}" if vulnerability.fixed_in else "no fix is known"
    return Finding(rule=vulnerability.id, message=f"{each.name} {each.version or ''}: {remedy}")
