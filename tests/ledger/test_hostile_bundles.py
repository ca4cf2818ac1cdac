"""Export files that are damaged or made to do harm: an error, and not one byte is written."""

from __future__ import annotations

import copy
import itertools
import json
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from book import damage
from second_reader import check_runs, read_frames
from transferlab import Clone, Members, forge, read_members, rechain, rich_run, write_members

from ledger.events import body_digest
from ledger.stamps import Stamp
from ledger.transfer_errors import BundleTooLarge, InvalidBundle, MissingBase, NewerBundle

Fields: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[list[Fields]], object]
EVENTS = "events/port.jsonl"


def counting() -> Stamp:
    ticks, counter = itertools.count(1_700_000_000_000_000_000, 1_000_000), itertools.count()
    return Stamp(clock=lambda: next(ticks), entropy=lambda size: next(counter).to_bytes(size, "big"))


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """What is in the export of a rich run."""
    root = tmp_path_factory.mktemp("source")
    story = rich_run(counting())
    source = Clone(root / "source", counting(), story)
    source.write(story)
    source.ledger.export_runs(["port"], root / "port.zip")
    source.ledger.close()
    return read_members(root / "port.zip")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone that could take that run in, with a ledger."""
    made = Clone(tmp_path / "target", counting(), rich_run(counting()))
    made.write(rich_run(counting(), "other"))
    return made


def refused(clone: Clone, file: Path, kind: type[Exception] = InvalidBundle) -> str:
    """Return what is said against a file; every byte of the ledger's directory is as it was."""
    before = clone.files()
    with pytest.raises(kind) as caught:
        clone.ledger.import_runs(file)
    assert clone.files() == before
    return str(caught.value)


def test_the_untouched_file_is_taken_in(clone: Clone, members: Members, tmp_path: Path) -> None:
    """So what follows is refused for what was done to it, not for how it was packed."""
    same = forge(members, lambda events: None)
    assert clone.ledger.import_runs(write_members(tmp_path / "x.zip", same))[0].appended == 15
    clone.ledger._workspace.restore_finished_refs()
    assert damage(clone.ledger) == []


# ── the container ────────────────────────────────────────────────────────────────────────────────

MANIFEST: list[tuple[str, Callable[[Fields], object]]] = [
    ("format", lambda m: m.update(format="ledger-export/1\n")),
    ("source", lambda m: m.update(source="nothing")),
    ("no runs", lambda m: m.update(runs=[])),
    ("twice", lambda m: m.update(runs=m["runs"] * 2)),
    ("another", lambda m: m["runs"][0].update(run="starboard")),
    ("ledger", lambda m: m["runs"][0].update(run="ledger")),
    ("outside", lambda m: m["runs"][0].update(run="../../port")),
    ("lock", lambda m: m["runs"][0].update(run="port.lock")),
    ("fewer", lambda m: m["runs"][0].update(events=11)),
    ("none", lambda m: m["runs"][0].update(events=0)),
    ("digest", lambda m: m["runs"][0].update(digest="0" * 64)),
    ("bases", lambda m: m["runs"][0].update(bases=[])),
    ("commit", lambda m: m["runs"][0]["bases"][0].update(commit="ab" * 20)),
    ("tree", lambda m: m["runs"][0]["bases"][1].update(tree="ab" * 20)),
    ("dropped", lambda m: m["runs"][0].update(dropped=[{"of": "port:2", "bodies": ["ab" * 32]}])),
    ("types", lambda m: m["runs"][0].update(events="12")),
    ("missing", lambda m: m.pop("source")),
]


@pytest.mark.parametrize("change", [each[1] for each in MANIFEST], ids=[each[0] for each in MANIFEST])
def test_a_manifest_that_lies(
    clone: Clone, members: Members, tmp_path: Path, change: Callable[[Fields], object]
) -> None:
    """Each of its fields is compared with what is there."""
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    refused(
        clone, write_members(tmp_path / "x.zip", {**members, "manifest.json": json.dumps(manifest).encode()})
    )


def test_a_later_format_is_named(clone: Clone, members: Members, tmp_path: Path) -> None:
    """Whatever else has become of the manifest then."""
    later = {**members, "manifest.json": b'{"format":"ledger-export/2","anything":1}'}
    said = refused(clone, write_members(tmp_path / "x.zip", later), NewerBundle)
    assert "'ledger-export/2'; this version reads ledger-export/1" in said


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "bodies/", "bodies/x", "events/other.jsonl", "a\n"]
)
def test_members_that_do_not_belong(clone: Clone, members: Members, tmp_path: Path, name: str) -> None:
    """No name is a path that is written to; a strange one is refused all the same."""
    refused(clone, write_members(tmp_path / "x.zip", {**members, name: b"x"}))


def test_members_that_are_missing(clone: Clone, members: Members, tmp_path: Path) -> None:
    """Each of them is needed."""
    for name in members:
        less = {other: data for other, data in members.items() if other != name}
        assert name.removeprefix("bodies/") in refused(clone, write_members(tmp_path / "x.zip", less))


def test_bodies_with_other_bytes(clone: Clone, members: Members, tmp_path: Path) -> None:
    """Each digest is checked; and a body that no event names is none of the run's."""
    for name, data in members.items():
        if name.startswith("bodies/"):
            refused(clone, write_members(tmp_path / "x.zip", {**members, name: data + b"!"}))
    stray = {**members, f"bodies/{body_digest(b'stray')}": b"stray"}
    assert "named by no event" in refused(clone, write_members(tmp_path / "x.zip", stray))


def test_a_member_twice(clone: Clone, members: Members, tmp_path: Path) -> None:
    """Two readers could take two different ones."""
    file = write_members(tmp_path / "x.zip", members)
    with zipfile.ZipFile(file, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(EVENTS, b"")
    assert "twice" in refused(clone, file)


def test_a_bomb(clone: Clone, members: Members, tmp_path: Path) -> None:
    """What it says to unpack to is what counts; a member that has more ends where it said."""
    bomb = {**members, min(name for name in members if name.startswith("bodies/")): bytes(64 << 20)}
    file = write_members(tmp_path / "x.zip", bomb)
    assert file.stat().st_size < 1 << 20
    before = clone.files()
    with pytest.raises(BundleTooLarge) as caught:
        clone.ledger.import_runs(file, limit_bytes=32 << 20)
    assert caught.value.size_bytes > 64 << 20
    assert "--limit 65" in caught.value.hint
    assert clone.files() == before
    data = bytearray(file.read_bytes())
    claimed = (64 << 20).to_bytes(4, "little")
    assert data.count(claimed) == 2
    file.write_bytes(data.replace(claimed, (100).to_bytes(4, "little")))
    with pytest.raises(InvalidBundle, match="not a whole ZIP"):
        clone.ledger.import_runs(file, limit_bytes=32 << 20)
    assert clone.files() == before


def test_other_ways_to_pack(clone: Clone, members: Members, tmp_path: Path) -> None:
    """Only what `ledger export` writes: a decoder that nobody needs is one more to attack."""
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert "packed in a way" in refused(clone, file)
    file.write_bytes(b"no ZIP at all")
    assert "not a whole ZIP" in refused(clone, file)


def test_every_byte_of_the_file(
    clone: Clone, members: Members, tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    """One byte changed, or the file cut off there: refused, or the very same run (dates are nobody's business)."""
    file = write_members(tmp_path / "x.zip", members)
    data = file.read_bytes()
    for at in range(0, len(data), rounds(max(1, len(data) // 150), 1)):
        for changed in (data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :], data[:at]):
            file.write_bytes(changed)
            before = clone.files()
            try:
                clone.ledger.import_runs(file)
            except InvalidBundle:
                assert clone.files() == before
            else:
                assert clone.stored() == members[EVENTS].splitlines()
                clone = Clone(tmp_path / f"again{at}", counting(), rich_run(counting()))
                clone.write(rich_run(counting(), "other"))


# ── events that contradict ───────────────────────────────────────────────────────────────────────


def of_kind(kind: str, nth: int = 0) -> Callable[[list[Fields]], Fields]:
    return lambda events: [each for each in events if each["kind"] == f"{kind}/1"][nth]


started, applied, rolled, rebased = map(
    of_kind, ("run.started", "patch.applied", "patch.rolled_back", "run.rebased")
)
policy, measured = of_kind("policy.set"), of_kind("gate.measured")
LATER = of_kind("patch.applied", 2)
TREE = "ab" * 20

ATTACKS: list[tuple[str, Change]] = [
    ("version", lambda e: e[3].update(v=5)),
    ("a gap", lambda e: e.pop(3)),
    ("no beginning", lambda e: e.pop(0)),
    ("two beginnings", lambda e: e.insert(1, {**e[0], "v": 2, "id": e[0]["id"][:-1] + "f"})),
    ("run", lambda e: e[3].update(run="other")),
    ("the ledger's", lambda e: e[3].update(run="ledger")),
    ("kind", lambda e: e[2].update(kind="phase.entered")),
    ("odd kind", lambda e: e[2].update(kind="x\u001b[2J/1")),
    ("id", lambda e: e[3].update(id="not-a-uuid")),
    ("id of version 4", lambda e: e[3].update(id="018bcfe5-6800-4000-8000-000000000000")),
    ("id twice", lambda e: e[3].update(id=e[2]["id"])),
    ("before 1970", lambda e: e[3].update(at_ns=-1)),
    ("never", lambda e: e[3].update(at_ns=1 << 63)),
    ("title", lambda e: started(e).update(title="\0")),
    ("head", lambda e: started(e).update(head="main")),
    ("base tree", lambda e: started(e).update(base_tree=rebased(e)["result_tree"])),
    ("listing", lambda e: started(e).update(listing=applied(e)["patch"])),
    ("listing of the rebase", lambda e: rebased(e).update(listing=started(e)["listing"])),
    ("base of the patch", lambda e: LATER(e).update(base_tree=started(e)["base_tree"])),
    ("result", lambda e: applied(e).update(result_tree=started(e)["base_tree"])),
    ("patch", lambda e: applied(e).update(patch=LATER(e)["patch"])),
    ("no patch", lambda e: applied(e).update(patch=policy(e)["reason"])),
    ("files", lambda e: applied(e).update(files=[])),
    ("path", lambda e: applied(e)["files"][0].update(path="b")),
    ("path that is none", lambda e: applied(e)["files"][0].update(path={"b64": "?"})),
    ("oid", lambda e: applied(e)["files"][0].update(oid="xyz")),
    ("mode", lambda e: applied(e)["files"][0].update(mode="rw-r--r--")),
    ("file in a file", lambda e: applied(e)["files"].append({**applied(e)["files"][0], "path": "a/b"})),
    ("goal", lambda e: rolled(e).update(to_v=1)),
    ("goal that is none", lambda e: rolled(e).update(to_v=99)),
    ("goal that is no state", lambda e: rolled(e).update(to_v=2)),
    ("rebase of nothing", lambda e: of_kind("patch.applied", 3)(e).update(of=3)),
    ("profile", lambda e: policy(e).update(profile="none")),
    ("measured tree", lambda e: measured(e).update(tree="main")),
    ("report", lambda e: measured(e).update(report=policy(e)["reason"])),
    ("number", lambda e: measured(e).update(duration_ns=1 << 70)),
    ("number for a column", lambda e: measured(e).update(exit_codes=[1 << 40])),
    ("missing field", lambda e: applied(e).pop("files")),
    ("type", lambda e: applied(e).update(patch_size_bytes="many")),
]


@pytest.mark.parametrize("change", [each[1] for each in ATTACKS], ids=[each[0] for each in ATTACKS])
def test_events_that_contradict(clone: Clone, members: Members, tmp_path: Path, change: Change) -> None:
    """By somebody who knows how digests are made: the chain fits, and what it says is compared with Git."""
    file = write_members(tmp_path / "x.zip", forge(members, change))
    refused(clone, file, InvalidBundle)


def test_a_base_that_nobody_has(clone: Clone, members: Members, tmp_path: Path) -> None:
    """A tree that is not in the repository, or no tree: the objects are missing, and that is said."""
    for tree in (TREE, "main", members["manifest.json"][:0].decode()):
        changed = forge(members, lambda e, tree=tree: started(e).update(base_tree=tree))
        refused(clone, write_members(tmp_path / "x.zip", changed), MissingBase)


TRICKS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("a field twice", lambda line: line[:-1] + b',"run":"port"}'),
    ("a field twice inside", lambda line: line[:-1] + b',"later":{"a":1,"a":2}}'),
    ("white space before", lambda line: b" " + line),
    ("white space behind", lambda line: line + b" "),
    ("two values", lambda line: line + line),
    ("a frame's end", lambda line: line + b',"x":{}'),
    ("no object", lambda line: b"[" + line + b"]"),
    ("no text", lambda line: line[:-1] + b',"later":"\xff"}'),
    ("half a character", lambda line: line[:-1] + b',"later":"\\ud800"}'),
    ("no number", lambda line: line[:-1] + b',"later":NaN}'),
    ("an endless number", lambda line: line[:-1] + b',"later":1e999}'),
    ("a long number", lambda line: line[:-1] + b',"later":' + b"9" * 5000 + b"}"),
    ("deep", lambda line: line[:-1] + b',"later":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("empty", lambda line: b""),
]


@pytest.mark.parametrize("trick", [each[1] for each in TRICKS], ids=[each[0] for each in TRICKS])
@pytest.mark.parametrize("at", [0, 4, 11])
def test_lines_that_readers_take_differently(
    clone: Clone, members: Members, tmp_path: Path, trick: Callable[[bytes], bytes], at: int
) -> None:
    """Digests are over bytes: what two JSON readers understand differently has no place in a log."""
    lines = members[EVENTS].splitlines()
    changed = rechain_raw(members, [*lines[:at], trick(lines[at]), *lines[at + 1 :]])
    refused(clone, write_members(tmp_path / "x.zip", changed))


def rechain_raw(members: Members, lines: list[bytes]) -> Members:
    """As `rechain`, for lines that are no JSON: the manifest's bases stay as they were."""
    whole = rechain(members, members[EVENTS].splitlines())
    prev = json.loads(whole["manifest.json"])
    from ledger.events import event_digest

    digest, chained = "0" * 64, list[bytes]()
    for line in lines:
        at = line.find(b'"prev":"')
        chained.append(line if at < 0 else line[: at + 8] + digest.encode() + line[at + 8 + 64 :])
        digest = event_digest(chained[-1])
    prev["runs"][0] |= {"events": len(lines), "digest": digest}
    return {
        **whole,
        "manifest.json": json.dumps(prev).encode(),
        EVENTS: b"".join(line + b"\n" for line in chained),
    }


# ── anything ─────────────────────────────────────────────────────────────────────────────────────

VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        2,
        3,
        99,
        1 << 31,
        1 << 62,
        0.5,
        "",
        "x",
        "main",
        TREE,
        "ab" * 32,
        "\0",
        "\u202e",
        [],
        {},
        [1],
        ["x"],
    ]
)


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[int, list[int], Any]]:
    """Draw one or two places in the events, each as a version and a way into it, and what to put there."""
    place = st.tuples(st.integers(0, 11), st.lists(st.integers(0, 40), min_size=1, max_size=4), VALUES)
    return draw(st.lists(place, min_size=1, max_size=2))


def put(value: Any, way: list[int], new: Any) -> None:
    """Replace what lies at the end of a way through objects and arrays."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = keys[way[0] % len(keys)]
    if len(way) > 1 and isinstance(value[key], dict | list):
        put(value[key], way[1:], new)
    else:
        value[key] = copy.deepcopy(new)


@given(places=changes())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=max(25, settings().max_examples // 2),
)
def test_what_is_taken_in_harms_nobody(
    members: Members, tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, list[int], Any]]
) -> None:
    """Any value anywhere, the chain made to fit: refused, or the ledger works as before in every part."""
    root = tmp_path_factory.mktemp("any")

    def change(events: list[Fields]) -> None:
        for v, way, new in places:
            put(events[v], way, new)

    try:
        changed = forge(members, change)
    except (KeyError, TypeError):
        return  # Not even a manifest can be made for it.
    clone = Clone(root / "target", counting(), rich_run(counting()))
    clone.write(rich_run(counting(), "other"))
    before = clone.files()
    try:
        clone.ledger.import_runs(write_members(root / "x.zip", changed))
    except (InvalidBundle, MissingBase):
        assert clone.files() == before
        return
    # The other run was written by the store alone, which makes no refs.
    clone.ledger._workspace.restore_finished_refs()
    assert damage(clone.ledger) == []
    assert set(check_runs(read_frames(clone.path))) == {"ledger", "other", "port"}
    for run in ("other", "port"):
        head = clone.ledger.store.heads()[run]
        assert clone.ledger.history(f"{run}:{head.v}").accepted.v in range(1, head.v + 1)
        for view in (
            "events",
            "runs",
            "patches",
            "patch_files",
            "policies",
            "gates",
            "findings",
            "tickets",
            "checks",
        ):
            clone.ledger.sql(f"select * from {view}").fetchall()
        clone.ledger.sql("select * from accepted_at($run, $v)", {"run": run, "v": head.v}).fetchall()
