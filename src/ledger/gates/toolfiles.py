"""The files in a tree that configure the tools of its gates.

Their blobs are facts of a measurement, and a patch that touches one is flagged: it can make a gate
pass without a change to the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ledger.policies import Step

if TYPE_CHECKING:
    from patches.model import Entry

# At the root, where the tool starts; and anywhere, where the tool looks beside every file it reads.
_AT_ROOT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ruff": frozenset(),
        "pytest": frozenset(
            {"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg"}
        ),
        "coverage": frozenset({".coveragerc", ".coveragerc.toml", "setup.cfg", "tox.ini"}),
        "mypy": frozenset({"mypy.ini", ".mypy.ini", "setup.cfg"}),
        "pyright": frozenset({"pyrightconfig.json"}),
        "ty": frozenset({"ty.toml"}),
        "bandit": frozenset({".bandit", "bandit.yaml", "bandit.yml", "bandit.toml"}),
        "detect-secrets": frozenset({".secrets.baseline"}),
        "pip-audit": frozenset(),
        "pip-licenses": frozenset(),
        "semgrep": frozenset({".semgrep.yml", ".semgrep.yaml", ".semgrepignore"}),
        "nox": frozenset({"noxfile.py"}),
        "tox": frozenset({"tox.ini", "tox.toml", "setup.cfg"}),
        "pre-commit": frozenset({".pre-commit-config.yaml"}),
        "lint-imports": frozenset({".importlinter", "setup.cfg"}),
        "make": frozenset({"GNUmakefile", "Makefile", "makefile"}),
        "ledger": frozenset({"ledger.toml", ".secrets.baseline"}),
    }
)
_ANYWHERE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ruff": frozenset({"ruff.toml", ".ruff.toml", "pyproject.toml"}),
        "pytest": frozenset({"conftest.py"}),
    }
)
_EVERY_TOOL = "pyproject.toml"
_ALIASES = MappingProxyType(
    {
        "basedpyright": "pyright", "dmypy": "mypy", "py.test": "pytest", "coverage3": "coverage",
        "ruff-check": "ruff", "ruff-format": "ruff", "junit": "pytest", "gitlab": "ty",
    }
)  # fmt: skip
# Where pytest measures coverage, or coverage runs pytest, both are configured.
_COMPANIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"pytest": ("coverage",), "coverage": ("pytest",)}
)
# What these run, only they know.
_RUNNERS = frozenset({"make", "nox", "tox", "pre-commit"})


def is_configuration(path: bytes) -> bool:
    """Whether some gate's tool is configured by the file at ``path``, relative to the tree's root."""
    return any(_configures(tool, path) for tool in _AT_ROOT)


def _configures(tool: str, path: bytes) -> bool:
    name = path.rpartition(b"/")[2].decode("utf-8", "replace")
    if name in _ANYWHERE.get(tool, ()):
        return True
    return b"/" not in path and (name == _EVERY_TOOL or name in _AT_ROOT[tool])


def tools_of(step: Step) -> frozenset[str]:
    """Return the known tools that a step runs, by its words and its format; none where it names none."""
    words = {word.rpartition("/")[2] for word in step.command} | {step.format}
    tools = {_ALIASES.get(word, word) for word in words}
    tools |= {companion for tool in tools for companion in _COMPANIONS.get(tool, ())}
    return frozenset(tools & _AT_ROOT.keys())


def configuration_of(step: Step, paths: Iterable[bytes]) -> list[bytes]:
    """Return those of a tree's paths that configure a step's tools, in their order.

    A step that names no known tool may run any of them (``make check``): every configuration
    counts. A file that the command names (``--config=ci/ruff.toml``) counts too.
    """
    tools = tools_of(step)
    if tools <= _RUNNERS:
        tools = _AT_ROOT.keys()
    words = [part for word in step.command for part in (word, word.partition("=")[2])]
    named = {word.removeprefix("./").encode("utf-8", "surrogateescape") for word in words}
    return [path for path in paths if path in named or any(_configures(tool, path) for tool in tools)]


def configuration_files(step: Step, entries: Iterable[tuple[bytes, Entry]]) -> dict[str, str]:
    """Return the oids of the blobs that configure a step's tools, by path.

    Args:
        step: The step.
        entries: The measured tree's, as `patches.tree.Tree.entries` gives them.
    """
    found = dict(entries)
    return {
        path.decode("utf-8", "backslashreplace"): found[path].oid.hex()
        for path in configuration_of(step, found)
    }
