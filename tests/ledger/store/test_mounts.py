"""Network file systems are recognised from the mount table, and only those."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ledger.store import mounts
from ledger.store.mounts import filesystem_of, network_filesystem

TABLE = b"""\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:20 / /proc rw,nosuid - proc proc rw
40 22 0:44 / /home rw,relatime shared:9 master:2 - nfs4 server:/export/home rw,vers=4.2,addr=10.0.0.1
41 40 254:3 / /home/ada/local rw - xfs /dev/sdb rw
42 22 0:45 /sub /mnt/with\\040space rw - cifs //server/share rw
43 22 0:46 / /srv rw - nfs server:/srv rw
44 22 0:47 / /srv rw - tmpfs tmpfs rw
45 22 0:48 / /mnt/remote rw - fuse.sshfs ada@host: rw
not a mount
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/repo/.git/ledger", "ext4"),
        (b"/", "ext4"),
        (b"/home/ada/repo", "nfs4"),
        (b"/home", "nfs4"),
        (b"/homely", "ext4"),
        (b"/home/ada/local/repo", "xfs"),
        (b"/mnt/with space/repo", "cifs"),
        (b"/srv/repo", "tmpfs"),
        (b"/mnt/remote/repo", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(path: bytes, kind: str) -> None:
    """A mount below another hides it, a later one at the same point too, and names alike are no parents."""
    assert filesystem_of(path, TABLE) == kind


def test_nothing_above_is_nothing() -> None:
    """An empty table says nothing of anything."""
    assert filesystem_of(b"/repo", b"") == ""


def test_the_real_table_agrees_with_df(tmp_path: Path) -> None:
    """What is read of the system's own table is what `df` says."""
    for path in (tmp_path, Path("/proc"), Path("/dev")):
        told = subprocess.run(["df", "--output=fstype", path], capture_output=True, check=True)
        assert filesystem_of(bytes(path), mounts.MOUNTS.read_bytes()) == told.stdout.decode().split()[-1]


def test_only_network_file_systems_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is followed to where it lies; a local one, and a system that keeps no table, give no name."""
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNTS", table)
    (tmp_path / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far").mkdir()
    assert network_filesystem(tmp_path / "far") == ""
    here = str(tmp_path.resolve())
    table.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {here}/far rw - nfs4 server:/ rw\n")
    assert network_filesystem(tmp_path / "far") == "nfs4"
    assert network_filesystem(tmp_path / "link") == "nfs4"
    assert network_filesystem(tmp_path) == ""
