"""The audits as commands, as scripts of this checkout, and as gates of a repository."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_bench import Bench, strict_policy
from shell import Done, Shell

ROOT = Path(__file__).resolve().parents[2]
AWS = "AK" + "IA" + "Q7XW2PL5ZT9RB4NM"  # of the right shape, and nobody's
SECRET = {"a.py": f'key = "{AWS}"\n'.encode()}
# All of them would take MLflow's seconds.
TRY_GIT = {"command": "ledger audit capabilities --only git --json"}
ASKS = {"q.md": b"## Open questions\n- Which?\n"}


def run_tool(name: str, *arguments: str, cwd: Path) -> Done:
    command = [sys.executable, str(ROOT / "tools" / name), *arguments]
    return Done(subprocess.run(command, cwd=cwd, capture_output=True, check=False))


@pytest.fixture
def bench(make_repo: Callable[..., Path], git: Callable[..., str]) -> Bench:
    return Bench(make_repo({"a.py": b"x = 1\n", "q.md": b"# All is said\n"}), git)


def test_the_scripts_do_what_the_commands_do(bench: Bench, tmp_path: Path) -> None:
    """From anywhere, on a repository that is named; each with its exit code."""
    root = str(bench.root)
    assert run_tool("security/scan_repo.py", root, cwd=tmp_path).code == 0
    assert run_tool("assets/verify_manifest.py", root, cwd=tmp_path).code == 3
    assert run_tool("assets/build_manifest.py", root, cwd=tmp_path).code == 0
    assert run_tool("assets/verify_manifest.py", root, cwd=tmp_path).code == 0
    assert run_tool("security/license_audit.py", root, cwd=tmp_path).code == 0
    assert run_tool("docs/harvest_open_questions.py", root, "--fail-on-open", cwd=tmp_path).code == 0
    bench.commit({**SECRET, **ASKS})
    found = run_tool("security/scan_repo.py", root, cwd=tmp_path)
    assert (found.code, "a.py:1" in found.out, AWS in found.out + found.err) == (1, True, False)
    changed = run_tool("assets/verify_manifest.py", root, "--json", cwd=tmp_path)
    assert changed.code == 1
    rules = {each["rule"] for each in json.loads(changed.out)["findings"]}
    assert rules == {"changed"}
    asked = run_tool("docs/harvest_open_questions.py", root, cwd=tmp_path)
    assert (asked.code, "q.md:2" in asked.out) == (0, True)
    assert run_tool("docs/harvest_open_questions.py", root, "--fail-on-open", cwd=tmp_path).code == 1


def test_discovery_prints_a_status_and_the_session_holds_it_to_the_schema(tmp_path: Path) -> None:
    """`nox -s status-validate` needs no environment of its own; what is no status is refused."""
    printed = run_tool("status/capability_autodiscovery.py", "--only", "git", cwd=tmp_path)
    assert (printed.code, json.loads(printed.out)["healthy"]) == (0, True)
    (tmp_path / "status.json").write_text(printed.out, "utf-8")
    nox = [sys.executable, "-m", "nox", "-f", str(ROOT / "noxfile.py"), "-s", "status-validate", "--"]
    assert (
        subprocess.run([*nox, str(tmp_path / "status.json")], capture_output=True, check=False).returncode
        == 0
    )
    (tmp_path / "status.json").write_text(printed.out.replace("true", "false", 1), "utf-8")
    assert (
        subprocess.run([*nox, str(tmp_path / "status.json")], capture_output=True, check=False).returncode
        == 1
    )


@pytest.mark.parametrize(
    ("gate", "wrong"),
    [("secrets", SECRET), ("questions", ASKS), ("manifest", {"a.py": b"x = 2\n"})],
)
def test_each_audit_is_a_gate_that_passes_and_fails(bench: Bench, gate: str, wrong: dict[str, bytes]) -> None:
    """By the built-in command, with no word of configuration but its name; a finding has path and line."""
    bench.commit({"ledger.toml": strict_policy("", **{gate: {}})})
    bench("audit", "manifest", "--write")
    bench.commit({})
    passed = bench.gate()
    assert passed.result(gate)["verdict"] == "pass", passed.record
    assert passed.measured[-1]["examined"] > 0
    assert bench("record", "--allow-secrets", "-m", "x").code == 0
    for path, content in wrong.items():
        bench.write(path, content)
    assert bench("record", "--allow-secrets", "-m", "worse").code == 0
    failed = bench.gate()
    assert failed.result(gate)["verdict"] == "fail", failed.record
    assert failed.done.code == 1
    shown = bench("sql", "select path, line from findings", "--format", "csv").out
    assert any(f"{path}," in shown for path in wrong), shown


def test_a_baseline_can_be_recorded(bench: Bench) -> None:
    """Its hashes are no secrets; the same hash under another name may be one."""
    bench.commit(SECRET)
    assert bench("audit", "secrets", "--update-baseline").code == 0
    assert bench("record", "-m", "known").code == 0
    assert bench("audit", "secrets").code == 0
    bench.write("b.json", b'{"api_secret": "%b"}\n' % b"3d1b04a0d6a2a8a2b5ec8b2d6d8b0b7f0c4f6e1a")
    assert bench("record", "-m", "more").code == 7


def test_licences_and_tools_are_gates_too(bench: Bench) -> None:
    policy = '[licenses]\ndeny = ["MIT"]\n'
    bench.commit({"ledger.toml": strict_policy(policy, licenses={}, capabilities=TRY_GIT)})
    gated = bench.gate()
    assert gated.result("capabilities")["verdict"] == "pass", gated.record
    assert gated.result("licenses")["verdict"] == "fail", gated.record
    assert gated.done.code == 1


def test_a_gate_that_has_nothing_to_compare_with_is_inconclusive(bench: Bench) -> None:
    bench.commit({"ledger.toml": strict_policy(manifest={})})
    gated = bench.gate()
    assert (gated.result("manifest")["verdict"], gated.done.code) == ("inconclusive", 4)
    assert any(
        "what it compares with is not there" in reason for reason in gated.result("manifest")["reasons"]
    )


def test_a_gate_that_is_not_configured_is_none_and_says_how_it_becomes_one(bench: Bench) -> None:
    bench("gate", "secrets").refuses(2, "no gate is called 'secrets'", "not configured", "[gates.secrets]")
    assert "secrets" not in bench("policy", "show").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("secrets", "nowhere"), 2),
        (("secrets", "--baseline", "none"), 8),
        (("manifest", "--write", "-o", "a.txt"), 7),
        (("manifest",), 3),
        (("licenses", "--python", "none"), 2),
    ],
)
def test_bad_input_is_refused_in_words(shell: Shell, words: tuple[str, ...], code: int) -> None:
    before = shell.everything()
    shell("audit", *words).refuses(code)
    assert shell.everything() == before


def test_the_doctor_needs_no_repository(tmp_path: Path) -> None:
    done = Shell(tmp_path)("doctor", "--only", "git", "--only", "secrets")
    assert (done.code, "the core works" in done.err) == (0, True)
    assert Shell(tmp_path)("doctor", "--only", "nothing").code == 2
