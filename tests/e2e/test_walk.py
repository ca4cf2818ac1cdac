"""The walk from P1 to P6 on a released package with its own test suite, by the real command with the real tools.

The base is click 8.2.0; the patches are cut from Git's own diff to 8.2.1. One of them, by itself, breaks the
package's tests: its authors changed those in the same release. One fixture walks; each test looks at one step.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import releases

sys.path.insert(0, str(Path(__file__).parent))
from transcripts import VARYING, rewrite, steady
from walk_shell import Walk

pytestmark = pytest.mark.needs("releases")

OLD, NEW = "8.2.0", "8.2.1"
RELEASES = f"{OLD}..{NEW}"
# Without what starts pagers and interpreters: that depends on the machine.
PYTEST = (
    "pytest -q -o pythonpath=src -W ignore::pytest.PytestRemovedIn10Warning --ignore=tests/test_imports.py "
    "--deselect=tests/test_utils.py::test_echo_via_pager --junitxml={scratch}/junit.xml"
)
POLICY = f"""
[tool.ledger]
profile = "release"
must-exist = ["src/click/__init__.py"]
must-not-exist = ["**/*.orig"]

[tool.ledger.gates.lint]
mode = "soft"
threshold = 1

[tool.ledger.gates.tests]
command = "{PYTEST}"
min-tests = 600
fed-by = "cov"

[tool.ledger.gates.cov]
command = "{PYTEST} --cov=click --cov-report=json:{{scratch}}/coverage.json"
threshold = 75

"""
COMPLETION = ("src/click/shell_completion.py", "tests/test_shell_completion.py")
FLAGS = ("src/click/core.py", "tests/test_options.py")
RUNNER = ("src/click/testing.py",)
RUNNER_TESTS = ("tests/test_chain.py", "tests/test_termui.py", "tests/test_testing.py", "tests/test_utils.py")
REST = ("CHANGES.rst", "docs", "src/click/_winconsole.py")
PROJECT = ("pyproject.toml",)
TYPING = "import typing as t\n"
UNTIDY = "import os\n" + TYPING
KINDS = ("{}.bak", "{}~", "{}0", "{}.orig", "{stem} (1){suffix}", "{stem}_old{suffix}", "Copy of {}")


# ── the walk ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def walk(
    tmp_path_factory: pytest.TempPathFactory, released: dict[str, Path], sealed_commands: dict[str, str]
) -> Walk:
    place = tmp_path_factory.mktemp("walk")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    walk = Walk(place / "click", sealed_commands | {"PATH": path})
    make_releases(walk, released)
    prepare(walk)
    search_and_build(walk)
    prune(walk)
    commit_and_rebase(walk)
    finalize(walk)
    return walk


def make_releases(walk: Walk, released: Mapping[str, Path]) -> None:
    """Commit both releases, each with the policy in its `pyproject.toml`, and stay at the old one."""
    walk.root.mkdir()
    walk.git("init", "--quiet", "--initial-branch=main")
    for version in (OLD, NEW):
        for entry in [each for each in walk.root.iterdir() if each.name != ".git"]:
            subprocess.run(["rm", "-r", entry], check=True)
        releases.write_files(released[version], walk.root)
        project = walk.root / "pyproject.toml"
        project.write_text(POLICY + project.read_text("utf-8"), "utf-8")
        walk.git("add", "--all", "--force")
        walk.git("commit", "--quiet", "--message", f"click {version}")
        walk.git("tag", version)
    walk.git("checkout", "--quiet", "-b", "work", OLD)


def prepare(walk: Walk) -> None:
    """P1: a run with the policy of the configuration, and the base measured."""
    walk.step("start", "run", "start", "bring 8.2.0 to 8.2.1", "--name", "walk")
    walk.step("P1", "phase", "P1")
    walk.step("base", "gate", "--json")
    walk.step("doctor", "doctor", "--only", "git", "--only", "durability")
    walk.step("secrets", "audit", "secrets")
    walk.step("manifest", "audit", "manifest", "--write", "-o", walk.root.parent / "SHA256SUMS")


def search_and_build(walk: Walk) -> None:
    """P2 and P3: real patches accepted, one rejected and taken again, a ticket opened and closed."""
    walk.step("P2", "phase", "next", "-m", "the fixes that 8.2.1 has")
    walk.step("completion", "apply", "--gate", walk.diff("completion", RELEASES, *COMPLETION))
    walk.step("P3", "phase", "next")
    walk.step("rejected", "apply", "--gate", walk.diff("runner", RELEASES, *RUNNER), code=1)
    rejected = walk.said["rejected"].out.splitlines()[0]
    walk.step("fix", "apply", walk.diff("runner-tests", RELEASES, *RUNNER_TESTS))
    walk.step("again", "apply", "--again", rejected, "--gate")
    walk.step("wheel", "run-step", "3:build", "--", "make", "wheel", code=2)
    walk.step("asked", "error", "--step", "3:build", "is the runner's new output order meant?")
    walk.step("questions", "questions", "--json")
    walk.step("answered", "answer", "@", "yes: CHANGES.rst of 8.2.1 says so")
    walk.step("untidy", "apply", "--gate", walk.edit("untidy", "src/click/globals.py", TYPING, UNTIDY))
    walk.step("tickets", "tickets", "--json")
    flags = walk.diff("flags", RELEASES, *FLAGS)
    tidy = walk.edit("tidy", "src/click/globals.py", UNTIDY, TYPING)
    walk.step("tidy", "apply", flags, tidy)
    walk.step("tidied", "gate")


def prune(walk: Walk) -> None:
    """P4: dozens of backups brought back by an edited plan, and a threshold lowered in the open."""
    walk.step("P4", "phase", "next")
    plant_backups(walk)
    walk.step("planted", "record", "-m", "what editors and people have left")
    plan = walk.root.parent / "plan.toml"
    walk.step("plan", "canonicalize", "--plan", plan)
    edit_plan(plan)
    walk.step("canonical", "canonicalize", "--apply", plan, "-m", "one file each")
    lower = walk.edit("lower", "pyproject.toml", "threshold = 75", "threshold = 70")
    walk.step("lowered", "apply", lower)
    walk.step("lowered status", "status", "--json")
    walk.step("lowered diff", "policy", "diff")
    walk.step("lowered gate", "gate", "lint", "--json")
    walk.step("accepted policy", "policy", "accept", "-m", "the new code has no tests on Windows")
    walk.step("accepted gate", "gate", "--json")


def plant_backups(walk: Walk) -> None:
    pages = sorted((walk.root / "docs").glob("*.rst"))[:12]
    for number, page in enumerate(pages):
        for kind in [KINDS[number % 7], KINDS[(number + 2) % 7], KINDS[(number + 4) % 7]]:
            name = kind.format(page.name, stem=page.stem, suffix=page.suffix)
            page.with_name(name).write_bytes(page.read_bytes() + f"{kind}\n".encode())


def edit_plan(plan: Path) -> None:
    """Let the second group's first backup survive, and keep the third group as it is."""
    text = plan.read_text("utf-8")
    groups = text.split("[[group]]")
    second = tomllib.loads("[[group]]" + groups[2])["group"][0]
    chosen = json.dumps(second["remove"][0])
    groups[2] = re.sub(r"(?m)^survivor = .*$", lambda _: f"survivor = {chosen}", groups[2])
    groups[2] = re.sub(rf"(?m)^  {re.escape(chosen)},.*\n", "", groups[2])
    groups[3] = groups[3].rstrip("\n") + "\nkeep = true\n\n"
    plan.write_text("[[group]]".join(groups), "utf-8")


def commit_and_rebase(walk: Walk) -> None:
    """P5: what is accepted is committed; a foreign commit stops all writing until the run is rebased."""
    walk.step("P5", "phase", "next")
    walk.step("open questions", "questions", "--open")
    wheel = walk.said["wheel"].err.split("asked as ")[1].split()[0].rstrip(":,")
    walk.step("retired", "retire", wheel, "-m", "sdists have no such target")
    walk.step("commit", "commit", "-m", "Fixes of 8.2.1")
    walk.step("rest", "apply", walk.diff("rest", RELEASES, *REST))
    readme = walk.root / "README.md"
    readme.write_bytes(readme.read_bytes() + b"\nA line by somebody else.\n")
    walk.git("commit", "--quiet", "--only", "--message", "By somebody else", "README.md")
    walk.step("stopped", "apply", walk.diff("project", RELEASES, *PROJECT), code=7)
    walk.step("stopped status", "status")
    walk.step("rebased", "run", "rebase")
    walk.step("late", "apply", walk.edit("late", "src/click/globals.py", TYPING, UNTIDY))
    walk.step("late lint", "gate", "lint")


def finalize(walk: Walk) -> None:
    """P6: refused with a list, each command of which is run, until nothing is missing."""
    walk.step("P6", "phase", "next")
    (walk.root / "docs/notes.txt.orig").write_bytes(b"left by hand\n")
    walk.step("refused", "run", "finish", code=1)
    run_listed(walk, "refused")
    walk.step("refused again", "run", "finish", code=1)
    run_listed(walk, "refused again")
    (walk.root / "docs/notes.txt.orig").unlink()
    walk.step("removed", "record", "-m", "not ours")
    walk.step("late tidy", "apply", walk.edit("late-tidy", "src/click/globals.py", UNTIDY, TYPING))
    walk.step("final gate", "gate", "--json")
    walk.step("finished", "run", "finish")
    walk.step("tokens", "tokens")
    walk.step("mlflow", "project", "mlflow", "--uri", "sqlite:///../mlflow.db")
    walk.step("mlflow again", "project", "mlflow", "--uri", "sqlite:///../mlflow.db")
    walk.step("manifest now", "audit", "manifest", "-o", walk.root.parent / "SHA256SUMS", code=1)


def run_listed(walk: Walk, name: str) -> None:
    for command in walk.listed(name):
        walk.step(f"{name}: {command}", *shlex.split(command)[1:])


# ── the tutorial ─────────────────────────────────────────────────────────────────────────────────

TUTORIAL = Path(__file__).resolve().parents[2] / "docs/tutorial.md"
# How many tests there are, and what they cover, differs between interpreters and machines.
MEASURED = (
    *VARYING,
    (r"\b\d+ (tests|statements)\b", r"N \1"),
    (r"\bcombined \d+(\.\d+)?", "combined N"),
    (r"\bwalk:\d+", "walk:V"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
    (r"(?m)^walk [0-9a-f]{32}$", "walk ID"),
    (r"\b\d+ points?\b", "N points"),
    (r"(?m)^(git +core +yes +).*", r"\1"),
    (r"(?m)(HEAD moved to |rebased onto |^)[0-9a-f]{12}(?=,|:| is walk)", r"\1COMMIT"),
    (r" +", " "),
    (r"─+", "─"),
)


def test_the_tutorial_shows_this_walk(walk: Walk, request: pytest.FixtureRequest) -> None:
    """Every command of it was typed, in its order, and prints what is shown: `--write-tutorial` renews it."""
    document = TUTORIAL.read_text("utf-8")
    assert f"```toml\n{POLICY.strip()}\n```" in document
    renewed = rewrite(document, walk.typed)
    if request.config.getoption("--write-tutorial"):
        TUTORIAL.write_text(renewed, "utf-8")
    assert steady(renewed, MEASURED) == steady(document, MEASURED)


# ── P1 to P3 ─────────────────────────────────────────────────────────────────────────────────────


def test_work_tree_and_index_are_the_candidate_after_every_step(walk: Walk) -> None:
    """Git hashes both to one tree, but where somebody had just edited or committed past the ledger."""
    apart = [name for name in walk.trees if walk.trees[name] != walk.index[name]]
    assert apart == ["refused"]
    candidate = walk.git("rev-parse", f"{OLD}^{{tree}}")
    by_version = {0: candidate}
    for event in walk.events:
        candidate = event.get("result_tree") or candidate
        by_version[event["v"]] = candidate
    wrong = [name for name in walk.trees if walk.trees[name] != by_version[walk.versions[name]]]
    # A foreign commit lies in the tree before the run has gone on from it.
    assert wrong == ["stopped", "stopped status", "refused"]


def test_the_base_is_measured_with_the_packages_own_tools(walk: Walk) -> None:
    record = walk.record("base")
    assert {gate["gate"]: (gate["mode"], gate["verdict"]) for gate in record["gates"]} == {
        "lint": ("soft", "pass"),
        "tests": ("strict", "pass"),
        "cov": ("strict", "pass"),
    }
    assert record["tree"] == walk.git("rev-parse", f"{OLD}^{{tree}}")
    tools = {name for event in walk.of_kind("gate.measured") for name in event["tools"]}
    assert {"ruff", "pytest", "python"} <= tools
    counted = walk.sql("select examined, unit from gates where gate = 'tests' order by v limit 1")
    assert counted[0]["unit"] == "tests"
    assert counted[0]["examined"] > 600


def test_a_real_patch_is_accepted(walk: Walk) -> None:
    assert walk.trees["completion"] == walk.applied(OLD, "completion")
    assert "accepted: walk:" in walk.said["completion"].err


def test_a_patch_that_breaks_the_packages_tests_is_rolled_back(walk: Walk) -> None:
    """The tree is the accepted one again, byte for byte; what was rejected stays reachable."""
    rejected = walk.event("rejected")
    assert walk.trees["rejected"] == walk.index["rejected"] == walk.trees["completion"]
    assert rejected["result_tree"] == walk.applied(OLD, "completion", "runner")
    assert walk.git("cat-file", "-t", rejected["result_tree"]) == "tree"
    rolled_back = walk.of_kind("patch.rolled_back")[0]
    assert (rolled_back["patches"], rolled_back["result_tree"]) == ([rejected["v"]], walk.trees["completion"])
    failed = walk.sql(
        f"select distinct name from tests where outcome = 'failed' and tree = '{rejected['result_tree']}'"
    )
    assert any("test_chain" in row["name"] for row in failed)


def test_it_is_taken_again_after_the_fix(walk: Walk) -> None:
    again = walk.event("again")
    assert again["of"] == walk.event("rejected")["v"]
    assert again["patch"] == walk.event("rejected")["patch"]
    assert walk.trees["again"] == walk.applied(OLD, "completion", "runner-tests", "runner")
    assert "accepted: walk:" in walk.said["again"].err


def test_a_soft_failure_opens_a_ticket_that_the_fix_closes(walk: Walk) -> None:
    """Nothing is rolled back meanwhile, and nobody closes it by hand."""
    assert [row["gate"] for row in walk.record("tickets")] == ["lint"]
    assert walk.trees["untidy"] == walk.event("untidy")["result_tree"]
    opened, closed = walk.of_kind("ticket.opened")[0], walk.of_kind("ticket.closed")[0]
    assert (closed["ticket_v"], closed["gate"]) == (opened["v"], "lint")
    tidy = int(walk.said["tidy"].out.split()[1].removeprefix("walk:"))
    assert closed["fixed_v"] == tidy
    found = walk.sql(f"select rule, path from findings where event = 'walk:{opened['measured_v']}'")
    assert {"rule": "F401", "path": "src/click/globals.py"} in found


# ── P4 ───────────────────────────────────────────────────────────────────────────────────────────


def test_backups_are_brought_to_one_file_each_as_the_edited_plan_says(walk: Walk) -> None:
    """One event: the chosen backup's bytes, one group kept as it was, all others at their canonical name."""

    def files(name: str) -> dict[str, str]:
        rows = walk.git("ls-tree", "-r", "-z", walk.trees[name]).split("\0")
        return {row.partition("\t")[2]: row.split()[2] for row in rows if row}

    planted, canonical = files("planted"), files("canonical")
    groups = tomllib.loads((walk.root.parent / "plan.toml").read_text("utf-8"))["group"]
    kept = [group for group in groups if group.get("keep")]
    assert (len(groups), len(kept)) == (12, 1)
    expected = dict(planted)
    for group in groups:
        if not group.get("keep"):
            expected[group["canonical"]] = planted[group["survivor"]]
            for path in {*group["remove"], group["survivor"]} - {group["canonical"]}:
                del expected[path]
    assert canonical == expected
    assert len(planted) - len(canonical) == 33
    assert (
        canonical[groups[1]["canonical"]] == planted[groups[1]["survivor"]] != planted[groups[1]["canonical"]]
    )
    event = walk.event("canonical")
    assert event["cause"] == "mv"
    checks = walk.of_kind("checks.verified")[0]
    assert (checks["v"], checks["outcome"]) == (event["v"] + 1, "pass")


LOWERED = "cov: threshold 75 → 70"


def test_a_lowered_threshold_shows_before_and_after_it_counts(walk: Walk) -> None:
    """In `status` and `policy diff` first; once accepted, beside every verdict and in SQL."""
    assert LOWERED in walk.record("lowered status")["configuration"]
    assert f"asks for less: {LOWERED}" in walk.said["lowered diff"].err
    assert "gates.cov.threshold  75        70" in walk.said["lowered diff"].out
    assert not [note for note in walk.record("lowered gate")["notes"] if LOWERED in note]
    accepted = walk.event("accepted policy")
    assert accepted["weakened"] == [LOWERED]
    note = f"note: the policy asks for less since walk:{accepted['v']}: {LOWERED}"
    later = [name for name in walk.said if walk.versions[name] >= accepted["v"] and "gate" in name.split()]
    assert len(later) >= 3
    for name in later:
        assert note.removeprefix("note: ") in walk.said[name].err + walk.said[name].out, name
    thresholds = walk.sql("select distinct threshold from gates where gate = 'cov' order by threshold")
    assert [row["threshold"] for row in thresholds] == [70, 75]
    (row,) = walk.sql(
        f"select weakened from policies where v = {accepted['v']} and profile = 'release' limit 1"
    )
    assert LOWERED in str(row["weakened"])


def test_a_patch_on_the_gates_own_configuration_is_flagged(walk: Walk) -> None:
    """In its event, in `status`, and beside the verdict."""
    event = walk.event("lowered")
    assert event["configures"] == ["pyproject.toml"]
    note = f"walk:{event['v']} touches the gates' own configuration: pyproject.toml"
    assert note in walk.record("lowered status")["notes"]
    assert note in walk.record("lowered gate")["notes"]
    assert not walk.event("completion").get("configures")


# ── P5 ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_commit_is_the_accepted_state(walk: Walk) -> None:
    seen = walk.event("commit")
    assert walk.git("rev-parse", f"{seen['commit']}^{{tree}}") == walk.trees["accepted gate"]
    assert walk.git("rev-parse", f"{seen['commit']}^") == walk.git("rev-parse", OLD)
    assert f"Ledger-Event: walk:{seen['state_v']}" in walk.git("show", "-s", seen["commit"])


def test_a_foreign_commit_stops_writing_until_the_rebase(walk: Walk) -> None:
    """Nothing is written by the refused command; then the survivor lies on the foreign commit's tree."""
    assert walk.said["stopped"].err.startswith("error: HEAD moved to ")
    assert "`ledger run rebase`" in walk.said["stopped"].err
    assert walk.versions["stopped"] == walk.versions["rest"]
    assert "HEAD is at a commit that the run does not explain" in walk.said["stopped status"].out
    rebased = walk.event("rebased")
    assert rebased["head"] == walk.git("rev-parse", "work")
    assert walk.trees["rebased"] == walk.applied("work", "rest")
    assert "By somebody else" in walk.git("log", "-1", "--format=%s", "work")
    assert (walk.root / "README.md").read_bytes().endswith(b"A line by somebody else.\n")


# ── errors, tokens, MLflow, offline tools ────────────────────────────────────────────────────────


def test_what_was_met_is_a_question_with_its_answer(walk: Walk) -> None:
    """A gate's is answered by its pass, a command's was retired, a person's answered; none is open at the end."""
    asked = {row["event"]: row for row in walk.sql("select event, step, open, outcome from questions")}
    first = walk.record("questions")
    assert [row["state"] for row in first] == ["answered", "open", "open"]
    assert [row["step"] for row in first] == ["3:gate tests", "3:build", "3:build"]
    wheel, person = first[1]["event"], first[2]["event"]
    assert "No rule to make target" in first[1]["message"]
    assert (asked[wheel]["outcome"], asked[person]["outcome"]) == ("retired", "answered")
    assert wheel in walk.said["open questions"].out
    assert person not in walk.said["open questions"].out
    assert not [row for row in asked.values() if row["open"]]
    lint = [row for row in asked.values() if row["step"].endswith(":gate lint")]
    assert {row["outcome"] for row in lint} == {"answered"}


def test_the_questions_file_has_them_all_and_is_nobodys_edit(walk: Walk) -> None:
    text = (walk.root / "docs/reference/codex_questions.md").read_text("utf-8")
    assert text.count("Question for ChatGPT @codex ") == len(walk.sql("select 1 from questions"))
    error = "encountered the following error:\nmake: *** No rule to make target"
    assert f"While performing [3:build], {error}" in text
    assert "codex_questions.md" not in walk.git("status", "--porcelain")
    assert "codex_questions.md" not in walk.git("ls-tree", "-r", "--name-only", walk.trees["finished"])


def test_tokens_are_counted_for_each_patch(walk: Walk) -> None:
    """By their bytes where no tokenizer is named, which is said."""
    rows = json.loads(walk("tokens", "--json").out)
    assert [row["event"] for row in rows] == [f"walk:{event['v']}" for event in walk.of_kind("patch.applied")]
    bodies = walk.root / ".git/ledger/bodies"
    for row, event in zip(rows, walk.of_kind("patch.applied"), strict=True):
        size = (bodies / event["patch"][:2] / event["patch"]).stat().st_size
        assert (row["bytes"], row["tokens"], row["counted_by"]) == (size, -(-size // 4), "bytes/4")
    assert "an estimate" in walk.said["tokens"].err


def test_mlflow_has_the_run(walk: Walk) -> None:
    """Read from its own database: one run, each measured metric at the version that measured it, each patch."""
    database = sqlite3.connect(walk.root.parent / "mlflow.db")
    ((name, status),) = database.execute("select name, status from runs where lifecycle_stage = 'active'")
    assert (name, status) == ("walk", "FINISHED")
    sent = database.execute(
        "select step, value from metrics where key = 'tests.broken' order by step"
    ).fetchall()
    measured = walk.sql(
        "select v, value from gate_metrics where gate = 'tests' and metric = 'broken' order by v"
    )
    assert sent == [(row["v"], row["value"]) for row in measured]
    assert "nothing to do" in walk.said["mlflow again"].err
    database.close()


def test_the_offline_tools_tell_what_changed(walk: Walk) -> None:
    """The manifest of the base finds each file that the run changed; no secret was found."""
    assert walk.said["secrets"].err.startswith("secrets: 0 findings")
    assert "the core works" in walk.said["doctor"].err
    base = walk.git("rev-parse", f"{OLD}^{{tree}}")
    changed = walk.git("diff", "--name-only", "--diff-filter=M", base, walk.trees["finished"]).splitlines()
    lines = walk.said["manifest now"].out.splitlines()
    assert {line.split()[2] for line in lines if line.split()[1] == "changed"} == set(changed)


# ── P6 ───────────────────────────────────────────────────────────────────────────────────────────


def test_finishing_is_refused_with_a_command_for_all_that_is_missing(walk: Walk) -> None:
    """Each was run, and did what it was listed for."""
    assert walk.said["refused"].err.startswith("error: run walk is not final: 4 missing")
    assert walk.listed("refused") == [
        "ledger record",
        "ledger gate cov",
        "ledger gate tests",
        "ledger tickets",
    ]
    assert walk.said["refused again"].err.startswith("error: run walk is not final: 2 missing")
    assert walk.listed("refused again") == ["ledger state --candidate", "ledger tickets"]
    assert "docs/notes.txt.orig" in walk.said["refused again: ledger state --candidate"].out
    assert "lint" in walk.said["refused again: ledger tickets"].out
    assert "refused: ledger gate tests" in walk.said


def test_the_run_ends_final_and_is_the_release(walk: Walk) -> None:
    """What was patched is what the authors released, measured on this very tree."""
    (finished,) = walk.of_kind("run.finished")
    assert finished["final"]
    assert finished["tree"] == walk.trees["final gate"] == walk.git_tree()
    patched = [*COMPLETION, *FLAGS, *RUNNER, *RUNNER_TESTS, "src/click/_winconsole.py", "CHANGES.rst"]
    assert walk.git("diff", "--stat", NEW, finished["tree"], "--", "src", "tests", *patched) == ""
    passed = walk.sql(f"select gate from gates where tree = '{finished['tree']}' and verdict = 'pass'")
    assert {row["gate"] for row in passed} == {"lint", "tests", "cov"}
    assert walk.git("rev-parse", "refs/ledger/walk/accepted^{tree}") == finished["tree"]
    assert [row["phase"] for row in walk.sql("select phase from phases order by v")] == [
        "P1", "P2", "P3", "P4", "P5", "P6",
    ]  # fmt: skip


def test_everything_can_be_proved_and_built_again(walk: Walk, tmp_path: Path) -> None:
    """`verify`, Git's own `fsck`, and the replay of the whole run, hashed by Git."""
    verified = walk("verify")
    assert verified.code == 0, verified.out
    walk.git("fsck", "--strict", "--no-dangling")
    into = tmp_path / "replayed"
    replayed = walk("replay", "--into", into)
    assert replayed.code == 0, replayed.err
    index = {"GIT_INDEX_FILE": str(tmp_path / "index"), "GIT_DIR": str(walk.root / ".git")}
    walk.git(f"--work-tree={into}", "add", "--all", "--force", into, **index)
    assert walk.git("write-tree", **index) == walk.trees["finished"]


def test_every_state_by_sql_hashes_to_its_git_tree(walk: Walk, tmp_path: Path) -> None:
    index = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    versions = [event["v"] for event in walk.events if event.get("result_tree")]
    assert len(versions) > 14
    each = " union all ".join(f"select {v} as v, * from state_at('walk', {v})" for v in [1, *versions])
    rows = walk.sql(f"select v, mode, oid, path from ({each}) order by v, path")
    trees = {
        event["v"]: event.get("result_tree") or event["base_tree"]
        for event in walk.events
        if "base_tree" in event
    }
    for v in [1, *versions]:
        listing = "".join(f"{row['mode']} {row['oid']}\t{row['path']}\n" for row in rows if row["v"] == v)
        walk.git("read-tree", "--empty", **index)
        done = subprocess.run(
            ["git", "update-index", "--index-info"],
            cwd=walk.root,
            env=walk.environment | index,
            input=listing.encode(),
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""
        assert walk.git("write-tree", **index) == trees[v], v
