"""Writes ``constraints.txt``: an exact version of all that the core, the extras and the test tools need.

pip resolves anew, without installing, once per supported Python that is found on this machine; the answers
are merged, and where two Pythons need two versions the line carries a marker. Only names and versions
are kept: where they come from is each user's own configuration.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")
HEADER = """\
# Everything that `make` installs, at exact versions, for Python {pythons} on Linux.
# Written by `make pins`; a change by hand is lost.
"""

Pins = dict[str, str]


def find_interpreter(version: str) -> str | None:
    """Return the command of a running Python ``version`` with venv, or None."""
    check = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for command in (f"python{version}", "python3", sys.executable):
        try:
            done = subprocess.run([command, "-c", check], capture_output=True, text=True, check=False)
        except OSError:
            continue
        found, _, executable = done.stdout.strip().partition(" ")
        if done.returncode == 0 and found == version:
            return executable
    return None


def resolve(interpreter: str) -> Pins:
    """Ask pip, in a fresh environment of ``interpreter``, what it would install for everything.

    Raises:
        subprocess.CalledProcessError: pip could not resolve; its message is on stderr.
    """
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([interpreter, "-m", "venv", scratch], check=True)
        report = Path(scratch, "report.json")
        command = [
            str(Path(scratch, "bin", "python")),
            "-m",
            "pip",
            "install",
            "-qq",
            "--no-input",
            "--dry-run",
        ]
        command += ["--ignore-installed", "--report", str(report), "-e", f"{ROOT}[all,dev]"]
        subprocess.run(command, check=True)
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    own = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["name"]
    metadata = [item["metadata"] for item in found["install"]]
    return {canonical(each["name"]): each["version"] for each in metadata if each["name"] != own}


def canonical(name: str) -> str:
    """Return ``name`` as an index compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def encode_lines(name: str, versions: Pins) -> list[str]:
    """Return the lines for one package; its last version also holds for later Pythons."""
    if len(set(versions.values())) == 1:
        return [f"{name}=={next(iter(versions.values()))}"]
    lines: list[str] = []
    for python, pinned in versions.items():
        later = [each for each in versions if PYTHONS.index(each) > PYTHONS.index(python)]
        last = all(versions[each] == pinned for each in later)
        lines.append(f'{name}=={pinned}; python_version {">=" if last else "=="} "{python}"')
        if last:
            break
    return lines


def encode(pins: dict[str, Pins]) -> str:
    """Return the file's text for ``pins``, one answer per Python version."""
    lines: list[str] = []
    for name in sorted({name for answer in pins.values() for name in answer}):
        lines += encode_lines(
            name, {python: answer[name] for python, answer in pins.items() if name in answer}
        )
    return HEADER.format(pythons=", ".join(pins)) + "\n".join(lines) + "\n"


def main() -> int:
    """Resolve for each Python found and write the file.

    Returns:
        0, or 1 when no supported Python was found; 1 leaves the file as it was.
    """
    pins: dict[str, Pins] = {}
    for version in PYTHONS:
        interpreter = find_interpreter(version)
        if interpreter is None:
            print(f"Python {version} was not found: its pins are not checked", file=sys.stderr)
            continue
        print(f"resolving for Python {version}", file=sys.stderr)
        pins[version] = resolve(interpreter)
    if not pins:
        return 1
    TARGET.write_text(encode(pins), "utf-8")
    print(f"{TARGET.name}: {len(set().union(*pins.values()))} packages", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
