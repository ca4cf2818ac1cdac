"""A second reader of ledgers, written from ``docs/format.md`` alone.

It imports nothing of the ledger: what it knows is in the document, and each function names its section.
Events are JSON as it was stored.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

ZEROS = "0" * 64
Event = dict[str, Any]
Files = dict[bytes, tuple[str, str]]


class Damage(Exception):
    """The document calls this damage."""


class Found(NamedTuple):
    """A frame: position, hash, what the writer knew to be durable, and the event with its stored bytes."""

    s: int
    h: str
    n: int
    w: int
    event: Event
    stored: bytes


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ── the log ──────────────────────────────────────────────────────────────────────────────────────


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


def read_sealed(root: Path, first: int) -> list[bytes | Found]:
    """See "Sealed segments": each frame's line, or what is left of a retired frame."""
    data = (root / "sealed" / f"{first:020d}.seal").read_bytes()
    seal = json.loads(data)
    file = root / "sealed" / seal["parquet"]
    if seal["h"] != sha256(b"ledger-seal/1\n" + data[72:-1]) or seal["first"] != first:
        raise Damage(f"the seal of {first}")
    if sha256(file.read_bytes()) != seal["parquet_sha256"]:
        raise Damage(file.name)
    columns = "position, hash, n, w, frame"
    rows = duckdb.execute(f"select {columns} from read_parquet(?) order by position", [str(file)]).fetchall()
    return [Found(s, h, n, w, {}, b"") if line is None else line for s, h, n, w, line in rows]


def read_segment(root: Path, first: int) -> list[bytes | Found]:
    path = root / "log" / f"{first:020d}.jsonl"
    return [*path.read_bytes().split(b"\n")[:-1]] if path.exists() else read_sealed(root, first)


def read_frames(root: Path) -> list[Found]:
    """See "What a reader may consume", with what `durable` confirms; raise where it is damage."""
    if (root / "FORMAT").read_bytes() != b"ledger/1\n":
        raise Damage("another format")
    durable, durable_hash = read_durable(root)
    firsts = sorted({int(p.stem) for p in (*root.glob("log/[0-9]*.jsonl"), *root.glob("sealed/*.seal"))})
    taken: list[Found] = []
    for first, following in zip(firsts, [*firsts[1:], 0], strict=True):
        if first != len(taken) + 1:
            raise Damage(f"segment {first} follows position {len(taken)}")
        group: list[Found] = []
        for line in read_segment(root, first):
            before = group[-1] if group else taken[-1] if taken else None
            position, hash_before = len(taken) + len(group) + 1, before.h if before else ZEROS
            found = parse_line(line, position, hash_before) if isinstance(line, bytes) else line
            if found is None or (group and found.n != group[-1].n - 1) or found.s == following:
                break
            group.append(found)
            if found.n == 0 and found.s <= durable:
                taken, group = taken + group, []
    if len(taken) < durable or (durable and taken[durable - 1].h != durable_hash):
        raise Damage(f"position {durable} was acknowledged")
    return [found for found in taken if found.event]


def check_runs(frames: list[Found]) -> dict[str, list[Event]]:
    """See "Events", `prev`: the events of each run, its own chain checked."""
    runs: dict[str, list[Event]] = {}
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


def bodies_of(event: Event) -> Iterator[str]:
    """See "Kinds": the fields that name a body."""
    names = (
        "listing",
        "patch",
        "given",
        "note",
        "reason",
        "report",
        "output",
        "waived",
        "message",
        "context",
        "answer",
    )
    return (event[name] for name in names if event.get(name))


def dropped_bodies(events: list[Event]) -> dict[str, str]:
    """See "Secrets and dropped bodies": digest → the event that dropped it, over all runs in order."""
    gone: dict[str, str] = {}
    for event in events:
        for digest in bodies_of(event):
            gone.pop(digest, None)
        if event["kind"] == "body.dropped/1":
            gone |= dict.fromkeys(event["bodies"], f"{event['run']}:{event['v']}")
    return gone


# ── the state ────────────────────────────────────────────────────────────────────────────────────


def path_of(wire: str | dict[str, str]) -> bytes:
    return wire.encode() if isinstance(wire, str) else base64.b64decode(wire["b64"], validate=True)


def parse_listing(listing: bytes) -> Files:
    """See "`run.started/1`": the base listing."""
    files: Files = {}
    for line in listing.split(b"\0")[:-1]:
        facts, path = line.split(b"\t", 1)
        mode, _, oid = facts.decode().split(" ")
        files[path] = (mode, oid)
    return files


def change_files(files: Files, changes: list[Event]) -> None:
    """See "The state at an event": what is taken away first, then what is put."""
    for file in changes:
        if file["operation"] == "rename":
            files.pop(path_of(file["old_path"]), None)
        if "oid" not in file:
            files.pop(path_of(file["path"]), None)
    files |= {path_of(f["path"]): (f["mode"], f["oid"]) for f in changes if "oid" in f}


def state_at(root: Path, events: list[Event], v: int) -> tuple[str, Files]:
    """See "The state at an event": the recorded tree and the files."""
    files: Files = {}
    tree = ""
    for event in events[:v]:
        match event["kind"]:
            case "run.started/1":
                tree = event["base_tree"]
                files = parse_listing(read_body(root, event["listing"]))
            case "patch.applied/1" | "patch.rolled_back/1" | "run.rebased/1":
                tree = event["result_tree"]
                change_files(files, event["files"])
            case kind if "result_tree" in event:
                raise Damage(f"{kind} changes the tree")
        if event["kind"] == "run.rebased/1" and files != parse_listing(read_body(root, event["listing"])):
            raise Damage(f"{event['run']}:{event['v']}: its files do not lead to its listing")
    return tree, files


def tree_of(files: Files) -> str:
    """Git's name of a tree: see gitformat-pack(5); a directory sorts as if its name ended in a slash."""
    inner: dict[bytes, Files] = {}
    entries: list[tuple[bytes, bytes]] = []
    for path, (mode, oid) in files.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            inner.setdefault(name, {})[rest] = (mode, oid)
        else:
            entries.append((name, mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid)))
    for name, below in inner.items():
        entries.append((name + b"/", b"40000 " + name + b"\0" + bytes.fromhex(tree_of(below))))
    data = b"".join(entry for _, entry in sorted(entries))
    return hashlib.sha1(b"tree %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def live_states(events: list[Event], v: int) -> list[tuple[int, str]]:
    """See "The accepted state": version and tree of each state that the candidate rests on."""
    live: list[tuple[int, str]] = []
    for event in events[:v]:
        match event["kind"]:
            case "run.started/1":
                live = [(event["v"], event["base_tree"])]
            case "run.rebased/1":
                live = [(event["v"], event["result_tree"])]
            case "patch.applied/1":
                live.append((event["v"], event["result_tree"]))
            case "patch.rolled_back/1":
                live = [state for state in live if state[0] <= event["to_v"]]
            case _:
                pass
    return live


# ── what is accepted ─────────────────────────────────────────────────────────────────────────────


def definition_of(rule: Event) -> str:
    """See "Policies": the digest of what shapes a gate's facts."""
    shape = [rule["steps"], rule.get("env", []), *(rule.get(name, "") for name in ("fed_by", "feeder"))]
    shape.append(rule.get("outside", []))
    text = json.dumps(shape, separators=(",", ":"), ensure_ascii=False)
    return sha256(b"ledger-gate/1\n" + text.encode())


def verdict_of(measured: Event, rule: Event) -> str:
    """See "The verdict": its rows, the first that fits."""
    metric, unit, examined = rule["metric"], measured["unit"], measured["examined"]
    value, baseline = measured["metrics"].get(metric), measured["baseline"]
    sign = 1 if rule.get("better", "lower") == "lower" else -1
    if measured["definition"] != definition_of(rule) or measured["problems"]:
        return "inconclusive"
    if value is None or not isfinite(value) or examined <= 0:
        return "inconclusive"
    if sign * value > sign * rule.get("threshold", 0.0) or examined < rule.get("min_examined", 1):
        return "fail"
    if unit == "tests" and not rule.get("allow_fewer") and examined < baseline.get("examined", examined):
        return "fail"
    if rule.get("baseline") and sign * value > sign * baseline.get(metric, value):
        return "fail"
    return "pass"


def environment_of(measured: Event) -> str:
    """See "A gate on a tree": the tools, joined."""
    return " ".join(f"{name}={measured['tools'][name]}" for name in sorted(measured["tools"]))


def outcomes_of(events: list[Event], tree: str, gate: str, rule: Event) -> list[str]:
    """See "A gate on a tree": the verdicts that count, in order."""
    runs = [
        event
        for event in events
        if event["kind"] == "gate.measured/1" and (event["tree"], event["gate"]) == (tree, gate)
    ]
    runs = [event for event in runs if event["definition"] == definition_of(rule)]
    return [verdict_of(event, rule) for event in runs if environment_of(event) == environment_of(runs[-1])]


def has_passed(events: list[Event], tree: str, gate: str, rule: Event) -> bool:
    """See "A gate on a tree"."""
    outcomes = outcomes_of(events, tree, gate, rule)
    return "pass" in outcomes and ("fail" not in outcomes or bool(rule.get("allow_flaky")))


def policy_at(events: list[Event], v: int) -> Event | None:
    """See "Policies": the profile in force, None before the first."""
    found = [event for event in events[:v] if event["kind"] == "policy.set/1"]
    return found[-1]["profiles"][found[-1]["profile"]] if found else None


def accepted_trees(events: list[Event], v: int, policy: Event | None = None) -> dict[str, int]:
    """See "The accepted state": every tree that is accepted by then, with the version that made it so.

    With ``policy``, that one is in force from the beginning.
    """
    accepted: dict[str, int] = {}
    for now in range(1, v + 1):
        asked = policy or policy_at(events, now)
        strict = {
            name: rule for name, rule in (asked or {"gates": {}})["gates"].items() if rule["mode"] == "strict"
        }
        trees = {event["tree"] for event in events[:now] if event["kind"] == "gate.measured/1"}
        for tree in trees - accepted.keys():
            if strict and all(has_passed(events[:now], tree, name, rule) for name, rule in strict.items()):
                accepted[tree] = now
    return accepted


def accepted_state(events: list[Event], v: int) -> tuple[int, str]:
    """See "The accepted state": version and tree of the newest live state that is accepted, or the base's."""
    accepted, live = accepted_trees(events, v), live_states(events, v)
    return next((state for state in reversed(live) if state[1] in accepted), live[0])


def open_questions(events: list[Event]) -> dict[int, int]:
    """See "`error.captured/1`": how often each open question was met, by the version of its first error."""
    met: dict[int, int] = {}
    for event in events:
        if event["kind"] == "error.captured/1":
            asked = event["same_as"] or event["v"]
            met[asked] = met.get(asked, 0) + 1
        elif event["kind"] in ("question.answered/1", "question.retired/1"):
            del met[event["error_v"]]
    return met


def open_tickets(events: list[Event]) -> dict[str, int]:
    """See "`ticket.opened/1`": the version of each gate's open ticket."""
    opened: dict[str, int] = {}
    for event in events:
        if event["kind"] == "ticket.opened/1":
            opened[event["gate"]] = event["v"]
        elif event["kind"] == "ticket.closed/1":
            assert opened.pop(event["gate"]) == event["ticket_v"]
    return opened
