"""The real command in a real repository, and the patches that the tests give it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LEDGER = str(Path(sys.executable).with_name("ledger"))
BASE = {"a.txt": b"one\ntwo\nthree\n", "b.txt": b"bee\n", "dir/c.txt": b"sea\n"}

FIX = """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
"""
MISMATCH = FIX.replace("-two", "-deux")
ESCAPING = "--- /dev/null\n+++ b/../outside\n@@ -0,0 +1 @@\n+x\n"
INTO_GIT = (
    "diff --git a/.git/hooks/x b/.git/hooks/x\nnew file mode 100755\n"
    "--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n"
)
NEW = "diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n"
SECOND = FIX.replace("a.txt", "b.txt").replace(" one\n", "").replace("two", "bee").replace(" three\n", "")
SECOND = SECOND.replace("-1,3 +1,3", "-1 +1")


class Done:
    """What one command said."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode("utf-8")
        self.err = done.stderr.decode("utf-8")

    def refuses(self, code: int, *parts: str) -> None:
        """It exits with ``code``, says every part on stderr, gives a hint, and shows no insides."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.out == ""
        assert self.err.startswith(("error: ", "Usage: "))
        for part in parts:
            assert part in self.err, self.err
        assert "Traceback" not in self.err


class Shell:
    """One repository and the command in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *words: str | Path, data: bytes = b"", **env: str) -> Done:
        command = [LEDGER, *map(str, words)]
        environment = os.environ | env
        return Done(
            subprocess.run(
                command, cwd=self.root, env=environment, input=data, capture_output=True, check=False
            )
        )

    def file(self, text: str | bytes, name: str = "fix.diff") -> Path:
        path = self.root.parent / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def everything(self) -> dict[str, bytes]:
        """Return every file of work tree and Git directory but the projections' caches."""
        paths = (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in paths
            if not {"cache", "staging", "locks"} & set(path.parts)
        }
