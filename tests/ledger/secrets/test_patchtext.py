"""Patches: a secret is found where it is added, with its place, and nowhere else it stops anything."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File, Files
from fakes import AWS, FAKES, GITHUB, drawn

from ledger.secrets.patchtext import Sighting, Sightings, scan_patch
from patches.parse import parse_patch

LINES = b"".join(b"line %d\n" % number for number in range(1, 41))
HOLDING = LINES.replace(b"line 20\n", f"line 20 {AWS}\n".encode())


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo")


def scan(book: Book, before: Files, after: Files, head: bytes = b"") -> Sightings:
    data = head + book.diff(book.write_tree(before), book.write_tree(after))
    return scan_patch(data, parse_patch(data))


def test_an_added_secret_is_named_with_its_line(book: Book) -> None:
    """Line and path are those of the new file, as `grep -n` counts them."""
    after = {b"a.py": File(b"new\nnew\n" + HOLDING), b"b.py": File(b"x\n" + f"t = '{GITHUB}'\n".encode())}
    seen = scan(book, {b"a.py": File(LINES), b"b.py": File(b"x\n")}, after)
    assert seen.added == (Sighting("AWS Access Key", "a.py", 22), Sighting("GitHub Token", "b.py", 2))
    assert str(seen.added[0]) == "AWS Access Key at a.py:22"
    assert seen.kept == ()


def test_what_takes_a_secret_out_is_no_find_but_is_said(book: Book) -> None:
    """A removed line and a line of context hold it in the patch, not in the result."""
    before = {b"a.py": File(HOLDING)}
    assert scan(book, before, {b"a.py": File(LINES)}) == Sightings(
        kept=(Sighting("AWS Access Key", "a.py", 20),)
    )
    beside = {b"a.py": File(HOLDING.replace(b"line 19\n", b"line nineteen\nand\n"))}
    assert scan(book, before, beside) == Sightings(kept=(Sighting("AWS Access Key", "a.py", 21),))


def test_binary_content_is_looked_into(book: Book) -> None:
    """Git writes it in base 85, deflated: what counts is what it says."""
    blob = bytes(range(256)) * 4 + b"\n" + GITHUB.encode() + b"\n"
    seen = scan(book, {}, {b"x.bin": File(blob)})
    assert [(each.kind, each.path) for each in seen.added] == [("GitHub Token", "x.bin")]
    seen = scan(book, {b"x.bin": File(blob)}, {})
    assert seen.added == ()
    assert [each.kind for each in seen.kept] == ["GitHub Token"]


def test_a_mails_message_is_part_of_the_patch(book: Book) -> None:
    """It is stored with it."""
    head = f"From: ada\nSubject: fix\n\nthe token {GITHUB} is gone\n".encode()
    seen = scan(book, {}, {b"a": File(b"x\n")}, head)
    assert seen.added == (Sighting("GitHub Token", "", 4),)
    assert str(seen.added[0]) == "GitHub Token at line 4 of the patch"


@pytest.mark.parametrize(
    "text",
    [
        "key = '{}'  # pragma: allowlist secret\n",
        "# pragma: allowlist nextline secret\nkey = '{}'\n",
        "url = 'https://{{user}}:{{password}}@example.com/'\n",
        "url = 'https://ada:<password>@example.com/'\n",
        'url = "https://ada:${{PASSWORD}}@example.com/"\n',
        "pass" + "word = get_password('x')\n",
    ],
)
def test_what_is_allowed_or_no_value_stops_nothing(book: Book, text: str) -> None:
    """A pragma of detect-secrets, on the line or the one before; placeholders; look-ups."""
    assert scan(book, {}, {b"a.py": File(text.format(AWS).encode())}) == Sightings()


def test_a_pragma_in_a_removed_line_allows_nothing(book: Book) -> None:
    """The line is gone when the secret is there."""
    before = {b"a.py": File(b"# pragma: allowlist nextline secret\n")}
    seen = scan(book, before, {b"a.py": File(f"key = '{AWS}'\n".encode())})
    assert len(seen.added) == 1


def test_settings_need_no_quotes(book: Book) -> None:
    """In a settings file a value that looks random is a secret as it stands; in code it is an expression."""
    line = ("pass" + f"word: {drawn(20)}\n").encode()
    assert [each.kind for each in scan(book, {}, {b"app.yaml": File(line)}).added] == ["Secret Keyword"]
    assert scan(book, {}, {b"app.py": File(line)}) == Sightings()


def test_a_plain_password_only_warns(book: Book) -> None:
    """Tests are full of them: it is shown, and stops nothing."""
    seen = scan(book, {}, {b"a.py": File(("pass" + 'word = "letmein-please"\n').encode())})
    assert seen.added == ()
    assert seen.doubtful == (Sighting("Secret Keyword", "a.py", 1),)


def test_random_strings_warn_and_digests_do_not(book: Book) -> None:
    """A lock file has thousands of digests."""
    digests = b"".join(b'"%064x": "sha512-%b==",\n' % (3**n, drawn(86, n).encode()) for n in range(40, 60))
    assert scan(book, {}, {b"lock.json": File(digests)}) == Sightings()
    random = base64.b64encode(hashlib.sha256(b"any").digest()).decode()
    seen = scan(book, {}, {b"a.js": File(f"let x = '{random}'\n".encode())})
    assert (seen.added, seen.doubtful) == ((), (Sighting("random string", "a.js", 1),))


@pytest.mark.parametrize("kind", sorted(FAKES))
def test_every_kind_stops_a_patch(book: Book, kind: str) -> None:
    """In any text file, whatever else it holds."""
    seen = scan(book, {}, {b"notes.txt": File(f"first\n{FAKES[kind]}\nlast\n".encode())})
    assert Sighting(kind, "notes.txt", 2) in seen.added
