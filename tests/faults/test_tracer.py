"""The tracer of the syscall campaign, compared with strace and with what the kernel really did."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tracer import SUPPORTED, Fault, trace

pytestmark = [
    pytest.mark.needs("strace"),
    pytest.mark.skipif(not SUPPORTED, reason="other platform: the tracer knows Linux on x86-64"),
]

SCRIPT = "mkdir d && printf 12345678 > d/a && mv d/a d/b && cat d/b > d/c && ln -s b d/l && rm d/c && ls d"


def run_script() -> None:
    """Become a shell that starts some children; never returns."""
    os.execvp("sh", ["sh", "-c", SCRIPT])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_it_sees_the_calls_that_strace_sees(place: Path, tmp_path: Path) -> None:
    """The changes of all processes together, below one directory, in order."""
    traced = trace(run_script, place)  # type: ignore[arg-type]
    assert traced.status == 0, traced.err
    mine = [call.name for call in traced.calls if call.changes]
    subprocess.run(["rm", "-r", "d"], check=True)
    log = tmp_path / "strace"
    subprocess.run(["strace", "-f", "-y", "-o", str(log), "sh", "-c", SCRIPT], check=True)
    changes = r"^\d+ +(?:(mkdir|rename\w*|symlink\w*|unlink\w*)\(|(write|sendfile|copy_file_range)\(\d+<%s|(openat)\(.*O_CREAT)"
    found = re.findall(changes % re.escape(str(place)), log.read_text(), re.MULTILINE)
    assert mine == ["".join(names) for names in found]
    assert len({call.process for call in traced.calls}) > 3


@pytest.mark.parametrize("what", ["EIO", "EIO-done", "short", "kill-before", "kill-after"])
def test_a_write_goes_wrong_as_it_is_told(place: Path, what: str) -> None:
    """The file holds what the kernel took; the process gets what it is told."""

    def write() -> None:
        fd = os.open("a", os.O_WRONLY | os.O_CREAT)
        try:
            os.write(1, b"%d" % os.write(fd, b"12345678"))
        except OSError as error:
            os.write(1, (error.strerror or "").encode())
        os._exit(0)

    clean = trace(write, place)  # type: ignore[arg-type]
    assert [call.name for call in clean.calls] == ["openat", "write"]
    Path("a").unlink()
    traced = trace(write, place, Fault("write", "a", 0, what))  # type: ignore[arg-type]
    said = {"EIO": "Input/output error", "EIO-done": "Input/output error", "short": "4"}.get(what, "")
    held = {"EIO": "", "short": "1234", "kill-before": ""}.get(what, "12345678")
    assert (traced.out, Path("a").read_text()) == (said, held)
    assert traced.status == (-9 if what.startswith("kill") else 0)


def test_a_full_disk_stays_full(place: Path) -> None:
    """From one call on nothing gets room, while what needs none goes on."""

    def write() -> None:
        for name in ("a", "b"):
            try:
                Path(name).write_bytes(b"x")
            except OSError as error:
                os.write(1, f"{name} {error.strerror}\n".encode())
        Path("a").unlink()
        os._exit(0)

    traced = trace(write, place, Fault("write", "a", 0, "full"))  # type: ignore[arg-type]
    assert traced.struck
    assert traced.out == "a No space left on device\nb No space left on device\n"
    assert list(place.iterdir()) == []
