"""Mounts: on which kind of file system a ledger lies.

Locks and syncs of a network file system depend on its server and mount options: ``flock(2)`` may hold
off processes of one machine only, and a rename may be seen late. Nothing is refused for it; whoever
uses one shall know.

See: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph-fuse", "fuse.davfs2",
        "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
        "fuse.vmhgfs-fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
        "orangefs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf",
    }
)  # fmt: skip
"""Types, as Linux names them, of what several machines can have mounted at once."""


def network_filesystem(path: Path) -> str:
    """Return the type of the network file system that a path lies on; "" where it is local, or nobody says.

    macOS says nothing in a form that can be read here.
    """
    try:
        table = MOUNTS.read_bytes()
    except OSError:
        return ""
    kind = filesystem_of(os.fsencode(path.resolve()), table)
    return kind if kind in NETWORK else ""


def filesystem_of(path: bytes, table: bytes) -> str:
    """Return the type of the file system at an absolute path, "" where no mount point is above it.

    Args:
        path: Without symlinks.
        table: What ``/proc/self/mountinfo`` holds. Of two mounts at one point the later one hides the other.
    """
    best, found = -1, ""
    for line in table.splitlines():
        fields, _, described = line.partition(b" - ")
        parts = fields.split(b" ")
        if len(parts) < 5 or not described:
            continue
        point = _unescape(parts[4]).rstrip(b"/")
        if len(point) >= best and (path == point or path.startswith(point + b"/")):
            best, found = len(point), described.split(b" ")[0].decode("utf-8", "replace")
    return found


def _unescape(text: bytes) -> bytes:
    """Return a mount point whose space, tab, line feed and backslash stand there in octal."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), text)
