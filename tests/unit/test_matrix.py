"""The join: every way an answer can fail to arrive ends as BLOCKED, and the document keeps its published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from policy_audit.module_utils.catalogue import Catalogue, Check, Policy, Source
from policy_audit.module_utils.matrix import Host, Run, fold, join, matrix, rejections

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "PhaseA_PolicyMatrix.schema.json").read_text())
SOURCE = Source("demo_answers", "demo_module", "demo_group")


def check(check_id, aspect):
    return Check(check_id, SOURCE, aspect, "high", "Is it so?", "By looking.", "It breaks.", "Mend it.")


POLICY = Policy(
    "A01", "Demo", "demo", "Audit_Demo.md", ("Audit_Demo.log",),
    (check("demo.configured", "implemented"), check("demo.tried", "enforced")), (SOURCE,),
)  # fmt: skip
CATALOGUE = Catalogue("Demo audit", (POLICY,))
RUN = Run("20260101T000000Z-abcdef", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", (), frozenset({"A01"}))


def answer(check_id, status="PASS", **changes):
    return {
        "id": check_id, "status": status, "summary": "seen", "prerequisite": "a thing" if status == "BLOCKED" else None,
        "evidence": {"seen": 1}, "started_at": "2026-01-01T00:00:01Z", "duration_s": 0.1, **changes,
    }  # fmt: skip


def answers(**changes):
    return {"checks": [answer("demo.configured"), {**answer("demo.tried"), **changes}]}


def row(*registered, run=RUN):
    hosts = [
        Host(f"h{i}", "lab", frozenset({"demo_group"}), {} if one is None else {"demo_answers": one})
        for i, one in enumerate(registered)
    ]
    document = join(CATALOGUE, run, "lab", hosts)
    jsonschema.validate(matrix(document), SCHEMA)
    return document["policies"][0]


def test_all_answers_pass():
    found = row(answers())
    assert (found["result"], found["implemented"], found["enforced"]) == ("PASS", "yes", "yes")
    assert found["notes"] == "all 2 checks PASS"


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        (None, "did not run"),
        ({"unreachable": True, "msg": "no route to host"}, "no route to host"),
        ({"failed": True, "msg": "MODULE FAILURE"}, "MODULE FAILURE"),
        ({"skipped": True, "skip_reason": "Conditional result was False"}, "was skipped"),
        ({"checks": "PASS"}, "failed"),
        ({"checks": [answer("demo.configured")]}, "returned none for this check"),
        (answers(status="OK"), "unknown status"),
        (answers(evidence={}), "PASS without evidence"),
        (answers(prerequisite="x"), "belongs to BLOCKED"),
        (answers(status="BLOCKED", prerequisite=None), "belongs to BLOCKED"),
    ],
)
def test_whatever_did_not_arrive_soundly_is_blocked(registered, reason):
    found = row(registered)
    assert found["result"] == "BLOCKED"
    assert found["enforced"] == "unknown"
    assert reason in found["notes"]


def test_one_silent_host_among_many_blocks():
    found = row(answers(), answers(), None)
    assert found["result"] == "BLOCKED"
    assert {one["target"] for one in found["checks"]} == {"h0", "h1", "h2"}


def test_a_failure_outweighs_silence():
    found = row(answers(status="FAIL"), None)
    assert (found["result"], found["implemented"], found["enforced"]) == ("FAIL", "unknown", "no")
    assert "1 of 4 checks FAIL: demo.tried: seen" in found["notes"]
    assert "2 of 4 checks BLOCKED" in found["notes"]


def test_no_host_in_the_group_is_blocked_and_named():
    assert "inventory group 'demo_group'" in row()["notes"]


def test_hosts_of_another_environment_do_not_answer():
    stranger = Host("h9", "prod", frozenset({"demo_group"}), {"demo_answers": answers()})
    document = join(CATALOGUE, RUN, "lab", [stranger])
    assert document["policies"][0]["result"] == "BLOCKED"


def test_a_partial_run_is_never_accepted():
    run = Run(RUN.id, RUN.started_at, RUN.finished_at, ("--tags demo",), RUN.selected)
    host = Host("h0", "lab", frozenset({"demo_group"}), {"demo_answers": answers()})
    document = join(CATALOGUE, run, "lab", [host])
    assert document["summary"] == {"PASS": 1, "FAIL": 0, "BLOCKED": 0}
    assert document["accepted"] is False
    assert rejections([document]) == ["lab: partial (--tags demo)"]


def test_an_unselected_policy_is_blocked():
    run = Run(RUN.id, RUN.started_at, RUN.finished_at, ("--tags other",), frozenset())
    assert row(answers(), run=run)["result"] == "BLOCKED"


def test_nothing_to_report_is_a_rejection():
    assert rejections([]) == ["no environment to audit: the inventory has none"]


def test_an_accepted_run_has_no_rejection():
    host = Host("h0", "lab", frozenset({"demo_group"}), {"demo_answers": answers()})
    document = join(CATALOGUE, RUN, "lab", [host])
    assert document["accepted"] is True
    assert rejections([document]) == []


@pytest.mark.parametrize(
    ("statuses", "folded"),
    [
        ([], "BLOCKED"),
        (["PASS"], "PASS"),
        (["PASS", "BLOCKED"], "BLOCKED"),
        (["BLOCKED", "FAIL", "PASS"], "FAIL"),
        (["odd"], "BLOCKED"),
    ],
)
def test_fold(statuses, folded):
    assert fold(statuses).value == folded
