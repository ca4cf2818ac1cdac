"""The formats that a step's report may have, and what is known of the tools that write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import NamedTuple

from ledger.gates.reports.exits import ExitCodes
from ledger.gates.reports.source import Source
from ledger.measurements import Report

Parser = Callable[[Source], Report]

_NO_PYTHON_FILE = (
    re.compile(rb"\b(?:warning:|WARN) No python files found under the given path", re.IGNORECASE),
    "it found no Python file where it looked",
)
_TY_COUNT = re.compile(rb"\bINFO Indexed (\d{1,9}) file\(s\) in")
_PYRIGHT_ALARMS = (
    (
        re.compile(rb"^Config file .* could not be (?:parsed|read)", re.MULTILINE),
        "it could not read its configuration and went on without it",
    ),
    (
        re.compile(
            rb'^(?:Config "[^"\n]*" (?:entry|field) |invalid "typeCheckingMode" value'
            rb'|Index \d+ of "[^"\n]*" array |Config contains unrecognized setting '
            rb"|Config executionEnvironments index \d+: |unknown config option in execution environment "
            rb'|Defined constant "[^"\n]*" must be |Circular reference in configuration file )',
            re.MULTILINE,
        ),
        "it passed over a setting that it does not understand",
    ),
    (
        re.compile(rb"^File or directory .* does not exist", re.MULTILINE),
        "its configuration names files that do not exist",
    ),
)
_NO_REPOSITORY = (
    re.compile(rb"\bfatal: not a git repository"),
    "it looks at tracked files, and there is no repository",
)


class Format(NamedTuple):
    """One format of reports.

    Args:
        parser: ``module:function`` below this package; imported when it is first used.
        codes: What exit codes say.
        unit: What its reports count as examined.
        decides: The metrics that show that the tool found something, as its exit code tells.
        counts: Whether a report says how much was examined. Where it does not, and `counted` finds
            nothing, the gate needs another step that does (``ruff-files``, ``paths``), or never passes.
        silent: Whether a tool that has nothing to say leaves no byte.
        counted: How the command's output tells how much it examined, for reports that do not.
        alarms: What in the command's output says that it measured something else than it was asked, and why.
    """

    parser: str
    codes: ExitCodes
    unit: str
    decides: tuple[str, ...]
    counts: bool = True
    silent: bool = False
    counted: re.Pattern[bytes] | None = None
    alarms: tuple[tuple[re.Pattern[bytes], str], ...] = ()

    def parse(self, source: Source) -> Report:
        """Return what the tool's report says.

        Raises:
            ReportUnreadable: The bytes are not of the format.
        """
        module, _, function = self.parser.partition(":")
        parser: Parser = resolve_name(f"ledger.gates.reports.{module}:{function}")
        return parser(source)


_PYTEST = ExitCodes(
    "pytest",
    partial=(2,),
    meanings={
        2: "the run was interrupted",
        3: "an internal error",
        4: "a wrong command line or a path that does not exist",
        5: "no tests were collected",
    },
)
_COVERAGE = ExitCodes(
    "coverage",
    # Tests that fail are another gate's business: what they ran was run.
    clean=(0, 1),
    findings=(),
    meanings={
        **_PYTEST.meanings,
        2: "tests that could not be collected, an interruption, or a threshold of its own",
    },
)
_RUFF = ExitCodes("ruff check", meanings={2: "a bad configuration or command line, or an internal error"})
_PYRIGHT = ExitCodes(
    "pyright",
    meanings={2: "an internal error", 3: "a bad configuration", 4: "a wrong command line or a missing file"},
)

FORMATS: Mapping[str, Format] = {
    "exit": Format("", ExitCodes("the command"), "commands", ("failed",)),
    "ruff-check": Format(
        "ruff:parse_check",
        _RUFF,
        "files",
        ("violations",),
        counts=False,
        alarms=(_NO_PYTHON_FILE,),
    ),
    "ruff-format": Format(
        "ruff:parse_format",
        ExitCodes("ruff format", partial=(2,), meanings=_RUFF.meanings),
        "files",
        ("reformat",),
        counts=False,
        silent=True,
        alarms=(_NO_PYTHON_FILE,),
    ),
    "ruff-files": Format(
        "ruff:parse_files",
        ExitCodes("ruff check --show-files", findings=(), meanings=_RUFF.meanings),
        "files",
        (),
        silent=True,
    ),
    "paths": Format(
        "ruff:parse_paths", ExitCodes("the listing of files", findings=()), "files", (), silent=True
    ),
    "junit": Format("junit:parse_junit", _PYTEST, "tests", ("broken",)),
    "coverage": Format("coverage:parse_coverage", _COVERAGE, "statements", ()),
    "cobertura": Format("coverage:parse_cobertura", _COVERAGE, "statements", ()),
    "sarif": Format(
        "sarif:parse_sarif",
        ExitCodes("the scanner"),
        "files",
        ("findings",),
        counts=False,
        counted=_TY_COUNT,
        alarms=(_NO_PYTHON_FILE,),
    ),
    "pyright": Format(
        "typecheckers:parse_pyright", _PYRIGHT, "files", ("errors", "warnings"), alarms=_PYRIGHT_ALARMS
    ),
    "mypy": Format(
        "typecheckers:parse_mypy",
        ExitCodes("mypy", partial=(2,), meanings={2: "a crash, a wrong command line or no file to check"}),
        "files",
        ("errors",),
        silent=True,
    ),
    "gitlab": Format(
        "typecheckers:parse_gitlab",
        ExitCodes("the checker", meanings={2: "a bad configuration or a path that does not exist"}),
        "files",
        ("findings",),
        counts=False,
        counted=_TY_COUNT,
        alarms=(_NO_PYTHON_FILE,),
    ),
    "bandit": Format(
        "scanners:parse_bandit",
        ExitCodes("bandit", meanings={2: "a bad configuration or command line"}),
        "files",
        ("findings",),
    ),
    "detect-secrets": Format(
        "scanners:parse_secrets",
        ExitCodes("detect-secrets", findings=(), meanings={1: "an error", 2: "a wrong command line"}),
        "files",
        (),
        counts=False,
        alarms=(_NO_REPOSITORY,),
    ),
    "pip-audit": Format("packages:parse_audit", ExitCodes("pip-audit"), "packages", ("vulnerabilities",)),
    "pip-licenses": Format(
        "packages:parse_licenses",
        ExitCodes(
            "pip-licenses",
            findings=(),
            meanings={1: "--fail-on or --allow-only refused a licence; the format `exit` measures that"},
        ),
        "packages",
        (),
    ),
    "nox": Format(
        "nox:parse_nox",
        ExitCodes("nox", meanings={2: "no noxfile", 3: "no such session", 130: "interrupted"}),
        "sessions",
        ("failed",),
    ),
    "audit": Format(
        "audits:parse_audit",
        ExitCodes(
            "ledger audit",
            meanings={
                2: "a wrong command line or configuration",
                3: "what it compares with is not there",
                4: "it could not tell",
                7: "it refused in order to protect",
                8: "input or output failed",
            },
        ),
        "files",
        ("findings",),
    ),
    "tokens": Format(
        "tokens:parse_tokens",
        ExitCodes("ledger tokens", findings=(), meanings={2: "a tokenizer that cannot be used"}),
        "patches",
        (),
    ),
}
"""Every format by its name."""
