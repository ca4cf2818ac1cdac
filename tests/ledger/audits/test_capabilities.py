"""What an installation can do: tried for real, and never believed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from validate_status import find_faults

from ledger.audits import trials
from ledger.audits.capabilities import CAPABILITIES, Status, UnknownCapability, discover, report_status
from ledger.cli.doctoring import doctor_document
from ledger.health import Check

CORE = [name for name, each in CAPABILITIES.items() if each.part == "core"]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Status:
    return discover(tmp_path_factory.mktemp("place"), CORE)


def test_everything_that_is_described_can_be_tried() -> None:
    assert trials.TRIALS.keys() == CAPABILITIES.keys()


def test_the_core_works_here_and_says_what_it_saw(core: Status) -> None:
    assert core.healthy
    assert [each.name for each in core.capabilities] == CORE
    assert all(each.available and each.evidence and not each.why_not for each in core.capabilities)
    report = report_status(core)
    assert (report.metrics, report.examined) == ({"findings": 0, "warnings": 0}, len(CORE))


def test_a_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    discover(tmp_path, ["locks", "durability"])
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".ledger")] == []


def test_a_program_that_is_not_there_is_said_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Git the core is broken, and the report of the gate says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    status = discover(tmp_path, ["git"])
    (git,) = status.capabilities
    assert (git.available, git.why_not, git.evidence) == (False, "git: not found", "")
    assert git.hint == CAPABILITIES["git"].hint
    assert not status.healthy
    assert [each.severity for each in report_status(status).findings] == ["error"]


def test_a_program_that_only_pretends_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers to --version, and does nothing."""
    fake = tmp_path / "ruff"
    fake.write_text("#!/bin/sh\necho ruff 9.9.9\n", "utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    (ruff,) = discover(tmp_path, ["ruff"]).capabilities
    assert (ruff.available, ruff.why_not) == (False, "it did not see an unused import")


def test_what_hangs_is_ended_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "strace"
    fake.write_text("#!/bin/sh\nsleep 60\n", "utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    (strace,) = discover(tmp_path, ["strace"], timeout_s=1.5).capabilities
    assert (strace.available, strace.why_not) == (False, "no answer within 1.5 s")


def test_a_directory_that_cannot_be_written_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the file system itself is one without files: /proc."""
    (locks,) = discover(Path("/proc"), ["locks"]).capabilities
    assert not locks.available
    assert locks.why_not


def test_a_name_that_nobody_tries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownCapability, match="there is no capability quary"):
        discover(tmp_path, ["quary"])


def test_the_schema_takes_the_status_and_refuses_wrong_ones(core: Status) -> None:
    """Each document is wrong in one way; the one that it was made from is not."""
    checks = [Check("drift", "warning", "a path", "`ledger record`")]
    document = {"schema": "ledger.doctor/1", **doctor_document(core, checks)}
    right = msgspec.json.decode(msgspec.json.encode(document))
    assert find_faults(right) == []
    first, *rest = right["capabilities"]
    claims = {**first, "available": False}
    wrong = [
        {},
        [],
        {**right, "schema": "ledger.doctor/2"},
        {**right, "schema": 1},
        {**right, "more": 1},
        {**right, "checks": [{**right["checks"][0], "hint": ""}]},
        {**right, "checks": [{**right["checks"][0], "state": "error"}]},
        {**right, "checks": [{**right["checks"][0], "state": "bad"}]},
        {**right, "healthy": False},
        {**right, "capabilities": []},
        {**right, "at_ns": "now"},
        {**right, "ledger": ""},
        {**right, "capabilities": [claims, *rest]},
        {**right, "capabilities": [{**first, "evidence": ""}, *rest]},
        {**right, "capabilities": [{**first, "part": "other"}, *rest]},
        {**right, "capabilities": [{k: v for k, v in first.items() if k != "evidence"}, *rest]},
        {
            **right,
            "capabilities": [
                {**claims, "version": "", "evidence": "", "why_not": "gone", "hint": "get it"},
                *rest,
            ],
        },
    ]
    assert [find_faults(each) != [] for each in wrong] == [True] * len(wrong)
