"""One step of a gate: what is brought back, and that nothing of its command is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from threading import Event

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from execution_lab import HERE, execute, python, runs, surround, tree_paths, wait_for

from ledger.gates import execution
from ledger.gates.execution import OUTPUT_LIMIT_BYTES, Output, Progress
from ledger.gates.surroundings import Surroundings


@pytest.fixture
def around(repo: Path) -> Surroundings:
    return surround(repo)


# A grandchild in the group that outlives its parent and will not be asked to go.
STUBBORN = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(600)
while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1])):
    time.sleep(0.01)
print("up", flush=True)
"""


def test_what_a_command_did_is_brought_back(around: Surroundings) -> None:
    """Exit code, both outputs in their order, the report from standard output alone, and when."""
    before = time.time_ns()
    found = execute(around, "sh", "-c", "echo out; sleep 0.1; echo err >&2; exit 3")
    assert (found.exit_code, found.problems) == (3, ())
    assert (found.output, found.report) == (b"out\nerr\n", b"out\n")
    assert before <= found.started_at_ns <= time.time_ns()
    assert 100_000_000 < found.duration_ns < 10_000_000_000


def test_no_shell_reads_the_arguments(around: Surroundings) -> None:
    found = execute(around, "printf", "%s|", "$HOME", "*", "a b", "{scratched}")
    assert found.report == b"$HOME|*|a b|{scratched}|"


def test_the_scratch_directory_is_fresh_outside_the_tree_and_gone_afterwards(around: Surroundings) -> None:
    seen: set[Path] = set()
    for _ in range(2):
        found = execute(around, "sh", "-c", 'ls -A "$0"; echo "$0"; touch "$0/x"', "{scratch}")
        scratch = Path(os.fsdecode(found.output.strip()))  # and nothing else: it was empty
        assert not scratch.is_relative_to(around.root)
        assert not scratch.parent.exists()
        assert found.command[-1] == "{scratch}"
        seen.add(scratch)
    assert len(seen) == 2


def test_a_temporary_directory_in_the_tree_is_not_used(repo: Path) -> None:
    (repo / "tmp").mkdir()
    around = surround(repo, variables={"TMPDIR": str(repo / "tmp")})
    found = execute(around, "sh", "-c", 'echo "$0"', "{scratch}")
    assert not Path(os.fsdecode(found.output.strip())).is_relative_to(repo)


@pytest.mark.parametrize(
    ("paths", "expanded"),
    [(("src", "missing", "notes.txt"), ("src", "notes.txt")), (("missing",), (".",)), ((), (".",))],
)
def test_paths_stands_for_those_that_are_there(
    around: Surroundings, paths: tuple[str, ...], expanded: tuple[str, ...]
) -> None:
    found = execute(around, "echo", "{paths}", "x{paths}", paths=paths)
    assert found.report == " ".join([*expanded, "x{paths}\n"]).encode()
    assert found.command == ("echo", *expanded, "x{paths}")


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_grandchild_that_ignores_sigterm_does_not_outlive_its_command(
    around: Surroundings, tmp_path: Path
) -> None:
    """The command ends by itself with 0; what it left in its group is killed, and cost two seconds at most."""
    began = time.monotonic()
    found = execute(around, *python(STUBBORN), str(tmp_path / "pid"))
    assert (found.exit_code, found.problems, found.output) == (0, (), b"up\n")
    assert not runs(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - began < 20


def test_a_child_that_keeps_the_output_open_does_not_hold_the_command_up(around: Surroundings) -> None:
    began = time.monotonic()
    found = execute(around, "sh", "-c", "sleep 600 & echo $!; echo done")
    child, word = found.output.split()
    assert (word, found.exit_code, found.problems) == (b"done", 0, ())
    assert not runs(int(child))
    assert time.monotonic() - began < 20


def test_a_daemon_that_left_the_session_and_keeps_the_output_open_does_not_hold_it_up(
    around: Surroundings, tmp_path: Path
) -> None:
    began = time.monotonic()
    script = """
        setsid sh -c 'echo $$ > "$0"; exec sleep 600' "$0" &
        until [ -s "$0" ]; do sleep 0.01; done
        echo done
    """
    found = execute(around, "sh", "-c", script, str(tmp_path / "pid"))
    daemon = int((tmp_path / "pid").read_text())
    assert (found.exit_code, found.output) == (0, b"done\n")
    assert time.monotonic() - began < 20
    assert runs(daemon)  # the limit of what is promised
    os.kill(daemon, signal.SIGKILL)


def test_all_output_of_a_command_that_ended_is_there(around: Surroundings) -> None:
    """What is still in the pipe when the command ends is not lost with it."""
    code = "import os; os.write(1, b'x' * 60000); os._exit(0)"
    assert execute(around, *python(code)).report == b"x" * 60000


def test_a_timeout_ends_the_whole_group(around: Surroundings, tmp_path: Path) -> None:
    code = STUBBORN + "\ntime.sleep(600)"
    found = execute(around, *python(code), str(tmp_path / "pid"), timeout_s=1.5)
    assert (found.exit_code, found.problems) == (None, ("timed out after 1.5 s",))
    assert found.output == b"up\n"
    assert not runs(int((tmp_path / "pid").read_text()))


def test_stop_ends_it_from_another_thread(around: Surroundings, tmp_path: Path) -> None:
    stop, pid = Event(), tmp_path / "pid"

    def set_when_it_runs() -> None:
        wait_for(lambda: pid.exists() and pid.read_text())
        stop.set()

    threading.Thread(target=set_when_it_runs).start()
    found = execute(around, "sh", "-c", 'echo $$ > "$0"; exec sleep 600', str(pid), stop=stop)
    assert (found.exit_code, found.problems) == (None, ("stopped before it ended",))
    assert not runs(int(pid.read_text()))


def test_an_interrupt_passes_through_and_leaves_nothing_running(around: Surroundings, tmp_path: Path) -> None:
    """Ctrl-C in the caller: the command has its own session, so only we can end it."""
    pid = tmp_path / "pid"

    def interrupt() -> None:
        wait_for(lambda: pid.exists() and pid.read_text())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        execute(around, *python(STUBBORN + "\ntime.sleep(600)"), str(pid))
    thread.join()
    assert not runs(int(pid.read_text()))


def test_killed_by_a_signal(around: Surroundings) -> None:
    found = execute(around, "sh", "-c", "kill -SEGV $$")
    assert (found.exit_code, found.problems) == (-11, ("killed by signal 11 (SIGSEGV)",))


# ── commands that do not start ───────────────────────────────────────────────────────────────────


def test_a_command_that_is_nowhere(around: Surroundings) -> None:
    found = execute(around, "no-such-tool", "--check", report="{scratch}/report.json")
    (problem,) = found.problems
    assert problem.startswith("no-such-tool: command not found (looked in PATH, and beside")
    assert "install it" in problem
    assert (found.exit_code, found.report, found.output) == (None, None, b"")


def test_a_script_of_the_tree_runs_and_one_without_the_executable_bit_does_not(
    around: Surroundings,
) -> None:
    assert execute(around, "./tool.sh").report == b"ok\n"
    (around.root / "tool.sh").chmod(0o644)
    (problem,) = execute(around, "./tool.sh").problems
    assert "tool.sh is not executable: `chmod +x` it" in problem
    assert execute(around, "./gone.sh").problems == ("./gone.sh: no such file in the measured tree",)


def test_a_script_whose_interpreter_is_gone(around: Surroundings) -> None:
    """As every script of an environment whose directory was moved."""
    (around.root / "tool.sh").write_bytes(b"#!/moved/away/python\n")
    (problem,) = execute(around, "./tool.sh").problems
    assert problem.endswith("tool.sh was found, but not /moved/away/python: install it again")


def test_a_file_that_is_no_program(around: Surroundings) -> None:
    (around.root / "tool.sh").write_bytes(b"\x7fELF nothing more")
    (problem,) = execute(around, "./tool.sh").problems
    assert problem.endswith("tool.sh could not be started: Exec format error")


# ── reports ──────────────────────────────────────────────────────────────────────────────────────


def test_a_report_below_scratch_is_read_before_that_is_gone(around: Surroundings) -> None:
    found = execute(around, "cp", "notes.txt", "{scratch}/r", report="{scratch}/r")
    assert (found.report, found.problems) == (b"one\ntwo\nthree", ())


@pytest.mark.parametrize(
    ("code", "fresh"),
    [
        ("pass", False),
        ("open('r.json')", False),
        ("import os; os.chmod('r.json', 0o600)", False),
        ("open('r.json', 'w').write('new')", True),
        ("open('r.json', 'w').write('old')", True),
        ("open('x', 'w').write('old'); import os; os.replace('x', 'r.json')", True),
        ("import os; s = os.stat('r.json'); open('r.json', 'w').write('new'); os.utime('r.json', ns=(1, 1))", True),
    ],
)  # fmt: skip
def test_only_a_report_that_this_execution_wrote_counts(around: Surroundings, code: str, fresh: bool) -> None:
    """A report file in the tree from before stays where it is, and is not taken for this execution's."""
    report = around.root / "r.json"
    report.write_text("old")
    os.utime(report, ns=(1, 1))
    found = execute(around, *python(code), report="r.json")
    if fresh:
        assert (found.report, found.problems) == (report.read_bytes(), ())
    else:
        assert found.problems == ("the report r.json is an old one: this execution did not write it",)
        assert (found.report, report.read_text()) == (None, "old")


def test_further_reports_are_brought_back_where_this_execution_wrote_them(around: Surroundings) -> None:
    """One execution feeds two gates; what it did not leave is for the other gate to miss."""
    (around.root / "old").write_text("old")
    names = ("{scratch}/b", "{scratch}/c", "old", "-")
    script = 'echo a > "$0/a"; echo b > "$0/b"'
    found = execute(around, "sh", "-c", script, "{scratch}", report="{scratch}/a", also=names)
    assert (found.report, found.also, found.problems) == (b"a\n", {"{scratch}/b": b"b\n"}, ())
    assert execute(around, "no-such-tool", also=names).also == {}


def test_a_report_that_was_not_written(around: Surroundings) -> None:
    found = execute(around, "true", report="r.json")
    assert found.problems == ("the report r.json cannot be read: no such file or directory",)
    assert (found.exit_code, found.report) == (0, None)


def test_a_report_that_is_a_pipe_does_not_hang(around: Surroundings) -> None:
    os.mkfifo(around.root / "r.json")
    found = execute(around, "true", report="r.json")
    assert found.problems == ("the report r.json cannot be read: not a regular file",)


def test_a_report_that_is_too_large_is_a_problem_not_a_cut(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "REPORT_LIMIT_BYTES", 1 << 20)
    code = "import sys; sys.stdout.write('x' * int(sys.argv[1]))"
    assert len(execute(around, *python(code), str(1 << 20)).report or b"") == 1 << 20
    printed = execute(around, *python(code), str((1 << 20) + 1))
    assert (printed.report, printed.problems) == (None, ("the report is larger than 1 MiB",))
    written = execute(around, "truncate", "--size=2M", "{scratch}/r", report="{scratch}/r")
    assert written.problems == ("the report {scratch}/r cannot be read: larger than 1 MiB",)


# ── output ───────────────────────────────────────────────────────────────────────────────────────


def test_output_past_the_limit_keeps_its_beginning_and_end_and_says_so(around: Surroundings) -> None:
    code = "import sys; sys.stderr.write('begin\\n'); sys.stderr.write('x' * (40 << 20)); sys.stderr.write('end\\n')"
    found = execute(around, *python(code))
    assert found.output.startswith(b"begin\nxxx")
    assert found.output.endswith(b"xxxend\n")
    left_out = (40 << 20) + len("begin\nend\n") - OUTPUT_LIMIT_BYTES
    assert b"\n[... %d bytes of output left out ...]\n" % left_out in found.output
    assert OUTPUT_LIMIT_BYTES < len(found.output) < OUTPUT_LIMIT_BYTES + 100
    assert (found.problems, found.report) == ((), b"")


@pytest.mark.parametrize("size", [1, 3, 7, 10, 1000])
def test_output_of_any_pieces_is_the_whole_cut_once(size: int) -> None:
    whole = bytes(range(97, 123))
    for total in range(len(whole)):
        output = Output(10)
        for at in range(0, total, size):
            output.add(whole[at : min(at + size, total)])
        cut = b"\n[... %d bytes of output left out ...]\n" % (total - 10)
        expected = whole[:total] if total <= 10 else whole[:5] + cut + whole[total - 5 : total]
        assert output.text() == expected


def test_output_that_is_no_text_is_kept_as_it_is(around: Surroundings) -> None:
    found = execute(around, "printf", "\\377\\000\\n", progress=lambda line: None)
    assert (found.output, found.problems) == (b"\xff\0\n", ())


def test_progress_tells_the_last_whole_line_at_most_ten_times_a_second(around: Surroundings) -> None:
    lines: list[str] = []
    code = "import time\nfor n in range(200): print(f'line {n}', flush=True); time.sleep(0.005)\nprint('rest', end='')"
    found = execute(around, *python(code), progress=lines.append)
    assert lines[0] == "line 0"
    assert all(line.startswith("line ") for line in lines)
    assert lines == sorted(set(lines), key=lambda line: int(line.split()[1]))
    assert 3 <= len(lines) <= found.duration_ns / 1e9 * 10 + 1


def test_progress_takes_whole_lines_only_and_a_redrawn_line_for_one() -> None:
    lines: list[str] = []
    progress = Progress(lines.append)
    for data in (b"par", b"t one\nsecond h", b""):
        progress.add(data)
    assert lines == ["part one"]
    time.sleep(0.11)
    progress.add(b"alf\r 10 %\r 20 %\r\n\n")
    assert lines == ["part one", "20 %"]


# ── stale caches ─────────────────────────────────────────────────────────────────────────────────


def write_within_a_second(path: Path, text: str) -> None:
    """Write a state as the next one in the same second: another moment, the same size."""
    path.write_text(text, "utf-8")
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_bytecode_of_a_state_is_not_taken_for_the_next_within_the_same_second(repo: Path) -> None:
    """Python compares a source's size and the second of its change; a cache that lasts would hide a patch."""
    code = "import sys; sys.path.insert(0, 'src'); import fact; print(fact.N)"
    around = surround(repo)
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(repo.parent / "naive")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    naive: list[bytes] = []
    measured: list[bytes | None] = []
    for number in (1, 2):
        write_within_a_second(repo / "src/fact.py", f"N = {number}\n")
        naive.append(subprocess.check_output(python(code), cwd=repo, env=environment))
        measured.append(execute(around, *python(code)).report)
    assert naive == [b"1\n", b"1\n"]  # the trap is there
    assert measured == [b"1\n", b"2\n"]


def test_the_environments_bytecode_lasts(repo: Path) -> None:
    """Only the tree's is compiled again: the second execution finds the libraries'."""
    around = surround(repo)
    code = "import sys; sys.path.insert(0, 'src'); import app, json.tool"
    execute(around, *python(code))
    stale = {path: path.stat().st_mtime_ns for path in around.bytecode_dir.rglob("*.pyc")}
    assert any(path.name.startswith("tool.") for path in stale)
    execute(around, *python(code))
    again = {path: path.stat().st_mtime_ns for path in around.bytecode_dir.rglob("*.pyc")}
    changed = {path.name.partition(".")[0] for path in again if again[path] != stale.get(path)}
    # The guard's own is compiled again too where this checkout lies in the directory for temporary files.
    assert changed - {"sitecustomize", "__init__"} == {"app"}


def test_mypys_cache_of_a_state_is_not_taken_for_the_next_within_the_same_second(repo: Path) -> None:
    """Type checking with mypy compares as Python does, so a measurement begins in a later second than the last change."""
    pytest.importorskip("mypy")
    around = surround(repo)
    started: list[float] = []
    for text in ("x: int = 1\n", "x: str = 1\n"):
        (repo / "src/fact.py").write_text(text, "utf-8")
        written = (repo / "src/fact.py").stat().st_mtime
        around = surround(repo, tree_paths=tree_paths(repo))
        found = execute(around, str(HERE / "mypy"), "src/fact.py")
        started.append(found.started_at_ns / 1e9)
        assert int(started[-1]) > int(written)
    assert found.exit_code == 1
