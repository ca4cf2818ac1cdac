"""The configuration: what may be written, what it means over the defaults, and where it is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from policy_lab import Seen, policies, variants

from codex_ml.tracking.mlflow_utils import MlflowConfig
from ledger.gates.configuration import (
    Configuration,
    InvalidConfiguration,
    UnknownGate,
    encode_policy,
    read_configuration,
    skip_gates,
)
from ledger.gates.defaults import GATES, METRICS, default_policy, derive_metrics, has_metric, metrics_of
from ledger.gates.judge import judge
from ledger.gates.reports import FORMATS, merge_reports, parse_report
from ledger.measurements import Report
from ledger.policies import Isolation, PhaseRule, Policy, Rule, Step

EXAMPLE = """\
[tool.ledger]
profile = "nightly"
must-exist = ["README.md"]
[tool.ledger.gates.cov]
threshold = 80
baseline = true
[tool.ledger.gates.tests]
command = "pytest -q -x '--junitxml={scratch}/junit.xml'"
min-tests = 50
timeout = "1h 30m"
env = ["DATABASE_URL"]
needs = ["lint"]
[tool.ledger.gates.types]
tool = "mypy"
[tool.ledger.gates.e2e]
command = ["make", "e2e"]
[tool.ledger.gates.scan]
command = "semgrep --sarif -o {scratch}/s.sarif"
format = "sarif"
report = "{scratch}/s.sarif"
metric = "errors"
threshold = 2.5
[tool.ledger.profiles.release.gates.cov]
threshold = 90
[tool.ledger.profiles.nightly]
extends = "release"
must-not-exist = ["*.orig"]
[tool.ledger.profiles.nightly.gates.e2e]
mode = "soft"
timeout = 7200
[tool.ledger.phases]
order = true
patches = ["prune", "P3"]
[tool.ledger.isolated]
setup = ["uv sync"]
link = [".venv"]
"""


def in_ledger_toml(text: str) -> Configuration:
    return read_configuration(text.encode(), None)


def gate(text: str, name: str, profile: str = "dev") -> Rule:
    return in_ledger_toml(text).profiles[profile].gates[name]


# ── what it means ────────────────────────────────────────────────────────────────────────────────


def test_without_a_word_the_defaults_count() -> None:
    """All soft in `dev`, which counts; all strict in `release`; types are there, but off."""
    configuration = read_configuration(None, b"[project]\nname = 'x'\n")
    assert configuration == read_configuration(None, None)
    assert (configuration.profile, configuration.source) == ("dev", "")
    assert configuration.policy == default_policy("dev")
    assert configuration.policy.strict == ()
    assert configuration.profiles["release"].strict == ("cov", "lint", "tests")
    assert configuration.profiles["release"].gates["types"].mode == "off"


def test_the_whole_example() -> None:
    """Every table and value is where it belongs, in every profile."""
    configuration = read_configuration(None, EXAMPLE.encode())
    assert (configuration.profile, configuration.source) == ("nightly", "pyproject.toml")
    dev, release, nightly = (configuration.profiles[name] for name in ("dev", "release", "nightly"))
    assert [policy.gates["cov"].threshold for policy in (dev, release, nightly)] == [80, 90, 90]
    assert [policy.gates["types"].mode for policy in (dev, release, nightly)] == ["soft", "strict", "strict"]
    assert [policy.gates["e2e"].mode for policy in (dev, release, nightly)] == ["soft", "strict", "soft"]
    assert [policy.gates["e2e"].timeout_s for policy in (dev, nightly)] == [1800, 7200]
    assert [policy.must_not_exist for policy in (release, nightly)] == [(), ("*.orig",)]
    assert dev.must_exist == nightly.must_exist == ("README.md",)
    assert dev.phases == PhaseRule(order=True, patches=("P3", "P4"))
    assert dev.isolated == Isolation(setup=(("uv", "sync"),), link=(".venv",))
    report = "{scratch}/junit.xml"
    assert dev.gates["tests"] == Rule(
        mode="soft",
        steps=(Step(command=("pytest", "-q", "-x", f"--junitxml={report}"), format="junit", report=report),),
        metric="broken",
        min_examined=50,
        timeout_s=5400,
        env=("DATABASE_URL",),
        needs=("lint",),
    )
    assert dev.gates["scan"].steps[0].format == "sarif"
    assert (dev.gates["scan"].metric, dev.gates["scan"].threshold) == ("errors", 2.5)
    assert dev.gates["types"].steps[0].command[0] == "mypy"
    assert dev.gates["e2e"].steps == (Step(command=("make", "e2e")),)


def test_ledger_toml_counts_alone() -> None:
    """As `ruff.toml` does, even where it is empty."""
    configuration = read_configuration(b"", EXAMPLE.encode())
    assert configuration.source == "ledger.toml"
    assert configuration.policy == default_policy("dev")


def test_one_execution_feeds_both_only_while_both_run_as_they_do_by_default() -> None:
    """Another command, or another environment, would have one gate judged by the other's run in silence."""
    assert gate("", "tests").fed_by == "cov"
    assert gate("[gates.cov]\nthreshold = 9", "tests").fed_by == "cov"
    pytest_k = 'command = "pytest -k fast --cov --cov-report=json:{scratch}/coverage.json"'
    assert gate(f"[gates.cov]\n{pytest_k}", "tests").fed_by == ""
    assert gate("[gates.tests]\nenv = ['X']", "tests").fed_by == ""
    assert gate(f"[gates.cov]\n{pytest_k}\n[gates.tests]\nfed-by = 'cov'", "tests").fed_by == "cov"
    assert gate("[gates.tests]\nfed-by = ''", "tests").fed_by == ""


def test_what_the_feeder_runs_is_part_of_the_definition() -> None:
    """A verdict that came from a weaker command must not count once the command is the old one again."""
    fed = "[gates.tests]\nfed-by = 'cov'\n"
    pytest_k = 'command = "pytest -k fast --cov --cov-report=json:{scratch}/coverage.json"'
    whole, weaker = gate(fed, "tests"), gate(f"{fed}[gates.cov]\n{pytest_k}", "tests")
    assert whole.definition != weaker.definition
    assert gate(f"{fed}[gates.cov]\nthreshold = 9", "tests").definition == whole.definition
    assert gate("[gates.tests]\nfed-by = ''", "tests").definition != whole.definition


def test_a_type_checker_is_known_by_its_command() -> None:
    """Its report is read by its own parser, also where it is started by another program."""
    assert gate("[gates.types]", "types").steps[0].command == ("pyright", "--outputjson")
    chosen = gate("[gates.types]\ncommand = 'uv run mypy --output json {paths}'", "types").steps[0]
    assert (chosen.format, chosen.paths) == ("mypy", ("src", "tests"))
    assert gate("[gates.types]\ntool = 'ty'\nmode = 'off'", "types").mode == "off"
    assert gate("[gates.types]\ntool = 'basedpyright'", "types").steps[0].format == "pyright"


def test_a_metric_goes_with_its_format() -> None:
    """A new format brings its own metric, direction and threshold, unless they are given."""
    exit_code = gate("[gates.cov]\ncommand = 'make cov'\nformat = 'exit'", "cov")
    assert (exit_code.metric, exit_code.better, exit_code.threshold) == ("failed", "lower", 0)
    assert exit_code.steps == (Step(command=("make", "cov")),)
    passed = gate("[gates.tests]\nmetric = 'passed'\nthreshold = 7", "tests")
    assert (passed.better, passed.threshold) == ("higher", 7)
    assert gate("[gates.tests]\nformat = 'exit'", "tests").steps[0].report == "-"


def test_lists_of_paths_replace_those_of_every_command_that_takes_them() -> None:
    steps = gate("[gates.lint]\npaths = ['lib']", "lint").steps
    assert [step.paths for step in steps] == [("lib",), (), ("lib",)]


def test_a_gate_off_says_why_and_forgets_it_when_on() -> None:
    text = (
        "[gates.tests]\nmode = 'off'\nreason = 'no network'\n[profiles.release.gates.tests]\nmode = 'strict'"
    )
    assert gate(text, "tests").reason == "no network"
    assert gate(text, "tests", "release") == gate("", "tests", "release")


def test_skipping_gates() -> None:
    policy = skip_gates(default_policy("release"), ["tests", "cov"], "network is down")
    assert policy.strict == ("lint",)
    assert policy.gates["cov"].reason == "network is down"
    assert policy.gates["cov"].definition == GATES["cov"].definition
    with pytest.raises(UnknownGate, match="no gate test in this policy; did you mean tests") as caught:
        skip_gates(policy, ["test"], "x")
    assert caught.value.known == ("lint", "tests", "cov", "types")


# ── what is wrong with it ────────────────────────────────────────────────────────────────────────

FAULTS = [
    ("threshold = 80", "treshold = 80", "gates.cov.treshold", "no such key; did you mean threshold?"),
    ("[tool.ledger.phases]", "[tool.ledger.phase]", "phase", "no such key; did you mean phases?"),
    ("order = true", "Order = true", "phases.Order", "no such key; did you mean order?"),
    ("order = true", "order = 1", "phases.order", "expected true or false, got 1"),
    ("baseline = true", "baseline = 'yes'", "gates.cov.baseline", "expected true or false, got 'yes'"),
    ("threshold = 80", "threshold = true", "gates.cov.threshold", "expected a number, got true"),
    ("threshold = 80", "threshold = nan", "gates.cov.threshold", "expected a number, got nan"),
    ("threshold = 80", "threshold = -inf", "gates.cov.threshold", "expected a number, got -inf"),
    ("threshold = 80", "threshold = 2024-01-02", "gates.cov.threshold", "expected a number, got a date or time"),
    ("min-tests = 50", "min-tests = 0", "gates.tests.min-tests", "expected an integer from 1, got 0"),
    ("min-tests = 50", "min-tests = 5.5", "gates.tests.min-tests", "expected an integer from 1, got 5.5"),
    ("min-tests = 50", "min-examined = 50", "gates.tests.min-examined", "there is no such key"),
    ("timeout = 7200", "timeout = 0", "profiles.nightly.gates.e2e.timeout", "expected more than 0 seconds"),
    ("timeout = 7200", "timeout = nan", "profiles.nightly.gates.e2e.timeout", "expected more than 0 seconds"),
    ('"1h 30m"', '"0m"', "gates.tests.timeout", "or a text such as \"10m\", got '0m'"),
    ('"1h 30m"', '"ten minutes"', "gates.tests.timeout", "got 'ten minutes'"),
    ('"DATABASE_URL"', '"DATABASE URL"', "gates.tests.env", "an array of names of environment variables"),
    ('["lint"]', '["lnit"]', "gates.tests.needs", "there is no gate lnit; did you mean lint?"),
    ('["lint"]', '["tests"]', "gates.tests.needs", "wait for one another: tests → tests"),
    ('["lint"]', "'lint'", "gates.tests.needs", "expected an array of strings that are not empty, got 'lint'"),
    ("baseline = true", "needs = ['tests']\n\n[tool.ledger.gates.lint]\nneeds = ['cov']", "", "wait for one another: lint → cov → tests → lint"),
    ('tool = "mypy"', 'tool = "mypi"', "gates.types.tool", "did you mean mypy?"),
    ('["make", "e2e"]', "[]", "gates.e2e.command", "expected a command, got an array"),
    ('["make", "e2e"]', '"make \'e2e"', "gates.e2e.command", "cannot be split into arguments: No closing quotation"),
    ('["make", "e2e"]', "' '", "gates.e2e.command", "expected a command"),
    ('["make", "e2e"]', "['', 'e2e']", "gates.e2e.command", "the name of the program is empty"),
    ('command = ["make", "e2e"]', "mode = 'soft'", "gates.e2e", "no built-in gate has this name"),
    ("[tool.ledger.gates.e2e]", "[tool.ledger.gates.'e 2 e']", "gates.\"e 2 e\"", "a name has letters"),
    ('"sarif"', '"sarf"', "gates.scan.format", "did you mean sarif?"),
    ('"errors"', '"error"', "gates.scan.metric", "no metric of this gate's formats; did you mean errors?"),
    ("-o {scratch}/s.sarif", "-o s.sarif", "gates.scan.command", "nothing in the command writes {scratch}/s.sarif"),
    ("'--junitxml={scratch}/junit.xml'", "", "gates.tests.command", "nothing in the command writes"),
    ("threshold = 2.5", "exit-codes = [0, 1]", "gates.scan.exit-codes", "sarif knows its tool's exit codes"),
    ("threshold = 2.5", "paths = ['src']", "gates.scan.paths", "no argument of the command is {paths}"),
    ("threshold = 2.5", "reason = 'slow'", "gates.scan.reason", "why a gate is off, and this one is"),
    ("threshold = 2.5", "steps = [{command = 'a'}]", "gates.scan.command", "`steps` says it for each command"),
    ('profile = "nightly"', 'profile = "nigthly"', "profile", "there is no profile nigthly; did you mean nightly?"),
    ('"release"', '"relase"', "profiles.nightly.extends", "there is no profile relase; did you mean release?"),
    ('"release"', '"nightly"', "profiles.nightly.extends", "extend one another: nightly → nightly"),
    ("threshold = 90", "threshold = 9\n[tool.ledger.profiles.dev]\nextends = 'release'", "profiles.dev.extends", "a built-in profile extends no other"),
    ('"P3"]', '"P7"]', "phases.patches", "'P7' is none of the names"),
    ('"uv sync"', "3", "isolated.setup", "expected a command, got 3"),
    ('".venv"', '"../venv"', "isolated.link", "leads out of the tree"),
    ('"README.md"', '"/etc/passwd"', "must-exist", "leads out of the tree"),
    ("[tool.ledger.gates.cov]\nthreshold = 80\nbaseline = true", "[tool.ledger.gates]\ncov = 80", "gates.cov", "expected a table, got 80"),
    ("[tool.ledger.isolated]", "[[tool.ledger.isolated]]", "isolated", "expected a table, got an array"),
    (EXAMPLE, "[tool]\nledger = 3", "", "expected a table, got 3"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), FAULTS)
def test_a_fault_is_named_at_its_line(old: str, new: str, key: str, words: str) -> None:
    """The line is where the last part of the key stands in the text, which a plain search finds too."""
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1)
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(None, text.encode())
    error = caught.value
    assert words in str(error)
    assert error.file == "pyproject.toml"
    shown = text.splitlines()[error.line - 1]
    if key:
        assert error.key == f"tool.ledger.{key}"
        assert key.rpartition(".")[2].strip('"') in shown
    assert str(error).startswith(f"pyproject.toml:{error.line}: tool.ledger")
    assert "ledger policy show" in error.hint


def test_a_fault_offers_the_names_that_there_are() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        in_ledger_toml("[phases]\npatch = ['P3']")
    assert str(caught.value) == (
        "ledger.toml:2: phases.patch: there is no such key; did you mean patches?\n  allowed: order, patches"
    )
    with pytest.raises(InvalidConfiguration) as caught:
        in_ledger_toml("[gates.x]\ncommand = 'x'\nformat = 'xml'")
    assert caught.value.allowed == tuple(METRICS)


STEP_FAULTS = [
    ("steps = []", 2, "gates.lint.steps", "expected an array of tables"),
    ("steps = ['ruff']", 2, "gates.lint.steps[0]", "expected a table, got 'ruff'"),
    ("format = 'exit'", 2, "gates.lint.format", "lint has 3 commands"),
    ("command = 'flake8'", 2, "gates.lint.command", "say how its result is read"),
    ("[[gates.lint.steps]]\ncommand = 'a'\n[[gates.lint.steps]]\nformat = 'exit'", 4, "gates.lint.steps[1]", "needs a command"),
    ("[[gates.lint.steps]]\ncommand = 'a'\nfromat = 'exit'", 4, "gates.lint.steps[0].fromat", "did you mean format?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "words"), STEP_FAULTS)
def test_a_fault_in_the_commands_of_a_gate(text: str, line: int, key: str, words: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        in_ledger_toml(f"[gates.lint]\n{text}")
    assert (caught.value.line, caught.value.key) == (line, key)
    assert words in str(caught.value)


@given(
    st.binary(max_size=60)
    | st.text(st.sampled_from('[]{}="\n.#gateslintmod01 '), max_size=60).map(str.encode)
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No other error, and no line that the file does not have."""
    line = 0
    try:
        read_configuration(data, None)
    except InvalidConfiguration as error:
        line = error.line
    assert 0 <= line <= data.count(b"\n") + 1


# ── and back ─────────────────────────────────────────────────────────────────────────────────────


@given(st.data(), policies(), policies(), st.sampled_from(["dev", "release", "nightly"]))
def test_what_is_shown_reads_back_as_the_same_policies(
    data: st.DataObject, dev: Policy, nightly: Policy, profile: str
) -> None:
    """So what `policy show` prints can be kept as the configuration, however much profiles share."""
    release = data.draw(variants(dev) | policies())
    if not (dev.gates.keys() <= nightly.gates.keys() or release.gates.keys() <= nightly.gates.keys()):
        nightly = data.draw(variants(release))
    profiles = {"dev": dev, "release": release, "nightly": nightly}
    if data.draw(st.booleans()):
        del profiles["nightly"]
        profile = "dev"
    shown = encode_policy(Configuration(profile=profile, profiles=profiles))
    read = in_ledger_toml(shown)
    assert (read.profile, read.profiles) == (profile, profiles)


@pytest.mark.parametrize("pyproject", [b"", EXAMPLE.encode()])
def test_what_is_shown_names_every_gate_with_its_command(pyproject: bytes) -> None:
    configuration = read_configuration(None, pyproject)
    shown = encode_policy(configuration)
    assert in_ledger_toml(shown).profiles == configuration.profiles
    for name, rule in configuration.policy.gates.items():
        assert f"[gates.{name}]" in shown
        assert all(f'command = "{step.command[0]} ' in shown for step in rule.steps)


def test_where_mlflow_is_counts_for_every_profile() -> None:
    """Read, shown so that it reads back, and refused at its line."""
    text = """\
[tool.ledger.mlflow]
uri = "http://127.0.0.1:5000"
tags = { team = "core" }
log-system-metrics = false
"""
    read = read_configuration(None, text.encode())
    wanted = MlflowConfig(uri="http://127.0.0.1:5000", tags={"team": "core"}, log_system_metrics=False)
    assert read.mlflow == wanted
    assert in_ledger_toml(encode_policy(read)).mlflow == wanted
    assert in_ledger_toml(encode_policy(read_configuration(None, b""))).mlflow == MlflowConfig()
    for wrong, line in (('"core"', 3), ("false", 4)):
        with pytest.raises(InvalidConfiguration) as caught:
            read_configuration(None, text.replace(wrong, "1").encode())
        assert caught.value.line == line


# ── the defaults ─────────────────────────────────────────────────────────────────────────────────


def test_the_built_in_gates_are_judged_by_what_their_formats_count() -> None:
    for rule in GATES.values():
        assert has_metric([step.format for step in rule.steps], rule.metric)
    assert derive_metrics({"violations": 2, "reformat": 1}) == {"violations": 2, "reformat": 1, "problems": 3}
    assert derive_metrics({"violations": 2}) == {"violations": 2}


def test_every_format_and_what_it_finds_is_known_here() -> None:
    """The parsers are another module's: a format added there without a metric here cannot be asked for."""
    assert METRICS.keys() == FORMATS.keys()
    for name, known in FORMATS.items():
        assert {*known.decides} <= {*METRICS[name]}


def test_a_listing_beside_a_report_only_says_how_much_was_examined() -> None:
    """It decides where there is nothing else, whichever comes first."""
    assert metrics_of(["paths", "detect-secrets"]) == ("findings", "files")
    assert metrics_of(["paths"]) == ("files",)
    text = "[gates.licenses]\ncommand = 'pip-licenses --format json'\nformat = 'pip-licenses'\nmetric = '{}'"
    assert gate(text.format("license:GPL-3.0"), "licenses").metric == "license:GPL-3.0"
    with pytest.raises(InvalidConfiguration, match="licence:GPL is no metric of this gate's formats"):
        gate(text.format("licence:GPL"), "licenses")


CLEAN = {
    "src/demo.py": "def one() -> int:\n    return 1\n",
    "tests/test_demo.py": "from demo import one\n\n\ndef test_one() -> None:\n    assert one() == 1\n",
}
BROKEN = {
    "src/demo.py": "import os\ndef one() -> int:\n    return 'x'\n",
    "tests/test_demo.py": CLEAN["tests/test_demo.py"],
}
TYPED = "[gates.types]\ntool = '{}'\n"
BUILT_IN = [
    ("lint", "", "problems 3 is above 0"),
    ("tests", "", "broken 1 is above 0"),
    ("cov", "[gates.cov]\nthreshold = 99", ""),
    ("types", TYPED.format("mypy") + "paths = ['src']", "errors 1 is above 0"),
    ("types", TYPED.format("ty"), "errors 1 is above 0"),
    ("types", TYPED.format("basedpyright"), "errors 1 is above 0"),
]


@pytest.mark.parametrize(("name", "text", "reason"), BUILT_IN)
def test_the_real_tools_pass_a_clean_project_and_fail_a_broken_one(
    name: str, text: str, reason: str, tmp_path: Path
) -> None:
    """Each built-in gate, run as it is configured, read by its parsers and judged by its rule."""
    rule = gate(text, name)
    if shutil.which(rule.steps[0].command[0], path=str(BIN)) is None:
        pytest.skip(f"needs {rule.steps[0].command[0]}")
    verdicts = [judge(measure(rule, tmp_path / which, files), rule) for which, files in PROJECTS.items()]
    assert verdicts[0] == ("pass", ())
    if reason:
        assert verdicts[1] == ("fail", (reason,))


PROJECTS = {"clean": CLEAN, "broken": BROKEN}
BIN = Path(sys.executable).parent


def measure(rule: Rule, root: Path, files: dict[str, str]) -> Seen:
    """Return what the real commands of a gate find in a project."""
    scratch = root.with_name(f"{root.name}-scratch")
    scratch.mkdir()
    pytest_ini = {"pytest.ini": "[pytest]\npythonpath = src\n"}
    for path, content in {**files, **pytest_ini}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, "utf-8")
    reports = [run_step(step, root, scratch) for step in rule.steps]
    merged = merge_reports(reports)
    return Seen(
        definition=rule.definition,
        problems=merged.problems,
        metrics=merged.metrics,
        examined=merged.examined,
        unit=merged.unit,
    )


def run_step(step: Step, root: Path, scratch: Path) -> Report:
    words = [path for word in step.command for path in (step.paths if word == "{paths}" else (word,))]
    first, *rest = (word.replace("{scratch}", str(scratch)) for word in words)
    environment = {**os.environ, "COVERAGE_FILE": str(scratch / ".coverage")}
    environment = {name: value for name, value in environment.items() if not name.startswith("COV_CORE_")}
    done = subprocess.run(
        [str(BIN / first), *rest], cwd=root, env=environment, capture_output=True, check=False
    )
    left = Path(step.report.replace("{scratch}", str(scratch)))
    data = done.stdout if step.report == "-" else left.read_bytes()
    output = done.stdout + done.stderr
    return parse_report(step.format, data, exit_code=done.returncode, root=root, output=output)
