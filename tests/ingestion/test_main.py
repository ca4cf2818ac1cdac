"""``python -m ingestion``: a line for each file, errors beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.__main__ import main


def run(
    *words: str, folder: Path, data: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ingestion", *words]
    return subprocess.run(
        command, cwd=folder, input=data, capture_output=True, env=os.environ | environment, check=False
    )


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"one\n", "text: utf-8, no bom, lf, utf-8 (not guessed)"),
        (b"", "text: utf-8, no bom, none, utf-8 (not guessed)"),
        ("é\r\nè\r\n".encode("utf-8-sig"), "text: utf-8-sig, bom, crlf, bom (not guessed)"),
        ("a\rb\n".encode("utf-16"), "text: utf-16, bom, mixed, bom (not guessed)"),
        ("a\rb\r".encode("utf-16-be"), "text: utf-16-be, no bom, cr, zeros (guessed, 90%)"),
        ("# coding: koi8-r\n# да\n".encode("koi8-r"), "text: koi8-r, no bom, lf, declared (not guessed)"),
        ("日本語".encode("iso2022_jp"), "text: iso2022_jp, no bom, none, escapes (not guessed)"),
    ],
)
def test_line_says_encoding_mark_newline_and_evidence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data: bytes,
    line: str,
) -> None:
    (tmp_path / "text").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    assert main(["text"]) == 0
    assert capsys.readouterr().out == f"{line}\n"


def test_errors_go_beside_the_others_and_make_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"one\n")
    (tmp_path / "binary").write_bytes(b"\x7fELF\2\1\1\0\0\0\0")
    (tmp_path / "damaged").write_bytes("één, twee, drieën, ééns, ë".encode()[:-1])
    done = run("binary", "missing", ".", "damaged", "good", folder=tmp_path)
    assert done.returncode == 8
    assert done.stdout == b"good: utf-8, no bom, lf, utf-8 (not guessed)\n"
    assert done.stderr.decode().splitlines() == [
        "error: binary: binary content, not text",
        "error: missing: no such file",
        "error: .: is a directory",
        "error: damaged: not valid utf-8 at byte 30",
    ]


def test_standard_input_and_json(tmp_path: Path) -> None:
    done = run("--json", "-", folder=tmp_path, data="Grüße aus Köln\n".encode("cp1252"))
    said = json.loads(done.stdout)
    assert said.pop("confidence") > 0.9
    assert said == {
        "path": "-",
        "encoding": "cp1252",
        "bom": False,
        "newline": "lf",
        "evidence": "statistics",
        "guessed": True,
    }


def test_closed_standard_input_is_an_error(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m ingestion - <&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (8, b"error: -: standard input is closed\n")


def test_strange_names_stay_on_one_line_of_any_terminal(tmp_path: Path) -> None:
    name = os.fsdecode(b"two\nlines \xff \xc3\xa9")
    (tmp_path / name).write_bytes(b"one")
    done = run(name, folder=tmp_path, PYTHONIOENCODING="ascii")
    assert done.stdout == rb"two\nlines \udcff \xe9: utf-8, no bom, none, utf-8 (not guessed)" + b"\n"
    assert json.loads(run("--json", name, folder=tmp_path).stdout)["path"] == name


def test_reader_that_leaves_early_causes_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    command = f"'{sys.executable}' -m ingestion $(yes a | head -20000) | head -n 1"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_nothing_to_look_at_is_a_usage_error(tmp_path: Path) -> None:
    done = run(folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"FILE" in done.stderr
    help_text = run("--help", folder=tmp_path).stdout.decode()
    assert "exit codes: 0 done, 2 usage, 8" in help_text
