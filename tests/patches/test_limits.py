"""Texts that ask for more than they should: refused by what they state, before it is taken."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from patches import limits
from patches.binary import apply_delta
from patches.errors import PatchError, PatchSyntaxError, PatchTooLarge
from patches.locate import apply_hunks
from patches.parse import parse_patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from patch_lab import Bench

MIB = 1 << 20
HEADER = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n"
DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"


def number(size: int) -> bytes:
    """Encode a size as a delta states it."""
    code = bytearray()
    while size >= 0x80:
        code.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*code, size])


def copies(source_bytes: int, count: int) -> bytes:
    """Make a delta that copies the whole source ``count`` times: four bytes each, at most."""
    copy = bytes([0b1111_0000, *source_bytes.to_bytes(3, "little")])
    return number(source_bytes) + number(source_bytes * count) + copy * count


def literal(content: bytes, stated: int) -> bytes:
    """Encode a binary patch that adds ``content`` and states another size."""
    data = zlib.compress(content)
    lines = b""
    for at in range(0, len(data), 52):
        part = data[at : at + 52]
        letter = bytes([64 + len(part) if len(part) <= 26 else 70 + len(part)])
        lines += letter
        for group in range(0, len(part), 4):
            value = int.from_bytes(part[group : group + 4].ljust(4, b"\0"), "big")
            lines += bytes(DIGITS[value // 85**power % 85] for power in range(4, -1, -1))
        lines += b"\n"
    oid = b"1" * 40
    return b"diff --git a/f b/f\nnew file mode 100644\nindex %s..%s\nGIT binary patch\nliteral %d\n%s\n" % (
        b"0" * 40,
        oid,
        stated,
        lines,
    )


def peak_bytes(work: Callable[[], object]) -> int:
    """Return how much memory some work takes that may be refused."""
    tracemalloc.start()
    try:
        with pytest.raises(PatchError):
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_delta_must_not_make_a_thousandfold() -> None:
    """Four bytes of a delta can copy sixteen megabytes: its result is refused before it is made."""
    source = bytes(60_000)
    assert len(apply_delta(source, copies(60_000, 300))) == 18_000_000
    delta = copies(60_000, 1100)
    with pytest.raises(PatchTooLarge) as caught:
        apply_delta(source, delta)
    assert caught.value.size_bytes == 66_000_000
    assert caught.value.limit_bytes == 1000 * (60_000 + len(delta))
    assert peak_bytes(lambda: apply_delta(source, delta)) < MIB
    with pytest.raises(PatchTooLarge, match="the content of a binary patch is 2147483648 bytes"):
        apply_delta(source, number(60_000) + number(2 << 30))


def test_a_small_file_may_grow() -> None:
    """A thousandfold of little is little."""
    assert apply_delta(b"ab", copies(2, 100_000)) == b"ab" * 100_000


@pytest.mark.parametrize("stated", [limits.MAX_BINARY_BYTES + 1, 10**18 - 1])
def test_an_inflated_file_has_a_limit(stated: int) -> None:
    """The stated size decides: no gigabyte is inflated to learn that it is one too many."""
    data = literal(b"x" * 1000, stated)
    with pytest.raises(PatchTooLarge, match="the content of a binary patch is"):
        parse_patch(data)
    assert peak_bytes(lambda: parse_patch(data)) < MIB


def test_a_bomb_stops_at_the_stated_size() -> None:
    """A stream that holds more than the patch states is damage, found at the first byte too many."""
    data = literal(bytes(64 * MIB), 10)
    with pytest.raises(PatchSyntaxError, match="another size than stated"):
        parse_patch(data)
    assert peak_bytes(lambda: parse_patch(data)) < 4 * len(data) + MIB


def test_a_patch_has_git_s_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git reads no patch of 1023 MiB and more, and neither do we."""
    assert limits.MAX_PATCH_BYTES == 1024 * 1024 * 1023
    monkeypatch.setattr(limits, "MAX_PATCH_BYTES", 100)
    with pytest.raises(PatchTooLarge, match="the patch is 100 bytes large; 99 are allowed"):
        parse_patch(HEADER.ljust(100))


@pytest.mark.parametrize("count", [2**63, 2**64, 10**18, 10**30, 2**63 - 1, 10**17])
@pytest.mark.parametrize(
    "head", [b"@@ -1,%d +1 @@\n", b"@@ -%d,1 +1 @@\n", b"@@ -1 +1,%d @@\n", b"@@ -1 +%d @@\n"]
)
def test_numbers_without_bound_are_damage_or_just_wrong(bench: Bench, head: bytes, count: int) -> None:
    """As a count it is damage; as a line it is where nothing is, and the lines may be elsewhere."""
    patch = HEADER + head % count + b"-a\n+b\n"
    old = bench.tree({b"f": b"x\na\ny\n"})
    by_git = bench.git_apply(old, patch)
    for data in (patch, patch.removeprefix(b"diff --git a/f b/f\n")):
        try:
            ours = bench.apply(old, data).tree
        except PatchError:
            ours = None
        assert ours in (None, by_git)


def many_hunks(count: int) -> bytes:
    """Make a patch that puts a line into each three of a file that counts its lines."""
    hunks = (
        b"@@ -%d,3 +%d,4 @@\n %d\n+x\n %d\n %d\n" % (3 * at + 1, 4 * at + 1, 3 * at, 3 * at + 1, 3 * at + 2)
        for at in range(count)
    )
    return HEADER + b"".join(hunks)


def test_hunks_take_no_more_memory_than_a_multiple_of_the_text() -> None:
    """Parsed and applied, ten thousand of them."""
    data = many_hunks(10_000)
    content = b"".join(b"%d\n" % at for at in range(30_000))
    tracemalloc.start()
    try:
        result = apply_hunks(b"f", content, parse_patch(data).files[0].hunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.count(b"x\n") == 10_000
    assert peak < 30 * len(data)


def test_hunks_that_are_all_elsewhere_go_where_git_puts_them(bench: Bench) -> None:
    """A line more at the top, and none of a thousand hunks is where it says: each is looked up, not searched."""
    data = many_hunks(1000)
    old = bench.tree({b"f": b"0\n1\n2\nmore\n" + b"".join(b"%d\n" % at for at in range(3, 3000))})
    assert bench.apply(old, data).tree == bench.git_apply(old, data)
