"""The tools of a gate: their versions and the Python environment they run in, read without running them.

A program in a Python environment is known by the names of the ``*.dist-info`` directories there. Only
what lies outside of one is asked (``--version``).

See: PyPUG, "Recording installed projects", "Core metadata"; PEP 405 (``pyvenv.cfg``).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import NamedTuple

from ledger.gates.processes import Limits, run_group
from ledger.gates.surroundings import Surroundings

_DIGEST_SIZE = 12
_ASK_TIMEOUT_S = 10.0
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_PYTHON = re.compile(r"(?:pypy|python)[\d.]*")
_DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")
# ``uv run pytest``: the tool is the first word after ``run`` that is no option.
_RUNNERS = frozenset({"uv", "poetry", "pdm", "hatch", "rye", "pipenv", "pixi"})


class Environment(NamedTuple):
    """A Python environment: its interpreter, and where distributions are installed in it."""

    python: Path
    site_dirs: tuple[Path, ...]

    def distributions(self) -> dict[str, tuple[str, Path]]:
        """Return version and metadata directory of every installed distribution, by normalized name."""
        found: dict[str, tuple[str, Path]] = {}
        for directory in self.site_dirs:
            for name in _list_names(directory):
                match = _DISTRIBUTION.fullmatch(name)
                if match:
                    # The first on the path is the one that is imported.
                    found.setdefault(_normalized(match["name"]), (match["version"], directory / name))
        return found

    def digest(self) -> str:
        """Return twelve hexadecimal digits over all names and versions, and where editable ones point."""
        lines = [f"{name}=={version}" for name, (version, _) in self.distributions().items()]
        digest = sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape"))
        for path in self._origins():
            digest.update(b"\0%b\0%b" % (os.fsencode(path.name), _content(path)))
        return digest.hexdigest()[:_DIGEST_SIZE]

    def _origins(self) -> Iterator[Path]:
        """Yield the files that say where a distribution came from, or where its modules are."""
        for directory in self.site_dirs:
            for name in sorted(_list_names(directory)):
                if name.endswith((".pth", ".egg-link")) or name.startswith("__editable__"):
                    yield directory / name
                elif name.endswith(".dist-info"):
                    yield directory / name / "direct_url.json"


def tool_versions(command: Sequence[str], surroundings: Surroundings) -> dict[str, str]:
    """Return what a command's result depends on besides the tree.

    The keys are tools by their command or distribution name, ``python`` and ``environment`` (a
    digest over all that is installed). A program of the tree itself has no version but the tree's.

    Args:
        command: The argument vector of a step.
        surroundings: The tree, and PATH. A program that had to be asked is remembered in its
            ``cache_dir`` until the file changes.
    """
    versions: dict[str, str] = {}
    for name, module in _named_tools(command):
        program = surroundings.find_program(name)
        if program is None:
            continue
        environment = find_environment(program, surroundings)
        if environment is None:
            versions |= _ask(program, surroundings)
            continue
        versions["python"] = _python_version(environment, surroundings)
        versions["environment"] = environment.digest()
        distribution = _distribution_of(environment, module or program.name, is_module=bool(module))
        if distribution:
            versions[distribution[0]] = distribution[1]
    return versions


def _named_tools(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (program, module run by ``-m``) of a command, and of the command that it runs."""
    name = Path(command[0]).name
    module = ""
    if _PYTHON.fullmatch(name) and "-m" in command[:-1]:
        module = command[command.index("-m") + 1]
    yield command[0], module
    if name in _RUNNERS and "run" in command:
        rest = command[command.index("run") + 1 :]
        start = next((at for at, word in enumerate(rest) if not word.startswith("-")), None)
        if start is not None:
            yield from _named_tools(rest[start:])


def find_environment(program: Path, surroundings: Surroundings) -> Environment | None:
    """Return the Python environment that a program belongs to, None where it is no Python program.

    A program lies in a virtual environment (itself or through symlinks), is an interpreter, or names
    one in its first line.
    """
    for step in _link_chain(program):
        if (step.parent.parent / "pyvenv.cfg").is_file():
            return _virtual(step.parent.parent)
    if _PYTHON.fullmatch(program.name):
        if (real := program.resolve()).name and _PYTHON.fullmatch(real.name):
            return _installed(real, surroundings)
        return None
    interpreter = _read_interpreter(program, surroundings)
    return None if interpreter is None else find_environment(interpreter, surroundings)


def _link_chain(program: Path) -> Iterator[Path]:
    """Yield a path, and where its symlinks lead step by step: resolving at once skips environments."""
    for _ in range(40):  # As many as the kernel follows (``path_resolution(7)``).
        yield program
        if not program.is_symlink():
            return
        program = program.parent / program.readlink()


def _read_interpreter(program: Path, surroundings: Surroundings) -> Path | None:
    """Return the interpreter that a script's first line names, where it is a Python."""
    with program.open("rb") as file:
        line = os.fsdecode(file.readline(1024))
        # Installers write long paths into a second line: ``'''exec' /long/bin/python "$0" "$@"``.
        wrapped = os.fsdecode(file.readline(1024)) if line.strip() == "#!/bin/sh" else ""
    if not line.startswith("#!"):
        return None
    words = (wrapped or line[2:]).replace("'''exec'", "").replace('"', "").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    if not words or not _PYTHON.fullmatch(Path(words[0]).name):
        return None
    return surroundings.find_program(words[0])


def _virtual(prefix: Path) -> Environment:
    text = _content(prefix / "pyvenv.cfg").decode("utf-8", "replace")
    settings = dict(re.findall(r"(?m)^([\w-]+)\s*=\s*(.*?)\s*$", text))
    python = prefix / "bin" / "python"
    own = sorted(prefix.glob("lib*/python3*/site-packages"))
    if settings.get("include-system-site-packages", "").lower() == "true":
        own += _base_site_dirs(python.resolve())
    return Environment(python, tuple(_distinct(own)))


def _installed(python: Path, surroundings: Surroundings) -> Environment:
    home = surroundings.variables.get("HOME")
    users = sorted(Path(home, ".local/lib").glob("python3*/site-packages")) if home else []
    return Environment(python, tuple(_distinct([*users, *_base_site_dirs(python)])))


def _base_site_dirs(python: Path) -> list[Path]:
    """Return where a system's interpreter finds packages; Debian has its own places."""
    prefix = python.parent.parent
    version = re.sub(r"[^\d.]", "", python.name)
    patterns = (
        f"local/lib/python{version or '3*'}/dist-packages",
        f"lib*/python{version or '3*'}/site-packages",
        "lib/python3/dist-packages",
    )
    return [directory for pattern in patterns for directory in sorted(prefix.glob(pattern))]


def _distinct(directories: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for directory in directories:
        real = directory.resolve()  # lib64 is a link to lib.
        if real not in seen:
            seen.add(real)
            yield directory


def _distribution_of(environment: Environment, name: str, *, is_module: bool) -> tuple[str, str] | None:
    """Return name and version of the distribution that provides a command or a module."""
    distributions = environment.distributions()
    wanted = name.partition(".")[0] if is_module else name
    if found := distributions.get(_normalized(wanted)):
        return _normalized(wanted), found[0]
    for distribution, (version, directory) in distributions.items():
        if _provides(directory, wanted, is_module=is_module):
            return distribution, version
    return None


def _provides(directory: Path, name: str, *, is_module: bool) -> bool:
    quoted = re.escape(os.fsencode(name))
    if is_module:
        return re.search(rb"(?m)^%b(/__init__)?\.py," % quoted, _content(directory / "RECORD")) is not None
    return re.search(rb"(?m)^%b\s*=" % quoted, _content(directory / "entry_points.txt")) is not None


def _python_version(environment: Environment, surroundings: Surroundings) -> str:
    """Return the version of the interpreter itself: ``pyvenv.cfg`` keeps the one it was made with."""
    real = environment.python.resolve()
    if not real.is_file():
        return "missing"
    answer = next(iter(_ask(real, surroundings).values()), "")
    return answer.removeprefix("Python ")


def _ask(program: Path, surroundings: Surroundings) -> dict[str, str]:
    """Return what a program outside of Python environments says of its version.

    A program of the measured tree is not asked: what it does is not known, and it is in the tree.
    """
    if program.resolve().is_relative_to(surroundings.root.resolve()):
        return {}
    found = program.resolve().stat()
    key = f"{program}\0{program.resolve()}\0{found.st_size}\0{found.st_mtime_ns}"
    entry = surroundings.cache_dir / "versions" / sha256(os.fsencode(key)).hexdigest()
    # A script may be a shim that answers for another program in each directory.
    lasting = not _starts_with(program, b"#!")
    answer = _content(entry).decode("utf-8", "replace") if lasting else ""
    if not answer:
        answer = _run_version(program, surroundings)
        if lasting and answer:
            _write_whole(entry, answer.encode())
    return {program.name: answer or "unknown"}


def _run_version(program: Path, surroundings: Surroundings) -> str:
    """Return the version in a program's answer, or the answer's first line; "" where it gave none."""
    output = bytearray()
    with surroundings.place() as place:
        try:
            ending = run_group(
                [program.name, "--version"],
                program=program,
                cwd=surroundings.root,
                environment=surroundings.environment(place),
                limits=Limits(_ASK_TIMEOUT_S, Event()),
                receive=lambda _, data: output.extend(data),
            )
        except (OSError, subprocess.SubprocessError):
            return ""
    if ending.returncode != 0:
        return ""
    line = output.decode("utf-8", "replace").strip().partition("\n")[0][:200]
    version = _VERSION.search(line)
    return version[0] if version else line


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that readers see whole or not at all; two writers say the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _starts_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _list_names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _normalized(name: str) -> str:
    """Return a distribution's name as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
