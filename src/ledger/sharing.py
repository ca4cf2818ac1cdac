"""Which shared store a repository uses: what is configured, without a password, and the way to it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import pygit2

from ledger.repository import Repository
from ledger.shared_errors import StoreNeedsExtra
from ledger.sharing_errors import BadStoreUrl, NoSharedStore, PasswordInUrl, SetElsewhere
from ledger.stamps import Stamp

if TYPE_CHECKING:
    from ledger.store.postgres import PostgresStore

KEY = "ledger.store"
"""Git's configuration variable that names the shared store."""

VARIABLE = "LEDGER_STORE"
"""The environment's, which goes first; ``none`` turns it off."""

_HOST = re.compile(r"(?:\[[0-9a-fA-F:.%]*\]|[^:\[\]/]*)(?::\d*)?")
_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword", "passfile")
_SECRETS_KEPT = ("passfile",)


def check_url(url: str) -> str:
    """Return a URL that may be kept: it names a PostgreSQL database, and holds no password.

    Raises:
        BadStoreUrl: It names none.
        PasswordInUrl: It holds one; the message does not.
    """
    try:
        parts = urlsplit(url)
        held = parts.password is not None
    except ValueError as error:
        raise BadStoreUrl("the URL", str(error)) from None
    if parts.scheme not in _SCHEMES:
        raise BadStoreUrl(url.partition(":")[0], "it begins with none of postgresql:// and postgres://")
    if not _is_plain(parts):
        raise BadStoreUrl(without_password(url), "a host, a port or the database is none")
    given = parse_qsl(parts.query, keep_blank_values=True)
    secrets = [name for name, _ in given if name in _SECRETS and name not in _SECRETS_KEPT]
    if held or secrets:
        raise PasswordInUrl(without_password(url))
    return url


def _is_plain(parts: SplitResult) -> bool:
    """Tell whether a URL is read as it was meant: of a password with a slash the rest would be the path."""
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return "@" not in parts.path + parts.fragment and all(map(_HOST.fullmatch, hosts))


def without_password(url: str) -> str:
    """Return a URL as it may be shown; of what is none, how it begins."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition(':')[0]}:…"
    if parts.scheme not in _SCHEMES or not _is_plain(parts):
        return f"{url.partition(':')[0]}:…"
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _SECRETS]
    said = f"?{urlencode(query, safe='/:,')}" if query else ""
    # Not `urlunsplit`: where no host is named it leaves out the slashes.
    return f"{parts.scheme}://{netloc}{parts.path}{said}"


def configured_store(repository: Repository | None) -> tuple[str, str] | None:
    """Return the URL of the shared store and where it is set, None where none is.

    The environment goes first, then Git's configuration, the user's included; outside of a repository only
    the environment.

    Raises:
        BadStoreUrl: What is set names no database, or has a password in it.
    """
    url, where = _said(repository)
    return (check_url(url), where) if url else None


def configured_url(repository: Repository) -> str:
    """Return the URL that is set, a good one or not, "" where none is; it is not to be shown."""
    return _said(repository)[0]


def _said(repository: Repository | None) -> tuple[str, str]:
    """Return what is set, "" where nothing is, and where."""
    said, where = os.environ.get(VARIABLE, ""), f"the environment ({VARIABLE})"
    if not said and repository is not None:
        try:
            said, where = str(repository.git.config[KEY]), f"Git's configuration ({KEY})"
        except (KeyError, pygit2.GitError):
            said = ""
    return ("" if said == "none" else said), where


def require_store(repository: Repository) -> str:
    """Return the URL of the shared store.

    Raises:
        NoSharedStore: None is configured.
        BadStoreUrl: What is set names no database, or has a password in it.
    """
    found = configured_store(repository)
    if found is None:
        raise NoSharedStore
    return found[0]


def label_of(repository: Repository) -> str:
    """Return what people call a repository: the last word of its remote's URL, or its directory's name."""
    names = sorted(repository.git.remotes.names(), key=lambda name: (name != "origin", name or ""))
    url = repository.git.remotes[names[0]].url if names and names[0] else None
    word = (url or "").rstrip("/").removesuffix(".git").rpartition("/")[2].rpartition(":")[2]
    top = repository.work_dir or repository.common_dir
    return word or top.resolve().name.removesuffix(".git")


def set_store(repository: Repository, url: str) -> None:
    """Write the shared store into the repository's own configuration, which all its work trees read.

    Raises:
        BadStoreUrl: It names no database, or has a password in it. Nothing was written.
    """
    check_url(url)
    pygit2.Config(str(repository.common_dir / "config"))[KEY] = url


def unset_store(repository: Repository) -> bool:
    """Take the shared store out of the repository's own configuration; return whether there was one.

    Raises:
        SetElsewhere: It is set in another place. Nothing was changed.
    """
    config = pygit2.Config(str(repository.common_dir / "config"))
    if KEY in config:
        del config[KEY]
        return True
    if configured_store(repository) is not None:
        raise SetElsewhere
    return False


def connect(
    url: str, home: str, label: str, stamp: Stamp, patience_s: float, timeout_s: int = 0
) -> PostgresStore:
    """Return the runs of a home in the shared store.

    Args:
        url: Where; credentials come from where libpq looks.
        home: The home.
        label: What people call its repository.
        stamp: Source of ids and times.
        patience_s: For how long a call is tried again.
        timeout_s: How long to wait for the connection, where the URL does not say; 0 for as long as usual.

    Raises:
        StoreNeedsExtra: What talks to it is not installed.
        StoreUnreachable: It cannot be reached, or does not let us in.
        NotMigrated, NewerStore: It is not prepared, or for a later version.
    """
    try:
        from ledger.store.postgres import PostgresStore
    except ImportError as error:
        raise StoreNeedsExtra from error
    if timeout_s and "connect_timeout" not in url:
        url += f"{'&' if '?' in url else '?'}connect_timeout={timeout_s}"
    return PostgresStore.connect(url, home=home, label=label, stamp=stamp, patience_s=patience_s)


def migrate_store(url: str) -> None:
    """Prepare a database as its owner, or bring it up to this version.

    Raises:
        BadStoreUrl: It is no URL, or has a password in it.
        StoreNeedsExtra: What talks to it is not installed.
        StoreUnreachable: It cannot be reached, or does not let us in.
        StoreForbids: The user may not do that there.
        NewerStore: A later version has prepared it.
    """
    check_url(url)
    try:
        from ledger.store.postgres import PostgresStore
    except ImportError as error:
        raise StoreNeedsExtra from error
    PostgresStore.migrate(url)
