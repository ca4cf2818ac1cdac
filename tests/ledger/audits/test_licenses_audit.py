"""Licences of installed packages: what is read, how it becomes SPDX, and what a policy says of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.audits import installed
from ledger.audits.installed import NoEnvironment, Package
from ledger.audits.licenses import UnknownLicense, judge_packages, report_packages
from ledger.gates.configuration import (
    Configuration,
    InvalidConfiguration,
    encode_policy,
    read_configuration,
)
from ledger.gates.settings import LicensePolicy

MIT_TEXT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software. " * 4
)


def judge(package: Package, **policy: Any) -> tuple[str, str]:
    (found,) = judge_packages([package], LicensePolicy(**policy))
    return found.expression, found.standing


@pytest.mark.parametrize(
    ("package", "expression"),
    [
        (
            Package("a", "1", expression="mit or apache-2.0", classifiers=("BSD License",)),
            "MIT OR Apache-2.0",
        ),
        (Package("a", "1", classifiers=("MIT License",), license="GPL-3.0-only"), "MIT"),
        (Package("a", "1", classifiers=("BSD License",), license="BSD-3-Clause"), "BSD-3-Clause"),
        (Package("a", "1", license="MIT License"), "MIT"),
        (Package("a", "1", license=f"Some Name\n{MIT_TEXT}"), "MIT"),
        (Package("a", "1", texts=(MIT_TEXT,)), "MIT"),
        (Package("a", "1", classifiers=("MIT License", "Apache Software License")), "MIT AND Apache-2.0"),
        (Package("a", "1", license="GPL-2.0+"), "GPL-2.0-or-later"),
    ],
)
def test_what_says_most_exactly_counts(package: Package, expression: str) -> None:
    assert judge(package) == (expression, "allowed")


@pytest.mark.parametrize(
    ("expression", "policy", "standing"),
    [
        ("MIT OR GPL-3.0-only", {"allow": ["MIT"]}, "allowed"),
        ("MIT AND GPL-3.0-only", {"allow": ["MIT"]}, "not-allowed"),
        ("MIT OR GPL-3.0-only", {"deny": ["GPL-*"]}, "allowed"),
        ("MIT AND GPL-3.0-only", {"deny": ["GPL-*"]}, "denied"),
        ("(MIT OR ISC) AND Zlib", {"allow": ["ISC", "Zlib"]}, "allowed"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"allow": ["GPL-2.0-only"]}, "allowed"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"deny": ["GPL-2.0-only"]}, "denied"),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            {"deny": ["GPL-2.0-only"], "allow": ["GPL-2.0-only WITH Classpath-exception-2.0"]},
            "allowed",
        ),
        ("LicenseRef-Ours", {"allow": ["LicenseRef-Ours"]}, "allowed"),
        ("LicenseRef-Ours", {"allow": ["MIT"]}, "not-allowed"),
        ("Nobody's Licence", {}, "unknown"),
        ("MIT", {"deny": ["MIT"], "exceptions": {"A": "ours"}}, "excepted"),
    ],
)
def test_a_policy_reads_expressions_as_they_are_meant(
    expression: str, policy: dict[str, Any], standing: str
) -> None:
    """Of OR one is enough, of AND all must do, WITH permits more than without."""
    assert judge(Package("a", "1", expression=expression), **policy)[1] == standing


@pytest.mark.parametrize(
    ("policy", "severity"),
    [
        ({}, "warning"),
        ({"deny_unknown": True}, "error"),
        ({"allow": ("MIT",)}, "error"),
        ({"deny": ("MIT",)}, "warning"),
    ],
)
def test_an_unknown_licence_is_said_and_fails_where_it_cannot_pass(
    policy: dict[str, Any], severity: str
) -> None:
    chosen = LicensePolicy(**policy)
    report = report_packages(judge_packages([Package("a", "1")], chosen), chosen)
    assert [(each.rule, each.severity) for each in report.findings] == [("unknown-license", severity)]
    assert report.metrics["findings"] == (severity == "error")


def test_a_policy_that_names_no_licence_is_refused() -> None:
    with pytest.raises(UnknownLicense, match=r"licenses\.allow: MITT .*did you mean MIT"):
        judge(Package("a", "1"), allow=("MITT",))
    with pytest.raises(UnknownLicense, match=r"GPL-2\.0-only"):
        judge(Package("a", "1"), deny=("GPL-2.0",))


def test_an_exception_for_what_is_not_there_is_said() -> None:
    policy = LicensePolicy(exceptions={"gone": "once"})
    assert report_packages([], policy).metrics["warnings"] == 1


def test_the_policy_is_read_from_the_configuration_and_written_back() -> None:
    text = b'[licenses]\nallow = ["MIT"]\ndeny-unknown = true\nexceptions = {"a.b" = "ours", c = "theirs"}\n'
    read = read_configuration(text, None)
    assert read.licenses == LicensePolicy(
        allow=("MIT",), deny_unknown=True, exceptions={"a.b": "ours", "c": "theirs"}
    )
    shown = encode_policy(Configuration(profile=read.profile, profiles=read.profiles, licenses=read.licenses))
    assert read_configuration(shown.encode(), None).licenses == read.licenses
    for bad in (b"[licenses]\nalow = []\n", b"[licenses]\nexceptions = {a = ''}\n", b"licenses = 3\n"):
        with pytest.raises(InvalidConfiguration):
            read_configuration(bad, None)


def test_the_same_packages_are_found_as_pip_licenses_finds() -> None:
    """Names and versions of this environment, and every licence that it names in SPDX."""
    tool = str(Path(sys.executable).with_name("pip-licenses"))
    command = [tool, "--format=json", "--with-system", f"--python={sys.executable}"]
    theirs = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    ours = {each.name: each for each in installed.list_packages(Path(sys.executable))}
    assert {(each["Name"], each["Version"]) for each in theirs} == {
        (e.name, e.version) for e in ours.values()
    }
    judged = {
        each.package.name: each.expression for each in judge_packages(list(ours.values()), LicensePolicy())
    }
    compared = [each for each in theirs if each["License"] in ("MIT", "Apache-2.0", "BSD-3-Clause")]
    assert {each["Name"]: each["License"] for each in compared} == {
        each["Name"]: judged[each["Name"]] for each in compared
    }
    assert len(compared) > 10


def test_an_environment_is_found_where_it_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(NoEnvironment, match="there is nothing"):
        installed.find_interpreter(str(tmp_path / "none"), tmp_path)
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexit 3\n", "utf-8")
    script.chmod(0o755)
    with pytest.raises(NoEnvironment):
        installed.list_packages(installed.find_interpreter(str(script), tmp_path))
    assert installed.find_interpreter("", tmp_path).exists()
