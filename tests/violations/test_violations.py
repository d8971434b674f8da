"""Every violation of the catalogue is found by its check and by no other, and leaves nothing behind.

Violations of different policies are planted together, one per policy at a time: whatever FAILs must be exactly what was
planted. With ``--each`` they are planted one by one, which takes longer and shows the same.
"""

from __future__ import annotations

from itertools import groupby, zip_longest

from policy_audit.module_utils.catalogue import load

from tests.harness import POLICIES, ROOT, audit
from tests.violations import catalogue, plant, remove

VIOLATIONS = list(catalogue().values())


POLICY = {check.id: policy.id for policy in load(ROOT / "policies" / "phase_a.yml").policies for check in policy.checks}


def rounds(each):
    """Lists of violations that are planted together."""
    if each:
        return [[violation] for violation in VIOLATIONS]
    by_policy = [list(group) for _policy, group in groupby(VIOLATIONS, key=lambda one: POLICY[one.check])]
    return [[one for one in row if one] for row in zip_longest(*by_policy)]


def pytest_generate_tests(metafunc):
    if "planted" in metafunc.fixturenames:
        chosen = rounds(metafunc.config.getoption("--each"))
        metafunc.parametrize("planted", chosen, ids=["+".join(one.id for one in row)[:80] for row in chosen])


def test_each_violation_is_found_and_leaves(planted, lab, tmp_path):
    try:
        for violation in planted:
            assert plant(violation, lab)
        outcome = audit("-i", "lab", lab=lab, reports=tmp_path / "planted")
    finally:
        for violation in planted:
            remove(violation, lab)
    expected = {check for violation in planted for check in (violation.check, *violation.also)}
    assert set(outcome.checks("FAIL")) == expected, outcome.checks("FAIL")
    assert outcome.code == 2


def test_afterwards_the_lab_is_clean_again(lab, tmp_path):
    outcome = audit("-i", "lab", lab=lab, reports=tmp_path)
    assert {**outcome.checks("FAIL"), **outcome.checks("BLOCKED")} == {}
    assert outcome.code == 0


def test_at_least_three_for_each_policy():
    found = {policy: {one.check for one in VIOLATIONS if POLICY[one.check] == policy} for policy in POLICIES}
    assert {policy: checks for policy, checks in found.items() if len(checks) < 3} == {}
