"""A second reader, written from ``docs/format.md`` alone, agrees with the first about everything.

The reader is `second_reader`. It imports nothing of the ledger: what it knows is in the document.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chronicle import Chronicle, listing, rule
from chronicle import Files as Contents
from second_reader import (
    Damage,
    Event,
    Files,
    accepted_state,
    accepted_trees,
    bodies_of,
    check_runs,
    definition_of,
    live_states,
    open_questions,
    open_tickets,
    read_body,
    read_durable,
    read_frames,
    state_at,
    tree_of,
)

from ledger import Actor, Ledger
from ledger.events import KINDS, CheckFound, GateMeasured, KnownEvent
from ledger.measurements import FileCoverage, Finding, Report, TestResult
from ledger.policies import Isolation, PhaseRule, Policy, Rule, Step
from ledger.redaction import BODY_NAMES
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from patches.errors import HunkMismatch

FORMAT = Path(__file__).resolve().parents[2] / "docs/format.md"

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
    """Two runs as commands write them: patches, a refusal, drift, a commit, an end."""
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
    kinds = {"run.started/1", "policy.set/1", "run.finished/1"}
    kinds |= {"patch.applied/1", "patch.refused/1", "error.captured/1", "commit.seen/1"}
    assert {frame.event["kind"] for frame in frames} == kinds


def test_the_second_reader_checks_the_same_chains(ledger: Ledger) -> None:
    """Both runs' chains hold, and their groups.

    A start is written with its policy, and with a first patch; a refusal with its question.
    """
    frames = read_frames(ledger.path)
    runs = check_runs(frames)
    assert {run: len(events) for run, events in runs.items()} == {head.run: head.v for head in ledger.runs()}
    assert [frame.n for frame in frames] == [1, 0, 0, 1, 0] + [0] * (len(frames) - 8) + [2, 1, 0]
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
        changes = [e for e in events if "base_tree" in e and e["kind"] != "patch.refused/1"]
        fields = "--format=%T%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x01"
        shown = git("log", "--reverse", fields, f"refs/ledger/{run}/events", cwd=repo)
        expected = []
        for event in changes:
            who = ["tester", "agent@ledger.invalid", str(event["at_ns"] // 10**9)]
            message = f"{subject_of(event)}\n\nLedger-Event: {run}:{event['v']}\n"
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
    segment.with_name(f"{6:020d}.jsonl").write_bytes(b"".join(lines[5:]))
    segment.write_bytes(b"".join(lines[:6]) + b"in doubt\n")
    assert read_frames(ledger.path) == before
    first = Ledger.open(ledger.path.parent).store.frames()
    assert [frame.h for frame in first] == [frame.h for frame in before]


# ── policies, measurements, rollbacks ────────────────────────────────────────────────────────────

LINT = rule(threshold=1.0)
TESTS = Rule(
    mode="strict",
    steps=(
        Step(command=("pytest", '--ignore="ä\u2028\x7f\x1f\t"'), format="junit", report="{scratch}/r.xml"),
        Step(command=("true",), paths=("src", "tests"), exit_codes=(0, 5)),
    ),
    metric="broken",
    min_examined=2,
    env=("TOKEN",),
    outside=("vendored",),
)
COVERED = Rule(
    mode="strict", steps=(Step(command=("cov",)),), metric="combined", better="higher", fed_by="tests"
)
RELEASE = Policy(
    gates={"lint": LINT, "tests": TESTS, "old": Rule(mode="off", steps=(), metric="x", reason="gone")},
    phases=PhaseRule(order=True, patches=("P3", "P4")),
    isolated=Isolation(setup=(("make", "venv"),), link=("node_modules",)),
    must_exist=("README.md",),
)
DEV = Policy(gates={"lint": rule("soft", threshold=1.0)})
COVERING = Policy(gates={**RELEASE.gates, "cov": COVERED})
BROKEN: dict[str, Any] = {"metrics": {"broken": 2.0}, "unit": "tests"}
SOUND: dict[str, Any] = {"metrics": {"broken": 0.0}, "unit": "tests"}
REPORT = Report(
    metrics={"broken": 0.0},
    examined=3,
    unit="tests",
    findings=(Finding("E501", "a", 3),),
    tests=(TestResult("test_a", "passed", 0.5), TestResult("test_b", "xfailed")),
    files=(FileCoverage("a", 9, 7),),
)


def gated_run(stamp: Stamp) -> Chronicle:
    """Return a run with every kind that gates have brought: passes, failures, flaky ones, both ways back."""
    story = Chronicle(stamp, {"a": "0", "d/b": "0", "d.c": "0"})
    story.set_policy({"release": RELEASE, "dev": DEV}, "dev", source="pyproject.toml")
    story.enter_phase("P3")
    first = story.patch({**story.files, "a": "1"})
    failed = story.measure("lint", LINT, metrics={"findings": 2.0}, verdict="fail", reasons=("too many",))
    ticket = story.open_ticket("lint", failed)
    story.set_policy({"release": RELEASE, "dev": DEV}, "release", weakened=())
    second = story.patch({**story.files, "d/b": "1"}, configures=("d/b",))
    broken = story.capture_error("3:build", "no such file: é")
    story.capture_error("3:build", "no such file: é", same_as=broken)
    stale = story.capture_error("3:build", "another")
    passed = story.measure("lint", LINT)
    story.retire(stale)
    story.answer(broken, "it is made by the step before")
    story.capture_error("3:build", "no such file: é")
    story.close_ticket("lint", ticket, passed)
    story.measure("tests", TESTS, problems=("killed",), exit_codes=(None, 0), verdict="inconclusive")
    story.measure("tests", TESTS, report=story.body(msgspec.json.encode(REPORT)), **SOUND)
    story.check(CheckFound("must-exist", "README.md", 0), CheckFound("must-not-exist", "d/*", 1, ("d/b",)))
    story.patch({"a": "1", "d/b": "2"})
    story.measure("lint", LINT)
    flaky = [story.measure("tests", TESTS, **facts) for facts in (BROKEN, SOUND)]
    story.roll_back(second, measured=flaky)
    story.roll_back(first)
    story.patch({"a": "1", "d/b": "1", "d.c": "0"}, of=second)
    story.set_policy({"release": COVERING, "dev": DEV}, "release", weakened=("cov is gone",))
    story.patch({"a": "2"})
    story.measure("lint", LINT, tools={"check": "2"}, metrics={"findings": 1.0})
    story.measure("tests", TESTS, **SOUND)
    story.measure("cov", COVERED, metrics={"combined": 0.0}, unit="statements")
    story.rebase({"a": "3", "e": "0"})
    story.patch({"a": "2", "e": "0"}, cause="rebase", of=story.v - 5)
    story.roll_back(story.live[0].v)
    story.patch({"a": "2"}, cause="drift", of=None)
    story.finish(final=True)
    return story


@pytest.fixture
def gated(make_repo: Callable[..., Path], git: Callable[..., str], stamp: Stamp) -> Iterator[Ledger]:
    """That run in a repository that has its trees."""
    root = make_repo({"a": b"0"}, name="gated")
    story = gated_run(stamp)
    for files in story.contents.values():
        write_tree(git, root, files)
    with Ledger.open(root, stamp=stamp) as ledger:
        story.write_to(LocalStore.open(ledger.path, stamp, create=True))
        yield ledger


def write_tree(git: Callable[..., str], root: Path, files: Contents) -> str:
    """Have the real git store a tree and return its oid."""
    for text in files.values():
        git("hash-object", "-w", "--stdin", cwd=root, input=text.encode())
    index = {"cwd": root, "input": listing(files)}
    git("read-tree", "--empty", cwd=root)
    git("update-index", "-z", "--index-info", **index)
    return git("write-tree", cwd=root)


def events_of(ledger: Ledger) -> list[Event]:
    (events,) = check_runs(read_frames(ledger.path)).values()
    return events


def test_every_kind_is_read(gated: Ledger, ledger: Ledger) -> None:
    """The two ledgers have every kind of a run, and each event is what the first reader has."""
    events = events_of(gated)
    assert events == [json.loads(msgspec.json.encode(event)) for event in gated.events()]
    kinds = {event["kind"] for event in (*events, *(frame.event for frame in read_frames(ledger.path)))}
    of_the_ledger = {"run.imported/1", "body.dropped/1", "retention.applied/1", "ledger.recovered/1"}
    assert kinds == KINDS - of_the_ledger


def test_the_states_of_rollbacks_and_rebases(gated: Ledger, git: Callable[..., str], stamp: Stamp) -> None:
    """At each version: Git's own tree, the first reader's files, and SQL's; a rollback's are those of its goal."""
    events, contents = events_of(gated), gated_run(stamp).contents
    for v in range(1, len(events) + 1):
        tree, files = state_at(gated.path, events, v)
        state = gated.state(f"port:{v}")
        assert (state.recorded_tree, as_text(state.files)) == (tree, files)
        assert in_sql(gated, "state_at", v) == files
        assert tree_of(files) == tree == git("rev-parse", f"{tree}^{{tree}}", cwd=gated.repository.work_dir)
        if events[v - 1]["kind"] == "patch.rolled_back/1":
            assert files == state_at(gated.path, events, events[v - 1]["to_v"])[1]
            assert events[v - 1]["patches"] == [
                at for at, _ in live_states(events, v - 1) if at > events[v - 1]["to_v"]
            ]
        if v in contents:
            assert tree == write_tree(git, gated.path.parents[1], contents[v])


def in_sql(ledger: Ledger, macro: str, v: int) -> Files:
    rows = ledger.sql(f"select mode, oid, path_bytes from {macro}('port', $v)", {"v": v}).fetchall()
    return {path: (mode, oid) for mode, oid, path in rows}


def test_the_accepted_state_at_every_version(gated: Ledger) -> None:
    """The document's rules, the first reader's fold and SQL name the same state, and its files."""
    events = events_of(gated)
    seen: list[int] = []
    for v in range(1, len(events) + 1):
        history = gated.history(f"port:{v}")
        at, tree = accepted_state(events, v)
        assert history.accepted == (at, tree)
        assert history.live == live_states(events, v)
        assert in_sql(gated, "accepted_at", v) == state_at(gated.path, events, at)[1]
        assert tree_of(state_at(gated.path, events, at)[1]) == tree
        assert (
            history.phase == ([e["phase"] for e in events[:v] if e["kind"] == "phase.entered/1"] or [""])[-1]
        )
        assert {gate: ticket.v for gate, ticket in history.tickets.items()} == open_tickets(events[:v])
        met = open_questions(events[:v])
        assert set(history.questions) == met.keys()
        assert [list(history.captured.values()).count(at) for at in history.questions] == list(met.values())
        seen += [at] if at not in seen else []
    assert [events[at - 1]["kind"].partition("/")[0] for at in seen] == [
        "run.started",  # nothing yet
        "patch.applied",  # accepted
        "patch.applied",  # taken away, and again: the same tree
        "patch.applied",  # under the policy with coverage
        "run.rebased",
        "patch.applied",  # a tree that was accepted before the rebase
    ]


@pytest.mark.parametrize("profile", ["release", "dev"])
def test_what_a_profile_would_have_accepted(gated: Ledger, profile: str) -> None:
    """Of the last policy, as if it had been in force all along; SQL has it with the event that decided."""
    events = events_of(gated)
    profiles = [event["profiles"] for event in events if event["kind"] == "policy.set/1"][-1]
    accepted = accepted_trees(events, len(events), profiles[profile])
    live = {at for at, _ in live_states(events, len(events))}
    states = [
        (event["v"], event.get("result_tree", event.get("base_tree"))) for event in events if changes(event)
    ]
    wanted = [(v, tree, accepted[tree], v in live) for v, tree in states if tree in accepted]
    rows = gated.sql("select v, tree, accepted_by, live from accepted_under('port', $p)", {"p": profile})
    assert rows.fetchall() == wanted
    assert bool(wanted) == (profile == "release")


def changes(event: Event) -> bool:
    """Tell whether an event makes a state of its own."""
    return event["kind"] in ("run.started/1", "patch.applied/1", "run.rebased/1")


def test_the_definition_is_the_documents(gated: Ledger) -> None:
    """From the bytes as they are stored, whatever characters a command has."""
    for event in events_of(gated):
        if event["kind"] == "policy.set/1":
            for profile, policy in event["profiles"].items():
                first = gated.event(f"port:{event['v']}")
                for name, each in policy["gates"].items():
                    assert definition_of(each) == first.profiles[profile].gates[name].definition  # type: ignore[union-attr]


def test_a_report_is_the_documents(gated: Ledger) -> None:
    """A body of JSON; what is missing has the default that the document names."""
    (event,) = (each for each in gated.events() if isinstance(each, GateMeasured) and each.report)
    report = json.loads(read_body(gated.path, str(event.report)))
    assert report["findings"] == [{"rule": "E501", "path": "a", "line": 3}]
    assert report["tests"][1] == {"name": "test_b", "outcome": "xfailed"}
    assert msgspec.convert(report, Report) == REPORT


def test_the_refs_of_rollbacks_and_rebases(gated: Ledger, git: Callable[..., str]) -> None:
    """One chain: each change follows the one before, and the accepted ref names one of its commits."""
    from ledger.projections.refs import RunRef

    events, root = events_of(gated), gated.path.parents[1]
    ref = RunRef(gated.repository, "port")
    ref.project(gated.events())
    ref.project_accepted(gated.history().accepted.v)
    log = ("log", "--reverse", "--topo-order", "--format=%T%x00%B%x01", "refs/ledger/port/events")
    assert [each.lstrip("\n") for each in git(*log, cwd=root).split("\1")[:-1]] == [
        f"{event.get('result_tree', event['base_tree'])}\0{subject_of(event)}\n\nLedger-Event: port:{event['v']}\n"
        for event in events
        if "base_tree" in event
    ]
    at, tree = accepted_state(events, len(events))
    said = git("show", "--no-patch", "--format=%T %B", "refs/ledger/port/accepted", cwd=root)
    assert said.split()[0] == tree
    assert said.split()[-1] == f"port:{at}"
    git("merge-base", "--is-ancestor", "refs/ledger/port/accepted", "refs/ledger/port/events", cwd=root)


def subject_of(event: Event) -> str:
    """See "Git refs": the first line of a commit's message."""
    files = f"{len(event.get('files', ()))} files"
    match event["kind"]:
        case "run.started/1":
            return event["title"]
        case "patch.applied/1":
            return f"{event['cause']}: {files}"
        case "patch.rolled_back/1":
            return f"rollback to {event['run']}:{event['to_v']}: {files}"
        case _:
            return f"rebase onto {event['head']}: {files}"


# ── the document's tables ────────────────────────────────────────────────────────────────────────

COMMON = {"kind", "id", "run", "v", "prev", "at_ns", "actor", "request"}


def table_after(heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading or words of the document."""
    text = FORMAT.read_text("utf-8")
    assert text.count(heading) == 1, heading
    rows: list[list[str]] = []
    for line in text[text.index(heading) + len(heading) :].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows or line.startswith("#"):
            break
    return rows[2:]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_document_has_every_field_of_every_kind(kind: str) -> None:
    """A table for each kind names its fields, no more and no less."""
    decoder = msgspec.inspect.type_info(KnownEvent)
    assert isinstance(decoder, msgspec.inspect.UnionType)
    (found,) = (each for each in decoder.types if getattr(each, "tag", None) == kind)
    fields = {field.encode_name for field in found.fields} - COMMON  # type: ignore[union-attr]
    named = {name for row in table_after(f"\n### `{kind}`\n") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == fields


def test_the_document_says_which_fields_name_bodies() -> None:
    """Verification, redaction, export and the second reader go by the same names: a field left out is a body lost."""
    rows = [row for kind in KINDS for row in table_after(f"\n### `{kind}`\n")]
    documented = {row[0].strip("`") for row in rows if row[2].startswith("body: ")}
    assert documented == {*BODY_NAMES, "listing"}
    assert set(bodies_of(dict.fromkeys(documented, "x") | {"kind": "x"})) == {"x"}
    assert len(list(bodies_of(dict.fromkeys(documented, "x") | {"kind": "x"}))) == len(documented)


@pytest.mark.parametrize(
    "kind", [Policy, Rule, Step, PhaseRule, Isolation, Report, Finding, TestResult, FileCoverage]
)
def test_the_document_has_every_default(kind: type[msgspec.Struct]) -> None:
    """Names, their order, and what a field that is left out means."""
    heading = "\n## Reports\n" if kind is Report else f"\n`{kind.__name__}`"
    documented = [(row[0].strip("`"), row[1].strip("`")) for row in table_after(heading)]
    fields = msgspec.structs.fields(kind)
    defaults = ["" if f.required else msgspec.json.encode(default_of(f)).decode() for f in fields]
    assert documented == [(f.encode_name, default) for f, default in zip(fields, defaults, strict=True)]


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()
