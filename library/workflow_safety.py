#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: workflow_safety
short_description: Judge and try that workflows run by themselves only when an administrator approved them
description:
  - Reads the registry's own answers about every workflow's mode and approval.
  - Uploads packages of the audit's own, puts them before the scheduler, approves them rightly and wrongly, and changes them
    after the approval; they are deleted again.
options:
  tenant:
    description: Tenant set aside for probes.
    type: str
    default: audit-probe
  probe_key:
    description: PEM private key (ECDSA P-256) whose public half the registry trusts for that tenant.
    type: path
  unknown_modes:
    description: Values of a package's mode that must be refused, beside C(manual) and C(auto).
    type: list
    elements: raw
    default: ["no", "off", 0, "AUTO", "\u0430uto", "yes", true, [auto], " auto", "automatic"]
  scheduler_wait_s:
    description: How long the scheduler may take to decide.
    type: float
    default: 6.0
extends_documentation_fragment: [audit, workflow_registry]
"""

EXAMPLES = r"""
- name: Try the safety mode
  workflow_safety:
    audit: "{{ audit_context }}"
    workflow_registry_url: https://registry.example.com/api
    probe_key: keys/probe.key
  register: workflow_safety_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import (
    Attempt,
    Outcome,
    Verdict,
    blocked,
    failed,
    judge_each,
    judge_refusal,
    name_some,
    passed,
)
from ..module_utils.signatures import load_signer, sign
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import PROBE_PREFIX, WorkflowRegistry, form, package, probe_name

CHECKS = Checks(
    passive=("safety.default_manual", "safety.auto_approved"),
    active=(
        "safety.unknown_mode_rejected",
        "safety.manual_waits",
        "safety.auto_needs_approval",
        "safety.rejects_non_admin_approval",
        "safety.rejects_self_approval",
        "safety.approval_bound_to_digest",
    ),
)
POLL_S = 0.2
STARTED = "started"
SKIPPED = "skipped"
SILENT = "silent"


@dataclass
class Drill:
    """What the registry and its scheduler did with the audit's own packages, step by step."""

    manual: str = SILENT
    unapproved_mode: str = ""
    unapproved: str = SILENT
    by_publisher: Attempt = field(default_factory=lambda: Attempt("approving as a publisher", Outcome.UNCLEAR))
    by_approver: Attempt = field(default_factory=lambda: Attempt("approving as an administrator", Outcome.UNCLEAR))
    by_author: Attempt = field(default_factory=lambda: Attempt("approving a package of one's own", Outcome.UNCLEAR))
    approved_mode: str = ""
    approved: str = SILENT
    changed_mode: str = ""
    changed: str = SILENT
    swept: Collection[str] = ()


class Probe:
    """The audit's own packages in the tenant set aside, through two callers: one who publishes, one who approves."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._key = load_signer(audit.require("probe_key"))
        self._tenant: str = audit.params["tenant"]
        self.prefix = probe_name(audit, "safety")
        self.publisher = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), "workflow_safety")
        self.approver = WorkflowRegistry(audit, audit.require("workflow_registry_approver_token"), "workflow_safety")

    def package(self, name: str, text: str = "", **spec: Any) -> tuple[bytes, str]:
        """A package of that name, signed; ``text`` makes its bytes different."""
        data = package(f"{self.prefix}-{name}", self._tenant, **spec) + text.encode()
        return data, sign(self._key, data)

    def publish(
        self, caller: WorkflowRegistry, data: bytes, signature: str, replaces: str | None = None
    ) -> dict[str, Any]:
        """Publish, and dry-run, so that nothing but its mode keeps it from being started."""
        attempt, workflow = caller.upload(data, signature, replaces)
        if attempt.outcome is not Outcome.ALLOWED:
            raise Unanswerable(
                f"{caller.name}: the right to publish in {self._tenant}: {attempt.reason} {attempt.detail}"
            )
        dry_run, _answer = caller.attempt("a dry-run", "POST", f"/workflows/{workflow['id']}/dry-run", files=form(data))
        if dry_run.outcome is not Outcome.ALLOWED:
            raise Unanswerable(f"{caller.name}: a dry-run of a harmless package: {dry_run.reason} {dry_run.detail}")
        return workflow

    def approve(self, caller: WorkflowRegistry, action: str, workflow: Mapping[str, Any]) -> Attempt:
        body = {"digest": workflow["digest"]}
        return caller.attempt(action, "POST", f"/workflows/{workflow['id']}/approvals", json=body)[0]

    def mode(self, workflow: Mapping[str, Any]) -> str:
        return str(self.publisher.get(f"/workflows/{workflow['id']}").get("mode"))

    def schedule(self, workflow: Mapping[str, Any], step: str) -> str:
        """Put a workflow before the scheduler, and wait for its decision, as the audit log records it."""
        caller = WorkflowRegistry(
            self._audit, self._audit.params["workflow_registry_publisher_token"], f"safety-{step}"
        )
        due, _answer = caller.attempt("scheduling", "POST", f"/workflows/{workflow['id']}/schedule-now")
        if due.outcome is not Outcome.ALLOWED:
            raise Unanswerable(f"{caller.name}: the right to schedule: {due.reason} {due.detail}")
        reader = WorkflowRegistry(self._audit, self._audit.require("workflow_registry_token"), f"safety-{step}")
        give_up = time.monotonic() + min(self._audit.params["scheduler_wait_s"], self._audit.remaining())
        while time.monotonic() < give_up:
            found = reader.get(f"/audit/events?request_id={self._audit.run_id}/safety-{step}").get("events") or []
            actions = {str(event.get("action")) for event in found}
            if "scheduler.started" in actions or self._runs(workflow):
                return STARTED
            if "scheduler.skipped" in actions:
                return SKIPPED
            time.sleep(POLL_S)
        return SILENT

    def _runs(self, workflow: Mapping[str, Any]) -> bool:
        runs = self.publisher.get(f"/workflows/{workflow['id']}/runs").get("runs") or []
        return any(run.get("trigger") == "scheduler" and run.get("digest") == workflow.get("digest") for run in runs)


def examine(audit: Audit) -> None:
    """Read what the registry says of every workflow; then drill with packages of one's own."""
    _url, token = audit.require("workflow_registry_url", "workflow_registry_token")
    reader = WorkflowRegistry(audit, token, "workflow_safety")
    listed = [one for one in reader.listing() if not str(one.get("name", "")).startswith(PROBE_PREFIX)]
    audit.check("safety.default_manual", judge_default, listed)
    audit.check("safety.auto_approved", judge_approved, listed, datetime.now(timezone.utc))
    audit.require_active()
    audit.require("workflow_registry_publisher_token", "workflow_registry_approver_token", "probe_key")
    probe = Probe(audit)
    swept = probe.publisher.sweep_abandoned()
    try:
        audit.check("safety.unknown_mode_rejected", ask_modes, probe, audit.params["unknown_modes"])
        drill = run_drill(probe)
    finally:
        probe.publisher.sweep(probe.prefix)
        probe.approver.sweep(probe.prefix)
    drill.swept = swept
    audit.check("safety.manual_waits", judge_manual, drill)
    audit.check("safety.auto_needs_approval", judge_unapproved, drill)
    audit.check("safety.rejects_non_admin_approval", judge_approval, drill.by_approver, drill.by_publisher, "not_admin")
    audit.check("safety.rejects_self_approval", judge_approval, drill.by_approver, drill.by_author, "self_approval")
    audit.check("safety.approval_bound_to_digest", judge_changed, drill)


def ask_modes(probe: Probe, modes: Collection[Any]) -> Verdict:
    """Every odd mode is refused, while an exact one is taken."""
    control, workflow = probe.publisher.upload(*probe.package("mode-manual", mode="manual"))
    if control.outcome is Outcome.ALLOWED:
        probe.publisher.delete(str(workflow["id"]))
    attempts = {}
    for number, mode in enumerate(modes):
        attempt, stored = probe.publisher.upload(*probe.package(f"mode-{number}", mode=mode))
        attempts[repr(mode)] = attempt
        if attempt.outcome is Outcome.ALLOWED:
            probe.publisher.delete(str(stored["id"]))
    return judge_modes(control, attempts)


def run_drill(probe: Probe) -> Drill:
    """A manual package; an automatic one before and after its approval, and after a change; one approved by its author."""
    drill = Drill()
    manual = probe.publish(probe.publisher, *probe.package("manual", mode="manual"))
    drill.manual = probe.schedule(manual, "manual")
    auto = probe.publish(probe.publisher, *probe.package("auto", mode="auto"))
    drill.unapproved_mode, drill.unapproved = probe.mode(auto), probe.schedule(auto, "unapproved")
    own = probe.publish(probe.approver, *probe.package("own", mode="auto"))
    drill.by_publisher = probe.approve(probe.publisher, "approving another's package as a publisher", own)
    drill.by_author = probe.approve(probe.approver, "approving a package of one's own", own)
    drill.by_approver = probe.approve(probe.approver, "approving as an administrator", auto)
    drill.approved_mode, drill.approved = probe.mode(auto), probe.schedule(auto, "approved")
    data, signature = probe.package("auto", "# changed after the approval\n", mode="auto")
    changed = probe.publish(probe.publisher, data, signature, replaces=str(auto["id"]))
    drill.changed_mode, drill.changed = probe.mode(changed), probe.schedule(changed, "changed")
    return drill


def judge_default(listed: Collection[Mapping[str, Any]]) -> Verdict:
    silent = [one for one in listed if "declared_mode" in one and one["declared_mode"] is None]
    return judge_each(
        "workflows that name no mode",
        [_name(one) for one in silent],
        {_name(one): f"mode {one.get('mode')}" for one in silent if one.get("mode") != "manual"},
        sound="are manual",
        fault="are not manual",
    )


def judge_approved(listed: Collection[Mapping[str, Any]], now: datetime) -> Verdict:
    automatic = [one for one in listed if one.get("mode") != "manual"]
    return judge_each(
        "automatic workflows",
        [_name(one) for one in automatic],
        {_name(one): fault for one in automatic if (fault := approval_fault(one, now))},
        sound="are approved by another's administrator, for their present bytes",
        fault="are not soundly approved",
    )


def approval_fault(workflow: Mapping[str, Any], now: datetime) -> str | None:
    """Why a workflow must not run by itself, if it must not."""
    approval = workflow.get("approval")
    if not isinstance(approval, dict):
        return "no approval"
    if approval.get("role") != "admin":
        return f"approved by a {approval.get('role')}"
    if not approval.get("approved_by") or approval.get("approved_by") == workflow.get("author"):
        return "approved by its author"
    if not workflow.get("digest") or approval.get("digest") != workflow.get("digest"):
        return "approved for other bytes"
    try:
        expires = datetime.fromisoformat(str(approval.get("expires_at")))
    except ValueError:
        return "approved without an end"
    return "the approval has expired" if expires <= now else None


def judge_modes(control: Attempt, attempts: Mapping[str, Attempt]) -> Verdict:
    facts = {"control": control.facts(), "attempts": {mode: attempt.facts() for mode, attempt in attempts.items()}}
    taken = [mode for mode, attempt in attempts.items() if attempt.outcome is Outcome.ALLOWED]
    if taken:
        return failed(f"packages with the mode {name_some(taken)} are accepted", **facts)
    if control.outcome is not Outcome.ALLOWED:
        return blocked(f"a working control: a manual package was refused ({control.reason})", **facts)
    odd = [
        f"{mode}: {attempt.reason}"
        for mode, attempt in attempts.items()
        if attempt.reason not in ("mode_unknown", "package_malformed")
    ]
    if odd or not attempts:
        return blocked(f"refusals of odd modes for being odd: {name_some(odd) or 'none was tried'}", **facts)
    return passed(f"{len(attempts)} odd modes are refused, while manual is accepted", **facts)


def judge_manual(drill: Drill) -> Verdict:
    return _judge_waiting("a manual workflow", drill.manual, drill)


def judge_unapproved(drill: Drill) -> Verdict:
    if drill.unapproved_mode != "manual":
        return failed(
            f"an automatic workflow without an approval is {drill.unapproved_mode!r}, not manual", **_facts(drill)
        )
    return _judge_waiting("an automatic workflow without an approval", drill.unapproved, drill)


def judge_changed(drill: Drill) -> Verdict:
    if drill.changed_mode != "manual":
        return failed(f"a workflow changed after its approval is {drill.changed_mode!r}, not manual", **_facts(drill))
    return _judge_waiting("a workflow changed after its approval", drill.changed, drill)


def judge_approval(control: Attempt, attempt: Attempt, code: str) -> Verdict:
    return judge_refusal(attempt.action, control=control, attempt=attempt, right_reasons={code})


def _judge_waiting(what: str, decision: str, drill: Drill) -> Verdict:
    """The scheduler passed it over, and said so, while it starts what is approved."""
    facts = _facts(drill)
    if decision == STARTED:
        return failed(f"the scheduler started {what}", **facts)
    if decision != SKIPPED:
        return blocked(f"the scheduler's decision about {what}: it made none in time", **facts)
    if (drill.approved_mode, drill.approved) != ("auto", STARTED):
        return blocked(
            f"a working control: an approved workflow is {drill.approved_mode!r}, and was {drill.approved}", **facts
        )
    return passed(f"the scheduler passed over {what}, and started an approved one", **facts)


def _facts(drill: Drill) -> dict[str, Any]:
    return {
        "manual": drill.manual,
        "unapproved": [drill.unapproved_mode, drill.unapproved],
        "approved": [drill.approved_mode, drill.approved],
        "changed": [drill.changed_mode, drill.changed],
        "swept_from_earlier_runs": list(drill.swept),
    }


def _name(workflow: Mapping[str, Any]) -> str:
    return f"{workflow.get('tenant')}/{workflow.get('name')}"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **WORKFLOW_REGISTRY,
            "tenant": {"type": "str", "default": "audit-probe"},
            "probe_key": {"type": "path", "no_log": False},
            "unknown_modes": {
                "type": "list",
                "elements": "raw",
                "default": ["no", "off", 0, "AUTO", "\u0430uto", "yes", True, ["auto"], " auto", "automatic"],
            },
            "scheduler_wait_s": {"type": "float", "default": 6.0},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
