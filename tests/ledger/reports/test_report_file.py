"""The file of a report: what is in it, what is kept out of it, and where it may be written."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File

from ledger import Ledger
from ledger.transfer_errors import ReportInTheWay

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def book(tmp_path: Path, identity: object) -> Book:
    return Book(tmp_path / "repo", {b"a.txt": File(b"one\ntwo\n"), b"old/b.txt": File(b"b\n" * 40)})


class Parsed(HTMLParser):
    """The elements of a page with their attributes and the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def texts(self, wanted: str) -> list[str]:
        return [text for tag, _, text in self.found if tag == wanted]


def written(ledger: Ledger, target: Path, reference: str = "@", **options: Any) -> tuple[Parsed, Any]:
    """Write a report and return its page and what is packed into it."""
    ledger.write_report(target, reference, **options)
    page = Parsed(target.read_text("utf-8"))
    data = next(text for tag, attributes, text in page.found if attributes.get("id") == "data")
    return page, json.loads(gzip.decompress(base64.b64decode(data)))


def patch(book: Book, before: dict[bytes, File], after: dict[bytes, File]) -> bytes:
    return book.diff(book.write_tree(before), book.write_tree(after))


def test_nothing_but_its_own_script_and_style_may_run(book: Book, tmp_path: Path) -> None:
    """The policy names both by digest, nothing is loaded, and no element has a handler or a style of its own."""
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        page, _ = written(ledger, tmp_path / "run.html")
    policy = next(a["content"] for _, a, _ in page.found if a.get("http-equiv") == "Content-Security-Policy")
    (style,), (_, script) = page.texts("style"), page.texts("script")
    digests = {
        name: base64.b64encode(sha256(text.encode()).digest()).decode()
        for name, text in (("style", style), ("script", script))
    }
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; style-src 'sha256-{digests['style']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    names = {name for _, attributes, _ in page.found for name in attributes}
    assert not {name for name in names if name.startswith("on")} | (
        names & {"style", "src", "href", "action"}
    )
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", (tmp_path / "run.html").read_text("utf-8"))


def test_each_event_has_its_patch_as_git_makes_it(book: Book, tmp_path: Path) -> None:
    """A rename, a deletion and a binary file are what `git diff --numstat` says that they are."""
    before = {b"a.txt": File(b"one\ntwo\n"), b"old/b.txt": File(b"b\n" * 40)}
    after = {b"new/b.txt": File(b"b\n" * 40 + b"more\n"), b"logo": File(b"\0\1\2")}
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        ledger.apply(patch(book, before, after))
        _, data = written(ledger, tmp_path / "run.html")
    changes = {each["p"]: each for each in data["events"][-1]["changes"]}
    assert {path: each["op"] for path, each in changes.items()} == {
        "a.txt": "delete",
        "new/b.txt": "rename",
        "logo": "add",
    }
    assert changes["new/b.txt"]["o"] == "old/b.txt"
    assert (changes["new/b.txt"]["added"], changes["a.txt"]["removed"]) == (1, 2)
    assert changes["logo"]["why"] == "binary"
    assert data["contents"] == {"a.txt": "one\ntwo\n", "old/b.txt": "b\n" * 40}


def test_secrets_are_masked_and_what_was_redacted_is_gone(book: Book, tmp_path: Path) -> None:
    """A token that somebody let in shows as its kind; after `redact` the file's patches are not there at all."""
    before = {b"a.txt": File(b"one\ntwo\n")}
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        after = {b"a.txt": File(f"one\n{TOKEN}\n".encode())}
        applied = ledger.apply(patch(book, before, after), allow_secrets=True, source=f"{TOKEN}.diff")
        ledger.apply(patch(book, after, before))
        _, data = written(ledger, tmp_path / "masked.html")
        assert TOKEN not in json.dumps(data)
        assert "+[redacted: GitHub Token]" in data["events"][-2]["changes"][0]["d"]
        ledger.redact(applied.event)
        _, data = written(ledger, tmp_path / "redacted.html")
    assert [each["changes"][0]["why"] for each in data["events"] if "changes" in each] == [
        "redacted",
        "redacted",
    ]
    assert data["contents"] == {}


def test_it_ends_at_the_event_that_is_named(book: Book, tmp_path: Path) -> None:
    """Nothing that came later is in it."""
    before, after = {b"a.txt": File(b"one\ntwo\n")}, {b"a.txt": File(b"one\nLATER\n")}
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        ledger.apply(patch(book, before, after))
        _, data = written(ledger, tmp_path / "run.html", "t-0001:2")
    assert data["until"] == len(data["events"]) == 2
    assert "LATER" not in json.dumps(data)


def test_without_the_objects_of_git_names_and_counts_are_left(book: Book, tmp_path: Path) -> None:
    """Where Git has not the trees any more the records of the events speak, and each gap says why."""
    before, after = {b"a.txt": File(b"one\ntwo\n")}, {b"a.txt": File(b"one\nthree\n")}
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        tree = ledger.apply(patch(book, before, after)).tree
        (book.root / ".git/objects" / tree[:2] / tree[2:]).unlink()
        page, data = written(ledger, tmp_path / "run.html")
    (change,) = data["events"][-1]["changes"]
    assert (change["p"], change["added"], change["removed"]) == ("a.txt", 1, 1)
    assert change["why"] == "not in the repository any more"
    assert "1 patch of a file: not in the repository any more" in page.texts("li")


def test_of_a_long_run_the_newest_patches_are_there(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the others names and counts are left; no content is shown that would not follow."""
    monkeypatch.setattr("ledger.reports.contents.PATCHES", 2)
    texts = [b"one\ntwo\n", b"one\n2\n", b"one\n2\n3\n", b"2\n3\n"]
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        for old, new in pairwise(texts):
            ledger.apply(patch(book, {b"a.txt": File(old)}, {b"a.txt": File(new)}))
        _, data = written(ledger, tmp_path / "run.html")
    changes = [each["changes"][0] for each in data["events"] if "changes" in each]
    assert [each.get("why", "") for each in changes] == [
        "only the newest patches of so long a run are here",
        "",
        "",
    ]
    assert [(each["added"], each.get("removed", 0)) for each in changes[:2]] == [(1, 1), (1, 0)]
    assert (data["contents"], list(data["missing"])) == ({}, ["a.txt"])


def test_no_file_is_replaced_unasked_and_none_lies_in_gits_directory(book: Book, tmp_path: Path) -> None:
    """What is in the way stays as it is, byte for byte."""
    target = tmp_path / "run.html"
    target.write_bytes(b"mine")
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        for place in (target, book.root / ".git/run.html"):
            with pytest.raises(ReportInTheWay):
                ledger.write_report(place)
        assert target.read_bytes() == b"mine"
        assert not (book.root / ".git/run.html").exists()
        ledger.write_report(target, force=True)
    assert target.read_bytes().startswith(b"<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if "run.html" in path.name] == ["run.html"]


def test_a_thousand_patches_stay_small(book: Book, tmp_path: Path) -> None:
    """Each event has its patch, and the whole is far below the few megabytes that a mail may have."""
    with Ledger.open(book.root) as ledger:
        ledger.run("t", name="t-0001")
        lines = [f"line {number} of a program that has many\n" for number in range(400)]
        text = "".join(lines).encode()
        ledger.apply(patch(book, {}, {b"big.txt": File(text)}))
        for number in range(100):
            lines[number * 3] = f"changed by patch {number}\n"
            after = "".join(lines).encode()
            ledger.apply(patch(book, {b"big.txt": File(text)}, {b"big.txt": File(after)}))
            text = after
        _, data = written(ledger, tmp_path / "run.html")
    assert all(change["d"] for event in data["events"] for change in event.get("changes", ()))
    assert (tmp_path / "run.html").stat().st_size < 100_000
