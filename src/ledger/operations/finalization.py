"""Finalization: what must hold before a run may call its tree final."""

from __future__ import annotations

from ledger.drift import list_drift
from ledger.errors import NotFinal
from ledger.events import CheckFound, ChecksVerified
from ledger.history import History
from ledger.run import RunLog
from ledger.workspace import Workspace
from patches.errors import show_path
from patches.globs import match_paths

_SHOWN = 5


def check_final(workspace: Workspace, log: RunLog, *, waived: bool) -> None:
    """Refuse a run whose candidate is not accepted, or on which something no longer holds.

    Every must-exist and must-not-exist of the run and of the policy is looked at again, and recorded.

    Raises:
        NotFinal: Something is missing; the message has a command for each.
    """
    history = workspace.history(log)
    missing = [*_missing_edits(workspace, history), *_missing_gates(history)]
    checks = [find(workspace, log.head.tree, check) for check in _wanted(history)]
    if checks:
        log.append(
            ChecksVerified(
                **log.identity(),
                tree=log.head.tree,
                state_v=log.head.state_v,
                checks=tuple(checks),
                outcome="pass" if all(check.holds for check in checks) else "fail",
            )
        )
    missing += [(describe(check), "ledger state --candidate") for check in checks if not check.holds]
    if history.tickets and not waived:
        gates = ", ".join(sorted(history.tickets))
        missing.append((f"open tickets: {gates} (fix it, or say why not with --waive)", "ledger tickets"))
    # A gate that does not pass has its ticket, and a patch that was refused changed nothing.
    unanswered = [each for each in history.questions.values() if each.met_by not in ("gate", "patch")]
    if unanswered and not waived:
        asked = ", ".join(f"{event.reference} ({event.step})" for event in unanswered)
        what = f"unanswered errors: {asked} (answer them, or say why not with --waive)"
        missing.append((what, "ledger questions --open"))
    if missing:
        raise NotFinal(log.head.run, missing)


def _missing_gates(history: History) -> list[tuple[str, str]]:
    policy, tree = history.policy, history.candidate.tree
    if policy is None or not policy.strict:
        return [("no gate is strict, so nothing can be accepted", "ledger gate --profile release")]
    missing: list[tuple[str, str]] = []
    for name in policy.strict:
        standing = history.standing(tree, name, policy.gates[name])
        if standing != "pass":
            found = "was not measured" if standing is None else f"is {standing}"
            missing.append((f"the strict gate {name} {found} on this tree", f"ledger gate {name}"))
    if not missing and not history.is_accepted(tree):
        missing.append(("the candidate is not accepted", "ledger gate"))
    return missing


def _missing_edits(workspace: Workspace, history: History) -> list[tuple[str, str]]:
    if workspace.repository.work_dir is None:
        return []
    drift = list_drift(workspace.repository, history.candidate.tree)
    shown = ", ".join(show_path(each.path) for each in drift[:_SHOWN])
    return [(f"edited past the ledger: {shown}", "ledger record")] if drift else []


def _wanted(history: History) -> list[CheckFound]:
    """Return every check that the policy names or that the run has verified before, once each."""
    wanted: dict[tuple[str, str], CheckFound] = {}
    policy = history.policy
    named = [
        *(CheckFound("must-exist", glob, 0) for glob in (policy.must_exist if policy else ())),
        *(CheckFound("must-not-exist", glob, 0) for glob in (policy.must_not_exist if policy else ())),
    ]
    live = {at.v for at in history.live}
    # A change that was refused for its checks left nothing that they could be asked of.
    verified = [
        check
        for event in history.checks
        if event.state_v in live and event.outcome == "pass"
        for check in event.checks
    ]
    for check in (*named, *verified):
        wanted.setdefault((check.rule, check.glob), check)
    return list(wanted.values())


def find(workspace: Workspace, tree: str, check: CheckFound) -> CheckFound:
    """Return a check with what a tree has for it now."""
    from ledger.filerecords import encode_path

    paths = [path for path, _ in workspace.repository.tree(tree).entries()]
    found = match_paths(paths, check.glob)
    return CheckFound(check.rule, check.glob, len(found), tuple(encode_path(path) for path in found[:_SHOWN]))


def describe(check: CheckFound) -> str:
    """Return in words why a check does not hold."""
    from ledger.filerecords import parse_path

    if check.rule == "must-exist":
        return f"must exist: nothing matches {check.glob}"
    shown = ", ".join(show_path(parse_path(path)) for path in check.found)
    more = f" and {check.matches - len(check.found)} more" if check.matches > len(check.found) else ""
    return f"must not exist: {check.glob} matches {shown}{more}"
