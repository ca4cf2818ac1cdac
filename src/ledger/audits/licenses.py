"""Licences: what each installed package may be used under, as SPDX, and what a policy says of it. Pure.

Where metadata says several things, the one that says most exactly counts: ``License-Expression``, then
classifiers, then ``License``, then the licence files.

See: https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/; PEP 639
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias

from ledger.audits.installed import Package
from ledger.errors import LedgerError
from ledger.gates.documents import nearest
from ledger.gates.settings import LicensePolicy
from ledger.measurements import Finding, Report, Severity
from ledger.spdx import name_of, recognize_text

Standing: TypeAlias = Literal["allowed", "excepted", "denied", "not-allowed", "unknown"]

_REFERENCE = "LicenseRef-"
_GLOB = frozenset("*?[")


class AuditNeedsExtra(LedgerError):
    """An audit needs a library that is not installed. Nothing was looked at."""

    hint = "`pip install 'patch-ledger[audit]'`"

    def __init__(self, audit: str, library: str) -> None:
        self.audit, self.library = audit, library
        super().__init__(f"{audit}: {library} is not installed")


class UnknownLicense(LedgerError):
    """The policy names what is no SPDX licence. Nothing was looked at."""

    hint = "names are those of https://spdx.org/licenses/, `LicenseRef-…`, or patterns such as `GPL-*`"

    def __init__(self, key: str, name: str, known: Iterable[str]) -> None:
        self.key, self.name = key, name
        super().__init__(f"licenses.{key}: {name} is no SPDX licence{nearest(name, tuple(known))}")


class Licensed(NamedTuple):
    """One package: its licence, where that was found, how it stands with the policy, and why."""

    package: Package
    expression: str
    source: str
    standing: Standing
    reason: str = ""


class _Said(NamedTuple):
    expression: str
    source: str
    tree: Any
    """None where it is no expression of SPDX."""


def judge_packages(packages: Sequence[Package], policy: LicensePolicy) -> list[Licensed]:
    """Return how each package stands with a policy.

    Of ``A OR B`` one is enough, of ``A AND B`` both must do. ``A WITH E`` permits what A does and more: it
    is denied with A unless it is allowed by its whole name.

    Raises:
        AuditNeedsExtra: license-expression is not installed.
        UnknownLicense: The policy names no licence of SPDX.
    """
    licensing = _licensing()
    _check_names(licensing, policy)
    return [_judge(licensing, each, policy) for each in packages]


def report_packages(found: Sequence[Licensed], policy: LicensePolicy) -> Report:
    """Return the report: ``findings`` are what the policy forbids, ``warnings`` what it cannot judge.

    A licence that nobody can name is a finding where the policy says ``deny-unknown``, or what is allowed.
    """
    findings = [each for licensed in found if (each := _finding(licensed, policy)) is not None]
    installed = {_normalized(licensed.package.name) for licensed in found}
    findings += [
        Finding("unused-exception", message=f"{name}: no such package is installed", severity="warning")
        for name in policy.exceptions
        if _normalized(name) not in installed
    ]
    counts = Counter(each.severity for each in findings)
    return Report(
        metrics={"findings": float(counts["error"]), "warnings": float(counts["warning"])},
        examined=len(found),
        unit="packages",
        findings=tuple(findings),
    )


def count_licenses(found: Iterable[Licensed]) -> str:
    """Return how many packages have which licence, the most frequent first."""
    counts = Counter(each.expression or "unknown" for each in found)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _finding(licensed: Licensed, policy: LicensePolicy) -> Finding | None:
    if licensed.standing == "allowed":
        return None
    package = licensed.package
    said = f"{package.name} {package.version}: {licensed.expression or 'no licence is named'}"
    severity: Severity = "error"
    if licensed.standing == "excepted":
        severity = "note"
    elif licensed.standing == "unknown" and not (policy.deny_unknown or policy.allow):
        severity = "warning"
    where = f" ({licensed.source})" if licensed.source else ""
    why = f", excepted: {licensed.reason}" if licensed.standing == "excepted" else ""
    return Finding(f"{licensed.standing}-license", message=f"{said}{where}{why}", severity=severity)


# ── what is said ─────────────────────────────────────────────────────────────────────────────────


def _judge(licensing: Any, package: Package, policy: LicensePolicy) -> Licensed:
    said = _most_exact(licensing, package)
    expression = said.expression if said.tree is None else str(said.tree.render())
    exceptions = {_normalized(name): reason for name, reason in policy.exceptions.items()}
    reason = exceptions.get(_normalized(package.name))
    standing: Standing = "unknown"
    if said.tree is not None:
        standing = _stand(licensing, said.tree, policy)
    if standing != "allowed" and reason is not None:
        return Licensed(package, expression, said.source, "excepted", reason)
    return Licensed(package, expression, said.source, standing)


def _most_exact(licensing: Any, package: Package) -> _Said:
    """Return the first of a package's statements that is SPDX; the first there is where none is."""
    statements = [_Said(text, source, _parse(licensing, text)) for text, source in _statements(package)]
    exact = (each for each in statements if each.tree is not None)
    return next(exact, statements[0] if statements else _Said("", "", None))


def _statements(package: Package) -> Iterator[tuple[str, str]]:
    """Yield what the metadata says, each with where, the most exact first."""
    if package.expression:
        yield package.expression, "License-Expression"
    if package.classifiers:
        # Whether one may choose among several they do not say: the strict reading is the safe one.
        yield " AND ".join(map(name_of, package.classifiers)), "classifiers"
    if package.license:
        first = package.license.partition("\n")[0]
        yield recognize_text(package.license) or name_of(first), "License"
    for text in package.texts:
        if name := recognize_text(text):
            yield name, "licence file"


@cache
def _licensing() -> Any:
    return _library().get_spdx_licensing()


def _library() -> Any:
    """Return license-expression, which has no types."""
    try:
        return import_module("license_expression")
    except ImportError as error:
        raise AuditNeedsExtra("licenses", "license-expression") from error


def _parse(licensing: Any, text: str) -> Any:
    """Return the tree of an expression all of whose names are SPDX's; None where it is none."""
    library = _library()
    try:
        tree: Any = licensing.parse(text)
    except (library.ExpressionError, library.ExpressionParseError):
        return None
    if tree is None:
        return None
    unknown: list[str] = licensing.unknown_license_keys(tree)
    return tree if all(name.startswith(_REFERENCE) for name in unknown) else None


# ── what the policy says ─────────────────────────────────────────────────────────────────────────


def _stand(licensing: Any, tree: Any, policy: LicensePolicy) -> Standing:
    if _permits(licensing, tree, policy.allow, policy.deny):
        return "allowed"
    return "not-allowed" if _permits(licensing, tree, (), policy.deny) else "denied"


def _permits(licensing: Any, tree: Any, allow: Sequence[str], deny: Sequence[str]) -> bool:
    """Return whether there is a way to use it: a choice all of whose parts are allowed, and none denied."""
    if isinstance(tree, licensing.AND):
        return all(_permits(licensing, part, allow, deny) for part in tree.args)
    if isinstance(tree, licensing.OR):
        return any(_permits(licensing, part, allow, deny) for part in tree.args)
    whole = str(tree.render())
    base, _, exception = whole.partition(" WITH ")
    if exception and any(fnmatchcase(whole, pattern) for pattern in allow if " WITH " in pattern):
        return True
    if any(fnmatchcase(name, pattern) for pattern in deny for name in (whole, base)):
        return False
    return not allow or any(fnmatchcase(name, pattern) for pattern in allow for name in (whole, base))


def _check_names(licensing: Any, policy: LicensePolicy) -> None:
    for key, names in (("allow", policy.allow), ("deny", policy.deny)):
        for name in names:
            tree = None if _GLOB & set(name) else _parse(licensing, name)
            if not _GLOB & set(name) and (tree is None or str(tree.render()) != name):
                better = [str(tree.render())] if tree is not None else list(licensing.known_symbols)
                raise UnknownLicense(key, name, better)


def _normalized(name: str) -> str:
    """Return a distribution's name as PEP 503 compares names."""
    return name.lower().replace("_", "-").replace(".", "-")
