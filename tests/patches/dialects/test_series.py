"""Mails, mailboxes and series of files, compared with ``git mailinfo`` where it reads them."""

from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from patches.dialects.normalisation import normalise
from patches.dialects.series import Message, parse_message, read_quilt, split_series
from patches.errors import PatchSyntaxError

if TYPE_CHECKING:
    from pathlib import Path

DIFF = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
FROM_LINE = b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
HEAD = b"From: Ann Example <ann@example.org>\nDate: Mon, 2 Nov 2026 10:00:00 +0100\n"
TAIL = b"\nWhy it is so.\n\nSigned-off-by: Ann\n---\n f | 2 +-\n\n" + DIFF + b"-- \n2.55\n"
ENCODED = base64.encodebytes("Größe ändert sich\n---\n".encode() + DIFF)

MAILS = {
    "plain": HEAD + b"Subject: [PATCH v2 1/3] Change   f\n" + TAIL,
    "reply": HEAD + b"Subject: Re: [PATCH] [RFC] Change f\n" + TAIL,
    "folded": HEAD + b"Subject: [PATCH] Change\n f and more\n" + TAIL,
    "encoded words": HEAD + b"Subject: =?UTF-8?q?Gr=C3=B6=C3=9Fe?=\n =?UTF-8?b?IMOkbmRlcm4=?=\n" + TAIL,
    "in-body headers": HEAD + b"Subject: fwd\n\nFrom: Bob <bob@example.org>\nSubject: Real one\n" + TAIL,
    "quoted name": b'From: "Example, Ann" <ann@example.org>\nSubject: s\n' + TAIL,
    "name after": b"From: ann@example.org (Ann Example)\nSubject: s\n" + TAIL,
    "no name": b"From: ann@example.org\nSubject: s\n" + TAIL,
    "base64": HEAD + b"Subject: s\nContent-Type: text/plain; charset=utf-8\n"
    b"Content-Transfer-Encoding: base64\n\n" + ENCODED,
    "quoted-printable": HEAD + b"Subject: s\nContent-Type: text/plain; charset=iso-8859-1\n"
    b"Content-Transfer-Encoding: quoted-printable\n\nGr=F6=DFe\n---\n" + DIFF.replace(b"+b", b"+b=3D=\n=3D"),
}  # fmt: skip


def mailinfo(mail: bytes, where: Path) -> Message:
    """Return what git itself reads from a mail."""
    command = ["git", "mailinfo", "msg", "patch"]
    done = subprocess.run(command, cwd=where, input=mail, check=True, capture_output=True)
    info = dict(line.split(": ", 1) for line in done.stdout.decode().splitlines() if ": " in line)
    return Message(
        (where / "patch").read_bytes(),
        f"{info.get('Author', '')} <{info.get('Email', '')}>",
        info.get("Date", ""),
        info.get("Subject", ""),
        (where / "msg").read_text().strip("\n") + "\n",
    )


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_says_what_git_mailinfo_reads(name: str, tmp_path: Path) -> None:
    """Author, date, subject, body and the diff's bytes are the same."""
    assert parse_message(MAILS[name]) == mailinfo(MAILS[name], tmp_path)


def test_a_mailbox_is_split_in_order() -> None:
    """Each mail begins with its ``From `` line; a quoted one in a body does not, and is unquoted where that is certain."""
    quoted = MAILS["plain"].replace(b"Why it is so.", b">From then on.")
    messages = split_series(FROM_LINE + quoted + b"\n" + FROM_LINE + MAILS["folded"])
    assert [message.subject for message in messages] == ["Change f", "Change f and more"]
    assert messages[0].body.startswith(">From then on.")
    (rd,) = split_series(FROM_LINE.replace(b"0123456789", b"mboxrd@z ", 1) + quoted)
    assert rd.body.startswith("From then on.")


def test_talk_about_a_series_is_no_part_of_it() -> None:
    """A cover letter and a reply are left out; a mail that lost its diff is not."""
    cover = HEAD + b"Subject: [PATCH v2 0/3] All of it\n\nWhy.\n"
    reply = HEAD + b"Subject: Re: [PATCH v2 1/3] Change f\n\n> +b\nNice.\n"
    lost = HEAD + b"Subject: [PATCH v2 3/3] Change g\n\nWhy.\n"
    messages = split_series(b"".join(FROM_LINE + mail for mail in (cover, MAILS["plain"], reply, lost)))
    assert [(message.subject, bool(message.data)) for message in messages] == [
        ("Change f", True),
        ("Change g", False),
    ]


def test_a_lone_reply_is_taken_for_the_patch_that_it_quotes() -> None:
    """What is quoted, or in a form of its own, is for the dialects to read."""
    quoted = b"".join(b"> " + line for line in DIFF.splitlines(keepends=True))
    (message,) = split_series(HEAD + b"Subject: Re: [PATCH] Change f\n\nAnn wrote:\n" + quoted)
    assert normalise(message.data, {b"f": b"a\n"}.get).steps == ("quoted mail",)
    envelope = b"*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch\n"
    (message,) = split_series(FROM_LINE + HEAD + b"Subject: Change f\n\nWhy.\n\n" + envelope)
    assert (message.data, message.body) == (envelope, "Why.\n")


def test_a_text_that_is_no_mail_is_one_message() -> None:
    """A plain diff stays as it is."""
    assert split_series(DIFF) == (Message(DIFF),)


def test_an_attached_patch_is_found() -> None:
    """The last line of a part keeps its newline."""
    mail = (
        HEAD + b"Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=X\n\n"
        b"--X\nContent-Type: text/plain\n\nWhy.\n\n--X\nContent-Type: text/x-patch; name=f.patch\n\n"
        + DIFF
        + b"--X--\n"
    )
    message = parse_message(mail)
    assert (message.data, message.body) == (DIFF, "Why.\n")


def test_a_mercurial_export_names_its_user() -> None:
    """User, date and message stand in the header, of several changes in that of each."""
    data = (
        b"# HG changeset patch\n# User Ann <a@b.c>\n# Date 1700000000 -3600\n# Node ID 12\nFix it\n\nMore.\n\n"
        + DIFF
    )
    message = Message(DIFF, "Ann <a@b.c>", "2023-11-14 23:13:20+01:00", "Fix it", "More.\n")
    assert parse_message(data) == message
    assert split_series(data + data) == (message, message)


def test_a_quilt_series_names_files_and_their_levels() -> None:
    """Comments are passed over, ``-p0`` is kept, and a DEP-3 header is read."""
    header = b"Description: Fix it\n Because.\n .\n Really.\nAuthor: Ann <a@b.c>\nLast-Update: 2026-11-01\n\n"
    files = {"one.patch": header + DIFF, "two.patch": DIFF}
    one, two = read_quilt(b"# first\none.patch\n\ntwo.patch -p0 # why\n", files.__getitem__)
    assert one == Message(DIFF, "Ann <a@b.c>", "2026-11-01", "Fix it", "Because.\n\nReally.\n", "one.patch")
    assert two == Message(DIFF, name="two.patch", strip=0)


def test_a_series_with_an_unknown_option_is_refused() -> None:
    """What would change the result is not passed over."""
    with pytest.raises(PatchSyntaxError, match="-R"):
        read_quilt(b"one.patch -R\n", lambda _: DIFF)


def test_an_stgit_export_is_read_as_the_mail_that_it_would_be() -> None:
    """Its first line is the subject, and whose it is follows below; a series of them is one of quilt's."""
    diff = b"---\n f | 2 +-\n\n" + DIFF
    body = b"\nWhy it is so.\n" + diff
    export = b"fix: change f\n\nAuthor: Ann <a@b.c>\nDate: Mon, 2 Nov 2026 10:00:00 +0100\n" + body
    made = Message(diff, "Ann <a@b.c>", "Mon, 2 Nov 2026 10:00:00 +0100", "fix: change f", "Why it is so.\n")
    assert parse_message(export) == made
    (one,) = read_quilt(b"# This series applies on GIT commit 12\npatch\n", lambda _: export)
    assert one == msgspec.structs.replace(made, name="patch")


def test_empty_lines_before_a_mail_are_none_of_it() -> None:
    """As where one was saved from a program that puts them there."""
    assert parse_message(b"   \n\n" + MAILS["plain"]) == parse_message(MAILS["plain"])


def test_the_first_message_of_some_mailboxes_is_none() -> None:
    """A mail program keeps its own data in it."""
    own = b"From: Mail System Internal Data <MAILER-DAEMON@example.com>\nSubject: folder\n\nNot a mail.\n"
    (one,) = split_series(FROM_LINE + own + b"\n" + FROM_LINE + MAILS["plain"])
    assert one.subject == "Change f"


FLOWED = b"Content-Type: text/plain; charset=utf-8; format=flowed%b\n\n%b"
LONG = b"x" * 50 + b" " + b"y" * 50
LONG_DIFF = DIFF.replace(b"-a\n", b" " + LONG + b"\n-" + LONG + b"\n").replace(
    b"@@ -1 +1 @@", b"@@ -1,2 +1,2 @@"
)


@pytest.mark.parametrize(
    ("delsp", "soft"), [(b"", b" \n"), (b"; delsp=yes", b"  \n"), (b"; delsp=no", b" \n")]
)
def test_a_flowed_mail_is_read_without_its_soft_breaks(delsp: bytes, soft: bytes, tmp_path: Path) -> None:
    """Unstuffed and joined it is the diff that was sent, as for `git mailinfo`."""
    sent = b"".join(
        b" " + line if line.startswith(b" ") else line for line in LONG_DIFF.splitlines(keepends=True)
    )
    text = b"Why it is%bso.\n---\n%b" % (soft, sent.replace(b"x " + b"y", b"x" + soft + b"y"))
    given = HEAD + b"Subject: s\n" + FLOWED % (delsp, text + b"-- \n2.55\n")
    message = parse_message(given)
    assert message == mailinfo(given, tmp_path)
    assert message.data == b"---\n" + LONG_DIFF + b"-- \n2.55\n"
    assert message.body == "Why it is so.\n"


def test_a_mail_that_only_says_that_it_is_flowed_is_read_as_it_came() -> None:
    """An added line that ends in a space is no soft break where the counts say that it is a line."""
    data = DIFF.replace(b"+b\n", b"+b \n+c\n").replace(b"+1 @@", b"+1,2 @@")
    given = HEAD + b"Subject: s\n" + FLOWED % (b"", b"Why.\n---\n" + data)
    assert parse_message(given).data == b"---\n" + data
