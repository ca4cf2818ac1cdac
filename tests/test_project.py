"""What holds for the project as a whole: what imports cost, what documents say, what no file holds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import ledger

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("duckdb", "mlflow", "transformers", "charset_normalizer", "cryptography", "junitparser")


def project_files() -> Iterator[Path]:
    """Yield the files that are tracked, or new and not ignored."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    paths = (ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name)
    return (path for path in paths if path.is_file())


def text_of(path: Path) -> str | None:
    data = path.read_bytes()
    return None if b"\0" in data else data.decode("utf-8", "replace")


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


@pytest.mark.parametrize(
    "statement",
    ["import ledger", "import ledger.cli", "from ledger import Ledger", "import ledger.gates.reports"],
)
def test_import_loads_no_heavy_library(statement: str) -> None:
    assert not loaded_by(statement) & set(HEAVY)


def test_help_loads_no_git_library() -> None:
    assert not loaded_by("import ledger.cli") & {*HEAVY, "pygit2", "msgspec"}


def test_the_tested_code_is_this_checkout() -> None:
    """An environment that was moved or copied would test the code of the old folder."""
    assert Path(ledger.__file__).resolve().is_relative_to(ROOT / "src")


def test_version_is_the_same_everywhere() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert ledger.__version__ == declared == version("patch-ledger")
    assert f"\n## [{declared}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_constraints_are_exact_pins_without_addresses() -> None:
    pin = re.compile(r'[a-z0-9-]+==[\w.]+(; python_version (==|>=) "3\.\d+")?')
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#") and not pin.fullmatch(line)] == []


def test_constraints_pin_every_requirement() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    wanted = {re.split(r"[\[<>=;]", each)[0] for each in [*project["dependencies"], *extras]}
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    assert wanted - pinned == {project["name"]}


def test_no_text_file_names_a_place_on_one_machine() -> None:
    places = re.compile(rf"(?<![\w.$)}}-])/(?:{'|'.join(['root', 'work', 'opt'])})/")
    found = [
        f"{path.relative_to(ROOT)}: {place[0]}"
        for path in project_files()
        if (text := text_of(path)) is not None and (place := places.search(text))
    ]
    assert found == []


def test_every_module_has_a_docstring() -> None:
    modules = [path for path in project_files() if path.suffix == ".py"]
    assert [path for path in modules if not ast.get_docstring(ast.parse(path.read_bytes()))] == []
    assert len(modules) > 30


def test_readme_begins_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r"^(?:\$ )?((?:make|pip|python3?|ledger)\b.*)$", readme, re.MULTILINE)
    assert [line.split("#")[0].strip() for line in shown[:2]] == ["make demo", "make test"]


def test_nothing_of_the_users_is_seen(sealed: Path) -> None:
    """The seal: neither git nor libgit2 finds any configuration outside the test's own folder."""
    import pygit2

    git = ["git", "config", "--list", "--show-origin"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    (sealed / ".gitconfig").write_text("[user]\n\tname = Sealed\n", "utf-8")
    assert subprocess.check_output([*git[:2], "user.name"], text=True) == "Sealed\n"
    assert pygit2.Config.get_global_config()["user.name"] == "Sealed"
    with pytest.raises(OSError, match="No such file"):
        pygit2.Config.get_system_config()
    assert not {name for name in os.environ if name.startswith("LEDGER_")}


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
def test_what_could_not_run_is_listed_and_fails_a_run_that_must_be_whole(
    tmp_path: Path, required: str, code: int
) -> None:
    """A missing system part never makes a green run by being skipped in silence."""
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  needs\n  duckdb\n", "utf-8")
    source = "import pytest\n\n@pytest.mark.needs('strace')\ndef test_a(): ...\n\ndef test_b(): ...\n"
    (tmp_path / "test_parts.py").write_text(source, "utf-8")
    environment = os.environ | {"PATH": str(tmp_path), "LEDGER_REQUIRE_ALL": required}
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "not run on this machine: needs strace: test_parts.py::test_a" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed, 1 skipped in ")
    assert done.returncode == code
