"""The judges of the safety mode."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from policy_audit.module_utils import safety_rules as rules
from policy_audit.module_utils.result import Attempt, Outcome, Status
from policy_audit.module_utils.unanswerable import Unanswerable

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SOUND = {
    "tenant": "acme", "name": "w", "mode": "auto", "declared_mode": "auto", "author": "dana", "digest": "sha256:1",
    "approval": {"approved_by": "ops", "role": "admin", "digest": "sha256:1", "expires_at": "2026-01-02T00:00:00Z"},
}  # fmt: skip


def approval(**changes):
    return {**SOUND, "approval": {**SOUND["approval"], **changes}}


def test_a_sound_approval_holds():
    assert rules.approval_fault(SOUND, NOW) is None


@pytest.mark.parametrize(
    "workflow",
    [
        {**SOUND, "approval": None},
        {**SOUND, "author": None},
        {key: value for key, value in SOUND.items() if key != "author"},
        {**SOUND, "digest": None},
        {**SOUND, "digest": "sha256:2"},
        approval(role="publisher"),
        approval(role=None),
        approval(approved_by="dana"),
        approval(approved_by=None),
        approval(digest=None),
        approval(expires_at=None),
        approval(expires_at="2025-12-31T23:59:59Z"),
        approval(expires_at="2026-01-02T00:00:00"),
    ],
)
def test_every_other_one_does_not(workflow):
    assert rules.approval_fault(workflow, NOW)
    assert rules.judge_approved([SOUND, workflow], NOW).status is Status.FAIL


def test_no_automatic_workflow_is_no_evidence():
    assert rules.judge_approved([{**SOUND, "mode": "manual"}], NOW).status is Status.BLOCKED


def one(mode, **declared):
    return {"tenant": "acme", "name": f"{mode}{len(declared)}", "mode": mode, **declared}


@pytest.mark.parametrize(
    ("default", "listed", "status"),
    [
        ("manual", [one("manual", declared_mode=None)], Status.PASS),
        ("auto", [one("manual", declared_mode=None)], Status.FAIL),
        ("manual", [one("auto", declared_mode=None)], Status.FAIL),
        ("manual", [{"tenant": "a", "name": "b", "declared_mode": None}], Status.FAIL),
        ("manual", [one("manual", declared_mode=None), one("auto")], Status.BLOCKED),
        ("manual", [one("auto", declared_mode=None), one("auto")], Status.FAIL),
        ("manual", [one("manual", declared_mode="manual")], Status.BLOCKED),
        ("manual", [], Status.BLOCKED),
    ],
)
def test_a_package_that_names_no_mode_is_manual(default, listed, status):
    assert rules.judge_default(default, listed).status is status


def test_a_registry_that_does_not_say_its_default_is_unanswerable():
    with pytest.raises(Unanswerable, match="default_mode"):
        rules.judge_default(None, [one("manual", declared_mode=None)])


ALLOWED = Attempt("it", Outcome.ALLOWED)


def refused(reason):
    return Attempt("it", Outcome.REFUSED, reason)


@pytest.mark.parametrize(
    ("control", "attempts", "status"),
    [
        (ALLOWED, {"on": refused("mode_unknown")}, Status.PASS),
        (ALLOWED, {"on": refused("forbidden")}, Status.BLOCKED),
        (ALLOWED, {"on": ALLOWED, "off": refused("mode_unknown")}, Status.FAIL),
        (refused("forbidden"), {"on": refused("mode_unknown")}, Status.BLOCKED),
        (refused("forbidden"), {"on": ALLOWED}, Status.FAIL),
        (ALLOWED, {}, Status.BLOCKED),
    ],
)
def test_odd_modes(control, attempts, status):
    assert rules.judge_modes(control, attempts, ["mode_unknown"]).status is status


def drill(**seen):
    good = {
        "manual": rules.SKIPPED, "unapproved_mode": "manual", "unapproved": rules.SKIPPED, "approved_mode": "auto",
        "approved": rules.STARTED, "changed_mode": "manual", "changed": rules.SKIPPED, "by_approver": ALLOWED,
        "by_publisher": refused("not_admin"), "by_author": refused("self_approval"),
    }  # fmt: skip
    return rules.Drill(**{**good, **seen})


@pytest.mark.parametrize(
    ("judge", "seen", "status"),
    [
        (rules.judge_manual, {}, Status.PASS),
        (rules.judge_manual, {"manual": rules.STARTED}, Status.FAIL),
        (rules.judge_manual, {"manual": rules.STARTED, "cut_short": "away"}, Status.FAIL),
        (rules.judge_manual, {"manual": rules.SILENT}, Status.BLOCKED),
        (rules.judge_manual, {"approved": rules.SKIPPED}, Status.BLOCKED),
        (rules.judge_manual, {"approved": rules.SILENT, "approved_mode": "", "cut_short": "away"}, Status.BLOCKED),
        (rules.judge_unapproved, {}, Status.PASS),
        (rules.judge_unapproved, {"unapproved_mode": "auto"}, Status.FAIL),
        (
            rules.judge_unapproved,
            {"unapproved_mode": "", "unapproved": rules.SILENT, "cut_short": "away"},
            Status.BLOCKED,
        ),
        (rules.judge_changed, {}, Status.PASS),
        (rules.judge_changed, {"changed_mode": "auto"}, Status.FAIL),
        (rules.judge_changed, {"changed": rules.STARTED}, Status.FAIL),
        (rules.judge_changed, {"changed_mode": "", "changed": rules.SILENT}, Status.BLOCKED),
    ],
)
def test_what_waits(judge, seen, status):
    assert judge(drill(**seen)).status is status


def test_a_wrong_approver_is_refused_for_being_that():
    judge = rules.judge_approval
    assert judge(drill(), refused("not_admin"), ["not_admin"]).status is Status.PASS
    assert judge(drill(), refused("self_approval"), ["not_admin"]).status is Status.BLOCKED
    assert judge(drill(by_approver=refused("x")), refused("not_admin"), ["not_admin"]).status is Status.BLOCKED
    assert judge(drill(cut_short="away"), refused("not_admin"), ["not_admin"]).status is Status.BLOCKED
    assert judge(drill(cut_short="away"), ALLOWED, ["not_admin"]).status is Status.FAIL
