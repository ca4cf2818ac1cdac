"""Two clones and the file between them: runs with real patches, export files that were tampered with."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pygit2

sys.path.insert(0, str(Path(__file__).parent))
import second_reader
from chronicle import Chronicle, Files, entries, rule, tree

from ledger.api import Ledger
from ledger.events import PatchApplied, RunRebased, RunStarted, event_digest
from ledger.policies import Policy
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from patches.oids import EMPTY_TREE
from patches.tree import Tree

Members: TypeAlias = dict[str, bytes]
RULE = rule()
POLICIES = {"dev": Policy(gates={"lint": rule("soft")}), "release": Policy(gates={"lint": RULE})}


def patch_between(old: Files, new: Files) -> bytes:
    """Return a patch, as Git writes it, between trees of files that have one line each, without an end."""
    parts: list[str] = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        if was == now:
            continue
        kind = (
            "new file mode 100644\n" if was is None else "deleted file mode 100644\n" if now is None else ""
        )
        before = f"a/{path}" if was is not None else "/dev/null"
        after = f"b/{path}" if now is not None else "/dev/null"
        sizes = f"-{int(was is not None)}{',0' * (was is None)} +{int(now is not None)}{',0' * (now is None)}"
        parts.append(f"diff --git a/{path} b/{path}\n{kind}--- {before}\n+++ {after}\n@@ {sizes} @@\n")
        parts += [f"-{was}\n\\ No newline at end of file\n"] if was is not None else []
        parts += [f"+{now}\n\\ No newline at end of file\n"] if now is not None else []
    return "".join(parts).encode()


def give_patches(story: Chronicle) -> Chronicle:
    """Return the run with a real patch for each change of its tree."""
    by_tree = {tree(files): files for files in story.contents.values()}
    for index, event in enumerate(story.events):
        if isinstance(event, PatchApplied):
            data = patch_between(by_tree[event.base_tree], by_tree[event.result_tree])
            known = {"patch": story.body(data), "patch_size_bytes": len(data)}
            story.events[index] = msgspec.structs.replace(event, **known)
    return story


def rich_run(stamp: Stamp, run: str = "port") -> Chronicle:
    """Return a run of which every kind of reference can be tampered with."""
    story = Chronicle(stamp, {"a": "0", "d/b": "0"}, run=run)
    story.set_policy(POLICIES, "release", reason=story.body(b"because"))
    story.enter_phase("P3")
    first = story.patch({"a": "1", "d/b": "0"}, note=story.body("a note: é".encode()))
    report = story.body(b'{"metrics":{},"examined":1,"unit":"files","findings":[{"rule":"E1","path":"a"}]}')
    story.measure("lint", RULE, report=report, output=story.body(b"$ check\n"))
    second = story.patch({"a": "1", "c": "9"})
    failed = story.measure("lint", RULE, metrics={"findings": 1.0})
    story.roll_back(first, measured=[failed])
    story.patch({"a": "1", "c": "9"}, of=second)
    story.rebase({"a": "1", "base": "1"})
    story.patch({"a": "1", "base": "1", "c": "9"}, cause="rebase", of=second)
    asked = story.capture_error("3:build", "no such file: é")
    story.capture_error("3:build", "no such file: é", same_as=asked)
    story.answer(asked, "the step before makes it")
    story.finish()
    return give_patches(story)


class Clone:
    """A repository that has the base trees of some runs, and its ledger."""

    def __init__(self, root: Path, stamp: Stamp, *stories: Chronicle) -> None:
        pygit2.init_repository(str(root), initial_head="main")
        self.ledger = Ledger.open(root, stamp=stamp)
        for story in stories:
            self.take_bases(story)

    def take_bases(self, story: Chronicle) -> None:
        """Have what a fetch would bring."""
        by_tree = {tree(files): files for files in story.contents.values()}
        objects = self.ledger.repository.objects
        for event in story.events:
            if isinstance(event, RunStarted | RunRebased):
                files = by_tree[event.base_tree if isinstance(event, RunStarted) else event.result_tree]
                for text in files.values():
                    objects.add_blob(text.encode())
                made = Tree(objects, EMPTY_TREE)
                made.update(entries(files))
                assert made.write().hex() == tree(files)
        objects.flush()

    @property
    def path(self) -> Path:
        return self.ledger.path

    def write(self, *stories: Chronicle, after_v: int = 0, until_v: int | None = None) -> None:
        """Record runs, or what comes next of them, as their home does."""
        store = LocalStore.open(self.path, self.ledger._stamp, create=True)
        for story in stories:
            for data in story.bodies.values():
                store.write_body(data)
            store.append(story.events[after_v:until_v], after_v + 1)
        store.close()

    def stored(self, run: str = "port") -> list[bytes]:
        """Return the stored bytes of a run's events."""
        return [bytes(frame.e) for frame in self.ledger.store.frames() if frame.event.run == run]

    def files(self) -> dict[str, bytes]:
        """Return every byte of the ledger's directory, but for what can be made again."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and path.relative_to(self.path).parts[0] not in ("cache", "locks")
        }


def read_members(path: Path) -> Members:
    """Return what is in an export file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a ZIP file that need not be a bundle."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path.write_bytes(data.getvalue())
    return path


def forge(members: Members, change: Callable[[list[dict[str, Any]]], object], run: str = "port") -> Members:
    """Return a bundle with other events, as somebody makes it who knows how chains and digests are made."""
    name = f"events/{run}.jsonl"
    fields = [json.loads(line) for line in members[name].splitlines()]
    change(fields)
    return rechain(members, [json.dumps(each, separators=(",", ":")).encode() for each in fields], run)


def rechain(members: Members, lines: list[bytes], run: str = "port") -> Members:
    """Return a bundle with these events, each given the ``prev`` that it needs, and a manifest that fits."""
    prev, chained = "0" * 64, list[bytes]()
    for line in lines:
        at = line.find(b'"prev":"')
        chained.append(line if at < 0 else line[: at + 8] + prev.encode() + line[at + 8 + 64 :])
        prev = event_digest(chained[-1])
    manifest = json.loads(members["manifest.json"])
    (entry,) = (each for each in manifest["runs"] if each["run"] == run)
    entry |= {"events": len(lines), "digest": prev}
    bases = [json.loads(line) for line in lines]
    entry["bases"] = [
        {"commit": each["head"], "tree": each.get("result_tree", each["base_tree"])}
        for each in bases
        if each["kind"] in ("run.started/1", "run.rebased/1")
    ]
    return {
        **members,
        "manifest.json": json.dumps(manifest, separators=(",", ":")).encode(),
        f"events/{run}.jsonl": b"".join(line + b"\n" for line in chained),
    }


def assert_same(source: Ledger, target: Ledger, run: str, bodies: Mapping[str, bytes]) -> None:
    """Every reader gives the same of a run in both ledgers: bytes, states, what is accepted."""
    heads = [ledger.store.heads()[run] for ledger in (source, target)]
    assert (heads[0].v, heads[0].digest, heads[0].tree) == (heads[1].v, heads[1].digest, heads[1].tree)
    runs = [
        second_reader.check_runs(second_reader.read_frames(ledger.path))[run] for ledger in (source, target)
    ]
    assert runs[0] == runs[1]
    for v in range(1, heads[0].v + 1):
        states = [ledger.state(f"{run}:{v}") for ledger in (source, target)]
        assert states[0] == states[1]
        assert (
            second_reader.tree_of(second_reader.state_at(target.path, runs[1], v)[1])
            == states[0].recorded_tree
        )
        assert source.history(f"{run}:{v}").accepted == target.history(f"{run}:{v}").accepted
    assert list(in_sql(source, run)) == list(in_sql(target, run))
    named = {digest for event in runs[1] for digest in second_reader.bodies_of(event)}
    assert {digest: second_reader.read_body(target.path, digest) for digest in named} == {
        digest: bodies[digest] for digest in named
    }


def in_sql(ledger: Ledger, run: str) -> Iterator[list[Any]]:
    """Yield what the views have of a run."""
    last = ledger.store.heads()[run].v
    for view in ("runs", "patches", "patch_files", "policies", "gates", "findings"):
        yield ledger.sql(f"select * from {view} where run = $run order by all", {"run": run}).fetchall()
    for v in {2, last // 2, last}:
        for macro in ("state_at", "accepted_at"):
            yield ledger.sql(f"select * from {macro}($run, $v)", {"run": run, "v": v}).fetchall()
