"""The command as a process: what Python's own start-up adds, and what is loaded."""

from __future__ import annotations

import subprocess
import sys


def test_the_module_takes_a_patch_on_standard_input(tmp_path, sealed_commands) -> None:
    """`python -m patches apply` ends with the command's exit code and prints to standard output."""
    patch = b"--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+new\n"
    command = [sys.executable, "-m", "patches", "apply", "--numstat", "--apply"]
    done = subprocess.run(
        command, cwd=tmp_path, input=patch, capture_output=True, check=False, env=sealed_commands
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\t0\tfile\n", b"")
    assert (tmp_path / "file").read_bytes() == b"new\n"


def test_there_is_no_other_command(tmp_path, sealed_commands) -> None:
    """What is no command is answered with the usage, and git's exit code for it."""
    done = subprocess.run(
        [sys.executable, "-m", "patches", "am"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env=sealed_commands,
    )
    assert done.returncode == 129
    assert done.stderr.startswith(b"usage: ")


def test_heavy_libraries_are_not_loaded(sealed_commands) -> None:
    """A patch of plain files needs no libgit2: starting up is most of its time."""
    code = "import sys, patches.gitapply.command; print(*sys.modules)"
    # Coverage, which measures processes that a test starts, loads what it needs itself.
    env = {name: value for name, value in sealed_commands.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert not {"pygit2", "dataclasses", "tempfile"} & set(done.stdout.split())
