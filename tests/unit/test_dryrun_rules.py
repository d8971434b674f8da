"""The judges of the policy engine, and the corpus and malformed packages they are fed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from policy_audit.library import policy_dryrun
from policy_audit.module_utils import dryrun_rules as rules
from policy_audit.module_utils.corpus import Entry, load_corpus
from policy_audit.module_utils.result import Attempt, Outcome, Status
from policy_audit.module_utils.unanswerable import Unanswerable
from policy_audit.module_utils.workflows import package

CORPUS = Path(__file__).parents[2] / "roles" / "policy_dryrun" / "files" / "corpus"
CLASSES = ("destructive_data", "destructive_infrastructure", "privilege", "secret_exposure", "network_opening",
           "arbitrary_shell", "control_disabling")  # fmt: skip
ALLOWED = Attempt("it", Outcome.ALLOWED)


def refused(reason="package_malformed"):
    return Attempt("it", Outcome.REFUSED, reason)


def test_the_corpus_has_three_unsafe_packages_a_class_and_six_safe_ones():
    entries = load_corpus(CORPUS)
    for wanted in CLASSES:
        assert len([entry for entry in entries if entry.class_ == wanted]) >= 3, wanted
    assert len([entry for entry in entries if entry.class_ is None]) >= 6
    assert len({entry.name for entry in entries}) == len(entries)


@pytest.mark.parametrize("content", ["", "class: privilege\n", "class: x\nentries: [{about: y}]\n", "entries: []\n"])
def test_a_corpus_that_is_none_is_unanswerable(content, tmp_path):
    (tmp_path / "a.yml").write_text(content)
    with pytest.raises(Unanswerable):
        load_corpus(tmp_path)


def said(verdict, *classes):
    return ALLOWED, {"verdict": verdict, "findings": [{"class": name} for name in classes]}


UNSAFE = [Entry("one", "privilege", b"")]
GOOD = {"verdict": "allowed"}


@pytest.mark.parametrize(
    ("answer", "control", "required", "status"),
    [
        (said("blocked", "privilege"), GOOD, ["privilege"], Status.PASS),
        (said("allowed"), GOOD, ["privilege"], Status.FAIL),
        (said("allowed"), {}, ["privilege"], Status.FAIL),
        (said("blocked", "arbitrary_shell"), GOOD, ["privilege"], Status.FAIL),
        (said("blocked"), GOOD, ["privilege"], Status.FAIL),
        (said("blocked", "privilege"), {"verdict": "blocked"}, ["privilege"], Status.BLOCKED),
        (said("blocked", "privilege"), GOOD, ["privilege", "network_opening"], Status.BLOCKED),
        ((refused(), {}), GOOD, ["privilege"], Status.BLOCKED),
    ],
)
def test_unsafe_packages(answer, control, required, status):
    assert rules.judge_unsafe(UNSAFE, [answer], control, required).status is status


def test_safe_packages():
    safe = [Entry("one", None, b"")]
    assert rules.judge_corpus(safe, [said("allowed")], "allowed").status is Status.PASS
    assert rules.judge_corpus(safe, [said("blocked", "privilege")], "allowed").status is Status.FAIL
    assert rules.judge_corpus(safe, [(refused(), {})], "allowed").status is Status.BLOCKED


def test_an_empty_corpus_proves_nothing():
    assert rules.judge_corpus([], [], "allowed").status is Status.BLOCKED
    assert rules.judge_unsafe([], [], GOOD, []).status is Status.BLOCKED


def test_rules_cover_the_classes():
    assert rules.judge_rules([{"id": "r", "class": "privilege"}], ["privilege"]).status is Status.PASS
    assert rules.judge_rules([{"id": "r", "class": "other"}], ["privilege"]).status is Status.FAIL
    assert rules.judge_rules([], ["privilege"]).status is Status.FAIL
    assert rules.judge_rules([], []).status is Status.BLOCKED
    with pytest.raises(Unanswerable):
        rules.judge_rules(None, ["privilege"])


@pytest.mark.parametrize(
    ("attempt", "answer", "status"),
    [
        (ALLOWED, {"verdict": "allowed", "findings": [], "digest": "d"}, Status.PASS),
        (ALLOWED, {"verdict": "allowed", "findings": [], "digest": "e"}, Status.FAIL),
        (refused("404"), {}, Status.FAIL),
        (ALLOWED, {"digest": "d"}, Status.BLOCKED),
        (ALLOWED, {"verdict": "perhaps", "findings": [], "digest": "d"}, Status.BLOCKED),
    ],
)
def test_the_endpoint_answers_for_the_bytes_it_was_sent(attempt, answer, status):
    assert rules.judge_endpoint(attempt, answer, "d").status is status


def test_a_refused_first_run_does_not_hide_an_allowed_second_one():
    codes = ["dry_run_required"]
    assert rules.judge_live(ALLOWED, [refused(codes[0])] * 2, codes).status is Status.PASS
    assert rules.judge_live(ALLOWED, [refused("other"), ALLOWED], codes).status is Status.FAIL
    assert rules.judge_live(ALLOWED, [refused(codes[0]), refused("other")], codes).status is Status.BLOCKED
    assert rules.judge_live(refused("x"), [refused(codes[0])] * 2, codes).status is Status.BLOCKED


@pytest.mark.parametrize(
    ("judged", "control", "attempt", "status"),
    [
        ({"verdict": "blocked"}, ALLOWED, refused("policy_blocked"), Status.PASS),
        ({}, ALLOWED, refused("policy_blocked"), Status.BLOCKED),
        ({"verdict": "allowed"}, ALLOWED, refused("policy_blocked"), Status.BLOCKED),
        ({"verdict": "blocked"}, ALLOWED, refused("dry_run_required"), Status.BLOCKED),
        ({"verdict": "blocked"}, refused("x"), refused("policy_blocked"), Status.BLOCKED),
        ({"verdict": "allowed"}, ALLOWED, ALLOWED, Status.FAIL),
    ],
)
def test_a_live_run_of_an_unsafe_package(judged, control, attempt, status):
    assert rules.judge_live_unsafe(judged, control, attempt, ["policy_blocked"]).status is status


@pytest.mark.parametrize(
    ("attempt", "before", "after", "status"),
    [
        (refused(), ALLOWED, ALLOWED, Status.PASS),
        (ALLOWED, ALLOWED, ALLOWED, Status.FAIL),
        (refused("slow_down"), ALLOWED, ALLOWED, Status.BLOCKED),
        (Attempt("it", Outcome.UNCLEAR, rules.SERVER_FAULT, "500"), ALLOWED, ALLOWED, Status.FAIL),
        (Attempt("it", Outcome.UNCLEAR, "no answer", "hung up"), ALLOWED, ALLOWED, Status.BLOCKED),
        (refused(), ALLOWED, refused("unwell"), Status.FAIL),
        (refused(), refused("unwell"), ALLOWED, Status.BLOCKED),
    ],
)
def test_malformed_packages(attempt, before, after, status):
    attempts = {"empty": refused(), "odd": attempt}
    assert rules.judge_malformed(attempts, before, after, ["package_malformed"]).status is status


def test_nothing_but_its_one_fault_is_wrong_with_a_malformed_package():
    whole = package("w", "audit-probe", mode="manual")
    made = policy_dryrun.malformed(whole)
    for name in ("YAML bomb", "duplicate keys", "oversized"):
        assert made[name].startswith(whole), name
        assert {"apiVersion", "kind", "metadata", "spec"} <= set(yaml.safe_load(made[name])), name
    assert len(made["oversized"]) > policy_dryrun.OVERSIZE


def test_a_dry_run_that_changes_something_is_found_whatever_it_answers():
    answer = {"verdict": "allowed"}
    same, other = {"runs": 0}, {"runs": 1}
    assert rules.judge_side_effects(ALLOWED, answer, same, same).status is Status.PASS
    assert rules.judge_side_effects(refused(), {}, same, other).status is Status.FAIL
    assert rules.judge_side_effects(refused(), {}, same, same).status is Status.BLOCKED
