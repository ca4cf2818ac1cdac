"""Settings: the tables of the configuration that are of no profile. They count at once, and are not recorded.

See: ``docs/gates.md``, "Configuration".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from codex_ml.tracking.mlflow_utils import MlflowConfig
from ledger.gates.documents import (
    COUNT,
    FLAG,
    FREE_TEXT,
    LABELS,
    TEXT,
    TEXTS,
    Document,
    Parser,
    parse_duration,
    parse_size,
)
from ledger.gates.tables import anything, fields_of


class Storage(Struct, frozen=True):
    """What the configuration says of the ledger's place on the disk."""

    warn_size_mb: int = 1024
    """`ledger status` warns where the ledger takes more MiB."""


class LicensePolicy(Struct, frozen=True, kw_only=True):
    """What installed packages may be licensed under. Names are SPDX's, or patterns.

    With an empty ``allow`` all is allowed that is not denied; ``exceptions`` say why a package may be here.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    deny_unknown: bool = False
    exceptions: dict[str, str] = {}


class Tokens(Struct, frozen=True):
    """How tokens are counted."""

    tokenizer: str = ""
    """A directory, relative to the repository's top, or the name of a model; "" estimates."""


class Questions(Struct, frozen=True):
    """What the configuration says of the questions file."""

    file: str = "docs/reference/codex_questions.md"
    """Its path from the work tree's top, "" for none."""


class SqlLimits(Struct, frozen=True):
    """What a statement of the user's may take."""

    memory_bytes: int | None = None
    """Memory; None for `ledger.query.limits.DEFAULT_MEMORY_BYTES`."""
    timeout_s: float | None = None
    """Time; None for as long as it takes."""


class Settings(Struct, frozen=True, kw_only=True):
    """The tables, each by its name."""

    storage: Storage = Storage()
    licenses: LicensePolicy = LicensePolicy()
    questions: Questions = Questions()
    mlflow: MlflowConfig = MlflowConfig()
    tokens: Tokens = Tokens()
    sql: SqlLimits = SqlLimits()


SETTINGS_KEYS: Mapping[str, Mapping[str, Parser]] = {
    "storage": {"warn-size-mb": COUNT},
    "licenses": {"allow": TEXTS, "deny": TEXTS, "deny-unknown": FLAG, "exceptions": anything},
    "questions": {"file": FREE_TEXT},
    "mlflow": {"uri": TEXT, "experiment": TEXT, "tags": LABELS, "log-system-metrics": FLAG},
    "tokens": {"tokenizer": FREE_TEXT},
    "sql": {"memory-limit": parse_size, "timeout": parse_duration},
}


def parse_settings(document: Document) -> dict[str, Any]:
    """Return the tables that a configuration has, by the names of the fields of `Settings`.

    Raises:
        InvalidConfiguration: A key or a value means nothing.
    """
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    return {
        name: kinds[name](**_parse_table(document, name))
        for name in SETTINGS_KEYS
        if list(document.names((name,)))
    }


def _parse_table(document: Document, name: str) -> dict[str, Any]:
    fields = fields_of(document.parse((name,), SETTINGS_KEYS[name]))
    if "exceptions" in fields:
        # A reason is what an exception is made of.
        key = (name, "exceptions")
        fields["exceptions"] = document.parse(key, dict.fromkeys(document.names(key), TEXT))
    return fields


def encode_settings(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return settings as the tables of a configuration; what is left to the environment is left out."""
    tables: dict[str, dict[str, Any]] = {}
    for name, keys in SETTINGS_KEYS.items():
        table = msgspec.to_builtins(getattr(settings, name))
        said = {key: table[field] for key, field in zip(keys, fields_of(keys), strict=True)}
        if name in ("mlflow", "sql"):
            said = {key: value for key, value in said.items() if value not in ("", {}, None)}
        if said:
            tables[name] = said
    return tables
