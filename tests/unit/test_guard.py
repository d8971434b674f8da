"""The guard: each declared check leaves with exactly one answer, and an accident is never PASS."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from policy_audit.module_utils.guard import Checks, run_audit
from policy_audit.module_utils.result import Status, Verdict, failed, passed
from policy_audit.module_utils.unanswerable import Unanswerable

CHECKS = Checks(passive=("one.first", "one.second"), active=("one.third",))
GOOD = passed("held", seen=1)


class FakeModule:
    """As much of AnsibleModule as the guard uses."""

    def __init__(self, check_mode=False, **params: Any) -> None:
        self.params = {"audit": {"deadline_s": 5.0, "role": "demo_role"}, "secret": None, "url": None, **params}
        self.argument_spec = {"audit": {}, "secret": {"no_log": True}, "url": {}, "postgres_dsn": {"no_log": True}}
        self.params.setdefault("postgres_dsn", None)
        self.check_mode = check_mode
        self.answers: list[dict[str, Any]] = []

    def exit_json(self, *, changed, checks):
        assert changed is False
        self.answers = checks


def run(procedure, **options):
    module = FakeModule(**options)
    run_audit(module, CHECKS, procedure)
    assert [answer["id"] for answer in module.answers] == list(CHECKS.ids)
    return {answer["id"]: answer for answer in module.answers}


def answer_all(audit):
    for check_id in CHECKS.ids:
        audit.check(check_id, lambda: GOOD)


def test_answers_carry_the_contract():
    answers = run(answer_all)
    assert {answer["status"] for answer in answers.values()} == {"PASS"}
    assert set(answers["one.first"]) == {
        "id", "status", "summary", "prerequisite", "evidence", "started_at", "duration_s",
    }  # fmt: skip
    assert answers["one.first"]["prerequisite"] is None


def test_what_was_observed_for_a_check_counts_as_its_time():
    def examine(audit):
        time.sleep(0.05)
        answer_all(audit)

    answers = run(examine)
    assert answers["one.first"]["duration_s"] >= 0.05
    assert answers["one.first"]["started_at"] < answers["one.second"]["started_at"]


def test_an_exception_blocks_its_own_check_only():
    def examine(audit):
        audit.check("one.first", lambda: {}["missing"])
        audit.check("one.second", lambda: GOOD)
        audit.check("one.third", lambda: failed("broke", seen=2))

    answers = run(examine)
    assert [answers[check]["status"] for check in CHECKS.ids] == ["BLOCKED", "PASS", "FAIL"]
    assert "KeyError" in answers["one.first"]["prerequisite"]
    assert "test_guard.py" in answers["one.first"]["prerequisite"]


def test_an_exception_outside_blocks_what_is_left():
    def examine(audit):
        audit.check("one.first", lambda: GOOD)
        raise Unanswerable("PostgreSQL at db:5432 does not answer")

    answers = run(examine)
    assert answers["one.first"]["status"] == "PASS"
    assert answers["one.second"]["prerequisite"] == "PostgreSQL at db:5432 does not answer"
    assert answers["one.third"]["status"] == "BLOCKED"


def test_a_forgotten_check_is_blocked():
    assert {answer["status"] for answer in run(lambda audit: None).values()} == {"BLOCKED"}


def test_a_pass_without_evidence_is_blocked():
    answers = run(lambda audit: audit.check("one.first", lambda: Verdict(Status.PASS, "fine")))
    assert answers["one.first"]["status"] == "BLOCKED"


def test_a_hung_server_blocks_at_the_deadline_and_a_late_answer_is_not_believed():
    late = threading.Event()

    def examine(audit):
        audit.check("one.first", lambda: GOOD)
        late.wait(10)
        audit.check("one.second", lambda: GOOD)

    started = time.monotonic()
    answers = run(examine, audit={"deadline_s": 0.2})
    late.set()
    assert time.monotonic() - started < 5
    assert [answers[check]["status"] for check in CHECKS.ids] == ["PASS", "BLOCKED", "BLOCKED"]
    assert "deadline" in answers["one.second"]["prerequisite"]


@pytest.mark.parametrize(
    ("options", "why"),
    [({"check_mode": True}, "check mode"), ({"audit": {"probes": "passive"}}, "audit_probes is 'passive'")],
)
def test_active_checks_are_not_tried_where_only_passive_ones_may(options, why):
    tried = []

    def examine(audit):
        audit.check("one.first", lambda: GOOD)
        audit.check("one.second", lambda: GOOD)
        audit.check("one.third", lambda: tried.append(1) or GOOD)

    answers = run(examine, **options)
    assert [answers[check]["status"] for check in CHECKS.ids] == ["PASS", "PASS", "BLOCKED"]
    assert why in answers["one.third"]["prerequisite"]
    assert tried == []


def test_missing_options_are_named_as_the_inventory_knows_them():
    def examine(audit):
        audit.require("url", "postgres_dsn")

    answers = run(examine)
    assert answers["one.first"]["prerequisite"] == "demo_role_url, postgres_dsn are not set in the inventory"


def test_secrets_leave_summaries_evidence_and_exceptions():
    def examine(audit):
        audit.keep_secret("learned-on-the-way")
        audit.check("one.first", lambda: failed("saw given-as-option", got=["learned-on-the-way"]))
        raise ValueError("given-as-option")

    answers = run(examine, secret="given-as-option")
    assert "given-as-option" not in str(answers)
    assert "learned-on-the-way" not in str(answers)


def test_an_undeclared_check_is_a_defect_and_blocks():
    answers = run(lambda audit: audit.check("one.unknown", lambda: GOOD))
    assert "not declared" in answers["one.first"]["prerequisite"]


def test_the_first_answer_stands():
    def examine(audit):
        audit.check("one.first", lambda: failed("broke", seen=1))
        audit.check("one.first", lambda: GOOD)

    assert run(examine)["one.first"]["status"] == "FAIL"
