"""Tests that pass on somebody else's code: an editable or copied package in place of the measured tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from execution_lab import execute, make_venv, surround, tree_paths

from ledger.gates.execution import Execution
from ledger.gates.imports import LoadedModule, describe_outside, list_provided, outside_imports

DEMO = {
    "pyproject.toml": b'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    b'[project]\nname = "demo"\nversion = "1.0"\n',
    "src/demo/__init__.py": b"from demo.core import answer\n",
    "src/demo/core.py": b"def answer():\n    return 42\n",
    "tests/__init__.py": b"",
    "tests/test_demo.py": b"from demo import answer\n\n\ndef test_answer():\n    assert answer() == 42\n",
}
BROKEN = b"def answer():\n    return 41\n"


@pytest.fixture
def main_tree(make_repo: Callable[..., Path]) -> Path:
    """The tree in which everything is right, and where the package was installed from."""
    return make_repo(DEMO, name="main-tree")


@pytest.fixture
def linked_tree(main_tree: Path, git: Callable[..., str]) -> Path:
    """A linked work tree whose commit breaks the package."""
    linked = main_tree.parent / "linked"
    git("worktree", "add", "--quiet", "-b", "broken", linked, cwd=main_tree)
    (linked / "src/demo/core.py").write_bytes(BROKEN)
    git("commit", "--quiet", "--all", "--message", "break it", cwd=linked)
    return linked


def run_tests(bin_dir: Path, root: Path, *options: str, **changes: object) -> Execution:
    around = surround(root, variables={"PATH": f"{bin_dir}:/usr/bin:/bin"}, **changes)
    return execute(around, "python", "-m", "pytest", "-q", *options)


def install_finder(site: Path, source: Path) -> None:
    """Put setuptools' own finder there, as its editable install does where a path would show too much."""
    editable = pytest.importorskip("setuptools.command.editable_wheel")
    finder = editable._finder_template("__editable___demo_finder", {"demo": str(source / "src/demo")}, {})
    (site / "__editable___demo_finder.py").write_text(finder, "utf-8")
    hook = "import __editable___demo_finder; __editable___demo_finder.install()\n"
    (site / "__editable__.demo.pth").write_text(hook, "utf-8")


def test_an_editable_install_passes_in_a_linked_work_tree_and_is_named(
    main_tree: Path, linked_tree: Path, tmp_path: Path
) -> None:
    bin_dir = make_venv(tmp_path / "venv", main_tree / "src")
    plain = subprocess.run(
        [bin_dir / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=linked_tree, check=False
    )
    assert plain.returncode == 0  # the trap is there: the broken commit is green
    found = run_tests(bin_dir, linked_tree)
    assert found.exit_code == 0
    place = main_tree / "src/demo"
    assert found.problems == (f"demo was imported from {place}, not from the measured tree",)
    allowed = run_tests(bin_dir, linked_tree, outside=("demo",))
    assert (allowed.exit_code, allowed.problems) == (0, ())


def test_an_editable_install_through_an_import_hook_is_named(
    main_tree: Path, linked_tree: Path, tmp_path: Path
) -> None:
    bin_dir = make_venv(tmp_path / "venv")
    install_finder(next(bin_dir.parent.glob("lib/python3*/site-packages")), main_tree)
    found = run_tests(bin_dir, linked_tree)
    place = main_tree / "src/demo"
    assert found.exit_code == 0
    assert found.problems == (f"demo was imported from {place}, not from the measured tree",)


@pytest.mark.parametrize("where", ["elsewhere", "in the tree"])
def test_a_copy_in_site_packages_is_named(linked_tree: Path, tmp_path: Path, where: str) -> None:
    """A normal install of an older state, also where the environment lies in the measured tree."""
    venv = tmp_path / "venv" if where == "elsewhere" else linked_tree / ".venv"
    bin_dir = make_venv(venv)
    site = next(venv.glob("lib/python3*/site-packages"))
    (site / "demo").mkdir()
    for name in ("__init__.py", "core.py"):
        (site / "demo" / name).write_bytes(DEMO[f"src/demo/{name}"])
    found = run_tests(bin_dir, linked_tree, tree_paths=[path.encode() for path in DEMO])
    assert (found.exit_code, len(found.problems)) == (0, 1)
    assert found.problems[0] == f"demo was imported from {site / 'demo'}, not from the measured tree"


def test_tests_of_the_tree_itself_are_not_named(main_tree: Path, linked_tree: Path, tmp_path: Path) -> None:
    """Also with the trap laid: ``pythonpath`` comes first. The broken commit is red then."""
    bin_dir = make_venv(tmp_path / "venv", main_tree / "src")
    found = run_tests(bin_dir, linked_tree, "-o", "pythonpath=src")
    assert (found.exit_code, found.problems, found.watched) == (1, (), True)
    plain = run_tests(bin_dir, main_tree)
    assert (plain.exit_code, plain.problems, plain.watched) == (0, (), True)


@pytest.mark.parametrize("options", [("-n", "1"), ("--forked-by-hand",)])
def test_workers_are_watched_too(
    main_tree: Path, linked_tree: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """In xdist's workers, and in a forked process that leaves by ``os._exit`` as multiprocessing's do."""
    bin_dir = make_venv(tmp_path / "venv", main_tree / "src")
    if options == ("--forked-by-hand",):
        options = ()
        test = linked_tree / "tests/test_demo.py"
        test.write_text(
            "import os\ndef test_a():\n    if not os.fork():\n        import demo; os._exit(0)\n    os.wait()\n"
        )
    found = run_tests(bin_dir, linked_tree, *options)
    assert found.exit_code == 0, found.output.decode()
    assert [problem.split(" was imported")[0] for problem in found.problems] == ["demo"]


def test_a_copy_that_the_execution_makes_of_the_tree_is_the_tree(
    main_tree: Path, linked_tree: Path, tmp_path: Path
) -> None:
    """Nox and tox install what they measure; only where their copy is another tree's, it is named."""
    bin_dir = make_venv(tmp_path / "venv")
    around = surround(linked_tree, variables={"PATH": f"{bin_dir}:/usr/bin:/bin"})
    script = 'rm -rf "$0/demo"; cp -r "$1/src/demo" "$0"; python -c "import sys; sys.path.insert(0, sys.argv[1]); import demo" "$0"'
    fresh = execute(around, "sh", "-c", script, "{scratch}", ".")
    assert (fresh.exit_code, fresh.problems, fresh.watched) == (0, (), True)
    stale = execute(around, "sh", "-c", script, "{scratch}", str(main_tree))
    assert [problem.split(" was imported")[0] for problem in stale.problems] == ["demo"]


# ── which names a tree provides ──────────────────────────────────────────────────────────────────


def provided(*paths: str) -> set[str]:
    return set(list_provided([path.encode() for path in paths]).modules)


def test_a_tree_provides_what_lies_at_its_root_and_below_src_and_lib() -> None:
    paths = ("one.py", "two/__init__.py", "src/three.py", "src/four/__init__.py", "lib/five/six.py")
    assert provided(*paths) >= {"one", "two", "three", "four", "five.six"}
    assert provided("deep/down/seven.py") == {"deep.down.seven"}
    assert provided("README.md", "src/data.json", "src/not-a-name.py") == set()


def test_projects_in_the_tree_provide_too_but_not_those_that_are_test_material() -> None:
    names = provided("packages/a/pyproject.toml", "packages/a/src/alpha/__init__.py")
    assert "alpha" in names
    names = provided("tests/data/b/pyproject.toml", "tests/data/b/src/requests/__init__.py")
    assert "requests" not in names


def test_names_of_the_standard_library_and_of_files_that_tools_load_by_path_are_not_looked_for() -> None:
    assert provided("test/__init__.py", "lib/string.py", "conftest.py", "setup.py", "__main__.py") <= {
        "lib.string"
    }


def outside(root: Path, paths: list[str], *modules: tuple[str, str]) -> list[str]:
    loaded = [LoadedModule(*module) for module in modules]
    return [
        module.name for module in outside_imports(loaded, root, list_provided([p.encode() for p in paths]))
    ]


def test_which_modules_are_from_outside(tmp_path: Path) -> None:
    paths = ["src/demo/__init__.py", "src/demo/core.py", "ns/part/mine.py", "tests/__init__.py"]
    modules = {
        "demo": f"{tmp_path}/src/demo/__init__.py",
        "demo.core": "/site/demo/core.py",  # a part of it elsewhere
        "demo.gone": "/site/demo/gone.py",  # what this tree has no more
        "demo._fast": "/site/demo/_fast.cpython-311.so",  # built from it, kept elsewhere
        "demo._inplace": f"{tmp_path}/src/demo/_inplace.so",
        "ns.part.theirs": "/site/ns/part/theirs.py",  # a namespace is shared
        "ns.part.mine": "/site/ns/part/mine.py",
        "test.support": "/usr/lib/python3/test/support/__init__.py",
        "other": "/site/other.py",
    }
    assert outside(tmp_path, paths, *modules.items()) == ["demo.core", "demo.gone", "ns.part.mine"]


def test_a_tree_reached_through_a_symlink_is_itself(tmp_path: Path) -> None:
    (tmp_path / "real/src").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    assert outside(tmp_path / "link", ["src/demo.py"], ("demo", f"{tmp_path}/real/src/demo.py")) == []
    assert outside(tmp_path / "real", ["src/demo.py"], ("demo", f"{tmp_path}/link/src/demo.py")) == []


def test_one_sentence_names_each_package() -> None:
    modules = [
        LoadedModule("b.c", "/x/b/c.py"),
        LoadedModule("b", "/x/b/__init__.py"),
        LoadedModule("a", "/x/a.py"),
    ]
    assert describe_outside(modules) == [
        "a was imported from /x/a.py, not from the measured tree",
        "b was imported from /x/b, not from the measured tree",
    ]


def test_this_repositorys_own_tree_is_as_python_imports_it() -> None:
    """Against the interpreter: what it loaded of this project comes from the tree, by our reckoning too."""
    root = Path(__file__).parents[3]
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("other platform: an unpacked archive has no tree")
    names = list_provided(tree_paths(root))
    assert {"ledger", "patches", "ingestion", "codex_ml"} <= names.packages
    loaded = [
        LoadedModule(name, str(module.__file__))
        for name, module in sys.modules.items()
        if name.partition(".")[0] in names.names and getattr(module, "__file__", None)
    ]
    assert len(loaded) > 5
    assert outside_imports(loaded, root, names) == []


def test_a_python_that_ignores_its_environment_is_not_watched(main_tree: Path) -> None:
    """Nothing is known of its imports then, and the execution says so."""
    around = surround(main_tree)
    assert execute(around, "python", "-c", "pass").watched
    assert not execute(around, "python", "-I", "-c", "pass").watched
    assert not execute(around, "ruff", "--version").watched
