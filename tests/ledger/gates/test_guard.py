"""The guard in a measured interpreter: it notes, it disturbs nothing, it steps aside."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.gates.imports import encode_names, read_loaded
from ledger.gates.surroundings import GUARD_DIR

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    directory = tmp_path / "notes"
    directory.mkdir()
    (directory / "names").write_bytes(encode_names(["wanted", "odd"]))
    return directory


@pytest.fixture
def run(tmp_path: Path, notes: Path) -> Run:
    """Runs code under the guard, in a directory that has the modules ``wanted`` and ``ignored``."""
    for name in ("wanted", "ignored"):
        (tmp_path / "cwd" / f"{name}.py").write_text("")

    def run(
        code: str, *path: Path, python: str = sys.executable, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        search = os.pathsep.join(map(str, [GUARD_DIR, *path]))
        env = {**os.environ, "PYTHONPATH": search, "LEDGER_IMPORTS": str(notes), **variables}
        return subprocess.run(
            [python, "-c", code],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path / "cwd",
            timeout=60,
        )

    return run


def noted(notes: Path) -> list[tuple[str, str]]:
    return [(module.name, Path(module.file).name) for module in read_loaded(notes)]


def test_it_takes_every_python_that_a_project_may_be_measured_with() -> None:
    source = (GUARD_DIR / "sitecustomize.py").read_text("utf-8")
    ast.parse(source, feature_version=(3, 8))


@pytest.mark.parametrize(
    "python", ["python3.8", "python3.9", "python3.10", "python3.12", "python3.13", "python3.14"]
)
def test_it_runs_in_other_pythons(run: Run, notes: Path, python: str) -> None:
    if (
        not (found := shutil.which(python))
        or subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode
    ):
        pytest.skip(f"other platform: no {python} here")
    done = run("import wanted", python=found)
    assert (done.returncode, done.stderr) == (0, "")
    assert noted(notes) == [("wanted", "wanted.py")]


def test_only_names_that_are_looked_for_are_noted(run: Run, notes: Path) -> None:
    run("import wanted, ignored, json")
    assert noted(notes) == [("wanted", "wanted.py")]
    assert (notes / "seen").exists()


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit(7)",
        "os._exit(7)",
        "os._exit(status=7)",
        "threading.Thread(target=time.sleep, args=(0.1,)).start(); sys.exit(7)",
        "atexit.register(lambda: 1 / 0); sys.exit(7)",
        "sys.modules[3] = None; sys.modules['odd'] = object(); sys.exit(7)",
        "os.chdir('/'); sys.exit(7)",
    ],
)
def test_it_notes_however_the_process_ends_and_keeps_its_exit_code(run: Run, notes: Path, end: str) -> None:
    done = run(f"import os, sys, time, threading, atexit, wanted; {end}")
    assert done.returncode == 7
    assert noted(notes) == [("wanted", "wanted.py")]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_noted(run: Run, notes: Path, tmp_path: Path, method: str) -> None:
    (tmp_path / "cwd/job.py").write_text("def job(): import wanted\n")
    code = f"import multiprocessing as m, job; p = m.get_context('{method}').Process(target=job.job); p.start(); p.join()"
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert noted(notes) == [("wanted", "wanted.py")]


def test_a_lazy_module_is_not_woken(run: Run, notes: Path, tmp_path: Path) -> None:
    """Looking at a lazy module imports it: at exit that could do anything."""
    (tmp_path / "cwd/odd.py").write_text("print('woken')\n")
    code = """
import importlib.util as u, sys
spec = u.find_spec("odd"); spec.loader = u.LazyLoader(spec.loader)
sys.modules["odd"] = module = u.module_from_spec(spec); spec.loader.exec_module(module)
"""
    assert run(code).stdout == ""
    assert noted(notes) == [("odd", "odd.py")]


def test_a_directory_that_is_gone_disturbs_nobody(run: Run, notes: Path) -> None:
    done = run("import wanted, shutil, os; shutil.rmtree(os.environ['LEDGER_IMPORTS'])")
    assert (done.returncode, done.stderr) == (0, "")
    done = run("import wanted")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_its_variable_it_does_nothing(run: Run, notes: Path) -> None:
    done = run("import os, wanted; print(os._exit.__module__)", LEDGER_IMPORTS="")
    assert (done.returncode, done.stdout) == (0, "posix\n")
    assert not (notes / "seen").exists()


def test_the_next_sitecustomize_runs_as_if_it_were_the_only_one(
    run: Run, notes: Path, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("print('theirs', __name__)\nvalue = 1\n")
    done = run(
        "import sys, sitecustomize, wanted; print(sitecustomize.value, sitecustomize.__file__)",
        tmp_path / "site",
    )
    assert done.stdout == f"theirs sitecustomize\n1 {tmp_path}/site/sitecustomize.py\n"
    assert noted(notes) == [("wanted", "wanted.py")]
    (tmp_path / "site/sitecustomize.py").write_text("raise ValueError('theirs')\n")
    done = run("import wanted", tmp_path / "site")
    assert done.returncode == 0
    assert "Error in sitecustomize" in done.stderr


def test_the_programs_search_path_is_as_without_it(run: Run, tmp_path: Path) -> None:
    code = "import sys; print(sys.path)"
    without = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path / "cwd")
    assert run(code).stdout == without


def test_it_loads_nothing_heavy(run: Run) -> None:
    code = "import sys; print(*sorted(sys.modules))"
    without = subprocess.check_output([sys.executable, "-c", code], text=True)
    extra = set(run(code).stdout.split()) - set(without.split())
    assert extra <= {"sitecustomize", "atexit"}  # both are compiled in, or this file itself
