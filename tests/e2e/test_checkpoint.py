"""`ledger checkpoint` and `ledger verify --checkpoint`, as a person and a CI job use them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, Shell


@pytest.fixture
def keyed(started: Shell, identity: dict[str, str]) -> Shell:
    """A ledger of three events; a key, and a signed checkpoint, outside of the repository."""
    assert started("checkpoint", "--new-key", "../audit.pem", "--key-name", "example.com/audit").code == 0
    assert started("checkpoint", "--key", "../audit.pem", "--export", "../kept").code == 0
    return started


def drop_the_last(shell: Shell) -> None:
    """Cut the last event off, and remove what would remember it."""
    (log,) = (shell.root / ".git/ledger/log").iterdir()
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    (shell.root / ".git/ledger/durable").unlink()
    (shell.root / ".git/ledger/cache/heads").unlink()


VERIFY = ("verify", "--checkpoint", "../kept", "--public-key", "../audit.pem.pub")


def test_a_key_is_made_once(started: Shell) -> None:
    """The public key is printed, as its file holds it; the same command again touches nothing."""
    done = started("checkpoint", "--new-key", "../audit.pem")
    assert done.code == 0
    assert done.out == (started.root / "../audit.pem.pub").read_text("utf-8")
    assert done.out.startswith("audit+")
    started("checkpoint", "--new-key", "../audit.pem").refuses(7, "audit.pem.pub: exists", "hint: ")


def test_a_checkpoint_is_printed_and_kept(keyed: Shell) -> None:
    """Standard output is the note itself; what it is worth is said to the person."""
    done = keyed("checkpoint", "--key", "../audit.pem", "--export", "../kept")
    assert (done.code, done.out) == (0, (keyed.root / "../kept").read_text("utf-8"))
    public = (keyed.root / "../audit.pem.pub").read_text("utf-8").strip()
    assert done.err.splitlines() == [done.err.splitlines()[0], "kept in ../kept"]
    assert done.err.startswith("3 events, head ")
    assert f"verify it with --public-key {public}\n" in done.err
    unsigned = keyed("checkpoint")
    assert unsigned.out == "".join(done.out.splitlines(keepends=True)[:3])
    assert "not signed: it proves as much as its copy is out of reach" in unsigned.err


def test_a_log_that_grew_extends_it(keyed: Shell) -> None:
    """Exit 0, and how far the proof reaches."""
    assert keyed("apply", keyed.file(FIX)).code == 0
    done = keyed(*VERIFY, "--json")
    (found,) = [row for row in json.loads(done.out) if row["subject"] == "checkpoint"]
    assert (done.code, found["outcome"]) == (0, "ok")
    message = "../kept: proved up to position 3, the one after it is not covered; signed by example.com/audit"
    assert found["found"] == message


def test_a_log_that_was_cut_is_damaged(keyed: Shell) -> None:
    """Exit 5 with it, 0 without it; and nothing is exported over the proof."""
    before = (keyed.root / "../kept").read_bytes()
    drop_the_last(keyed)
    assert keyed("verify").code == 0
    done = keyed(*VERIFY)
    assert done.code == 5
    assert "damaged   checkpoint  ../kept: the log had 3 events when it was made" in done.out
    refused = keyed("checkpoint", "--key", "../audit.pem", "--export", "../kept")
    refused.refuses(5, "../kept: the log had 3 events then, and has 2", "hint: ")
    assert (keyed.root / "../kept").read_bytes() == before


def test_a_log_that_was_written_anew_is_another_ledger(keyed: Shell) -> None:
    """Exit 1: it cannot be told from a checkpoint that belongs elsewhere; damage beside it would win."""
    shutil.rmtree(keyed.root / ".git/ledger")
    assert keyed("run", "start", "work", "--name", "work").code == 0
    assert keyed("phase", "P1").code == 0
    done = keyed(*VERIFY)
    assert done.code == 1
    assert "the wrong checkpoint, or the whole history was written anew" in done.out
    shutil.rmtree(keyed.root / ".git/ledger/bodies")
    assert keyed(*VERIFY).code == 5


def test_every_wrong_file_is_named(keyed: Shell) -> None:
    """What cannot be used is refused before anything is checked, each with its own exit code and a hint."""
    kept, public = "../kept", "../audit.pem.pub"
    (keyed.root / "../unsigned").write_text(keyed("checkpoint").out, "utf-8")
    (keyed.root / "../crlf").write_bytes((keyed.root / kept).read_bytes().replace(b"\n", b"\r\n"))
    forged = (keyed.root / kept).read_text("utf-8").replace("\n3\n", "\n2\n")
    (keyed.root / "../forged").write_text(forged, "utf-8")
    assert keyed("checkpoint", "--new-key", "../other.pem").code == 0
    cases = [
        (("../nowhere",), 2, "../nowhere: not a checkpoint: there is no such file"),
        (("a.txt",), 2, "a.txt: not a checkpoint: its first line"),
        (("../crlf",), 2, "a control character"),
        ((kept, "--public-key", kept), 2, "../kept: not a public key"),
        ((kept, "--public-key", "nobody"), 8, "nobody: No such file"),
        (
            ("../unsigned", "--public-key", public),
            1,
            "../unsigned: signed by nobody, not by example.com/audit",
        ),
        (
            ("../forged", "--public-key", public),
            1,
            "../forged: the signature of example.com/audit is not of this text",
        ),
        ((kept, "--public-key", "../other.pem.pub"), 1, "../kept: signed by example.com/audit"),
    ]
    for words, code, said in cases:
        keyed("verify", "--checkpoint", *words).refuses(code, said)
        assert code == 8 or "hint: " in keyed("verify", "--checkpoint", *words).err


def test_words_that_do_not_go_together(keyed: Shell) -> None:
    """Options that would be ignored are refused."""
    for words in (("--new-key", "../b.pem", "--export", "../x"), ("--key-name", "x"), ("--key", "../kept")):
        keyed("checkpoint", *words).refuses(2)
    assert not (keyed.root / "../b.pem").exists()


def test_what_is_kept_in_git_is_pushed_by_name(keyed: Shell) -> None:
    """A note and a tag protect nothing before they are elsewhere: the command for it is said."""
    done = keyed("checkpoint", "--key", "../audit.pem", "--export", "git-note", "--export", "git-tag")
    tag = f"refs/tags/ledger/checkpoint/{done.out.split()[2][:12]}/3"
    assert done.err.splitlines()[-1].endswith(f"`git push REMOTE refs/notes/ledger {tag}`")
    assert keyed("verify", "--checkpoint", tag, "--public-key", "../audit.pem.pub").code == 0


def test_a_directory_that_is_not_there_stops_all_of_it(keyed: Shell) -> None:
    """No tag is left behind that says more than the file that was asked for."""
    words = ("checkpoint", "--key", "../audit.pem", "--export", "git-tag", "--export", "../nowhere/kept")
    refused = keyed(*words)
    assert (refused.code, refused.out) == (8, "")
    assert refused.err.endswith("/nowhere: no such directory to keep it in\n")
    assert keyed("verify", "--json").out.count("refs/tags") == 0


def test_reading_is_enough(keyed: Shell) -> None:
    """A checkpoint that is only printed changes nothing in the repository."""
    before = keyed.everything()
    assert keyed("checkpoint", "--key", "../audit.pem").code == 0
    assert keyed.everything() == before
    assert Shell(keyed.root)("-C", "..", "checkpoint").code == 2


def test_without_a_ledger_there_is_none(shell: Shell) -> None:
    """Nothing is made."""
    before = shell.everything()
    shell("checkpoint").refuses(3, "no ledger here yet")
    assert shell.everything() == before
