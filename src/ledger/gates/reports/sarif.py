"""SARIF 2.1.0: the interchange format of static analysers.

See: OASIS SARIF 2.1.0, sections 3.20 (invocations), 3.27 (results), 3.35 (suppressions), 3.50 (rules).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Raw, Struct, field

from ledger.gates.reports.source import Count, Source
from ledger.measurements import Finding, Report, Severity

_VERSION = "2.1.0"
_SEVERITIES: dict[str, Severity] = {"error": "error", "warning": "warning", "note": "note"}
_UNDECIDED = {"open", "review"}
_TARGET = "analysisTarget"


class _Shape(Struct, rename="camel"):
    pass


class _Message(_Shape):
    text: str = ""
    id: str = ""


class _Configuration(_Shape):
    level: str = "warning"


class _Rule(_Shape):
    id: str = ""
    default_configuration: _Configuration = field(default_factory=_Configuration)


class _Component(_Shape):
    name: str
    rules: list[_Rule] = []


class _Tool(_Shape):
    driver: _Component
    extensions: list[_Component] = []


class _ComponentReference(_Shape):
    index: int = -1


class _RuleReference(_Shape):
    id: str = ""
    index: int = -1
    tool_component: _ComponentReference = field(default_factory=_ComponentReference)


class _ArtifactLocation(_Shape):
    uri: str = ""
    uri_base_id: str = ""
    index: int = -1


class _Region(_Shape):
    start_line: Count = 0
    start_column: Count = 0


class _PhysicalLocation(_Shape):
    artifact_location: _ArtifactLocation = field(default_factory=_ArtifactLocation)
    region: _Region = field(default_factory=_Region)


class _Location(_Shape):
    physical_location: _PhysicalLocation = field(default_factory=_PhysicalLocation)


class _Suppression(_Shape):
    status: str = "accepted"


class _Result(_Shape):
    message: _Message
    rule_id: str = ""
    rule_index: int = -1
    rule: _RuleReference = field(default_factory=_RuleReference)
    kind: str = "fail"
    level: str | None = None
    locations: list[_Location] = []
    suppressions: list[_Suppression] = []
    baseline_state: str = ""


class _Notification(_Shape):
    message: _Message
    level: str = "warning"


class _Invocation(_Shape):
    execution_successful: bool
    tool_execution_notifications: list[_Notification] = []
    tool_configuration_notifications: list[_Notification] = []


class _Artifact(_Shape):
    location: _ArtifactLocation | None = None
    roles: list[str] = []


class _External(_Shape):
    results: list[Raw] = []


class _Run(_Shape):
    tool: _Tool
    results: list[_Result] | None = None
    invocations: list[_Invocation] = []
    artifacts: list[_Artifact] = []
    original_uri_base_ids: dict[str, _ArtifactLocation] = {}
    external_property_file_references: _External = field(default_factory=_External)


class _Header(_Shape):
    version: str


class _Log(_Header):
    runs: list[_Run]


def parse_sarif(source: Source) -> Report:
    """Return the report of a SARIF file.

    Metrics: ``findings``, and of them ``errors``, ``warnings``, ``notes``; ``suppressed``; ``undecided`` (the
    tool leaves it to a person). A result counts where it is a failure of a level, still there, and
    not suppressed: a suppression that is rejected or under review is none.
    """
    if (version := source.json(_Header).version) != _VERSION:
        raise source.refuse(f"it is version {version!r}, not {_VERSION}")
    runs = source.json(_Log).runs
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    examined: set[str] = set()
    for run in runs:
        examined |= _targets(source, run)
        for result in run.results or ():
            kind = _weigh(run, result)
            counts[kind] += 1
            if kind in _SEVERITIES:
                findings.append(_finding(source, run, result, _SEVERITIES[kind]))
    metrics = {"findings": float(len(findings))} | {
        f"{name}s": float(counts[name]) for name in ("error", "warning", "note")
    }
    metrics |= {name: float(counts[name]) for name in ("suppressed", "undecided")}
    return Report(
        metrics=metrics,
        examined=len(examined | {finding.path for finding in findings if finding.path}),
        unit="files",
        findings=tuple(findings),
        problems=tuple(problem for run in runs for problem in _problems(run)),
    )


def _weigh(run: _Run, result: _Result) -> str:
    """Return a result's level where it is a finding, else suppressed, undecided or none."""
    if result.suppressions and all(each.status == "accepted" for each in result.suppressions):
        return "suppressed"
    if result.kind in _UNDECIDED:
        return "undecided"
    if result.kind != "fail" or result.baseline_state == "absent":
        return "none"
    level = result.level or _rule(run, result).default_configuration.level
    return level if level in {"none", *_SEVERITIES} else "error"


def _rule(run: _Run, result: _Result) -> _Rule:
    """Return the rule of a result: by index in its component, else by name, else one of the defaults."""
    component = result.rule.tool_component.index
    extensions = run.tool.extensions
    rules = extensions[component].rules if 0 <= component < len(extensions) else run.tool.driver.rules
    index = result.rule_index if result.rule_index >= 0 else result.rule.index
    if 0 <= index < len(rules):
        return rules[index]
    name = result.rule_id or result.rule.id
    every = (rule for each in (run.tool.driver, *extensions) for rule in each.rules)
    return next((rule for rule in every if rule.id == name), _Rule(id=name))


def _finding(source: Source, run: _Run, result: _Result, severity: Severity) -> Finding:
    place = result.locations[0].physical_location if result.locations else _PhysicalLocation()
    return Finding(
        rule=result.rule_id or result.rule.id or _rule(run, result).id,
        path=_path(source, run, place.artifact_location),
        line=place.region.start_line,
        column=place.region.start_column,
        message=result.message.text or result.message.id,
        severity=severity,
    )


def _path(source: Source, run: _Run, location: _ArtifactLocation) -> str:
    """Return a location's path. A base that has no URI in the report is the tree's root."""
    if not location.uri and 0 <= location.index < len(run.artifacts):
        location = run.artifacts[location.index].location or _ArtifactLocation()
    base = run.original_uri_base_ids.get(location.uri_base_id)
    if base and base.uri and ":" not in location.uri.partition("/")[0]:
        return source.relative(f"{base.uri.rstrip('/')}/{location.uri}")
    return source.relative(location.uri)


def _targets(source: Source, run: _Run) -> set[str]:
    """Return the files that a run says it analysed; the report may well not say."""
    targets = (each for each in run.artifacts if each.location and (not each.roles or _TARGET in each.roles))
    return {path for each in targets if each.location and (path := _path(source, run, each.location))}


def _problems(run: _Run) -> Iterator[str]:
    name = run.tool.driver.name
    if run.external_property_file_references.results:
        yield f"{name} left its results in other files"
    elif run.results is None:
        yield f"{name} has no results: it did not get as far"
    for invocation in run.invocations:
        if not invocation.execution_successful:
            yield f"{name} says that it did not run successfully"
        notifications = (
            *invocation.tool_execution_notifications,
            *invocation.tool_configuration_notifications,
        )
        for each in notifications:
            if each.level == "error":
                yield f"{name} met an error: {each.message.text or each.message.id}"
