"""A second reader, written from ``docs/format.md`` alone, agrees with the first about everything.

The reader is the part above the line. It imports nothing of the ledger: what it knows is in the document.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from ledger import Actor, Ledger
from ledger.events import Stamp
from patches.errors import HunkMismatch

ZEROS = "0" * 64
Files = dict[bytes, tuple[str, str]]


class Damage(Exception):
    """The document calls this damage."""


class Found(NamedTuple):
    """A frame: position, hash, what the writer knew to be durable, and the event with its stored bytes."""

    s: int
    h: str
    n: int
    w: int
    event: dict[str, Any]
    stored: bytes


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_durable(root: Path) -> tuple[int, str]:
    """See "The directory": 128 bytes, three fields, a CRC; anything else says nothing."""
    path = root / "durable"
    fields = path.read_bytes().split() if path.exists() else []
    if len(fields) != 3 or int(fields[2], 16) != zlib.crc32(fields[0] + b" " + fields[1]):
        return 0, ZEROS
    return int(fields[0]), fields[1].decode()


def parse_line(line: bytes, position: int, before: str) -> Found | None:
    """See "Frames": the frame, or None where the line is not the next one."""
    covered = line[72:]
    if line[:72] != b'{"h":"%b",' % sha256(b"ledger/1\n" + covered).encode():
        return None
    frame = json.loads(line)
    if list(frame) != ["h", "p", "s", "n", "w", "e"] or (frame["s"], frame["p"]) != (position, before):
        return None
    stored = covered.split(b',"e":', 1)[1][:-1]
    return Found(frame["s"], frame["h"], frame["n"], frame["w"], frame["e"], stored)


def read_frames(root: Path) -> list[Found]:
    """See "What a reader may consume", with what `durable` confirms; raise where it is damage."""
    if (root / "FORMAT").read_bytes() != b"ledger/1\n":
        raise Damage("another format")
    durable, durable_hash = read_durable(root)
    paths = sorted((root / "log").glob("[0-9]*.jsonl"), key=lambda path: int(path.stem))
    taken: list[Found] = []
    for path, following in zip(paths, [int(path.stem) for path in paths[1:]] + [0], strict=True):
        if int(path.stem) != len(taken) + 1:
            raise Damage(f"{path.name} follows position {len(taken)}")
        group: list[Found] = []
        for line in path.read_bytes().split(b"\n")[:-1]:
            before = group[-1] if group else taken[-1] if taken else None
            found = parse_line(line, len(taken) + len(group) + 1, before.h if before else ZEROS)
            if found is None or (group and found.n != group[-1].n - 1) or found.s == following:
                break
            group.append(found)
            if found.n == 0 and found.s <= durable:
                taken, group = taken + group, []
    if len(taken) < durable or (durable and taken[durable - 1].h != durable_hash):
        raise Damage(f"position {durable} was acknowledged")
    return taken


def check_runs(frames: list[Found]) -> dict[str, list[dict[str, Any]]]:
    """See "Events", `prev`: the events of each run, its own chain checked."""
    runs: dict[str, list[dict[str, Any]]] = {}
    digests: dict[str, str] = {}
    for frame in frames:
        event, run = frame.event, frame.event["run"]
        if event["prev"] != digests.get(run, ZEROS) or event["v"] != len(runs.setdefault(run, [])) + 1:
            raise Damage(f"{run}:{event['v']}")
        digests[run] = sha256(b"ledger-event/1\n" + frame.stored)
        runs[run].append(event)
    return runs


def read_body(root: Path, digest: str) -> bytes:
    data = (root / "bodies" / digest[:2] / digest).read_bytes()
    if sha256(data) != digest:
        raise Damage(digest)
    return data


def path_of(wire: str | dict[str, str]) -> bytes:
    return wire.encode() if isinstance(wire, str) else base64.b64decode(wire["b64"], validate=True)


def bodies_of(event: dict[str, Any]) -> Iterator[str]:
    """See "Kinds": the fields that name a body."""
    return (event[name] for name in ("listing", "patch", "note", "reason") if event.get(name))


def state_at(root: Path, events: list[dict[str, Any]], v: int) -> tuple[str, Files]:
    """See "The state at an event": the recorded tree and the files."""
    files: Files = {}
    tree = ""
    for event in events[:v]:
        if event["kind"] == "run.started/1":
            tree = event["base_tree"]
            for line in read_body(root, event["listing"]).split(b"\0")[:-1]:
                facts, path = line.split(b"\t", 1)
                mode, _, oid = facts.decode().split(" ")
                files[path] = (mode, oid)
        elif event["kind"] == "patch.applied/1":
            tree = event["result_tree"]
            for file in event["files"]:
                if file["operation"] == "rename":
                    files.pop(path_of(file["old_path"]), None)
                if "oid" not in file:
                    files.pop(path_of(file["path"]), None)
            files |= {path_of(f["path"]): (f["mode"], f["oid"]) for f in event["files"] if "oid" in f}
        elif "result_tree" in event:
            raise Damage(f"{event['kind']} changes the tree")
    return tree, files


# ── a ledger to read ─────────────────────────────────────────────────────────────────────────────

EDIT = b"""\
--- a/notes.txt
+++ b/notes.txt
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
\\ No newline at end of file
"""
MOVE = b"""\
diff --git a/tool.sh b/bin/tool.sh
similarity index 100%
rename from tool.sh
rename to bin/tool.sh
diff --git a/README.md b/README.md
deleted file mode 100644
--- a/README.md
+++ /dev/null
@@ -1,3 +0,0 @@
-# Fixture
-
-A small repository.
diff --git a/link b/link
new file mode 120000
--- /dev/null
+++ b/link
@@ -0,0 +1 @@
+notes.txt
\\ No newline at end of file
"""


@pytest.fixture
def ledger(repo: Path, git: Callable[..., str]) -> Iterator[Ledger]:
    """Two runs with every kind but the recovery: patches, a refusal, drift, a commit, an end."""
    # A submodule that nobody checked out is an empty directory.
    (repo / "vendor").mkdir()
    git("update-index", "--add", "--cacheinfo", f"160000,{'ab' * 20},vendor", cwd=repo)
    git("commit", "--quiet", "--message", "submodule", cwd=repo)
    with Ledger.open(repo, actor=Actor("agent", "tester", "s1")) as ledger:
        with ledger.run("port to 3.13") as run:
            run.apply(EDIT, source="edit.diff", note="shouting, in UTF-8: é")
            with pytest.raises(HunkMismatch):
                run.apply(EDIT.replace(b"two", b"nothing").replace(b"TWO", b"never"))
            run.apply(MOVE)
            (repo / "caf\udce9.txt").write_bytes(b"not UTF-8 in the name\n")
            (repo / "src/app.py").unlink()
            run.record()
            commit_all(git, repo)
            run.apply(EDIT.replace(b"-two\n+TWO", b"-TWO\n+2"))
        ledger.apply(b"--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n", source="new.diff")
        yield ledger


def commit_all(git: Callable[..., str], repo: Path) -> None:
    """Commit the candidate to HEAD, as the user would."""
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "all", cwd=repo)


def test_the_second_reader_sees_the_same_events(ledger: Ledger) -> None:
    """Every event, field by field, in order."""
    frames = read_frames(ledger.path)
    first = [(frame.s, frame.h, bytes(frame.e), frame.event) for frame in ledger.store.frames()]
    assert [(frame.s, frame.h, frame.stored) for frame in frames] == [each[:3] for each in first]
    assert [frame.event for frame in frames] == [
        json.loads(msgspec.json.encode(event)) for *_, event in first
    ]
    kinds = {"run.started/1", "run.finished/1", "patch.applied/1", "patch.refused/1", "commit.seen/1"}
    assert {frame.event["kind"] for frame in frames} == kinds


def test_the_second_reader_checks_the_same_chains(ledger: Ledger) -> None:
    """Both runs' chains hold, and their groups: a run's first patch is written with its start."""
    frames = read_frames(ledger.path)
    runs = check_runs(frames)
    assert {run: len(events) for run, events in runs.items()} == {head.run: head.v for head in ledger.runs()}
    assert [frame.n for frame in frames] == [0] * (len(frames) - 2) + [1, 0]
    assert all(frame.w < frame.s for frame in frames)


def test_the_second_reader_finds_every_body(ledger: Ledger) -> None:
    """Each body that an event names is there, and none is stored that no event names."""
    digests = {digest for frame in read_frames(ledger.path) for digest in bodies_of(frame.event)}
    assert all(read_body(ledger.path, digest) == ledger.body(digest) for digest in digests)
    assert digests == {path.name for path in (ledger.path / "bodies").glob("??/*")}


def test_the_second_reader_folds_the_same_state(ledger: Ledger, git: Callable[..., str], repo: Path) -> None:
    """At each version of each run: the files are those of the first reader, and of Git's own tree."""
    for run, events in check_runs(read_frames(ledger.path)).items():
        for v in range(1, len(events) + 1):
            tree, files = state_at(ledger.path, events, v)
            state = ledger.state(f"{run}:{v}")
            assert (state.recorded_tree, as_text(state.files)) == (tree, files)
            listed = git("ls-tree", "-r", "-z", tree, cwd=repo).encode("utf-8", "surrogateescape")
            assert {
                line.split(b"\t")[1]: tuple(line.split(b"\t")[0].decode().split(" ")[::2])
                for line in listed.split(b"\0")[:-1]
            } == files


def as_text(files: Any) -> Files:
    return {path: (f"{entry.mode:06o}", entry.oid.hex()) for path, entry in files.items()}


def test_the_base_listing_is_gits(ledger: Ledger, git: Callable[..., str], repo: Path) -> None:
    """Byte for byte what ``git ls-tree -r -z`` prints, submodules' type included."""
    for frame in read_frames(ledger.path):
        if frame.event["kind"] == "run.started/1":
            listed = git("ls-tree", "-r", "-z", frame.event["base_tree"], cwd=repo)
            assert read_body(ledger.path, frame.event["listing"]) == listed.encode("utf-8", "surrogateescape")


def test_the_ref_is_what_the_document_says(ledger: Ledger, git: Callable[..., str], repo: Path) -> None:
    """One commit for each change, named by the events alone."""
    for run, events in check_runs(read_frames(ledger.path)).items():
        changes = [e for e in events if e["kind"] in ("run.started/1", "patch.applied/1")]
        fields = "--format=%T%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x01"
        shown = git("log", "--reverse", fields, f"refs/ledger/{run}/events", cwd=repo)
        expected = []
        for event in changes:
            who = ["tester", "agent@ledger.invalid", str(event["at_ns"] // 10**9)]
            subject = event.get("title", f"{event.get('cause')}: {len(event.get('files', ()))} files")
            message = f"{subject}\n\nLedger-Event: {run}:{event['v']}\n"
            tree = event["result_tree"] if "result_tree" in event else event["base_tree"]
            expected.append("\0".join([tree, *who, *who, message]))
        assert [each.lstrip("\n") for each in shown.split("\1")[:-1]] == expected


def test_the_durable_mark_is_one_sector(ledger: Ledger) -> None:
    """Its 128 bytes are padded, and name the last frame."""
    mark = (ledger.path / "durable").read_bytes()
    assert len(mark) == 128
    assert mark[-1:] == b"\n"
    last = read_frames(ledger.path)[-1]
    assert read_durable(ledger.path) == (last.s, last.h)


def test_both_readers_end_before_a_torn_tail(ledger: Ledger) -> None:
    """Half an append is the end of the log, for both."""
    segment = max((ledger.path / "log").iterdir())
    before = read_frames(ledger.path)
    with segment.open("ab") as file:
        file.write(segment.read_bytes()[:100])
    assert read_frames(ledger.path) == before
    assert sum(1 for _ in Ledger.open(ledger.path.parent).store.frames()) == len(before)


def test_both_readers_call_the_same_bytes_damage(ledger: Ledger, stamp: Stamp) -> None:
    """One acknowledged bit: neither reads on."""
    segment = max((ledger.path / "log").iterdir())
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(Damage):
        read_frames(ledger.path)
    with pytest.raises(Exception, match="acknowledged"):
        list(Ledger.open(ledger.path.parent, stamp=stamp).store.frames())


def test_both_readers_end_a_segment_where_the_next_begins(ledger: Ledger) -> None:
    """What a failed sync left in doubt and was written anew is not read twice."""
    before = read_frames(ledger.path)
    segment = ledger.path / "log" / f"{1:020d}.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.with_name(f"{5:020d}.jsonl").write_bytes(b"".join(lines[4:]))
    segment.write_bytes(b"".join(lines[:5]) + b"in doubt\n")
    assert read_frames(ledger.path) == before
    first = Ledger.open(ledger.path.parent).store.frames()
    assert [frame.h for frame in first] == [frame.h for frame in before]
