"""The recipe for CI, as the page shows it: the shell text is run as it stands, and the workflow runs that text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.ledger.sharing.conftest import Clones, work

from ledger.api import Ledger

pytestmark = pytest.mark.needs("postgres")

PAGE = (Path(__file__).resolve().parents[3] / "docs/howto/ci.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```(sh|yaml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def job(clones: Clones, root: Path, run: str, child: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Do what the job does, in a plain checkout of one commit that knows nothing of the store."""
    clones.git("clone", "--quiet", "--depth", "1", f"file://{clones.hub}", root)
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    environment |= {"LEDGER_STORE": clones.url, "RUN": run, "CHILD": child, "LEDGER_ACTOR": "ci:test:1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        ["sh", "-e", "-c", BLOCKS["sh"]],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_measures_and_the_home_sees_what_it_found(clones: Clones, tmp_path: Path) -> None:
    """A candidate that passes ends the job with 0, one that does not with 1; the home pulls both."""
    home = clones.clone("home")
    # A commit after the clone's first one: the job's checkout has not the base's history.
    (home / "d/b.txt").write_bytes(b"wasp\n")
    clones.git("commit", "--all", "--quiet", "--message", "second", cwd=home)
    clones.git("push", "--quiet", cwd=home)
    work(home, "port")
    with Ledger.open(home) as ledger:
        ledger.sync()
        ledger.sync_refs()
    good = job(clones, tmp_path / "job1", "port", "ci-1", tmp_path / "home1")
    assert good.returncode == 0, good.stderr
    with Ledger.open(home) as ledger:
        (home / "a.txt").write_bytes(b"bad\n")
        ledger.record()
        ledger.sync()
    bad = job(clones, tmp_path / "job2", "port", "ci-2", tmp_path / "home2")
    assert bad.returncode == 1, bad.stderr
    with Ledger.open(home) as ledger:
        candidate = ledger.status().candidate
        assert sorted(each.run.run for each in ledger.pull()) == ["ci-1", "ci-2"]
        events = {run: [event.kind for event in ledger.events(run)] for run in ("ci-1", "ci-2")}
        assert all(kinds[-1] == "run.finished/1" and "gate.measured/1" in kinds for kinds in events.values())
        assert "patch.rolled_back/1" in events["ci-2"]
        measured = next(event for event in ledger.events("ci-2") if event.kind == "gate.measured/1")
        assert getattr(measured, "tree") == candidate  # noqa: B009 - of this kind
        started = next(iter(ledger.events("ci-2")))
        assert getattr(started, "continues").v == 4  # noqa: B009
        assert started.actor.kind == "ci"
        *_, last = ledger.replay("ci-1")
        assert last.tree == ledger.tree("port:3")


def test_the_workflow_runs_the_shell_text(clones: Clones) -> None:
    """Its variables are those that the text asks for, and the text is what it starts."""
    workflow = yaml.safe_load(BLOCKS["yaml"])
    of_job = workflow["jobs"]["gates"]
    asked = set(re.findall(r"\$(?:\{)?([A-Z]+)\b", BLOCKS["sh"]))
    assert asked == {"RUN", "CHILD"}
    assert asked | {"LEDGER_STORE"} <= of_job["env"].keys()
    runs = [step["run"] for step in of_job["steps"] if "run" in step]
    assert runs[-1] == "sh tools/ci-gates.sh"
    assert "`tools/ci-gates.sh`" in PAGE
    assert "checkout" in of_job["steps"][0]["uses"]
    assert workflow["permissions"] == {"contents": "read"}
