"""Repositories whose one gate is under test, measured by the real `ledger gate` with the real tool."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from shell import Done, Shell

TOOLS = Path(sys.executable).parent
JUNIT = "{scratch}/junit.xml"
PYTEST = ("pytest", "-q", f"--junitxml={JUNIT}")

ADD = b"def add(a, b):\n    return a + b\n"
TEST_ADD = b"from demo import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
PROJECT = {
    "src/demo/__init__.py": ADD,
    "tests/test_add.py": TEST_ADD,
    "pyproject.toml": b'[project]\nname = "demo"\n\n[tool.pytest.ini_options]\npythonpath = ["src"]\n',
}


def toml(value: object) -> str:
    """Return a value as TOML, which writes strings, numbers and truth values as JSON does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def gate_table(name: str, options: Mapping[str, object]) -> str:
    lines = [f"[gates.{name}]", *(f"{key.replace('_', '-')} = {toml(it)}" for key, it in options.items())]
    return "\n".join(lines) + "\n"


def strict_policy(more: str = "", **gates: Mapping[str, object]) -> bytes:
    """Return a ``ledger.toml`` in which these gates alone are measured, all of them strict."""
    off = [name for name in ("lint", "tests", "cov") if name not in gates]
    tables = [gate_table(name, {"mode": "off", "reason": "not under test"}) for name in off]
    tables += [gate_table(name, options) for name, options in gates.items()]
    return "\n".join(['profile = "release"\n', *tables, textwrap.dedent(more)]).encode()


class Gating:
    """What one `ledger gate` came to: its words, and the events that it left."""

    def __init__(self, done: Done, events: list[dict[str, Any]], accepted_refs: str) -> None:
        self.done = done
        self.events = events
        self.accepted_refs = accepted_refs
        assert done.out.startswith("{"), f"exit code {done.code}: {done.err}"
        self.record: dict[str, Any] = json.loads(done.out)

    @property
    def measured(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == "gate.measured/1"]

    def result(self, gate: str = "probe") -> dict[str, Any]:
        """Return what is said of one gate."""
        return next(each for each in self.record["gates"] if each["gate"] == gate)

    def is_green(self) -> bool:
        """Tell whether anything at all says that this tree may stay."""
        return (
            self.done.code == 0
            or self.record["accepted"]
            or self.accepted_refs != ""
            or any(result["verdict"] == "pass" for result in self.record["gates"])
            or any(event["verdict"] == "pass" for event in self.measured)
        )


class Bench(Shell):
    """A repository, the command in it, and its events read from the log's own bytes."""

    def __init__(self, root: Path, git: Callable[..., str]) -> None:
        super().__init__(root)
        self.git = git

    def __call__(self, *words: str | Path, data: bytes = b"", **env: str) -> Done:
        """Run the command as in the activated environment: its tools come before the system's."""
        path = os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)])
        return super().__call__(*words, data=data, **({"PATH": path} | env))

    @property
    def events(self) -> list[dict[str, Any]]:
        common = Path(self.git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=self.root))
        segments = sorted((common / "ledger/log").glob("*.jsonl"))
        return [json.loads(line)["e"] for each in segments for line in each.read_bytes().splitlines()]

    def gate(self, *words: str, **env: str) -> Gating:
        done = self("gate", "--json", *words, data=b"", **env)
        refs = self.git("for-each-ref", "refs/ledger/*/accepted", cwd=self.root)
        return Gating(done, self.events, refs)

    def write(self, path: str, content: bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def commit(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self.write(path, content)
        self.git("add", "--all", cwd=self.root)
        self.git("commit", "--quiet", "--message", "more", cwd=self.root)

    def git_diff(self, files: Mapping[str, bytes]) -> str:
        """Return Git's own patch from HEAD to other contents; the work tree stays as it is."""
        before = {path: (self.root / path).read_bytes() for path in files}
        for path, content in files.items():
            self.write(path, content)
        patch = self.git("diff", "--binary", "HEAD", cwd=self.root) + "\n"
        for path, content in before.items():
            self.write(path, content)
        return patch

    def traces(self) -> str:
        """Return what git finds in the work tree besides what it tracks, ignored files too.

        The questions file is the ledger's own, and no gate's.
        """
        but = ":(top,exclude)docs/reference/codex_questions.md"
        return self.git(
            "status", "--porcelain", "--ignored", "--untracked-files=all", "--", ":/", but, cwd=self.root
        )


def make_environment(place: Path, *import_from: Path) -> Path:
    """Make a virtual environment that has the test tools, and imports some trees as editable installs do."""
    packages = place / f"lib/python3.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    (place / "bin").mkdir()
    (place / "bin/python").symlink_to(Path(sys.executable).resolve())
    (place / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n", "utf-8")
    for number, tree in enumerate(import_from):
        (packages / f"__editable__.demo-{number}.pth").write_text(f"{tree}\n", "utf-8")
    own = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "tools.pth").write_text(f"{own}\n", "utf-8")
    script = place / "bin/pytest"
    script.write_text(
        f"#!{place}/bin/python\nimport pytest\nraise SystemExit(pytest.console_main())\n", "utf-8"
    )
    script.chmod(0o755)
    return place


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return state not in (b"Z", b"X")


def numbers_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text("utf-8").split()] if path.exists() else []


def verdicts(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {event["gate"]: event["verdict"] for event in events}
