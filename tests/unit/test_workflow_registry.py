"""The registry's client, and the modules that read and try a registry, against one that lies in one way each."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from policy_audit.library import policy_dryrun, wpk_signatures, wpk_upload_probe
from policy_audit.module_utils import workflows
from policy_audit.module_utils.http import Answer
from policy_audit.module_utils.result import Attempt, Outcome, Status
from policy_audit.module_utils.unanswerable import Unanswerable


class Fake:
    """An HttpClient whose answers are a table: (method, path) to (status, body), or a list of them, one a call."""

    system = "workflow registry at http://fake"

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def request(self, method, path, **_options):
        self.asked.append((method, path))
        answer = self.answers.get((method, path), (404, {"error": {"code": "not_found", "message": "no"}}))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return Answer(self.system, status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())

    def get_json(self, path, **options):
        return self.expect(self.request("GET", path, **options), 200).json()

    def expect(self, answer, *statuses):
        if answer.status not in statuses:
            raise Unanswerable(f"HTTP {answer.status}")
        return answer


@pytest.fixture
def registry(monkeypatch):
    def make(answers):
        monkeypatch.setattr(workflows, "HttpClient", lambda *_args, **_options: Fake(answers))
        audit = SimpleNamespace(
            require=lambda *_: "http://fake", params={"workflow_registry_cacert": None}, run_id="r1"
        )
        return workflows.WorkflowRegistry(audit, "token", "test")

    return make


def page(*names, tenant="audit-probe", after=None):
    return 200, {"workflows": [{"id": name, "name": name, "tenant": tenant} for name in names], "next": after}


@pytest.mark.parametrize("body", [{}, [], {"workflows": {}}, {"workflows": []}, {"next": None}])
def test_a_page_that_is_not_whole_is_no_listing(registry, body):
    with pytest.raises(Unanswerable, match="listing"):
        list(registry({("GET", "/workflows"): (200, body)}).listing())


def test_a_listing_that_never_ends_is_no_listing(registry, monkeypatch):
    monkeypatch.setattr(workflows, "MOST_PAGES", 3)
    with pytest.raises(Unanswerable, match="ends"):
        list(registry({("GET", "/workflows"): page("a", after="a")}).listing())


def test_what_was_allowed_was_allowed_even_if_the_answer_cannot_be_read(registry):
    attempt, body = registry({("POST", "/x"): (201, b"OK")}).attempt("trying", "POST", "/x")
    assert (attempt.outcome, body) == (Outcome.ALLOWED, {})


@pytest.mark.parametrize(("status", "kind"), [(500, workflows.ServerFaultError), (503, workflows.ServerFaultError),
                                              (302, Unanswerable)])  # fmt: skip
def test_neither_a_fault_nor_a_redirect_is_a_refusal(registry, status, kind):
    with pytest.raises(kind) as caught:
        registry({("POST", "/x"): (status, b"boom")}).attempt("trying", "POST", "/x")
    assert type(caught.value) is kind


def test_only_what_is_abandoned_in_the_tenant_set_aside_is_swept(registry):
    now = f"audit-probe-{datetime.now(timezone.utc):%Y%m%dt%H%M%S}-1-alert"
    listing = page("audit-probe-20200101t000000-1-safety", now, "ledger")
    listing[1]["workflows"].append({"id": "theirs", "name": "audit-probe-2", "tenant": "acme"})
    old = "/workflows/audit-probe-20200101t000000-1-safety"
    client = registry({("GET", "/workflows"): listing, ("DELETE", old): (204, b"")})
    assert client.sweep_abandoned("audit-probe") == {"audit-probe-20200101t000000-1-safety": "deleted"}
    assert [path for method, path in client._http.asked if method == "DELETE"] == [old]


def test_a_sweep_says_what_it_could_not_delete(registry):
    answers = {("GET", "/workflows"): page("audit-probe-r1-a"),
               ("DELETE", "/workflows/audit-probe-r1-a"): (403, {"error": {"code": "forbidden", "message": "no"}})}  # fmt: skip
    assert registry(answers).sweep("audit-probe-r1") == {"audit-probe-r1-a": "forbidden no"}


def test_a_package_that_is_called_like_a_probe_is_judged_all_the_same(registry):
    answers = {("GET", "/workflows"): page("audit-probe-evil", tenant="acme"),
               ("GET", "/workflows/audit-probe-evil"): (200, {}),
               ("GET", "/workflows/audit-probe-evil/package"): (200, b"x")}  # fmt: skip
    (found,) = wpk_signatures.in_registry(registry(answers))
    assert wpk_signatures.signature_fault(found, {}, {}) == "not signed"


def test_bytes_that_are_withheld_are_a_fault_and_a_deleted_package_is_none(registry):
    answers = {("GET", "/workflows"): page("kept", "gone", tenant="acme"), ("GET", "/workflows/kept"): (200, {})}
    (found,) = wpk_signatures.in_registry(registry(answers))
    assert (found.name, found.fault) == ("acme/kept", "listed, but its bytes are not served")


def desk(registry, upload, *left):
    listings = [page(*left), page()]
    answers = {("POST", "/workflows"): upload, ("GET", "/workflows"): listings}
    answers |= {("DELETE", f"/workflows/{name}"): (204, b"") for name in left}
    return wpk_upload_probe.Desk(registry(answers), "audit-probe-r1-upload")


CONTROL = wpk_upload_probe.Trial(Attempt("uploading", Outcome.ALLOWED), b"x", {"audit-probe-r1-upload": "deleted"})
MISSING = (422, {"error": {"code": "signature_missing", "message": ""}})


@pytest.mark.parametrize(
    ("upload", "left", "status"),
    [
        (MISSING, (), Status.PASS),
        (MISSING, ("audit-probe-r1-upload",), Status.FAIL),
        ((201, b"OK"), (), Status.FAIL),
        ((201, {}), ("audit-probe-r1-upload",), Status.FAIL),
        ((500, b""), ("audit-probe-r1-upload",), Status.FAIL),
        ((500, b""), (), Status.BLOCKED),
        ((429, b""), (), Status.BLOCKED),
        ((403, {"error": {"code": "forbidden", "message": ""}}), (), Status.BLOCKED),
    ],
)
def test_a_refused_upload_must_be_refused_rightly_and_not_be_there(registry, upload, left, status):
    trial = desk(registry, upload, *left).upload(b"x", None)
    assert set(trial.found) == set(left)
    assert wpk_upload_probe.judge_upload("unsigned", CONTROL, trial, ["signature_missing"]).status is status


@pytest.mark.parametrize(
    ("answer", "reason"),
    [((500, b"boom"), "server fault"), (Unanswerable("hung up"), "no answer"), ((413, b""), "413")],
)
def test_what_a_malformed_package_was_answered(registry, answer, reason):
    client = registry({("POST", policy_dryrun.ADHOC): answer})
    engine = SimpleNamespace(dry_run=lambda data: client.attempt("a dry-run", "POST", policy_dryrun.ADHOC, data=data))
    assert policy_dryrun.try_malformed(engine, b"").reason == reason
