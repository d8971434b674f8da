#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: wpk_upload_probe
short_description: Try to upload packages that the registry must refuse
description:
  - Uploads a soundly signed package of the audit's own to the tenant set aside for probes (the control), and unsigned, tampered,
    wrongly signed ones; looks after each refusal that nothing was stored, and for every attempt in the audit log.
options:
  tenant:
    description: Tenant set aside for probes.
    type: str
    default: audit-probe
  probe_key:
    description: PEM private key (ECDSA P-256) whose public half the registry trusts for that tenant.
    type: path
  revoked_probe_key:
    description: PEM private key whose public half the registry has revoked.
    type: path
  refusals:
    description: The registry's codes for the right refusals, by the name of the attempt.
    type: dict
    default: {}
extends_documentation_fragment: [audit, workflow_registry]
"""

EXAMPLES = r"""
- name: Try to upload what must be refused
  wpk_upload_probe:
    audit: "{{ audit_context }}"
    workflow_registry_url: https://registry.example.com/api
    probe_key: keys/probe.key
    revoked_probe_key: keys/revoked.key
  register: cosign_signature_upload_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Collection, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import Attempt, Outcome, Verdict, blocked, failed, judge_refusal, name_some, passed
from ..module_utils.signatures import load_signer, sign, stranger
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import WorkflowRegistry, package, probe_name

CHECKS = Checks(
    active=(
        "cosign.accepts_signed",
        "cosign.rejects_unsigned",
        "cosign.rejects_tampered",
        "cosign.rejects_untrusted_key",
        "cosign.rejects_revoked_key",
        "cosign.rejects_swapped_signature",
        "cosign.uploads_logged",
    ),
)
INVALID = ["signature_invalid", "signer_untrusted"]
REFUSALS: dict[str, list[str]] = {
    "unsigned": ["signature_missing"],
    "tampered": INVALID,
    "untrusted_key": INVALID,
    "revoked_key": ["signer_revoked"],
    "swapped_signature": INVALID,
}
"""A detached signature names no key, so that a registry need not tell a stranger's from a broken one."""
PURPOSE = "cosign_signature"
TOKENS = ("workflow_registry_token", "workflow_registry_publisher_token")


def examine(audit: Audit) -> None:
    """The control first: what is soundly signed is taken. Then everything that must not be."""
    audit.require_active()
    audit.require("workflow_registry_url", *TOKENS, "probe_key", "revoked_probe_key")
    key, revoked = (load_signer(audit.params[name]) for name in ("probe_key", "revoked_probe_key"))
    tenant = audit.params["tenant"]
    registry = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), PURPOSE)
    swept = registry.sweep_abandoned()
    name = probe_name(audit, "signature")
    own, other = package(name, tenant), package(f"{name}-other", tenant)
    signature = sign(key, own)
    control, stored = upload(registry, own, signature)
    audit.check("cosign.accepts_signed", judge_control, control, stored, swept)
    tries: dict[str, tuple[bytes, str | None]] = {
        "unsigned": (own, None),
        "tampered": (own + b"# changed after it was signed\n", signature),
        "untrusted_key": (own, sign(stranger(), own)),
        "revoked_key": (own, sign(revoked, own)),
        "swapped_signature": (other, signature),
    }
    codes = {**REFUSALS, **audit.params["refusals"]}
    for what, (data, made) in tries.items():
        audit.check(f"cosign.rejects_{what}", ask_refusal, registry, what, name, data, made, control, codes[what])
    audit.check("cosign.uploads_logged", ask_logged, audit, len(tries) + 1)


def upload(registry: WorkflowRegistry, data: bytes, signature: str | None) -> tuple[Attempt, str]:
    """Upload, see what the registry then stores, and take it away again."""
    attempt, answer = registry.upload(data, signature)
    if attempt.outcome is not Outcome.ALLOWED:
        return attempt, ""
    workflow_id = str(answer.get("id", ""))
    try:
        kept = registry.content(workflow_id, "package")
    finally:
        gone = registry.delete(workflow_id)
    if gone.outcome is not Outcome.ALLOWED:
        raise Unanswerable(f"{registry.name}: the right to delete a package of one's own: {gone.reason} {gone.detail}")
    return attempt, "exact bytes" if kept == data else "other bytes"


def ask_refusal(
    registry: WorkflowRegistry,
    what: str,
    name: str,
    data: bytes,
    signature: str | None,
    control: Attempt,
    codes: Collection[str],
) -> Verdict:
    """Try it; and after a refusal look that nothing was stored all the same."""
    attempt, _stored = upload(registry, data, signature)
    left = [] if attempt.outcome is Outcome.ALLOWED else registry.sweep(name)
    return judge_upload(what, control, attempt, codes, left)


def ask_logged(audit: Audit, expected: int) -> Verdict:
    reader = WorkflowRegistry(audit, audit.require("workflow_registry_token"), PURPOSE)
    request_id = f"{audit.run_id}/{PURPOSE}"
    events = reader.get(f"/audit/events?request_id={request_id}").get("events")
    if not isinstance(events, list):
        raise Unanswerable(f"{reader.name}: 'events' in /audit/events")
    return judge_logged(request_id, events, expected)


def judge_control(control: Attempt, stored: str, swept: Collection[str]) -> Verdict:
    facts = {"control": control.facts(), "stored": stored, "swept_from_earlier_runs": list(swept)}
    if control.outcome is not Outcome.ALLOWED:
        return failed(f"a soundly signed package is refused: {control.reason} {control.detail}", **facts)
    if stored != "exact bytes":
        return failed("the registry stores other bytes than were signed", **facts)
    return passed("a soundly signed package is accepted, and stored byte for byte; it was deleted again", **facts)


def judge_upload(
    what: str, control: Attempt, attempt: Attempt, codes: Collection[str], left: Collection[str]
) -> Verdict:
    said = what.replace("_", " ")
    if left:
        return failed(
            f"an upload ({said}) was refused, and stored all the same", attempt=attempt.facts(), stored=list(left)
        )
    return judge_refusal(f"uploading a package ({said})", control=control, attempt=attempt, right_reasons=codes)


def judge_logged(request_id: str, events: Collection[Mapping[str, Any]], expected: int) -> Verdict:
    """Every attempt of this run, accepted and refused, left a record."""
    uploads = [event for event in events if str(event.get("action", "")).startswith("package.upload")]
    outcomes = [str(event.get("outcome")) for event in uploads]
    facts = {"request_id": request_id, "outcomes": outcomes, "attempts": expected}
    if len(uploads) < expected:
        return failed(f"{len(uploads)} of {expected} upload attempts are in the audit log", **facts)
    if not {"accepted", "refused"} <= set(outcomes):
        return blocked(f"accepted and refused attempts to look for: the log says {name_some(set(outcomes))}", **facts)
    return passed(f"all {expected} upload attempts are in the audit log, accepted and refused", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **WORKFLOW_REGISTRY,
            "tenant": {"type": "str", "default": "audit-probe"},
            "probe_key": {"type": "path", "no_log": False},
            "revoked_probe_key": {"type": "path", "no_log": False},
            "refusals": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
