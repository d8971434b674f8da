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
  unknown_modes:
    description: Values of a package's mode that must be refused, beside C(manual) and C(auto).
    type: list
    elements: raw
    default: ["no", "off", 0, "AUTO", "\u0430uto", "yes", true, [auto], " auto", "automatic"]
  refusals:
    description: The registry's codes for the right refusals, by the name of the attempt (C(unknown_mode), C(non_admin), C(own_package)).
    type: dict
    default: {}
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
    workflow_registry_probe_key: keys/probe.key
  register: workflow_safety_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import time
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import Attempt, Outcome, Verdict
from ..module_utils.safety_rules import (
    SILENT,
    SKIPPED,
    STARTED,
    Drill,
    judge_approval,
    judge_approved,
    judge_changed,
    judge_default,
    judge_manual,
    judge_modes,
    judge_unapproved,
)
from ..module_utils.signatures import load_signer, sign
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import WorkflowRegistry, form, package, probe_name

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
REFUSALS: dict[str, list[str]] = {
    "unknown_mode": ["mode_unknown", "package_malformed"],
    "non_admin": ["not_admin"],
    "own_package": ["self_approval"],
}
POLL_S = 0.2


class Probe:
    """The audit's own packages in the tenant set aside, through two callers: one who publishes, one who approves."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._key = load_signer(audit.require("workflow_registry_probe_key"))
        self.tenant: str = audit.params["workflow_registry_probe_tenant"]
        self.names = probe_name(audit, "safety")
        self.publisher = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), "workflow_safety")
        self.approver = WorkflowRegistry(audit, audit.require("workflow_registry_approver_token"), "workflow_safety")

    def package(self, name: str, text: str = "", **spec: Any) -> tuple[bytes, str]:
        """A package of that name, signed; ``text`` makes its bytes different."""
        data = package(f"{self.names}-{name}", self.tenant, **spec) + text.encode()
        return data, sign(self._key, data)

    def publish(
        self, caller: WorkflowRegistry, data: bytes, signature: str, replaces: str | None = None
    ) -> dict[str, Any]:
        """Publish, and dry-run, so that nothing but its mode keeps it from being started."""
        attempt, workflow = caller.upload(data, signature, replaces)
        if attempt.outcome is not Outcome.ALLOWED:
            raise Unanswerable(
                f"{caller.name}: the right to publish in {self.tenant}: {attempt.reason} {attempt.detail}"
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
        """Put a workflow before the scheduler, and wait for its decision: a run more than before, or an audit record."""
        runs = self._runs(workflow)
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
            if "scheduler.started" in actions or self._runs(workflow) > runs:
                return STARTED
            if "scheduler.skipped" in actions:
                return SKIPPED
            time.sleep(POLL_S)
        return SILENT

    def _runs(self, workflow: Mapping[str, Any]) -> int:
        return len(self.publisher.get(f"/workflows/{workflow['id']}/runs")["runs"])


def examine(audit: Audit) -> None:
    """Read what the registry says of every workflow; then drill with packages of one's own."""
    _url, token = audit.require("workflow_registry_url", "workflow_registry_token")
    reader = WorkflowRegistry(audit, token, "workflow_safety")
    listed = list(reader.listing())
    audit.check("safety.default_manual", ask_default, reader, listed)
    audit.check("safety.auto_approved", judge_approved, listed, datetime.now(timezone.utc))
    audit.require_active()
    audit.require(
        "workflow_registry_publisher_token", "workflow_registry_approver_token", "workflow_registry_probe_key"
    )
    probe = Probe(audit)
    codes = {**REFUSALS, **audit.params["refusals"]}
    drill = Drill(swept=probe.approver.sweep_abandoned(probe.tenant))
    try:
        audit.check(
            "safety.unknown_mode_rejected", ask_modes, probe, audit.params["unknown_modes"], codes["unknown_mode"]
        )
        run_drill(probe, drill)
    except Unanswerable as error:
        drill.cut_short = error.prerequisite
    finally:
        probe.approver.sweep(probe.names)
    audit.check("safety.manual_waits", judge_manual, drill)
    audit.check("safety.auto_needs_approval", judge_unapproved, drill)
    audit.check("safety.rejects_non_admin_approval", judge_approval, drill, drill.by_publisher, codes["non_admin"])
    audit.check("safety.rejects_self_approval", judge_approval, drill, drill.by_author, codes["own_package"])
    audit.check("safety.approval_bound_to_digest", judge_changed, drill)


def ask_default(reader: WorkflowRegistry, listed: Collection[Mapping[str, Any]]) -> Verdict:
    said = reader.get("/enforcement")
    return judge_default(said.get("default_mode") if isinstance(said, dict) else None, listed)


def ask_modes(probe: Probe, modes: Collection[Any], codes: Collection[str]) -> Verdict:
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
    return judge_modes(control, attempts, codes)


def run_drill(probe: Probe, drill: Drill) -> None:
    """A manual package; an automatic one before and after its approval, and after a change; one approved by its author.

    Each wrong approver is wrong in one way only: the publisher tries a package of somebody else's, or their being its
    author would refuse them first; the administrator tries one of their own.
    """
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


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **WORKFLOW_REGISTRY,
            "unknown_modes": {
                "type": "list",
                "elements": "raw",
                "default": ["no", "off", 0, "AUTO", "\u0430uto", "yes", True, ["auto"], " auto", "automatic"],
            },
            "refusals": {"type": "dict", "default": {}},
            "scheduler_wait_s": {"type": "float", "default": 6.0},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
