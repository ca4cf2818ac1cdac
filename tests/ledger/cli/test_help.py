"""Help: by topic, with examples and exit codes; `-h` on one screen; what was meant; nothing heavy loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from check_docs import ledger_arguments, parse_error, split_words
from ledger.cli.app import cli
from ledger.cli.failures import EXIT_CODES
from ledger.cli.scripting import AGENT_HELP_SIZE_BYTES
from ledger.cli.shorthelp import SCREEN_LINES

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import Shell  # pyright: ignore[reportMissingImports] - its folder is added above


def walk(command: click.Command, context: click.Context, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command."""
    yield words
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, click.Context(child, parent=context, info_name=name), *words, name)


COMMANDS = list(walk(cli, click.Context(cli, info_name="ledger")))


def find(words: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return command


LEAVES = {words: found for words in COMMANDS if not isinstance(found := find(words), click.Group)}


def examples(command: click.Command) -> list[str]:
    """Return the lines of a command's help that show it, without what is said beside them."""
    _, _, shown = (command.help or "").rpartition("\b\n")
    return [line.strip().split("  ")[0] for line in shown.splitlines() if "ledger " in line]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_short_help_is_one_screen_and_long_help_is_all(words: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(cli, [*words, flag], prog_name="ledger") for flag in ("-h", "--help"))
    assert (short.exit_code, long.exit_code) == (0, 0)
    lines = short.output.splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) < 80 or len(words) > 1
    assert lines[-1] == f"More: `{' '.join(['ledger', *words])} --help`"
    assert "--help" in long.output


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_examples_that_parse(words: tuple[str, ...]) -> None:
    """At least one is of the command itself; each is read by the real command line."""
    shown = examples(LEAVES[words])
    assert any(f"ledger {' '.join(words)}" in line for line in shown)
    for line in shown:
        for arguments in ledger_arguments(split_words(line)):
            assert parse_error(arguments) is None, line


def test_the_help_is_sorted_by_topic_and_has_every_command_once() -> None:
    topics = getattr(cli, "topics")  # noqa: B009 - the class is a group's
    names = [name for group in topics.values() for name in group]
    assert sorted(names) == sorted({words[0] for words in COMMANDS if words})
    said = CliRunner().invoke(cli, ["--help"]).output
    for topic in topics:
        assert f"\n{topic}:\n" in said
    assert "Exit codes:" in said


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("aply",), "Did you mean 'apply'?"),
        (("log", "--formt", "json"), "--format"),
        (("gate", "lnt"), "did you mean lint?"),
        (("phase", "P33"), "P3"),
        (("policy", "shwo"), "show"),
    ],
    ids=str,
)
def test_what_was_meant(shell: Shell, words: tuple[str, ...], meant: str) -> None:
    """A command, an option, a gate, a phase, a command below another."""
    done = shell(*words)
    assert done.code == 2
    assert meant in done.err


@pytest.fixture
def shell(make_repo, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    shell = Shell(make_repo({"a.txt": b"one\n"}))
    assert shell("run", "start", "work", "--name", "work").code == 0
    return shell


def test_agent_help_has_every_command_and_exit_code(shell: Shell) -> None:
    """All of the interface, in a size that an agent can afford."""
    said = shell("agent-help").out
    assert len(said.encode()) <= AGENT_HELP_SIZE_BYTES
    groups = {words[:-1] for words in COMMANDS if words}
    for words in COMMANDS:
        if words not in groups:
            assert f"\n{' '.join(words)}" in said, words
    for code in EXIT_CODES:
        assert f"\n{code.code} {code.meaning}\n" in said + "\n"


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("apply", "--help"), ("show", "")], ids=str)
def test_help_and_completion_load_nothing_heavy(shell: Shell, words: tuple[str, ...]) -> None:
    """What takes long to import is not imported: this is what start-up time is made of."""
    script = "import sys; sys.argv[0] = 'ledger'\nfrom ledger.cli.app import cli\n"
    script += "try: cli.main(sys.argv[1:], prog_name='ledger')\n"
    script += "finally: print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr)"
    completing = {"_LEDGER_COMPLETE": "bash_complete", "COMP_WORDS": "ledger show ", "COMP_CWORD": "2"}
    import os

    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=shell.root,
        env=os.environ | (completing if words[-1] == "" else {}),
        capture_output=True,
        check=False,
        text=True,
    )
    loaded = set(done.stderr.split())
    assert "click" in loaded, done.stderr
    assert not loaded & {
        "duckdb",
        "mlflow",
        "transformers",
        "cryptography",
        "starlette",
        "jinja2",
        "pygments",
    }
    if words[-1] == "":
        assert "work:1" in done.stdout
    else:
        assert not loaded & {"pygit2", "msgspec"}
