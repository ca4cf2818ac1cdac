"""Versions of tools: read where they are installed, compared with what the tools say themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from execution_lab import HERE, SITE, make_venv, surround

from ledger.gates.tools import find_environment, tool_versions

PYTHON = sys.version.split()[0]


@pytest.mark.parametrize(
    ("command", "distribution"),
    [
        (("ruff", "check", "."), "ruff"),
        (("pytest", "-q"), "pytest"),
        (("py.test",), "pytest"),
        (("coverage", "run"), "coverage"),
        (("lint-imports",), "import-linter"),
        (("python", "-m", "pytest"), "pytest"),
        (("python3", "-X", "dev", "-m", "coverage.cmdline"), "coverage"),
        (("python", "-m", "importlinter.cli"), "import-linter"),
        (("uv", "run", "-q", "pytest", "-x"), "pytest"),
    ],
)
def test_a_tool_of_an_environment_is_known_without_running_it(
    repo: Path, command: tuple[str, ...], distribution: str
) -> None:
    """By its command, its entry point or its module; as importlib.metadata says it."""
    found = tool_versions(command, surround(repo))
    assert found.pop("environment") == tool_versions(("python",), surround(repo))["environment"]
    assert found == {distribution: version(distribution), "python": PYTHON}


def test_a_program_of_no_environment_is_asked_once(repo: Path, tmp_path: Path) -> None:
    around = surround(repo, cache_dir=tmp_path / "cache")
    said = subprocess.check_output(["git", "--version"], text=True).split()[2]
    assert tool_versions(("git", "diff"), around) == {"git": said}
    (entry,) = (tmp_path / "cache/versions").iterdir()
    entry.write_text("remembered", "utf-8")
    assert tool_versions(("git", "diff"), around) == {"git": "remembered"}


def test_a_shim_is_asked_each_time_and_a_program_of_the_tree_never(repo: Path, tmp_path: Path) -> None:
    """A shim's answer is that of another program; what a script of the tree would do is not known."""
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin/shim"
    shim.write_text("#!/bin/sh\ncat version\n", "utf-8")
    shim.chmod(0o755)
    around = surround(repo, variables={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    for number in ("1.2.3", "1.2.4"):
        (repo / "version").write_text(number, "utf-8")
        assert tool_versions(("shim",), around) == {"shim": number}
    (repo / "tool.sh").write_text("#!/bin/sh\ntouch ran\n", "utf-8")
    assert tool_versions(("./tool.sh",), around) == {}
    assert not (repo / "ran").exists()
    assert tool_versions(("no-such-tool",), around) == {}


def test_a_program_that_does_not_answer_is_unknown(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mute").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    (tmp_path / "bin/mute").chmod(0o755)
    around = surround(repo, variables={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert tool_versions(("mute",), around) == {"mute": "unknown"}


def test_a_tool_linked_from_elsewhere_belongs_to_the_environment_it_is_in(repo: Path, tmp_path: Path) -> None:
    """As pipx and uv install tools: a link in the user's bin, the environment far away."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ruff").symlink_to(HERE / "ruff")
    (tmp_path / "bin/pytest").write_bytes((HERE / "pytest").read_bytes())  # only its first line says where
    (tmp_path / "bin/pytest").chmod(0o755)
    around = surround(repo, variables={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert tool_versions(("ruff",), around)["ruff"] == version("ruff")
    found = tool_versions(("pytest",), around)
    assert (found["pytest"], found["python"]) == (version("pytest"), PYTHON)


def test_an_interpreter_without_an_environment_has_its_own(repo: Path) -> None:
    around = surround(repo, variables={"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin"})
    base = around.find_program("python3")
    assert base is not None
    environment = find_environment(base, around)
    assert environment is not None
    code = "import sys, sysconfig; print(sys.version.split()[0], sysconfig.get_path('purelib'))"
    number, purelib = subprocess.check_output([base, "-c", code], text=True).split()
    assert tool_versions(("python3", "-m", "unittest"), around)["python"] == number
    assert (
        Path(purelib).resolve() in {each.resolve() for each in environment.site_dirs}
        or not Path(purelib).exists()
    )


def test_the_digest_is_of_what_is_installed_and_where_editable_code_lies(repo: Path, tmp_path: Path) -> None:
    bin_dir = make_venv(tmp_path / "venv", tmp_path / "one")
    site = next(bin_dir.parent.glob("lib/python3*/site-packages"))
    around = surround(repo, variables={"PATH": f"{bin_dir}:/usr/bin:/bin"})

    def digest() -> str:
        return tool_versions(("python",), around)["environment"]

    digests = [digest()]
    assert re.fullmatch(r"[0-9a-f]{12}", digests[0])
    (site / "demo-1.0.dist-info").mkdir()
    digests.append(digest())
    (site / "demo-1.0.dist-info").rename(site / "demo-1.1.dist-info")
    digests.append(digest())
    (site / "demo-1.1.dist-info/direct_url.json").write_text('{"url": "file:///two"}', "utf-8")
    digests.append(digest())
    (site / "_demo.pth").write_text(f"{tmp_path}/two\n", "utf-8")
    digests.append(digest())
    assert len(set(digests)) == 5
    assert digest() == digests[-1]
    (site / "somewhere.txt").write_text("not installed", "utf-8")
    assert digest() == digests[-1]


OPENED: list[str] = []
"""What was opened, and which programs were started, as the interpreter's own audit says."""


def _note(event: str, args: tuple[object, ...]) -> None:
    if event in {"open", "subprocess.Popen", "os.posix_spawn"}:
        OPENED.append(str(args[0]))


@pytest.fixture(scope="module", autouse=True)
def _audited() -> None:
    """Note what is opened from here on: an audit hook stays as long as the process."""
    sys.addaudithook(_note)


@pytest.mark.parametrize("command", [("pytest",), ("ruff", "check"), ("python", "-m", "pytest")])
def test_it_opens_few_files(repo: Path, command: tuple[str, ...]) -> None:
    """Of a hundred distributions, few are asked more than where they came from, and no program is started."""
    around = surround(repo)
    tool_versions(command, around)
    distributions = len(list(SITE.glob("*.dist-info")))
    assert distributions > 20
    OPENED.clear()
    tool_versions(command, around)
    looked_at = [name for name in OPENED if ".dist-info/" in name and not name.endswith("/direct_url.json")]
    assert len(looked_at) <= 4, looked_at
    assert len(OPENED) < distributions + 20, OPENED
