"""Coverage: of coverage.py's own JSON, and of Cobertura's XML that many tools write."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from ledger.gates.reports.source import Count, Source
from ledger.measurements import FileCoverage, Report

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_FORMAT = 3
_CONDITIONS = re.compile(r"\((\d{1,9})/(\d{1,9})\)")


class _Meta(Struct):
    format: int
    version: str


class _Summary(Struct):
    covered_lines: Count
    num_statements: Count
    percent_covered: Annotated[float, Meta(ge=0, le=100)]
    num_branches: Count = 0
    covered_branches: Count = 0


class _File(Struct):
    summary: _Summary


class _Header(Struct):
    meta: _Meta


class _Coverage(_Header):
    files: dict[str, _File]
    totals: _Summary


def parse_coverage(source: Source) -> Report:
    """Return the report of ``coverage json``: ``combined``, ``statements`` and ``branches`` in percent.

    Where nothing was measured, coverage says 100 %: then there is no metric at all.
    """
    header = source.json(_Header)
    if header.meta.format != _FORMAT:
        raise source.refuse(
            f"coverage {header.meta.version} wrote format {header.meta.format}, not {_FORMAT}"
        )
    result = source.json(_Coverage)
    totals = result.totals
    metrics = _percents(
        totals.covered_lines, totals.num_statements, totals.covered_branches, totals.num_branches
    )
    if metrics:
        metrics["combined"] = totals.percent_covered
    files = tuple(_file_coverage(source, path, each.summary) for path, each in result.files.items())
    return Report(metrics=metrics, examined=totals.num_statements, unit="statements", files=files)


def parse_cobertura(source: Source) -> Report:
    """Return the report of a Cobertura file: the same metrics, counted line by line.

    Its summary attributes are not believed: some tools write rates there that they rounded.
    """
    root = source.xml()
    if root.tag != "coverage":
        raise source.refuse(f"the root element is <{root.tag}>, not <coverage>")
    lines: dict[str, dict[str, tuple[bool, int, int]]] = defaultdict(dict)
    for each in root.iterfind("./packages/package/classes/class"):
        for line in each.iterfind("./lines/line"):
            # Classes of one file repeat its lines.
            lines[_class_path(source, root, each)][line.get("number", "")] = _line(source, line)
    files = tuple(_sum_lines(path, list(each.values())) for path, each in lines.items())
    statements, covered = (
        sum(each.statements for each in files),
        sum(each.covered_statements for each in files),
    )
    branches, covered_branches = (
        sum(each.branches for each in files),
        sum(each.covered_branches for each in files),
    )
    metrics = _percents(covered, statements, covered_branches, branches)
    return Report(metrics=metrics, examined=statements, unit="statements", files=files)


def _percents(covered: int, statements: int, covered_branches: int, branches: int) -> dict[str, float]:
    if not statements:
        return {}
    metrics = {
        "combined": 100 * (covered + covered_branches) / (statements + branches),
        "statements": 100 * covered / statements,
    }
    return metrics | ({"branches": 100 * covered_branches / branches} if branches else {})


def _file_coverage(source: Source, path: str, summary: _Summary) -> FileCoverage:
    return FileCoverage(
        path=source.relative(path),
        statements=summary.num_statements,
        covered_statements=summary.covered_lines,
        branches=summary.num_branches,
        covered_branches=summary.covered_branches,
    )


def _class_path(source: Source, root: Element, each: Element) -> str:
    """Return the path of a class's file, below that of the report's sources which has it.

    Which source a name belongs to is nowhere in the format: the tree is asked.
    """
    name = each.get("filename", "")
    bases = [(place.text or "").strip() for place in root.iterfind("./sources/source")]
    paths = [source.relative(f"{base}/{name}") for base in bases if base.startswith("/")]
    inside = [path for path in paths if not path.startswith("/")]
    # `Path.is_file` raises where a name is too long for the file system, as a hostile one may be.
    there = (path for path in inside if os.path.isfile(source.root / path))  # noqa: PTH113
    return next(there, inside[0] if inside else source.relative(name))


def _line(source: Source, line: Element) -> tuple[bool, int, int]:
    """Return whether a line was run, how many of its branches were, and how many it has."""
    hits = line.get("hits", "")
    if not hits.isdecimal():
        raise source.refuse(f"a line has {hits!r} hits")
    conditions = (
        _CONDITIONS.search(line.get("condition-coverage", "")) if line.get("branch") == "true" else None
    )
    covered, branches = (int(conditions[1]), int(conditions[2])) if conditions else (0, 0)
    return bool(hits.strip("0")), covered, branches


def _sum_lines(path: str, lines: list[tuple[bool, int, int]]) -> FileCoverage:
    return FileCoverage(
        path=path,
        statements=len(lines),
        covered_statements=sum(run for run, _, _ in lines),
        branches=sum(branches for _, _, branches in lines),
        covered_branches=sum(covered for _, covered, _ in lines),
    )
