"""The ``GIT binary patch`` format: base 85, zlib, and Git's delta encoding."""

from __future__ import annotations

import zlib

from patches.limits import check_binary_size, check_expansion

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_INVALID = 255
_DIGITS = bytes(_ALPHABET.find(code) & _INVALID for code in range(256))
_LENGTHS = {
    code: size for size, code in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 1)
}


class BinaryDamage(Exception):
    """The encoded bytes are no well-formed data; the parser adds where, the planner for which path."""


def decode_base85(text: bytes | bytearray) -> bytes:
    """Decode whole groups of five digits to four bytes each.

    All groups are computed at once: each is a lane of five bytes in one large integer, and the
    steps of Horner's rule run over all lanes in C. 85**5 is below 2**40, so no lane spills over.

    Raises:
        BinaryDamage: a character is no digit, the length is odd, or a group is above 2**32 - 1.
    """
    digits = text.translate(_DIGITS)
    if len(digits) % 5 or _INVALID in digits:
        raise BinaryDamage("not base 85")
    lanes = int.from_bytes(digits, "big")
    last_digits = int.from_bytes(b"\0\0\0\0\xff" * (len(digits) // 5), "big")
    values = 0
    for shift in (32, 24, 16, 8, 0):
        values = values * 85 + (lanes >> shift & last_digits)
    decoded = bytearray(values.to_bytes(len(digits), "big"))
    if decoded[::5].strip(b"\0"):
        raise BinaryDamage("not base 85")
    del decoded[::5]
    return bytes(decoded)


def decode_lines(text: bytes) -> bytes:
    """Decode the lines of one half of a binary patch, each led by the letter of its length.

    Args:
        text: the lines with a newline between them.

    Raises:
        BinaryDamage: a line's length does not fit its letter, or it is not base 85.
    """
    last = text.rfind(b"\n") + 1
    full, rest = divmod(last, _FULL_LINE)
    # Git fills every line but the last with 52 bytes, letter z: such lines are decoded together.
    if not rest and text[:last:_FULL_LINE] == b"z" * full and text.count(b"\n") == full:
        if text[_FULL_LINE - 1 : last : _FULL_LINE] != b"\n" * full:
            raise BinaryDamage("a line's length does not fit its letter")
        size = _line_size(text[last:])
        digits = bytearray(text)
        del digits[_FULL_LINE - 1 :: _FULL_LINE]
        del digits[:: _FULL_LINE - 1]
        return decode_base85(digits)[: full * 52 + size]
    return b"".join([decode_base85(line[1:])[: _line_size(line)] for line in text.split(b"\n")])


_FULL_LINE = 67


def _line_size(line: bytes) -> int:
    size = _LENGTHS.get(line[0]) if line else None
    if size is None or len(line) != 1 + (size + 3) // 4 * 5:
        raise BinaryDamage("a line's length does not fit its letter")
    return size


def inflate(data: bytes, size_bytes: int) -> bytes:
    """Inflate ``data``, which must give exactly ``size_bytes``: never more is held in memory.

    Raises:
        BinaryDamage: it does not.
        PatchTooLarge: the stated size is beyond what is read.
    """
    check_binary_size(size_bytes)
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, size_bytes + 1)
    except zlib.error as error:
        raise BinaryDamage("not a zlib stream") from error
    if len(content) != size_bytes or not stream.eof:
        raise BinaryDamage("the data inflates to another size than stated")
    return content


def _read_size(delta: bytes, at: int) -> tuple[int, int]:
    """Read a little-endian base-128 number and return it with the offset after it."""
    size = shift = 0
    while at < len(delta) and shift < 64:
        code = delta[at]
        at += 1
        size |= (code & 0x7F) << shift
        if code < 0x80:
            return size, at
        shift += 7
    raise BinaryDamage("the delta's sizes are cut off")


def _read_copy(delta: bytes, at: int, code: int) -> tuple[int, int, int]:
    """Read the offset and size of a copy instruction and return them with the offset after it."""
    operands = [0] * 7
    for bit in range(7):
        if code & 1 << bit:
            if at >= len(delta):
                raise BinaryDamage("the delta is cut off")
            operands[bit] = delta[at]
            at += 1
    offset = int.from_bytes(bytes(operands[:4]), "little")
    return offset, int.from_bytes(bytes(operands[4:]), "little") or 0x10000, at


def apply_delta(source: bytes, delta: bytes) -> bytes:
    """Return what ``delta`` makes of ``source``.

    Raises:
        BinaryDamage: the source has another size, an instruction reaches outside the source or
            the delta, or the result has another size than stated.
        PatchTooLarge: the result would be, beside the source and the delta.
    """
    source_size, at = _read_size(delta, 0)
    target_size, at = _read_size(delta, at)
    if source_size != len(source):
        raise BinaryDamage("the delta was made from a file of another size")
    check_expansion(target_size, len(source) + len(delta))
    pieces: list[memoryview] = []
    source_view, delta_view = memoryview(source), memoryview(delta)  # A piece is no copy.
    left = target_size
    while at < len(delta):
        code = delta[at]
        at += 1
        if code & 0x80:
            offset, size, at = _read_copy(delta, at, code)
            piece = source_view[offset : offset + size]
        else:
            size = code
            piece = delta_view[at : at + size]
            at += size
        left -= size
        if not size or len(piece) != size or left < 0:
            raise BinaryDamage("the delta reaches outside its source")
        pieces.append(piece)
    if left:
        raise BinaryDamage("the delta gives a file of another size")
    return b"".join(pieces)
