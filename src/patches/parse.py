"""Patch bytes to a ``Patch``: unified diffs as Git, GNU diff and others write them, prose around them.

The text is never decoded and never split as a whole: the parser walks offsets and cuts a
hunk out in one piece where its counts agree with the next header's place.

See: ``git-apply(1)``; the section "Generating patch text" of ``git-diff(1)``.
"""

from __future__ import annotations

import re
from itertools import compress

from msgspec.structs import replace

from patches.binary import BinaryDamage, decode_lines, inflate
from patches.errors import EmptyPatch, PatchSyntaxError
from patches.headers import GitHeader
from patches.hunks import (
    IN_NEW,
    IN_OLD,
    SHORTEST_MARKER,
    Head,
    Images,
    cut_images,
    cut_one_image,
    make_hunk,
    reversed_hunk,
)
from patches.limits import check_patch_size
from patches.model import BinaryDelta, FilePatch, Hunk, Operation, Patch
from patches.names import guess_components, is_dev_null, is_epoch, plain_names
from patches.options import DEFAULTS, ApplyOptions
from patches.selection import select_files

_HUNK = re.compile(rb"@@ -(\d{1,18})(?:,(\d{1,18}))? \+(\d{1,18})(?:,(\d{1,18}))? @@")
_BINARY_HALF = re.compile(rb"(literal|delta) (\d{1,18})\r?\n")
_SPACE, _PLUS, _MINUS, _BACKSLASH, _NEWLINE = b" +-\\\n"
FRAGMENT = "patch fragment without header"
GARBAGE = "patch with only garbage"
UNNAMED = "unable to find filename in patch"
UNKNOWN_BINARY = "unrecognized binary patch"
CORRUPT_BINARY = "corrupt binary patch"
"""Faults by Git's names."""
_CONTENT = (b"\n@@ -", b"\nGIT binary patch")
_AFTER_NOTHING = (b"\n", b"\r\n", b"-- ", b"From ", b"commit ")


def parse_patch(data: bytes, options: ApplyOptions = DEFAULTS) -> Patch:
    """Return what the patch says, in the order of its text. Prose between diffs is passed over.

    What ``options`` say about the reading is done then: the names are stripped and placed, the
    patch is reversed where it shall be, and files that are not chosen are left out, be it all.

    Raises:
        EmptyPatch: there is no diff in it.
        PatchSyntaxError: it is damaged or cut off. There is never a partial result.
        PatchTooLarge: it is larger than any patch is read, or carries a file that is.
    """
    check_patch_size(len(data))
    files = _Parser(data, options).files()
    if not files:
        raise EmptyPatch
    patch = Patch(tuple(files))
    if options.reverse:
        patch = reverse_patch(patch)
    if options.directory or options.paths:
        patch = Patch(select_files(patch.files, options))
    return patch


def reverse_patch(patch: Patch) -> Patch:
    """Return the patch that takes ``patch`` back.

    Raises:
        PatchSyntaxError: a binary file's patch does not carry the way back.
    """
    return Patch(tuple(_reversed_file(file) for file in reversed(patch.files)))


_INVERSE: dict[Operation, Operation] = {"add": "delete", "delete": "add", "copy": "delete"}


def _reversed_file(file: FilePatch) -> FilePatch:
    if file.forward is not None and file.backward is None:
        raise PatchSyntaxError(file.at_line, "this binary patch cannot be taken back: it has no reverse half")
    is_copy = file.operation == "copy"
    # A mode on the index line is the mode of both sides.
    one_mode = file.new_mode is None and file.operation not in ("add", "delete")
    return replace(
        file,
        operation=_INVERSE.get(file.operation, file.operation),
        old_path=file.new_path,
        new_path=None if is_copy else file.old_path,
        old_mode=file.old_mode if one_mode else file.new_mode,
        new_mode=file.new_mode if one_mode else file.old_mode,
        old_oid=file.new_oid,
        new_oid=file.old_oid,
        hunks=tuple(reversed_hunk(hunk) for hunk in file.hunks),
        forward=file.backward,
        backward=file.forward,
        copied_from=file.old_path if is_copy else None,
    )


class _Parser:
    """Walks the text: ``_at`` is the offset of a line's first byte and ``_line`` that line's number."""

    __slots__ = ("_at", "_components", "_data", "_end", "_line", "_options")

    def __init__(self, data: bytes, options: ApplyOptions) -> None:
        # A marker of a missing newline says the same where its own newline was lost.
        self._data = data + b"\n" if data.startswith(b"\\ ", data.rfind(b"\n") + 1) else data
        self._options = options
        self._components = options.strip
        self._at: int = 0
        self._line: int = 1
        self._end: int = 0

    def files(self) -> list[FilePatch]:
        """Return every file's patch."""
        files: list[FilePatch] = []
        data = self._data
        size = len(data)
        while self._at < size:
            file = None
            if data.startswith(b"diff --git ", self._at):
                file = self._git_file()
                if file is None:
                    continue  # It has passed its own line: the next one may be another's header.
            elif data.startswith(b"--- ", self._at):
                file = self._plain_file()
            elif data.startswith(b"@@ -", self._at) and _HUNK.match(data, self._at):
                raise PatchSyntaxError(self._line, FRAGMENT, FRAGMENT, self._next_line())
            if file is None:
                self._next_line()
            else:
                files.append(file)
        return files

    def _next_line(self) -> bytes:
        """Return the line at the cursor without its newline, and pass it."""
        stop = self._data.find(b"\n", self._at)
        line = self._data[self._at : stop if stop >= 0 else len(self._data)]
        self._at = stop + 1 if stop >= 0 else len(self._data)
        self._line += 1
        return line

    def _git_file(self) -> FilePatch | None:
        at_line = self._line
        next_file = self._data.find(b"\ndiff --git ", self._at)
        self._end = next_file + 1 if next_file >= 0 else len(self._data)
        header = GitHeader(
            self._next_line()[11:].rstrip(b"\r"),
            at_line,
            components=1 if self._components is None else self._components,
            lenient=self._options.lenient,
        )
        taken = self._read_header(header)
        file = header.finish(self._line)
        if self._data.startswith(b"@@ -", self._at):
            return replace(file, hunks=self._hunks(file))
        if self._data.startswith(b"GIT binary patch", self._at):
            forward, backward = self._binary()
            return replace(file, binary=True, forward=forward, backward=backward)
        if not self._options.lenient and any(
            self._data.find(mark, self._at - 1, self._end) >= 0 for mark in _CONTENT
        ):
            raise PatchSyntaxError(
                self._line, "the header is damaged: its content does not follow it", GARBAGE
            )
        if not taken:
            # Git prints `diff --git` alone for a file that was touched and did not change.
            if self._options.lenient or self._at == self._end:
                return None
            if self._data.startswith(_AFTER_NOTHING, self._at, self._end):
                return None
            raise PatchSyntaxError(self._line, "the header is damaged: no line of a header follows")
        if self._skip_differ():
            return replace(file, binary=True)
        mode_change = None not in (file.old_mode, file.new_mode) and file.old_mode != file.new_mode
        if file.operation == "modify" and not mode_change:
            raise PatchSyntaxError(
                self._line, "a header that nothing follows: the patch is cut off or damaged", GARBAGE
            )
        return file

    def _read_header(self, header: GitHeader) -> int:
        """Give the header its lines and return how many it took."""
        data = self._data
        taken = 0
        while not data.startswith(b"@@ -", self._at):
            stop = data.find(b"\n", self._at)
            if stop < 0:
                self._refuse_cut_line(header)
                break
            if not header.take(data[self._at : stop], self._line):
                break
            self._at = stop + 1
            self._line += 1
            taken += 1
        return taken

    def _refuse_cut_line(self, header: GitHeader) -> None:
        """Refuse a line of the header that the text ends in: a name may be cut off, and an id."""
        if self._options.lenient or self._at == len(self._data):
            return
        if header.take(self._data[self._at :], self._line):
            raise PatchSyntaxError(self._line, "the text ends within a line of a header: it is cut off")

    def _plain_file(self) -> FilePatch | None:
        """Read a diff without ``diff --git`` header; None where the cursor is at no such diff."""
        data = self._data
        second = data.find(b"\n", self._at) + 1
        hunk = data.find(b"\n", second) + 1
        if not (second and hunk and data.startswith(b"+++ ", second) and data.startswith(b"@@", hunk)):
            return None
        if not data.startswith(b"@@ -", hunk):
            if self._options.lenient:
                return None
            raise PatchSyntaxError(self._line + 2, "a hunk without line numbers")
        at_line = self._line
        first_text, second_text = data[self._at + 4 : second - 1], data[second + 4 : hunk - 1]
        components = self._plain_components(first_text, second_text)
        old, new = plain_names(first_text, second_text, components)
        operation: Operation = "modify"
        if is_dev_null(first_text) or (old and new and is_epoch(first_text)):
            operation, old = "add", None
        elif is_dev_null(second_text) or (old and new and is_epoch(second_text)):
            operation, new = "delete", None
        if (old is None and operation != "add") or (new is None and operation != "delete"):
            raise PatchSyntaxError(self._line, "no file name can be told from this header", UNNAMED)
        other = None
        if operation == "modify":
            # The shorter name, where one of them only adds to the other.
            other = None if (old or b"").startswith(new or b"") else old
            old = new
        self._at = hunk
        self._line += 2
        self._end = hunk  # Where the next file starts is not known: hunks are read by their counts.
        file = FilePatch(
            operation=operation, old_path=old, new_path=new, other_path=other, plain=True, at_line=at_line
        )
        return replace(file, hunks=self._hunks(file))

    def _plain_components(self, first: bytes, second: bytes) -> int:
        """Return how much to strip from a plain diff's names; Git keeps to what it once guessed."""
        components = self._components
        if components is None:
            components = guess_components(first, second)
            if self._options.lenient:
                self._components = components
        return 1 if components is None else components

    def _hunks(self, file: FilePatch) -> tuple[Hunk, ...]:
        hunks: list[Hunk] = []
        if self._at < self._end and not self._options.recount:
            hunks = self._cut_hunks()
        while self._data.startswith(b"@@ -", self._at):
            hunks.append(self._read_hunk())
        if self._data.startswith(b"@@", self._at) and not self._options.lenient:
            raise PatchSyntaxError(self._line, "a hunk without line numbers")
        if file.operation == "add" and any(hunk.old_count for hunk in hunks):
            raise PatchSyntaxError(file.at_line, "a new file depends on old content")
        if file.operation == "delete" and any(hunk.new_count for hunk in hunks):
            raise PatchSyntaxError(file.at_line, "a deleted file still has content")
        return tuple(hunks)

    def _cut_hunks(self) -> list[Hunk]:
        """Take hunks out of the text in one piece each, as long as their counts fit the next one's place."""
        section = self._data[self._at : self._end]
        head = self._read_counts(section, self._line)
        images = cut_one_image(section, head[1], head[3]) if not (head[1] and head[3]) else None
        if images is not None:
            hunk = make_hunk(head, images, self._line)
            self._at = self._end
            self._line += section.count(b"\n")
            return [hunk]
        lines = section.split(b"\n")
        marks = bytes([line[0] if line else _NEWLINE for line in lines])
        hunks: list[Hunk] = []
        at, stop = 0, len(lines) - 1  # The text ends in a newline, or the last line is of no use.
        while at < stop and lines[at].startswith(b"@@ -"):
            following = marks.find(b"@", at + 1)
            following = stop if following < 0 else following
            head = self._read_counts(lines[at], self._line + at)
            images = cut_images(lines[at + 1 : following], marks[at + 1 : following], head[1], head[3])
            if images is None:
                break
            hunks.append(make_hunk(head, images, self._line + at))
            at = following
        self._at += sum(map(len, lines[:at])) + at
        self._line += at
        return hunks

    def _read_counts(self, text: bytes, at_line: int) -> Head:
        """Return start and count of both sides from a hunk's header."""
        match = _HUNK.match(text)
        if match is None:
            raise PatchSyntaxError(at_line, "corrupt hunk header")
        old_start, old_count, new_start, new_count = match.groups(b"1")
        return int(old_start), int(old_count), int(new_start), int(new_count)

    def _read_hunk(self) -> Hunk:
        """Read a hunk line by line: plain diffs, the last hunk before prose, odd and damaged ones."""
        at_line = self._line
        head = self._read_counts(self._next_line(), at_line)
        recount = self._options.recount
        if recount:
            head = self._recounted(head)
        return make_hunk(head, self._read_images(head[1], head[3]), at_line, may_be_idle=recount)

    def _recounted(self, head: Head) -> Head:
        """Count the lines up to the next hunk or file.

        Where something else stands there, the header is believed: a mail's signature ends the patch.
        """
        old_count = new_count = 0
        at = self._at
        while at < len(self._data):
            mark = self._data[at]
            if mark not in b" \n-+\\":
                if not self._data.startswith((b"@@ ", b"diff "), at):
                    return head
                break
            old_count += mark in b" \n-"
            new_count += mark in b" \n+"
            at = self._data.find(b"\n", at) + 1 or len(self._data)
        return head[0], old_count, head[2], new_count

    def _read_images(self, old_count: int, new_count: int) -> Images:
        """Read a hunk's lines one by one, as many as its header counts, and refuse more of them."""
        data = self._data
        marks = bytearray()
        tails: list[bytes] = []
        old_left, new_left = old_count, new_count
        while old_left or new_left:
            stop = data.find(b"\n", self._at) + 1
            mark = data[self._at] if stop else 0
            if mark == _BACKSLASH:
                self._drop_newline(tails)
                continue
            empty_context = mark == _NEWLINE  # GNU diff may drop the space of an empty context line.
            mark = _SPACE if empty_context else mark
            old_left -= mark != _PLUS
            new_left -= mark != _MINUS
            if mark not in b" +-" or old_left < 0 or new_left < 0:
                raise PatchSyntaxError(self._line, "the hunk is cut off, or its header counts other lines")
            marks.append(mark)
            tails.append(b"\n" if empty_context else data[self._at + 1 : stop])
            self._at = stop
            self._line += 1
        if data.startswith(b"\\ ", self._at):
            self._drop_newline(tails)
        if not self._options.lenient:
            self._refuse_more_lines()
        old = list(compress(tails, marks.translate(IN_OLD)))
        new = list(compress(tails, marks.translate(IN_NEW)))
        if not all(line.endswith(b"\n") for side in (old, new) for line in side[:-1]):
            raise PatchSyntaxError(self._line, "a line without newline that is not the last one")
        return b"".join(old), b"".join(new), bytes(marks)

    def _drop_newline(self, tails: list[bytes]) -> None:
        r"""Read a ``\ No newline at end of file`` line, in whatever language."""
        at_line = self._line
        line = self._next_line()
        if (
            not line.startswith(b"\\ ")
            or len(line) < SHORTEST_MARKER
            or not tails
            or not tails[-1].endswith(b"\n")
        ):
            raise PatchSyntaxError(at_line, "a backslash line that follows no line of the hunk")
        tails[-1] = tails[-1][:-1]

    def _refuse_more_lines(self) -> None:
        """Refuse what looks like more of the hunk that just ended: its header then counts too few.

        A mail's signature (``-- ``) and the names of the next plain diff are no such lines.
        """
        data = self._data
        if data[self._at : self._at + 1] not in (b" ", b"+", b"-", b"\\"):
            return
        line, _, rest = data[self._at : self._at + 4096].partition(b"\n")
        if line.rstrip(b"\r") in (b"-- ", b"--") and rest[:1] not in (b" ", b"+", b"-", b"\\"):
            return
        if not line.startswith(b"--- ") or not rest.startswith(b"+++ "):
            raise PatchSyntaxError(self._line, "patch fragment without header: its hunk counts fewer lines")

    def _binary(self) -> tuple[BinaryDelta, BinaryDelta | None]:
        self._next_line()
        forward = self._binary_half()
        if forward is None:
            raise PatchSyntaxError(self._line - 1, UNKNOWN_BINARY, UNKNOWN_BINARY)
        return forward, self._binary_half()

    def _binary_half(self) -> BinaryDelta | None:
        """Read one ``literal`` or ``delta`` up to the empty line that ends it."""
        match = _BINARY_HALF.match(self._data, self._at)
        if match is None:
            if self._data.startswith((b"literal ", b"delta "), self._at):
                raise PatchSyntaxError(self._line + 1, "the binary patch is cut off", CORRUPT_BINARY, b"")
            return None
        at_line, start = self._line, match.end()
        stop = self._data.find(b"\n\n", start - 1)
        if stop < 0:
            end = at_line + self._data.count(b"\n", start - 1)
            raise PatchSyntaxError(end, "the binary patch is cut off", CORRUPT_BINARY, b"")
        text = self._data[start:stop]
        try:
            content = inflate(decode_lines(text), int(match[2]))
        except BinaryDamage as damage:
            raise PatchSyntaxError(at_line, f"{CORRUPT_BINARY}: {damage}", CORRUPT_BINARY, b"") from damage
        self._at = stop + 2
        self._line += text.count(b"\n") + 3
        return BinaryDelta("literal" if match[1] == b"literal" else "delta", content, at_line)

    def _skip_differ(self) -> bool:
        """Pass the line by which a diff without ``--binary`` says that binary files differ."""
        stop = self._data.find(b"\n", self._at)
        line = self._data[self._at : max(stop, self._at)]
        if not line.startswith((b"Binary files ", b"Files ")) or not line.endswith(b" differ"):
            return False
        self._next_line()
        return True
