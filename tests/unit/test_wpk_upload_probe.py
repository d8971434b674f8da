"""The judges of uploads that must be refused, and of the log that must tell of them."""

from __future__ import annotations

import pytest
from policy_audit.library import wpk_upload_probe
from policy_audit.module_utils.result import Attempt, Outcome, Status


def trial(outcome, reason="", served=b"x", found=None):
    return wpk_upload_probe.Trial(
        Attempt("uploading", outcome, reason), served, {"p": "deleted"} if found is None else found
    )


@pytest.mark.parametrize(
    ("control", "exact", "status"),
    [
        (trial(Outcome.ALLOWED), True, Status.PASS),
        (trial(Outcome.ALLOWED), False, Status.FAIL),
        (trial(Outcome.ALLOWED, served=None), False, Status.BLOCKED),
        (trial(Outcome.ALLOWED, found={}), True, Status.BLOCKED),
        (trial(Outcome.ALLOWED, found={"p": "forbidden no"}), True, Status.BLOCKED),
        (trial(Outcome.REFUSED, "signature_invalid", None, {}), False, Status.FAIL),
        (trial(Outcome.REFUSED, "forbidden", None, {}), False, Status.BLOCKED),
        (trial(Outcome.UNCLEAR, "", None, {}), False, Status.BLOCKED),
    ],
)
def test_the_control(control, exact, status):
    assert wpk_upload_probe.judge_control(control, exact, {"signature_invalid"}, {}).status is status


A, R, U = Outcome.ALLOWED, Outcome.REFUSED, Outcome.UNCLEAR


@pytest.mark.parametrize(
    ("seen", "outcomes", "status"),
    [
        ([A, R, R], ["accepted", "refused", "refused"], Status.PASS),
        ([A, A], ["accepted", "accepted"], Status.PASS),
        ([A, R, U], ["accepted", "refused"], Status.PASS),
        ([A, R, R], ["accepted", "refused"], Status.FAIL),
        ([A, R], ["accepted", "accepted"], Status.FAIL),
        ([A, R], ["accepted", None], Status.FAIL),
        ([A, R], [], Status.FAIL),
        ([U], ["refused"], Status.BLOCKED),
        ([], [], Status.BLOCKED),
    ],
)
def test_every_attempt_is_in_the_log_as_it_ended(seen, outcomes, status):
    events = [{"action": "package.upload", "outcome": outcome} for outcome in outcomes]
    noise = [{"action": "package.delete", "outcome": "accepted"}]
    assert wpk_upload_probe.judge_logged("r/x", events + noise, seen).status is status


@pytest.mark.parametrize(
    ("control", "tried", "status"),
    [
        (trial(Outcome.ALLOWED), trial(Outcome.REFUSED, "bad", found={}), Status.PASS),
        (trial(Outcome.ALLOWED), trial(Outcome.ALLOWED), Status.FAIL),
        (trial(Outcome.ALLOWED), trial(Outcome.REFUSED, "bad"), Status.FAIL),
        (trial(Outcome.ALLOWED), trial(Outcome.REFUSED, "404", found={}), Status.BLOCKED),
        (trial(Outcome.REFUSED, found={}), trial(Outcome.REFUSED, "bad", found={}), Status.BLOCKED),
    ],
)
def test_an_upload_must_be_refused_rightly_and_leave_nothing(control, tried, status):
    assert wpk_upload_probe.judge_upload("unsigned", control, tried, ["bad"]).status is status
