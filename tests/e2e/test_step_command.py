"""`ledger run-step`, the questions file and crashes on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import LEDGER, MISMATCH, Shell

NAME = "docs/reference/codex_questions.md"


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs these tests may be a build itself."""
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def listed(shell: Shell) -> list[dict[str, object]]:
    return json.loads(shell("questions", "--all", "--format", "json").out)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (("sh", "-c", "echo out; echo bad >&2; exit 7"), 7, "bad\nsh exited with 7"),
        (("sh", "-c", "echo only out; exit 1"), 1, "only out\nsh exited with 1"),
        (("sh", "-c", "kill -9 $$"), 137, "sh was ended by SIGKILL"),
        (("no-such-program",), 127, "no-such-program cannot be run: not found"),
        (("./a.txt",), 126, "./a.txt cannot be run: not executable"),
        (("--timeout", "0.2", "sleep", "30"), 124, "sleep was ended after 0.2 s"),
    ],
)
def test_a_step_that_fails_asks(shell: Shell, command: tuple[str, ...], code: int, message: str) -> None:
    """The exit code is the command's own; the message ends with how it ended."""
    options = command[:2] if command[0] == "--timeout" else ()
    done = shell("run-step", "3:build", *options, "--", *command[len(options) :])
    assert done.code == code, done.err
    (row,) = listed(shell)
    assert (row["step"], row["state"], row["message"]) == ("3:build", "open", message)
    assert str(row["event"]) in done.err
    assert shell.root.joinpath(NAME).read_text("utf-8").count("Question for ") == 1


def test_streams_are_passed_on_and_a_success_answers(shell: Shell) -> None:
    """Standard input reaches the command; what it asked before is answered by itself, once."""
    command = ("run-step", "1.2:pass", "--", "sh", "-c", "cat; echo seen >&2; test -e done")
    failed = shell(*command, data=b"given\n")
    assert (failed.code, failed.out) == (1, "given\n")
    assert failed.err.startswith("seen\n")
    assert shell(*command, data=b"given\n").err.splitlines()[1].startswith("met before: it joins ")
    shell.root.joinpath("done").touch()
    passed = shell(*command, data=b"")
    assert (passed.code, passed.out) == (0, "")
    (row,) = listed(shell)
    assert (row["state"], row["errors"]) == ("answered", 2)
    assert f"answers {row['event']}" in passed.err
    assert "answers" not in shell(*command).err


def test_what_was_done_under_an_id_is_not_run_again(shell: Shell) -> None:
    """Its exit code is given again."""
    id_ = shell("id").out.strip()
    command = ("run-step", "3:build", "--id", id_, "--", "sh", "-c", "echo run >> ran; exit 5")
    assert [shell(*command).code for _ in range(2)] == [5, 5]
    assert shell.root.joinpath("ran").read_text("utf-8") == "run\n"


def test_an_interrupt_reaches_the_command_and_is_no_error(shell: Shell) -> None:
    """It ends as it wants to; nothing is asked."""
    script = (
        "trap 'echo cleaned > cleaned; trap - INT; kill -INT $$' INT; echo up; while :; do sleep 0.05; done"
    )
    command = [LEDGER, "run-step", "3:build", "--", "sh", "-c", script]
    with subprocess.Popen(command, cwd=shell.root, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert shell.root.joinpath("cleaned").exists()
    assert not shell.root.joinpath(NAME).exists()


def test_in_a_build_the_block_goes_to_its_log(shell: Shell, tmp_path: Path) -> None:
    """With CI; on GitHub Actions as an annotation, and the block in the job's summary."""
    plain = shell("error", "--step", "3:build", "a.txt:2: bad", CI="true")
    assert shell.root.joinpath(NAME).read_text("utf-8") in plain.err
    summary = tmp_path / "summary.md"
    env = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    hosted = shell("error", "--step", "3:build", "a.txt:2: bad", data=b"", **env)
    assert "::error file=a.txt,line=2,title=3%3Abuild (" in hosted.err
    assert "Question for" not in hosted.err
    block = shell.root.joinpath(NAME).read_text("utf-8")
    assert summary.read_text("utf-8").split("\n", 2)[2] == block.split("\n", 1)[1] + "```\n"
    assert "Question" not in shell("error", "--step", "3:build", "quiet", CI="false").err


def test_a_crash_in_a_run_is_an_error_of_the_run(shell: Shell) -> None:
    """Exit code and message stay those of the crash; the traceback is kept. Without a run nothing is made."""
    broken = "import ledger.api\ndef undo(*_, **__): raise ZeroDivisionError('oh')\nledger.api.Ledger.undo = undo\n"
    script = f"{broken}from ledger.cli.app import main\nmain()"

    def crash() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-c", script, "undo"], cwd=shell.root, capture_output=True, check=False
        )

    assert crash().returncode == 70
    assert not shell.root.joinpath(".git/ledger/FORMAT").exists()
    shell("run", "start", "x", "--name", "x")
    done = crash()
    assert done.returncode == 70
    assert b"error: ZeroDivisionError: oh" in done.stderr
    assert b"recorded as x:3" in done.stderr
    (row,) = listed(shell)
    assert (row["step"], row["message"]) == ("0:ledger undo", "ZeroDivisionError('oh')")
    assert "Traceback" in shell("show", "x:3").out


def test_the_file_on_demand(shell: Shell) -> None:
    """Printed, only the open ones, or written over somebody's own with force."""
    shell("error", "--step", "3:build", "one")
    event = shell("error", "--step", "3:build", "two").out.strip()
    path = shell.root / NAME
    assert shell("project", "questions", "-o", "-").out == path.read_text("utf-8")
    shell("answer", event, "so")
    assert "two" not in shell("project", "questions", "--open", "-o", "-").out
    shell("project", "questions", "--open").refuses(2, "--output")
    path.write_text("mine\n", "utf-8")
    shell("project", "questions").refuses(7, NAME, "`ledger project questions --force`")
    assert shell("project", "questions", "--force").code == 0
    assert path.read_text("utf-8").count("Question for ") == 2


def test_a_refused_patch_is_one_line_more(shell: Shell) -> None:
    """Exit code and standard output stay as they are."""
    shell("run", "start", "x", "--name", "x")
    done = shell("apply", shell.file(MISMATCH))
    assert (done.code, done.out) == (3, "")
    assert "note: asked as x:4: it is answered where the patch applies" in done.err
    assert "x:4" in shell("questions", "-v").out
