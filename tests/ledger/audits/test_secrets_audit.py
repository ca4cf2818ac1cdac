"""Secrets in tracked files, beside detect-secrets' own command and its baseline."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from ledger.audits import secrets as audit
from ledger.audits.baseline import NAME, BadBaseline, parse_baseline
from ledger.audits.tracked import TrackedFiles
from ledger.measurements import Report
from ledger.repository import Repository

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes import AWS, CLEAN, FAKES, GITHUB

TOOL = str(Path(sys.executable).with_name("detect-secrets"))


@pytest.fixture
def files(make_repo: Callable[..., Path]) -> TrackedFiles:
    root = make_repo({"a.py": f'x = 1\nkey = "{AWS}"\n'.encode(), "clean.py": CLEAN.encode()})
    (root / "untracked.py").write_text(f'key = "{AWS}"\n', "utf-8")
    return TrackedFiles(Repository.open(root))


def report(files: TrackedFiles) -> Report:
    path = files.root / NAME
    return audit.judge_scan(audit.scan(files, path), audit.read_baseline(path))


def label(path: Path, is_secret: bool) -> None:
    document = json.loads(path.read_bytes())
    for entry in document["results"]["a.py"]:
        entry["is_secret"] = is_secret
    path.write_text(json.dumps(document), "utf-8")


def test_tracked_files_alone_are_looked_at_and_no_value_is_told(files: TrackedFiles) -> None:
    found = report(files)
    errors = [(each.rule, each.path, each.line) for each in found.findings if each.severity == "error"]
    assert errors == [("AWS Access Key", "a.py", 2)]
    assert found.examined == 2
    assert AWS not in repr(found)


@pytest.mark.parametrize("kind", FAKES)
def test_every_kind_of_secret_is_found_in_a_file(kind: str) -> None:
    seen = list(audit.scan_file(BytesIO(f"one\n{FAKES[kind]}\n".encode()), "x.yaml"))
    assert (kind, 2) in {(each.kind, each.line) for each, sure in seen if sure}


def test_a_baseline_of_detect_secrets_is_respected(files: TrackedFiles) -> None:
    """What its own command wrote is known; what an audit labelled real is a finding again."""
    done = subprocess.run([TOOL, "scan"], cwd=files.root, capture_output=True, check=True)
    path = files.root / NAME
    path.write_bytes(done.stdout)
    assert report(files).metrics["findings"] == 0
    label(path, is_secret=False)
    assert report(files).metrics["findings"] == 0
    label(path, is_secret=True)
    assert report(files).metrics["findings"] == 1


def test_a_prefix_in_a_baseline_stands_for_its_line_alone(make_repo: Callable[..., Path]) -> None:
    """The library takes only ``ghp`` for the secret: a second token must not pass for the first."""
    root = make_repo({"a.py": f'x = "{GITHUB}"\n'.encode()})
    files = TrackedFiles(Repository.open(root))
    (root / NAME).write_bytes(
        subprocess.run([TOOL, "scan"], cwd=root, capture_output=True, check=True).stdout
    )
    assert report(files).metrics["findings"] == 0
    (root / "a.py").write_text(f'x = "{GITHUB}"\ny = "{GITHUB[:-4]}Wxyz"\n', "utf-8")
    assert [each.line for each in report(files).findings if each.severity == "error"] == [2]


def test_the_baseline_that_is_written_is_one_of_detect_secrets(files: TrackedFiles) -> None:
    """Its command reads it, and labels survive the next writing."""
    path = files.root / NAME
    assert audit.write_baseline(path, audit.scan(files, path), audit.read_baseline(path)) >= 1
    label(path, is_secret=True)
    before = audit.read_baseline(path)
    audit.write_baseline(path, audit.scan(files, path), before)
    entry = json.loads(path.read_bytes())["results"]["a.py"][0]
    assert (entry["is_secret"], entry["line_number"]) == (True, 2)
    assert AWS not in path.read_text("utf-8")
    done = subprocess.run(
        [TOOL, "audit", "--stats", "--json", NAME], cwd=files.root, capture_output=True, check=True
    )
    assert json.loads(done.stdout)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"results": 3}', b"\xff"])
def test_what_is_no_baseline_is_refused(data: bytes) -> None:
    with pytest.raises(BadBaseline):
        parse_baseline(data)


def test_a_secret_is_found_across_blocks_and_in_lines_without_end() -> None:
    """Once each, at its line, however the file falls into blocks."""
    line = f'key = "{AWS}"'.encode()
    filler = b"x" * 99 + b"\n"
    long = b"y" * (audit.BLOCK_BYTES - 10) + b" " + line + b" " + b"z" * audit.BLOCK_BYTES
    data = filler * 20_000 + line + b"\n" + long + b"\n" + line + b"\n"
    seen = dict.fromkeys(each for each, sure in audit.scan_file(BytesIO(data), "x.py") if sure)
    assert [each.line for each in seen] == [20_001, 20_002, 20_003]


def test_a_line_may_allow_what_is_in_it() -> None:
    allowed = f'key = "{AWS}"  # pragma: allowlist secret\n'.encode()
    assert [each for each, sure in audit.scan_file(BytesIO(allowed), "x.py") if sure] == []


def test_a_file_that_is_gone_is_looked_at_as_the_index_has_it(files: TrackedFiles) -> None:
    """The next commit would hold it."""
    (files.root / "a.py").unlink()
    assert report(files).metrics["findings"] == 1
