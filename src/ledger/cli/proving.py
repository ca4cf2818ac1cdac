"""Commands that prove: checkpoints of the log, and the check of everything against them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.failures import DAMAGED, REJECTED
from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import open_ledger, say

if TYPE_CHECKING:
    from ledger.operations.checkpointing import Target

_FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="FILE|REF",
    help="A checkpoint that the log must extend: a file, a tag, or a commit with a note. Repeatable.",
)
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    metavar="FILE|TEXT",
    help="Every --checkpoint must be signed by one of these keys. Repeatable.",
)
@format_options
def verify(checkpoints: tuple[str, ...], public_keys: tuple[str, ...], style: str) -> None:
    """Check the whole ledger, and say what could not be proved.

    A checkpoint that was kept elsewhere proves that the log up to it is the one of then; the
    checkpoints in this repository's own notes and tags are looked at too. Exits with 5 where
    something is damaged or the log does not extend a checkpoint, with 1 where a checkpoint is
    another ledger's or not signed by a given key.

    \b
    ledger verify
    ledger verify --checkpoint head.note --public-key ledger.pub
    """  # noqa: D301 - click reads the backspace
    findings = list(open_ledger().verify(checkpoints, public_keys))
    write_rows(("outcome", "subject", "found"), [(f.outcome, f.subject, f.message) for f in findings], style)
    outcomes = {finding.outcome for finding in findings}
    for outcome, code in (("damaged", DAMAGED), ("failed", REJECTED)):
        if outcome in outcomes:
            click.get_current_context().exit(code.code)


@click.command()
@click.option("--key", type=_FILE, help="Sign it with this private key (PEM, Ed25519).")
@click.option("--key-name", metavar="NAME", default="", help="Whom the signature names.")
@click.option(
    "--export",
    "targets",
    multiple=True,
    metavar="FILE|git-note|git-tag",
    help="Keep it in a file, or with HEAD's commit. Repeatable.",
)
@click.option("--new-key", type=_FILE, help="Make a key there, and FILE.pub beside it; nothing else.")
def checkpoint(key: Path | None, key_name: str, targets: tuple[str, ...], new_key: Path | None) -> None:
    """Print how long the log is and its last hash, as a C2SP signed note.

    Kept where nobody who can write the ledger can change it, that proves later that nothing was
    cut off or rewritten: `ledger verify --checkpoint FILE`. A file holds the newest one; it is not
    replaced where the log does not extend what it holds.

    \b
    ledger checkpoint --new-key ~/audit.pem
    ledger checkpoint --key ~/audit.pem --export git-tag --export /mnt/elsewhere/repo.checkpoint
    """  # noqa: D301 - click reads the backspace
    if new_key is not None:
        if key is not None or targets:
            raise click.UsageError("--new-key makes a key and no checkpoint")
        _make_key(new_key, key_name)
        return
    if key_name and key is None:
        raise click.UsageError("--key-name names the key of --key or --new-key")
    made = open_ledger().checkpoint(key=key, key_name=key_name, targets=[_target(each) for each in targets])
    click.echo(made.note, nl=False)
    said = f"{count_of(made.checkpoint.size, 'event')}, head {made.checkpoint.head[:12]}"
    if made.signer is None:
        say(f"{said}; not signed: it proves as much as its copy is out of reach (--key FILE signs it)")
    else:
        say(f"{said}; verify it with --public-key {made.signer.text}")
    for place in made.kept:
        say(f"kept in {place}")
    refs = [place.partition(" ")[0] for place in made.kept if place.startswith("refs/")]
    if refs:
        say(f"not out of reach before it is pushed: `git push REMOTE {' '.join(refs)}`")


def _make_key(path: Path, name: str) -> None:
    from ledger.keys import write_signing_key

    public = write_signing_key(path, name)
    click.echo(public.text)
    say(f"wrote {path}, for its owner alone, and {path.name}.pub; the key is only as safe as that file")


def _target(text: str) -> Target:
    return text if text in ("git-note", "git-tag") else Path(text)
