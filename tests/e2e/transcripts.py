"""Transcripts in documents: the commands of their console blocks, and what two runs of them have in common."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What no two runs have in common: each becomes a word of its own.
VARYING = (
    (r"\b\d+\.\d s\b", "SECONDS"),
    (r"\b(fix|port-to-3-13|edits-by-hand)-[0-9a-z]{4}\b", r"\1-NAME"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"(?m)^(prev +)[0-9a-f]{64}$", r"\1DIGEST"),
    (r"(?m)^(at_ns +)\d{19}$", r"\1TIME"),
)
_LARGEST = 1 << 20  # of one write of a command


def steady(text: str, varying: Sequence[tuple[str, str]] = VARYING) -> str:
    """Return what is the same in every transcript; spaces at the ends of lines do not show."""
    for pattern, word in varying:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def read_transcript(text: str) -> list[tuple[str, str]]:
    """Return each command with what is shown below it."""
    steps: list[tuple[str, str]] = []
    for line in text.splitlines():
        command, shown = steps[-1] if steps else ("", "")
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif command.endswith("\\") and not shown:
            steps[-1] = (f"{command}\n{line}", "")
        else:
            steps[-1] = (command, f"{shown}{line}\n")
    return steps


class Said(NamedTuple):
    """What a command printed: each stream by itself, and both in the order in which they came."""

    code: int
    out: bytes
    err: bytes
    both: bytes


def run_in_order(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], data: bytes = b""
) -> Said:
    """Run a command and keep the order of what it writes to its two streams, as a terminal shows it.

    Each stream is a datagram socket with a name of its own, and both lead to the same reader: so what is
    read tells its stream and its place.
    """
    with TemporaryDirectory() as folder:
        ends = {name: f"{folder}/{name}" for name in ("reader", "out", "err")}
        sockets = {name: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for name in ends}
        for name, end in sockets.items():
            end.bind(ends[name])
            if name != "reader":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
                end.connect(ends["reader"])
        running = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=sockets["out"].fileno(),
            stderr=sockets["err"].fileno(),
        )
        parts: list[tuple[str, bytes]] = []
        with running:
            assert running.stdin is not None
            os.write(running.stdin.fileno(), data)
            running.stdin.close()
            sockets["reader"].settimeout(0.02)
            while True:
                ended = running.poll() is not None
                try:
                    part, sender = sockets["reader"].recvfrom(_LARGEST)
                except TimeoutError:
                    if ended:
                        break
                else:
                    parts.append((Path(sender).name, part))
        for end in sockets.values():
            end.close()
    streams = {name: b"".join(part for sender, part in parts if sender == name) for name in ("out", "err")}
    return Said(running.returncode, streams["out"], streams["err"], b"".join(part for _, part in parts))


def rewrite(document: str, typed: Sequence[tuple[str, str]], longest: int = 14) -> str:
    """Return a document with what each command of its console blocks has printed by now.

    Args:
        document: Its commands are some of those of ``typed``, in that order; versions in them may differ.
        typed: Command lines and what the terminal showed.
        longest: How many lines of one output are shown, the last two among them.
    """
    remaining = iter(typed)

    def renew(block: re.Match[str]) -> str:
        parts = ["```console\n"]
        for command, _ in read_transcript(block[2]):
            found = next((step for step in remaining if _same(step[0], command)), None)
            assert found is not None, f"nobody has typed this, or not in this place: {command}"
            lines = [line.rstrip() for line in found[1].splitlines()]
            if len(lines) > longest:
                lines[longest - 3 : -2] = ["…"]
            parts += [f"$ {found[0]}\n", *(f"{line}\n" for line in lines)]
        return "".join([*parts, "```"])

    return BLOCK.sub(renew, document)


def _same(one: str, other: str) -> bool:
    return re.sub(r":\d+\b", ":V", one) == re.sub(r":\d+\b", ":V", other)
