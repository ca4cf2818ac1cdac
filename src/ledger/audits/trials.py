"""Trials: each tries one thing that an installation may be able to do, for real, and says what it saw.

`ledger.audits.capabilities` runs each in a process of its own: a library that crashes, hangs or prints takes
nothing else with it. A trial leaves nothing behind, and needs no network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from patches.gitprogram import git_environment

_ANSWER_S = 20.0
_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")
_LATIN = "Größe für Straßen: schöne Grüße aus Köln, übermäßig häufig geändert".encode("cp1252")
_WORDS = {"[UNK]": 0, "[PAD]": 1, "hello": 2, "world": 3}


class Unavailable(Exception):
    """What was tried does not work; the message says why."""


class Seen(NamedTuple):
    """What a trial that worked saw: the version, and the evidence in words."""

    version: str
    evidence: str


# ── the core ─────────────────────────────────────────────────────────────────────────────────────


def python(_: Path) -> Seen:
    """Try the interpreter itself: file names must be UTF-8."""
    if sys.getfilesystemencoding() != "utf-8":
        raise Unavailable(f"file names are {sys.getfilesystemencoding()}, not UTF-8")
    return Seen(sys.version.partition(" ")[0], f"runs as {sys.executable}")


def git(_: Path) -> Seen:
    """Try Git: make a repository and a tree in it."""
    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        answer = _run("git", "--version")
        _run("git", "init", "--quiet", scratch)
        tree = _run("git", "-C", scratch, "write-tree").strip()
    return Seen(_version_in(answer), f"made a repository and wrote tree {tree[:12]}")


def objects(_: Path) -> Seen:
    """Try libgit2: write a blob, and read it back by the name that Git gives it."""
    import pygit2

    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        repository = pygit2.init_repository(scratch)
        oid = str(repository.create_blob(b"tried\n"))
        said = _run("git", "-C", scratch, "cat-file", "blob", oid)
    if said != "tried\n":
        raise Unavailable(f"git reads {said!r} from the blob that libgit2 wrote")
    return Seen(pygit2.LIBGIT2_VERSION, f"wrote blob {oid[:12]}, which git read")


def query(_: Path) -> Seen:
    """Try DuckDB: a query, and Parquet written and read. Nothing is downloaded."""
    import duckdb

    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        file = Path(scratch, "rows.parquet")
        with duckdb.connect(":memory:") as connection:
            connection.execute("set autoinstall_known_extensions = false")
            connection.execute(f"copy (from range(1000)) to '{file}' (format parquet)")
            row = connection.execute(f"select sum(range) from '{file}'").fetchone()  # noqa: S608 - our own
    if row is None or row[0] != 499_500:
        raise Unavailable(f"the sum of 1000 rows of Parquet came out as {row}")
    return Seen(duckdb.__version__, "wrote 1000 rows of Parquet and summed them")


def locks(directory: Path) -> Seen:
    """Try locks where the ledger lies: a second holder must be kept out."""
    import fcntl

    with TemporaryDirectory(prefix=".ledger-trial-", dir=directory) as scratch:
        first, second = (os.open(Path(scratch, "lock"), os.O_RDWR | os.O_CREAT) for _ in range(2))
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Seen("", "a second holder of a lock was kept out")
        finally:
            os.close(first)
            os.close(second)
    raise Unavailable("two descriptors hold one lock at once")


def durability(directory: Path) -> Seen:
    """Try fsync of a file, a rename and fsync of the directory where the ledger lies."""
    with TemporaryDirectory(prefix=".ledger-trial-", dir=directory) as scratch:
        new, name = Path(scratch, "new"), Path(scratch, "name")
        with new.open("wb") as file:
            file.write(b"tried\n")
            file.flush()
            os.fsync(file.fileno())
        new.rename(name)
        descriptor = os.open(scratch, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if name.read_bytes() != b"tried\n":
            raise Unavailable("a file that was synced and renamed holds something else")
    return Seen("", "synced a file and its directory, renamed atomically")


def secrets(_: Path) -> Seen:
    """Try the detectors: a made-up key must be found, a sentence must not."""
    from ledger.secrets.detectors import search

    key = "AK" + "IA" + "Q7XW2PL5ZT9RB4NM"
    found = [each.kind for each in search(f'key = "{key}"'.encode())]
    if "AWS Access Key" not in found or list(search(b"nothing is hidden in this line")):
        raise Unavailable(f"of a line with a made-up key it found {found or 'nothing'}")
    return Seen(version("detect-secrets"), "found a made-up key, and none in a sentence")


def encodings(_: Path) -> Seen:
    """Try to tell the encoding of a text that is not UTF-8."""
    from ingestion.encoding_detect import detect_encoding

    found = detect_encoding(_LATIN)
    if _LATIN.decode(str(found)) != _LATIN.decode("cp1252"):
        raise Unavailable(f"a German text in cp1252 was read as {found}")
    return Seen(version("charset-normalizer"), f"a German text in cp1252 was read right, as {found}")


def signatures(_: Path) -> Seen:
    """Try Ed25519: a signature must hold, and not for other bytes."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"tried")
    key.public_key().verify(signature, b"tried")
    try:
        key.public_key().verify(signature, b"other")
    except InvalidSignature:
        return Seen(version("cryptography"), "signed and verified, and refused other bytes")
    raise Unavailable("a signature held for bytes that were not signed")


# ── the extras ───────────────────────────────────────────────────────────────────────────────────


def licenses(_: Path) -> Seen:
    """Try license-expression: an expression is brought into SPDX's form."""
    library: Any = import_module("license_expression")
    text = str(library.get_spdx_licensing().parse("mit or Apache-2.0").render())
    if text != "MIT OR Apache-2.0":
        raise Unavailable(f"`mit or Apache-2.0` came out as {text}")
    return Seen(version("license-expression"), f"parsed {text}")


def mlflow(_: Path) -> Seen:
    """Try MLflow: record a metric in a store of its own and read it back."""
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}
    library: Any = import_module("mlflow")
    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        client = library.MlflowClient(tracking_uri=Path(scratch, "runs").as_uri())
        run = client.create_run(client.create_experiment("trial")).info.run_id
        client.log_metric(run, "tried", 1.0)
        read = client.get_run(run).data.metrics
    if read != {"tried": 1.0}:
        raise Unavailable(f"the metric that was logged came back as {read}")
    return Seen(library.__version__, "logged a metric into a file store and read it back")


def tokenizers(_: Path) -> Seen:
    """Try Transformers: a tokenizer of four words, made and loaded without network."""
    os.environ |= {"HF_HUB_OFFLINE": "1"}
    core: Any = import_module("tokenizers")
    library: Any = import_module("transformers")
    words = core.Tokenizer(core.models.WordLevel(_WORDS, unk_token="[UNK]"))  # noqa: S106 - a word, no password
    words.pre_tokenizer = core.pre_tokenizers.Whitespace()
    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        made = library.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")  # noqa: S106
        made.save_pretrained(scratch)
        loaded = library.AutoTokenizer.from_pretrained(scratch, local_files_only=True)
        ids = list(loaded.encode("hello world"))
    if ids != [2, 3]:
        raise Unavailable(f"two words became {ids}")
    return Seen(library.__version__, f"`hello world` became {ids}, by a tokenizer loaded from disk")


def postgres(_: Path) -> Seen:
    """Try the PostgreSQL client: its library is loaded; a server is not asked for."""
    library: Any = import_module("psycopg")
    number = library.pq.version()
    conninfo = library.conninfo.make_conninfo(host="localhost", dbname="tried")
    return Seen(library.__version__, f"libpq {number // 10000}.{number % 10000} reads `{conninfo}`")


def web(_: Path) -> Seen:
    """Try the web page's libraries: a page is rendered."""
    jinja: Any = import_module("jinja2")
    for name in ("pygments", "starlette", "uvicorn"):
        import_module(name)
    page = jinja.Environment(autoescape=True).from_string("{{ x }}").render(x="<tried>")
    if page != "&lt;tried&gt;":
        raise Unavailable(f"a page came out as {page}")
    return Seen(version("starlette"), "rendered a page, and escaped what was in it")


# ── other programs ───────────────────────────────────────────────────────────────────────────────


def strace(_: Path) -> Seen:
    """Try strace: a process must let itself be traced, which containers often forbid."""
    answer = _run("strace", "-V").partition("\n")[0]
    traced = _run("strace", "-e", "trace=execve", sys.executable, "-I", "-c", "pass")
    if "execve(" not in traced:
        raise Unavailable("it ran, and saw no call of the process that it traced")
    return Seen(_version_in(answer), "traced a process to its end")


def chromium(_: Path) -> Seen:
    """Try a Chromium: it must load a page and give its text."""
    name = next(
        (each for each in ("chromium", "chromium-browser", "google-chrome") if shutil.which(each)), ""
    )
    if not name:
        raise Unavailable("no chromium, chromium-browser or google-chrome on PATH")
    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch}")
        text = _run(name, *options, "--dump-dom", "data:text/html,<p>tried</p>")
    if "<p>tried</p>" not in text:
        raise Unavailable("it ran, and gave no page")
    return Seen(_version_in(_run(name, "--version")), "loaded a page and gave its text")


def node(_: Path) -> Seen:
    """Try Node.js, which pyright runs on: it must calculate."""
    if _run("node", "-p", "6 * 7").strip() != "42":
        raise Unavailable("it does not calculate")
    return Seen(_version_in(_run("node", "--version")), "calculated 6 * 7")


def ruff(_: Path) -> Seen:
    """Try ruff, the gate `lint`: it must see an unused import."""
    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        file = Path(scratch, "tried.py")
        file.write_text("import os\n", "utf-8")
        said = _run("ruff", "check", "--isolated", "--no-cache", str(file), allowed=(1,))
    if "F401" not in said:
        raise Unavailable("it did not see an unused import")
    return Seen(_version_in(_run("ruff", "--version")), "saw an unused import")


def pytest(_: Path) -> Seen:
    """Try pytest and pytest-cov, the gates `tests` and `cov`: a test must fail, and be counted."""
    with TemporaryDirectory(prefix="ledger-trial-") as scratch:
        Path(scratch, "test_tried.py").write_text("def test_a():\n    assert 1 == 2\n", "utf-8")
        options = (
            "-q",
            "-p",
            "no:cacheprovider",
            "--cov=.",
            f"--rootdir={scratch}",
            f"--cov-config={os.devnull}",
        )
        said = _run("pytest", *options, scratch, allowed=(1,), cwd=scratch)
    if "1 failed" not in said:
        raise Unavailable("a test that fails was not counted")
    return Seen(_version_in(_run("pytest", "--version")), "counted a test that fails, with coverage")


TRIALS: Mapping[str, Callable[[Path], Seen]] = {
    trial.__name__: trial
    for trial in (
        python, git, objects, query, locks, durability, secrets, encodings, signatures,
        licenses, mlflow, tokenizers, postgres, web,
        ruff, pytest, node, strace, chromium,
    )
}  # fmt: skip
"""Every trial by its name. Each gets the directory where the ledger would lie."""


def run(name: str, directory: str) -> str:
    """Run one trial and return its outcome as JSON: this is what a trial's process prints last."""
    import msgspec

    try:
        seen = TRIALS[name](Path(directory))
    except (Unavailable, ImportError, OSError, subprocess.SubprocessError) as error:
        outcome = {"available": False, "version": "", "evidence": "", "why_not": _reason(error)}
    else:
        outcome = {"available": True, "version": seen.version, "evidence": seen.evidence, "why_not": ""}
    return msgspec.json.encode(outcome).decode()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename}: not found"
    return str(error) or type(error).__name__


def _run(*command: str, allowed: tuple[int, ...] = (), cwd: str | None = None) -> str:
    """Return all that a program says.

    Raises:
        Unavailable: It exited with a code that is none of ``allowed`` and not 0.
        OSError: It is not there.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=git_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_ANSWER_S,
        check=False,
    )
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode not in (0, *allowed):
        lines = said.strip().splitlines() or ["it said nothing"]
        why = next((line for line in reversed(lines) if "error:" in line.lower()), lines[-1])
        raise Unavailable(f"{shutil.which(command[0])} exited with {done.returncode}: {why}")
    return said


def _version_in(text: str) -> str:
    found = _VERSION.search(text)
    return found[0] if found else text.strip()
