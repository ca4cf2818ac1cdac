"""Names of backups: which canonical file a name like ``x.py.bak`` or ``x (1).py`` was made from.

A name alone is weak evidence, so every reading of it has a *strength*:

* ``certain``: the name is enough. The mark stands behind a known extension (``x.py.bak``, ``x.py0``,
  ``RUNBOOK.md01``, ``x.py_20240131``, ``x.py~``), or nothing but a copy is named so (``x - Copy.py``).
* ``agree``: the canonical file is beside it, or another backup that names the same one is: a word in
  the stem (``x_old.py``, ``x copy 2.py``, ``x.bak.py``), a number behind a dot (``x.py.1``).
* ``beside``: the canonical file is beside it, or is established by others: a number in parentheses
  (``x (1).py``), a mark behind an unknown extension or none (``data.bak``), a number directly behind
  an extension that is one letter (``x.c0``), unknown (``x.foo1``) or a known one's version (``x.py2``).

What ends in a number of its own right is no backup whatever is beside it: ``x.mp3``, ``x.h5``, ``x.f90``,
``x.md5``, ``x.woff2``, ``libfoo.so.1``, ``git.1``. Marks are taken off one by one, the weakest counts:
``x.py.bak1.orig`` is certain, ``x_old.py.bak`` is of ``x.py`` where that is there, else of ``x_old.py``.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

Strength: TypeAlias = Literal["certain", "agree", "beside"]
_ORDER: tuple[Strength, ...] = ("certain", "agree", "beside")

_EXTENSIONS = frozenset(
    b"""adoc asciidoc asm astro awk bash bat bib bzl cc cfg clj cljs cmake cmd conf cpp cs css csv cts cu
    cxx dart diff ejs el env erb erl ex exs fish fs fsx gd go gql gradle graphql groovy haml hbs hcl hh
    hpp hs htm html hxx inc ini ipynb ipp java jinja jinja2 jl js json json5 jsonc jsonl jsx kt kts less
    lisp lock lua mak markdown md mdx mjs mk ml mli mm mts nim nix patch php pl plist pm po pot properties
    proto ps1 psm1 py pyi pyx qml rb rkt rs rst rtf sass scala scm scss sh sql styl svelte svg swift tcl tex
    text tf tmpl toml tpl ts tsv tsx txt vb vim vue wat wsdl xml xsd xsl xslt yaml yml zig zsh""".split()
)
_BARE_NAMES = frozenset(
    b"""authors brewfile build changelog changes containerfile contributing copying dockerfile gemfile
    install jenkinsfile justfile license licence makefile notice procfile rakefile readme todo vagrantfile
    .bash_profile .bashrc .dockerignore .editorconfig .env .gitattributes .gitignore .gitmodules .profile
    .vimrc .zshrc""".split()
)
_VERSIONED = frozenset(b"py2 py3 html4 html5 css2 css3 ts2 php3 php4 php5 php7 php8 pl5 pl6".split())
_FORMATS = re.compile(
    rb"[rz]\d\d|f\d\d|c\d\d|s19|s28|s37|p7|p8|p12|pk[348]|pkcs\d+|m[1-4]|m3u8|mp[1-4]|ac3|g2|j2|jinja2|jp2|json5"
    rb"|cr[23]|rw2|h[2-5]|h26\d|hdf[45]|b32|b64|base64|bz2|bzip2|lz4|md[45]|sha\d+|crc\d+|blake[23]|k8|x86|x64"
    rb"|i[3-6]86|arm64|u8|utf8|utf16|d64|e01|woff2|sqlite[23]|db[234]|xhtml1|psm?1|psd1|t2|v[1-9]\d*|so\d+|dll\d+"
)
_LETTERS = frozenset(b"c h d m r s v".split())

_WORD = rb"(?:bkup|bkp|bak|backup|old|orig|original|save|saved|prev|tmp|copy|rej)"
_STEM_WORD = rb"(?:bkup|bkp|bak|backup|old|orig|copy)"
_DATE = (
    rb"(?:19|20)\d\d(-?)(?:0[1-9]|1[0-2])\%d(?:0[1-9]|[12]\d|3[01])(?:[T_.-]?\d\d[:.-]?\d\d(?:[:.-]?\d\d)?)?"
)


class Reading(NamedTuple):
    """What a name says: the canonical name, the mark that was taken off, and how much that is worth."""

    canonical: bytes
    mark: str
    strength: Strength
    junk: bool = False
    """An editor's or tool's scratch file, never a version of the canonical one."""


class _Rule(NamedTuple):
    """A mark at one place of a name: ``known`` with a known extension, ``other`` (None: never) without."""

    pattern: re.Pattern[bytes]
    known: Strength
    other: Strength | None
    junk: bool = False


def _rule(pattern: bytes, known: Strength, other: Strength | None, *, junk: bool = False) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), known, other, junk)


# Groups: what is left of the name, the mark, and for marks in the stem the rest of the name.
_RULES = (
    _rule(rb"\.(?P<left>.+)(?P<mark>\.sw[a-p])", "certain", "certain", junk=True),
    _rule(rb"#(?P<left>.+)(?P<mark>#)", "certain", "certain", junk=True),
    _rule(rb"(?P<mark>\.#)(?P<left>.+)", "certain", "certain", junk=True),
    _rule(rb"(?P<left>.+)(?P<mark>\.rej)", "certain", "beside", junk=True),
    _rule(rb"(?P<left>.+)(?P<mark>\.~\d+~)", "certain", "certain"),
    _rule(rb"(?P<left>.+[^~])(?P<mark>~)", "certain", "certain"),
    _rule(rb"(?P<left>.+)(?P<mark>[._-]%s[._-]?\d{0,3})" % _WORD, "certain", "beside"),
    _rule(rb"(?P<left>.+)(?P<mark>[._-]%s)" % (_DATE % 3), "certain", "beside"),
    _rule(rb"(?P<left>.+)(?P<mark>\.\d{1,3})", "agree", None),
    _rule(rb"(?P<mark>Copy (?:\(\d+\) )?of )(?P<left>.+)", "certain", "beside"),
    _rule(
        rb"(?P<left>.*[^ ])(?P<mark> - (?:Copy|Backup)(?: ?\(\d+\))?)(?P<rest>\.[^.]+)", "certain", "agree"
    ),
    _rule(
        rb"(?P<left>.+)(?P<mark>[ _.-]%s(?:[ _-]?\d{1,3})?)(?P<rest>\.[^.]+)" % _STEM_WORD, "agree", "agree"
    ),
    _rule(rb"(?P<left>.*[^ ])(?P<mark> ?\(\d{1,3}\))(?P<rest>\.[^.]+)", "beside", "beside"),
)
_DIGITS = re.compile(rb"(.+\.[a-z+]+)([0-9]{1,4})", re.IGNORECASE | re.DOTALL)


def read_name(name: bytes) -> tuple[Reading, ...]:
    """Return every reading of a file's name, from one mark taken off to all of them.

    Each strength is the weakest so far. Empty where the name bears no mark.
    """
    for rule in _RULES:
        match = rule.pattern.fullmatch(name)
        if match is None:
            continue
        groups = match.groupdict()
        canonical = match["left"] + (groups.get("rest") or b"")
        inner = read_name(canonical)
        known = is_known(canonical) or (bool(inner) and inner[0].strength == "certain")
        strength = rule.known if known else rule.other
        if strength is not None:
            return _stack(Reading(canonical, _shown(match["mark"]), strength, rule.junk), inner)
    return _read_digits(name)


def _stack(outer: Reading, inner: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Return the readings of a name whose outermost mark is off, and those of what it left."""
    stacked = [outer]
    for reading in inner:
        strength = _weaker(outer.strength, reading.strength)
        mark = f"{reading.mark} {outer.mark}"
        stacked.append(Reading(reading.canonical, mark, strength, outer.junk or reading.junk))
    return tuple(stacked)


def _weaker(one: Strength, other: Strength) -> Strength:
    return one if _ORDER.index(one) > _ORDER.index(other) else other


def is_known(name: bytes) -> bool:
    """Tell whether a name is of a kind of text or code that people edit."""
    stem, dot, extension = name.lower().rpartition(b".")
    return (bool(stem and dot) and extension in _EXTENSIONS) or name.lower() in _BARE_NAMES


def _read_digits(name: bytes) -> tuple[Reading, ...]:
    """Read a number directly behind an extension."""
    match = _DIGITS.fullmatch(name)
    if match is None:
        return ()
    left, digits = match[1], match[2]
    extension = left.lower().rpartition(b".")[2]
    whole = extension + digits
    if _FORMATS.fullmatch(whole) or (len(extension) == 1 and extension not in _LETTERS):
        return ()
    certain = extension in _EXTENSIONS and whole not in _VERSIONED
    reading = Reading(left, digits.decode(), "certain" if certain else "beside")
    return _stack(reading, read_name(left))


def _shown(mark: bytes) -> str:
    return mark.decode("utf-8", "backslashreplace").strip()
