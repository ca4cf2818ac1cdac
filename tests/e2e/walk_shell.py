"""The command in the repository of a long walk: what each step said, and the trees that Git found after it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from shell import LEDGER, Done, Shell
from transcripts import run_in_order


class Walk(Shell):
    """The repository, the command in it, and what the steps said, by their names."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        super().__init__(root)
        self.environment = dict(environment)
        self.said: dict[str, Done] = {}
        self.typed: list[tuple[str, str]] = []
        self.trees: dict[str, str] = {}
        self.index: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def __call__(self, *words: str | Path, data: bytes = b"", **env: str) -> Done:
        """Run the command in the walk's own environment."""
        command = [LEDGER, *map(str, words)]
        environment = self.environment | env
        done = subprocess.run(
            command, cwd=self.root, env=environment, input=data, capture_output=True, check=False
        )
        return Done(done)

    def step(self, name: str, *words: str | Path, code: int = 0) -> Done:
        """Take one step, keep what it said and the tree that Git then finds in index and work tree."""
        done = self.type("ledger", *words, code=code)
        self.said[name] = done
        self.trees[name] = self.git_tree()
        self.index[name] = self.git("write-tree")
        self.versions[name] = len(self.events)
        return done

    def type(self, *words: str | Path, code: int = 0) -> Done:
        """Run a command as a person types it, and keep it for the tutorial with what the terminal shows."""
        shown = [os.path.relpath(word, self.root) if isinstance(word, Path) else word for word in words]
        program = LEDGER if shown[0] == "ledger" else shown[0]
        said = run_in_order([program, *shown[1:]], cwd=self.root, environment=self.environment)
        line = shlex.join(shown)
        assert said.code == code, f"{line}: exit code {said.code}\n{said.both.decode()}"
        ending = f"(exit code {code})\n" if code else ""
        self.typed.append((line, said.both.decode("utf-8") + ending))
        return Done(subprocess.CompletedProcess(words, said.code, said.out, said.err))

    def git(self, *words: str | Path, **env: str) -> str:
        done = subprocess.run(
            ["git", *map(str, words)],
            cwd=self.root,
            env=self.environment | env,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def git_tree(self) -> str:
        """Return the tree of the work tree as Git hashes it with an index of its own, read from nothing."""
        index = self.root.parent / "oracle.index"
        index.unlink(missing_ok=True)
        self.git("add", "--all", ".", GIT_INDEX_FILE=str(index))
        return self.git("write-tree", GIT_INDEX_FILE=str(index))

    def diff(self, name: str, revisions: str, *paths: str) -> Path:
        """Write Git's diff between two revisions for some paths, and return the file."""
        target = self.root.parent / f"{name}.diff"
        words = ("diff", "--binary", "--full-index", revisions, "--", *paths)
        target.write_text(self.git(*words) + "\n", "utf-8")
        self.typed.append((f"git {shlex.join(words)} > ../{target.name}", ""))
        return target

    def edit(self, name: str, path: str, old: str, new: str) -> Path:
        """Write the diff that replaces some text of a file by other text; the file itself stays as it is."""
        before = (self.root / path).read_text("utf-8")
        assert old in before
        sides = self.root.parent / name
        for side, text in (("a", before), ("b", before.replace(old, new, 1))):
            (sides / side / path).parent.mkdir(parents=True)
            (sides / side / path).write_text(text, "utf-8")
        command = ["git", "diff", "--no-index", "--no-prefix", f"a/{path}", f"b/{path}"]
        done = subprocess.run(command, cwd=sides, env=self.environment, capture_output=True, check=False)
        patch = self.root.parent / f"{name}.diff"
        patch.write_bytes(done.stdout)
        self.type("cat", patch)
        return patch

    def applied(self, tree: str, *names: str) -> str:
        """Return the tree that Git itself makes of a tree and the patches of these names."""
        index = {"GIT_INDEX_FILE": str(self.root.parent / "oracle.index")}
        self.git("read-tree", tree, **index)
        for name in names:
            self.git("apply", "--cached", self.root.parent / f"{name}.diff", **index)
        return self.git("write-tree", **index)

    def sql(self, query: str) -> list[dict[str, Any]]:
        done = self("sql", "-", "--json", data=query.encode())
        assert done.code == 0, done.err
        return json.loads(done.out)

    def status(self) -> dict[str, Any]:
        return json.loads(self("status", "--json").out)

    @property
    def events(self) -> list[dict[str, Any]]:
        segments = sorted((self.root / ".git/ledger/log").glob("*.jsonl"))
        return [json.loads(line)["e"] for each in segments for line in each.read_bytes().splitlines()]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == f"{kind}/1"]

    def event(self, name: str) -> dict[str, Any]:
        """Return the first event that a step's output names."""
        return self.events[int(self.said[name].out.split()[0].removeprefix("walk:")) - 1]

    def record(self, name: str) -> Any:
        """Return what a step printed as JSON."""
        return json.loads(self.said[name].out)

    def listed(self, name: str) -> list[str]:
        """Return the commands that a refused `run finish` lists, but for the one that gives the rest up.

        Edits come first: they make another tree, and no gate measures beside them.
        """
        found = re.findall(r"^note: .*: `(ledger [^`]+)`$", self.said[name].err, re.MULTILINE)
        single = dict.fromkeys(each for some in found for each in some.split(", or "))
        return sorted((each for each in single if "--waive" not in each), key="ledger record".__ne__)
