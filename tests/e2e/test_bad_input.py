"""Bad input on the real command line: what, where, why, what to do; the exit code; and nothing written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import BASE, ESCAPING, FIX, INTO_GIT, MISMATCH, NEW, SECOND, Shell

# Where


@pytest.mark.parametrize(
    "words", [("status",), ("apply", "x.diff"), ("record",), ("log",), ("sql", "from runs"), ("path",)]
)
def test_not_a_repository(tmp_path: Path, shell: Shell, words: tuple[str, ...]) -> None:
    """Every command names the directory and what to do."""
    shell.root = tmp_path / "cwd"
    (shell.root / "x.diff").write_text(FIX)
    shell(*words).refuses(2, f"{shell.root}: not a Git repository", "hint: run `git init`", "ledger -C DIR")
    assert sorted(path.name for path in shell.root.iterdir()) == ["x.diff"]


def test_a_directory_that_is_not_there(shell: Shell) -> None:
    """-C names it."""
    shell("-C", "nowhere", "status").refuses(2, "nowhere: not a Git repository")


def test_no_ledger_yet(shell: Shell) -> None:
    """Reading commands make none; `status` and `path` need none."""
    before = shell.everything()
    for words in (
        ("log",),
        ("state",),
        ("replay",),
        ("verify",),
        ("sql", "from runs"),
        ("run", "list"),
    ):
        shell(*words).refuses(3, "no ledger here yet", "hint: the first `ledger apply FILE`")
    assert shell("status").code == shell("path").code == 0
    assert shell.everything() == before


def test_a_bare_repository(shell: Shell, tmp_path: Path) -> None:
    """`apply` works there, `record` says why not."""
    subprocess.run(["git", "clone", "-q", "--bare", shell.root, tmp_path / "bare.git"], check=True)
    fix = shell.file(FIX)
    shell.root = tmp_path / "bare.git"
    assert shell("apply", fix).out.endswith(":3\n")
    shell("record").refuses(2, "a bare repository has no work tree", "hint: ")
    assert shell("status").code == 0
    assert shell("verify").code == 0


def test_an_empty_repository(shell: Shell, tmp_path: Path) -> None:
    """Before the first commit: a patch that adds applies, one that edits names the missing file."""
    subprocess.run(["git", "init", "-q", tmp_path / "empty"], check=True)
    shell.root = tmp_path / "empty"
    assert "no run is open" in shell("status").out
    shell("apply", shell.file(FIX)).refuses(3, "a.txt: does not exist")
    assert shell("apply", shell.file(NEW)).code == 0
    assert (shell.root / "new").read_bytes() == b"new\n"


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        (("init", "-q", "--object-format=sha256", "odd"), "sha-256"),
        (("-C", "repo", "update-index", "--split-index"), "split"),
        (("-C", "repo", "sparse-checkout", "set", "--cone", "--sparse-index", "dir"), "sparse"),
    ],
)
def test_a_repository_format_that_is_not_supported(
    shell: Shell, tmp_path: Path, setting: tuple[str, ...], name: str
) -> None:
    """It is refused by name before anything is written."""
    subprocess.run(["git", *setting], cwd=tmp_path, check=True, capture_output=True)
    if (tmp_path / "odd").exists():
        shell.root = tmp_path / "odd"
    before = shell.everything()
    done = shell("apply", shell.file(FIX))
    done.refuses(2, "unsupported repository format", "hint: ")
    assert name in done.err.lower()
    assert shell.everything() == before


def test_a_ledger_in_a_newer_format(started: Shell) -> None:
    """It names both versions; neither reading nor writing touches anything."""
    (started.root / ".git/ledger/FORMAT").write_bytes(b"ledger/2\n")
    before = started.everything()
    for words in (("log",), ("apply", str(started.file(FIX))), ("record",), ("verify",), ("status",)):
        started(*words).refuses(2, "written in format ledger/2; this version reads ledger/1", "hint: upgrade")
    assert started.everything() == before


def test_a_damaged_log(started: Shell) -> None:
    """A flipped byte under an acknowledged event: exit 5, and nobody appends."""
    log = next((started.root / ".git/ledger/log").iterdir())
    data = bytearray(log.read_bytes())
    data[300] ^= 1
    log.write_bytes(data)
    for path in (started.root / ".git/ledger/cache").rglob("*"):
        path.unlink()
    before = started.everything()
    for words in (("log",), ("apply", str(started.file(FIX))), ("sql", "from runs")):
        started(*words).refuses(5, log.name, "hint: ")
    done = started("verify", "--json")
    assert done.code == 5
    assert [row["subject"] for row in json.loads(done.out) if row["outcome"] == "damaged"] == ["log"]
    assert started.everything() == before


# Patches


@pytest.mark.parametrize(
    ("data", "code", "part"),
    [
        (b"", 3, "the patch holds no diff"),
        (b"Dear all,\n\nthis is no patch.\n", 3, "the patch holds no diff"),
        (bytes(range(256)) * 64, 3, ""),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 99, 3, ""),
        (FIX[:-10].encode(), 3, "patch line "),
        (MISMATCH.encode(), 3, "a.txt: hunk 1 of 1 does not apply at line 2"),
        (FIX.replace("a.txt", "gone.txt").encode(), 3, "gone.txt: does not exist"),
        (NEW.replace("new b/new", "dir b/dir").replace("b/new", "b/dir").encode(), 3, "dir"),
        (ESCAPING.encode(), 7, "../outside"),
        (INTO_GIT.encode(), 7, ".git/hooks/x"),
    ],
    ids=["empty", "text", "junk", "png", "cut", "mismatch", "missing", "exists", "escape", "git"],
)
def test_a_patch_that_is_none_or_does_not_fit(shell: Shell, data: bytes, code: int, part: str) -> None:
    """From a file or from standard input, nothing is written: no run, no ref, no object, no file."""
    before = shell.everything()
    done = shell("apply", "-", data=data) if len(data) % 2 else shell("apply", shell.file(data))
    done.refuses(code, part)
    after = {path: data for path, data in shell.everything().items() if path != ".git/ledger/FORMAT"}
    assert after == before


def test_a_mismatch_shows_both_sides(shell: Shell) -> None:
    """What the patch expects, and what the file has."""
    done = shell("apply", shell.file(MISMATCH))
    assert re.search(r"the patch expects +deux\n +the file has +two\n", done.err), done.err


def test_a_refusal_in_a_run_says_where_it_is_recorded(started: Shell) -> None:
    """The event can be shown at once."""
    started("apply", started.file(MISMATCH)).refuses(3, "hunk 1 of 1", "note: recorded as work:4")
    assert json.loads(started("show", "work:4", "--json").out)["error"] == "HunkMismatch"


def test_a_refusal_names_the_event_in_whose_tree_the_patch_applied(started: Shell) -> None:
    """The newest one, whatever else has been recorded since; without one it says nothing of the kind."""
    assert started("apply", started.file(FIX)).code == 0
    assert started("apply", started.file(NEW)).code == 0
    late = FIX.replace("-two\n+zwei\n three\n", " two\n-three\n+drei\n")
    before = started.everything()
    for _ in range(2):
        done = started("apply", started.file(late))
        done.refuses(3, "a.txt: hunk 1 of 1", "hint: it applied cleanly at work:3; `ledger log` shows")
    done = started("apply", started.file(late.replace(" one", " uno")))
    done.refuses(3, "hint: the patch was made for another tree")
    changed = {path for path, data in started.everything().items() if before.get(path) != data}
    known = (".git/ledger/", ".git/info/exclude", "docs/reference/codex_questions.md", "fix.diff")
    assert all(path.startswith(known) for path in changed), changed


def test_a_refusal_says_whether_a_three_way_merge_would_help(started: Shell) -> None:
    """It was tried: the command is named where it applies the patch, and does."""
    git = ["git", "rev-parse", "HEAD:a.txt"]
    oid = subprocess.run(git, cwd=started.root, check=True, capture_output=True, text=True).stdout.strip()
    assert started("apply", started.file(FIX)).code == 0
    index = f"index {oid}..{'1' * 40} 100644\n--- a/a.txt"
    more = FIX.replace("--- a/a.txt", index).replace("-two\n+zwei\n three\n", " two\n three\n+four\n")
    patch = started.file(more.replace("+1,3", "+1,4"))
    started("apply", patch).refuses(
        3, f"hint: it applied cleanly at work:3; try `ledger apply --3way {patch}`"
    )
    assert started("apply", "--3way", patch).code == 0
    assert (started.root / "a.txt").read_bytes() == b"one\nzwei\nthree\nfour\n"


@pytest.mark.parametrize("name", ["nowhere.diff", "dir"])
def test_a_patch_file_that_cannot_be_read(shell: Shell, name: str) -> None:
    """The file is named; it is an input error."""
    before = shell.everything()
    shell("apply", name).refuses(8, name)
    assert shell.everything() == before


def test_already_applied(started: Shell) -> None:
    """It says so, names the event, and exits with 0."""
    before = started.everything()
    done = started("apply", started.file(SECOND))
    assert (done.code, done.out) == (0, "work:3\n")
    assert "nothing to do" in done.err
    assert started.everything() == before


def test_a_touched_file_is_dirty(started: Shell) -> None:
    """Every dirty path is named, nothing is written, and the hint knows the way out."""
    (started.root / "a.txt").write_bytes(b"mine\n")
    before = started.everything()
    started("apply", started.file(FIX)).refuses(
        7, "a.txt: is changed in the work tree", "hint: ", "ledger record"
    )
    assert started.everything() == before


def test_an_untracked_file_is_in_the_way(shell: Shell) -> None:
    """It is not overwritten."""
    (shell.root / "new").write_bytes(b"mine\n")
    shell("apply", shell.file(NEW)).refuses(7, "new: is already there", "hint: ")
    assert (shell.root / "new").read_bytes() == b"mine\n"


def test_a_lock_of_git(shell: Shell) -> None:
    """Somebody holds index.lock: try again."""
    (shell.root / ".git/index.lock").touch()
    shell("apply", shell.file(FIX)).refuses(6, "index.lock")
    assert (shell.root / "a.txt").read_bytes() == BASE["a.txt"]


def test_the_first_patches_of_several_stay(shell: Shell) -> None:
    """Each patch is its own event; the one that fails ends the command."""
    done = shell("apply", shell.file(SECOND), shell.file(MISMATCH, "bad.diff"), shell.file(FIX, "3.diff"))
    assert done.code == 3
    assert re.fullmatch(r"fix-\w{4}:3\n", done.out)
    assert (shell.root / "b.txt").read_bytes() == b"zwei\n"
    assert (shell.root / "a.txt").read_bytes() == BASE["a.txt"]


# References, runs, queries


@pytest.mark.parametrize(
    "reference", ["99", "work:99", "work:0", "nobody:1", "@-9", "@@", "-", "work:", "a b", ""]
)
def test_an_unknown_event(started: Shell, reference: str) -> None:
    """Every command that takes an event names what it got and how to find one."""
    commands = (("show", "--", reference), ("state", f"--at={reference}"), ("replay", f"--until={reference}"))
    started(*commands[len(reference) % 3]).refuses(3, f"error: {reference}: ", "hint: `ledger log`")


def test_runs(started: Shell) -> None:
    """A second run, a bad name, a finish without a run."""
    before = started.everything()
    started("run", "start", "again").refuses(2, "run work is open", "ledger run finish")
    assert started.everything() == before
    assert started("run", "finish").out == "work:4\n"
    started("run", "finish").refuses(2, "no run is open", "ledger run start")
    started("run", "start", "x", "--name", "Not A Name").refuses(2, "Not A Name", "hint: ")
    started("run", "start", "x", "--name", "work").refuses(2, "a run of this name exists")


def test_a_moved_head(started: Shell) -> None:
    """The commit is named, and what can be done."""
    commit = subprocess.check_output(
        ["git", "commit", "-q", "--allow-empty", "-m", "x", "--only"], cwd=started.root, env=_identity()
    )
    subprocess.run(["git", "rm", "-q", "dir/c.txt"], cwd=started.root, check=True)
    subprocess.run(["git", "commit", "-qm", "y"], cwd=started.root, check=True, env=_identity())
    assert commit == b""
    started("apply", started.file(FIX)).refuses(7, "HEAD moved to", "ledger run finish")


def _identity() -> dict[str, str]:
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    return os.environ | dict.fromkeys(names, "ada")


@pytest.mark.parametrize(
    "query", ["selekt 1", "select nothing from runs", "from nowhere", "select 1/", "select 'x"]
)
def test_invalid_sql(started: Shell, query: str) -> None:
    """DuckDB's own message and the way to the views."""
    started("sql", query).refuses(2, "Error", 'hint: `ledger sql "show tables"`')


@pytest.mark.parametrize("query", ["", "-- only a comment", ";"])
def test_sql_that_says_nothing(started: Shell, query: str) -> None:
    """It ends without a traceback."""
    done = started("sql", "-", data=query.encode())
    assert done.code in (0, 2)
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "query",
    [
        "copy runs to '{out}'",
        "from read_csv('{secret}')",
        "attach '{out}' as x",
        "install httpfs",
        "set enable_external_access = true",
        "pragma enable_profiling='json'; set profiling_output='{out}'",
    ],
)
def test_sql_that_would_leave_the_ledger(started: Shell, tmp_path: Path, query: str) -> None:
    """Files, extensions and settings are refused; nothing is read or written."""
    secret = tmp_path / "secret.csv"
    secret.write_text("s3cret\n1\n")
    out = tmp_path / "out"
    done = started("sql", query.format(out=out, secret=secret, root=tmp_path))
    assert done.code in (2, 7), done.err
    assert "s3cret" not in done.out + done.err
    assert "Traceback" not in done.err
    assert not out.exists()


def test_sql_that_changes_tables_changes_nothing(started: Shell) -> None:
    """What SQL creates is in its own memory; the ledger is the same afterwards."""
    before = started.everything()
    for query in (
        "drop view runs",
        "delete from tail.event",
        "create table t as select 1",
        "update runs set run = ''",
    ):
        started("sql", query)
    assert started.everything() == before
    assert json.loads(started("sql", "select run from runs", "--json").out) == [{"run": "work"}]


def test_a_query_file_that_is_missing(started: Shell) -> None:
    """The file is named."""
    started("sql", "queries/nowhere.sql").refuses(8, "queries/nowhere.sql")


def test_into_a_directory_in_use(started: Shell) -> None:
    """A directory that holds something is left as it is."""
    before = started.everything()
    started("replay", "--into", "dir").refuses(7, "dir: exists and is not empty", "hint: ")
    started("replay", "--into", "a.txt").refuses(7, "a.txt", "hint: ")
    assert started.everything() == before


def test_a_malformed_actor(shell: Shell) -> None:
    """LEDGER_ACTOR is checked before anything happens."""
    shell("apply", shell.file(FIX), LEDGER_ACTOR="a:b:c:d").refuses(2, "LEDGER_ACTOR='a:b:c:d'", "hint: ")
    assert not (shell.root / ".git/ledger").exists()


@pytest.mark.parametrize(
    "words",
    [("frobnicate",), ("apply",), ("log", "--format", "xml"), ("log", "-n", "-1"), ("run",), ("--nope",)],
)
def test_usage(shell: Shell, words: tuple[str, ...]) -> None:
    """Mistakes on the command line are exit code 2, with how it is used."""
    done = shell(*words)
    assert done.code == 2
    assert "Usage: ledger" in done.out + done.err
    assert "Traceback" not in done.err


def test_exit_codes_are_in_the_help(shell: Shell) -> None:
    """Every code of the table, with its meaning."""
    text = shell("--help").out
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130):
        assert re.search(rf"^ +{code}  \w", text, re.MULTILINE), code
