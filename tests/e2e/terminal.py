"""A real terminal for the real command: a pseudo-terminal of a given size, and who sits before it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from shell import LEDGER

_LIMIT_S = 60.0


class Terminal:
    """One command in a terminal of its own, as session and foreground group: what is typed reaches it."""

    def __init__(
        self,
        root: Path,
        words: Sequence[str | Path],
        env: Mapping[str, str],
        size: tuple[int, int] = (24, 100),
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        unset = {"COLUMNS", "LINES", "PAGER", "GIT_PAGER", "LEDGER_PAGER", "LESS", "NO_COLOR"}
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", LEDGER, *map(str, words)],
            cwd=root,
            env={**environment, "TERM": "xterm", **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read on until the text was shown."""
        end_s = time.monotonic() + _LIMIT_S
        while text not in self.shown:
            assert time.monotonic() < end_s, self.shown
            assert self._read(), self.shown

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        end_s = time.monotonic() + _LIMIT_S
        while self._read():
            assert time.monotonic() < end_s, self.shown
        os.close(self._master)
        return self._process.wait(_LIMIT_S)

    def _read(self) -> bool:
        """Read what there is, and tell whether more can come."""
        ready, _, _ = select.select([self._master], [], [], _LIMIT_S)
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:
            # Linux says so where nobody has the other end any more.
            return False
        self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)
