"""The judgements every policy shares: no road from nothing, or from the wrong refusal, to PASS."""

from __future__ import annotations

import pytest
from policy_audit.module_utils.result import Attempt, Outcome, Status, judge_each, judge_refusal, name_some

ALLOWED = Attempt("reading one's own row", Outcome.ALLOWED)
REFUSED = Attempt("reading another's row", Outcome.REFUSED, reason="42501", detail="permission denied")


def each(examined, offenders):
    return judge_each("tables", examined, offenders, sound="are sound", fault="are not")


def test_nothing_examined_is_blocked():
    verdict = each([], {})
    assert verdict.status is Status.BLOCKED
    assert verdict.prerequisite == "tables to examine: none was found"


def test_every_object_sound_passes_and_counts():
    verdict = each(["b", "a"], {})
    assert verdict.status is Status.PASS
    assert verdict.summary == "all 2 tables are sound"
    assert verdict.evidence["examined"] == ["a", "b"]


def test_offenders_are_named_with_their_fault_and_bounded():
    verdict = each([f"t{i}" for i in range(9)], {f"t{i}": "off" for i in range(7)})
    assert verdict.status is Status.FAIL
    assert verdict.summary == "7 of 9 tables are not: t0 (off), t1 (off), t2 (off), t3 (off), t4 (off) and 2 more"
    assert len(verdict.evidence["offenders"]) == 7


def test_name_some_sorts():
    assert name_some(["b", "a"]) == "a, b"


@pytest.mark.parametrize(
    ("control", "attempt", "status"),
    [
        (ALLOWED, REFUSED, Status.PASS),
        (ALLOWED, Attempt("x", Outcome.ALLOWED), Status.FAIL),
        (REFUSED, Attempt("x", Outcome.ALLOWED), Status.FAIL),
        (REFUSED, REFUSED, Status.BLOCKED),
        (Attempt("c", Outcome.UNCLEAR), REFUSED, Status.BLOCKED),
        (ALLOWED, Attempt("x", Outcome.REFUSED, reason="42P01"), Status.BLOCKED),
        (ALLOWED, Attempt("x", Outcome.REFUSED), Status.BLOCKED),
        (ALLOWED, Attempt("x", Outcome.UNCLEAR, reason="42501"), Status.BLOCKED),
    ],
)
def test_only_the_right_refusal_beside_a_working_control_proves(control, attempt, status):
    verdict = judge_refusal("reading across tenants", control=control, attempt=attempt, right_reasons={"42501"})
    assert verdict.status is status
    assert verdict.evidence["attempt"] == attempt.facts()
    assert (verdict.prerequisite is not None) == (status is Status.BLOCKED)
