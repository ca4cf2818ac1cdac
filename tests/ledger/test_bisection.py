"""Which states are measured: the first failure is found, in few rounds, and nothing is measured twice."""

from __future__ import annotations

from math import ceil, log

from hypothesis import given
from hypothesis import strategies as st

from ledger.bisection import choose_good, choose_probes, narrow
from ledger.counterfactual import Outcome

widths = st.integers(1, 4)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["pass", "fail", "flaky", "inconclusive"])


def search(line: list[str], truth: dict[str, Outcome], width: int) -> tuple[dict[str, Outcome], int]:
    """Measure until there is nothing left to measure; return what is known, and in how many rounds."""
    known: dict[str, Outcome] = {line[0]: truth[line[0]], line[-1]: truth[line[-1]]}
    rounds = 0
    while probes := choose_probes(line, known, width):
        trees = [line[at] for at in probes]
        assert len(set(trees)) == len(trees) <= width
        assert not known.keys() & set(trees)
        known |= {tree: truth[tree] for tree in trees}
        rounds += 1
    return known, rounds


@given(st.integers(2, 300), st.data(), widths)
def test_the_first_failure_is_found_in_few_rounds(count: int, data: st.DataObject, width: int) -> None:
    """A line that passes up to somewhere and fails from there on: a round leaves one part in width + 1."""
    first = data.draw(st.integers(1, count - 1))
    line = [str(at) for at in range(count)]
    truth: dict[str, Outcome] = {tree: "pass" if int(tree) < first else "fail" for tree in line}
    known, rounds = search(line, truth, width)
    assert narrow(line, known) == (first - 1, first)
    assert rounds <= ceil(log(count - 1, width + 1) + 1e-9) + 1


@given(st.lists(st.sampled_from("abcdefgh"), max_size=12), st.data(), widths)
def test_what_is_found_is_a_failure_after_a_pass(inner: list[str], data: st.DataObject, width: int) -> None:
    """Whatever each tree gives, and however often it comes back: between the two nothing is good or bad."""
    line = ["good", *inner, "bad"]
    truth: dict[str, Outcome] = {tree: data.draw(outcomes) for tree in set(inner)}
    truth |= {"good": "pass", "bad": "fail"}
    known, _ = search(line, truth, width)
    found = narrow(line, known)
    assert truth[line[found.good]] == "pass"
    assert truth[line[found.bad]] == "fail"
    assert all(truth[line[at]] in ("flaky", "inconclusive") for at in found.between)
    assert all(known.get(tree) != "fail" for tree in line[: found.bad])


@given(st.lists(outcomes, min_size=2, max_size=12))
def test_the_line_begins_at_the_newest_pass(truth: list[Outcome]) -> None:
    """Before the last state; at the base where none is known."""
    line = [str(at) for at in range(len(truth))]
    passing = [at for at, outcome in enumerate(truth[:-1]) if outcome == "pass"]
    assert choose_good(line, dict(zip(line, truth, strict=True))) == (passing or [0])[-1]
