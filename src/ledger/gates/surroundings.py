"""Surroundings: what a gate's command finds around it, and where its by-products go.

The command sees an allow-list of the user's variables and what is set here. Caches go to a
directory that lasts, data files to one that does not; neither lies in the measured tree, which is the
same after a measurement as before.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from ledger.gates.bytecode import BytecodeCache
from ledger.gates.imports import Provided, encode_names, list_provided
from patches.gitprogram import git_environment
from patches.model import Entry

GUARD_DIR = Path(__file__).with_name("guard")

_USUAL = frozenset(
    {
        "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ", "SOURCE_DATE_EPOCH",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT",
        "NODE_EXTRA_CA_CERTS",
        "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
        "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
    }
)  # fmt: skip


class Place(NamedTuple):
    """The directories of one execution; all are gone after it."""

    scratch: Path
    """What ``{scratch}`` stands for; empty at first."""
    data: Path
    """Where tools put data that nobody asked for."""
    imports: Path
    """Where the guard notes what was imported."""


class Surroundings(Struct, frozen=True, kw_only=True, dict=True):
    """Where commands run, and what of the user's environment they see.

    Args:
        root: The directory that holds the measured tree; commands start there.
        cache_dir: Where tools keep their caches between executions. It may be deleted at any time.
        tree_paths: Every path of the measured tree.
        variables: The user's environment, less what an outer git command set.
        env: Names of variables that the command sees besides the usual ones (`Rule.env`).
        outside: Packages that may be imported from elsewhere (`Rule.outside`).
        patches: What ``{range}`` stands for: the patches that led to the tree, as a range of events.
        entries: What the tree has at each path, where its bytecode is to be kept for the next execution.
    """

    root: Path
    cache_dir: Path
    tree_paths: Collection[bytes]
    variables: Mapping[str, str] = field(default_factory=git_environment)
    env: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    patches: str = ""
    entries: Mapping[bytes, Entry] = field(default_factory=dict[bytes, Entry])

    @cached_property
    def provided(self) -> Provided:
        """What the tree provides for import."""
        return list_provided(self.tree_paths)

    @property
    def own_environment(self) -> Path | None:
        """The tree's own Python environment, ``.venv``, where there is one.

        A link is followed: what its scripts name as their interpreter is there too, and by one path the
        bytecode of its libraries is found again from every tree that it is linked into.
        """
        venv = self.root / ".venv"
        venv = venv.resolve() if venv.is_symlink() else venv
        return venv if (venv / "bin" / "python").exists() else None

    def search_path(self) -> str:
        """Return PATH: the tree's own environment, the user's, the programs beside this interpreter.

        The last lets a ledger that was called by its path find the tools that were installed with it.
        """
        entries = [self.own_environment / "bin"] if self.own_environment else []
        users = self.variables.get("PATH", os.defpath).split(os.pathsep)
        # A relative entry means the tree, wherever the ledger was called.
        entries += [self.root / entry for entry in users if entry]
        if sys.executable:
            entries.append(Path(sys.executable).parent)
        return os.pathsep.join(dict.fromkeys(map(str, entries)))

    def find_program(self, name: str) -> Path | None:
        """Return the file that a command's first word names, on PATH or relative to the root."""
        if "/" in name:
            program = self.root / name
            return program if program.is_file() and os.access(program, os.X_OK) else None
        found = shutil.which(name, path=self.search_path())
        return None if found is None else Path(found)

    def explain_missing(self, name: str) -> str:
        """Return in words why `find_program` found nothing, and what helps."""
        if "/" in name:
            places = [self.root / name]
        else:
            places = [Path(entry, name) for entry in self.search_path().split(os.pathsep)]
        blocked = next((place for place in places if place.is_file()), None)
        if blocked is not None:
            return f"{name}: {blocked} is not executable: `chmod +x` it, or name its interpreter first"
        if "/" in name:
            return f"{name}: no such file in the measured tree"
        own = ".venv/bin of the tree, " if self.own_environment else ""
        return (
            f"{name}: command not found (looked in {own}PATH, and beside the ledger's own Python): "
            "install it in one of them, or give the gate another command"
        )

    def environment(self, place: Place) -> dict[str, str]:
        """Return all that a command sees. A cache that the user names (`Rule.env`) stays the user's."""
        given = {name: value for name, value in self.variables.items() if self._passes(name)}
        python_path = [str(GUARD_DIR), *filter(None, [given.get("PYTHONPATH")])]
        return {
            **self._by_products(place),
            **given,
            **self._virtual_env(),
            "PATH": self.search_path(),
            "PYTHONPATH": os.pathsep.join(python_path),
            "LEDGER_IMPORTS": str(place.imports),
            "TERM": "dumb",
        }

    def _passes(self, name: str) -> bool:
        return name in _USUAL or name.startswith("LC_") or name in self.env

    def _by_products(self, place: Place) -> dict[str, str]:
        cache = self.cache_dir
        return {
            "COVERAGE_FILE": str(place.data / "coverage"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
            "MYPY_CACHE_DIR": str(cache / "mypy"),
            "NOX_ENVDIR": str(cache / "nox"),
            "NUMBA_CACHE_DIR": str(cache / "numba"),
            "PYTHONPYCACHEPREFIX": str(self.bytecode_dir),
            "RUFF_CACHE_DIR": str(cache / "ruff"),
            # pytest puts its cache there. An option in PYTEST_ADDOPTS would be an error under
            # `--strict-config -p no:cacheprovider`, which does not know `cache_dir`.
            "TOX_ENV_DIR": str(cache / "pytest"),
            "TOX_WORK_DIR": str(cache / "tox"),
        }

    @property
    def bytecode_dir(self) -> Path:
        """Where Python keeps bytecode instead of beside the sources."""
        return self.cache_dir / "bytecode"

    def _virtual_env(self) -> dict[str, str]:
        """Return VIRTUAL_ENV where it is the tree's: another would contradict PATH."""
        if self.own_environment:
            return {"VIRTUAL_ENV": str(self.own_environment)}
        active = self.variables.get("VIRTUAL_ENV", "")
        inside = active and Path(active).resolve().is_relative_to(self.root.resolve())
        return {"VIRTUAL_ENV": active} if inside else {}

    @contextmanager
    def place(self) -> Generator[Place]:
        """Make the directories of one execution, outside the tree, and delete them after it."""
        temporary = self._temporary()
        if temporary.is_relative_to(self.root.resolve()):
            temporary = self.cache_dir
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        # What outlived its group may still write there.
        with tempfile.TemporaryDirectory(
            prefix="ledger-gate-", dir=temporary, ignore_cleanup_errors=True
        ) as top:
            place = Place(Path(top, "scratch"), Path(top, "data"), Path(top, "imports"))
            for directory in place:
                directory.mkdir()
            names = self.provided.names.difference(self.outside)
            (place.imports / "names").write_bytes(encode_names(names))
            yield place

    @cached_property
    def _bytecode(self) -> BytecodeCache:
        return BytecodeCache(self.bytecode_dir, self.root, self.entries)

    def forget_bytecode(self) -> None:
        """Delete the cached bytecode of what the tree has no more, and of temporary files.

        That of environments stays: their files do not change from state to state.
        """
        self._bytecode.forget()
        self._bytecode.forget_below(self._temporary())

    def distrust_bytecode(self) -> None:
        """Let all of the tree be compiled anew next time: it was changed while it was measured."""
        self._bytecode.distrust()

    def _temporary(self) -> Path:
        return Path(self.variables.get("TMPDIR") or tempfile.gettempdir()).resolve()
