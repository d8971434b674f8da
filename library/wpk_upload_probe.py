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
    workflow_registry_probe_key: keys/probe.key
    revoked_probe_key: keys/revoked.key
  register: cosign_signature_upload_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import Attempt, Outcome, Verdict, blocked, failed, judge_refusal, name_some, passed
from ..module_utils.signatures import load_signer, sign, stranger
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import DELETED, WorkflowRegistry, package, probe_name

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
OUTCOMES = {Outcome.ALLOWED: "accepted", Outcome.REFUSED: "refused"}
"""How the audit log calls them."""
PURPOSE = "cosign_signature"
TOKENS = ("workflow_registry_token", "workflow_registry_publisher_token")


def examine(audit: Audit) -> None:
    """The control first: what is soundly signed is taken. Then everything that must not be."""
    audit.require_active()
    audit.require("workflow_registry_url", *TOKENS, "workflow_registry_probe_key", "revoked_probe_key")
    key, revoked = (load_signer(audit.params[name]) for name in ("workflow_registry_probe_key", "revoked_probe_key"))
    tenant = audit.params["workflow_registry_probe_tenant"]
    registry = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), PURPOSE)
    swept = registry.sweep_abandoned(tenant)
    desk = Desk(registry, probe_name(audit, "signature"))
    own, other = package(desk.names, tenant), package(f"{desk.names}-other", tenant)
    signature = sign(key, own)
    codes = {**REFUSALS, **audit.params["refusals"]}
    every_code = {code for any_of in codes.values() for code in any_of}
    control = desk.upload(own, signature)
    exact = control.served == own
    audit.check("cosign.accepts_signed", judge_control, control, exact, every_code, swept)
    tries: dict[str, tuple[bytes, str | None]] = {
        "unsigned": (own, None),
        "tampered": (own + b"# changed after it was signed\n", signature),
        "untrusted_key": (own, sign(stranger(), own)),
        "revoked_key": (own, sign(revoked, own)),
        "swapped_signature": (other, signature),
    }
    for what, (data, made) in tries.items():
        audit.check(f"cosign.rejects_{what}", ask_refusal, desk, what, data, made, control, codes[what])
    audit.check("cosign.uploads_logged", ask_logged, audit, desk.seen)


@dataclass(frozen=True)
class Trial:
    """One upload: the registry's answer, the bytes it then served, and what of the audit's own it held afterwards (each
    name, and ``deleted`` or why it could not be)."""

    attempt: Attempt
    served: bytes | None
    found: Mapping[str, str]

    def facts(self) -> dict[str, Any]:
        return {**self.attempt.facts(), "stored": dict(self.found)}


@dataclass(frozen=True)
class Desk:
    """Where packages are handed in; ``names`` is how all the names of this run's begin, ``seen`` what each answer was."""

    registry: WorkflowRegistry
    names: str
    seen: list[Outcome] = field(default_factory=list)

    def upload(self, data: bytes, signature: str | None) -> Trial:
        """Upload, see what the registry then holds, and take it away again, whatever it answered."""
        served, found = None, {}
        try:
            attempt, answer = self.registry.upload(data, signature)
            if attempt.outcome is Outcome.ALLOWED and answer.get("id"):
                served = self.registry.content(str(answer["id"]), "package")
        except Unanswerable as error:  # it may have been stored all the same
            attempt = Attempt("uploading a package", Outcome.UNCLEAR, detail=error.prerequisite)
        finally:
            found = self.registry.sweep(self.names)
        self.seen.append(attempt.outcome)
        return Trial(attempt, served, found)


def ask_refusal(
    desk: Desk, what: str, data: bytes, signature: str | None, control: Trial, codes: Collection[str]
) -> Verdict:
    """Try it; and look that nothing was stored all the same."""
    return judge_upload(what, control, desk.upload(data, signature), codes)


def ask_logged(audit: Audit, seen: Collection[Outcome]) -> Verdict:
    reader = WorkflowRegistry(audit, audit.require("workflow_registry_token"), PURPOSE)
    request_id = f"{audit.run_id}/{PURPOSE}"
    events = reader.get(f"/audit/events?request_id={request_id}").get("events")
    if not isinstance(events, list):
        raise Unanswerable(f"{reader.name}: 'events' in /audit/events")
    return judge_logged(request_id, events, seen)


def judge_control(
    control: Trial, exact: bool, signature_refusals: Collection[str], swept: Mapping[str, str]
) -> Verdict:
    """A refusal on account of the signature is a fault of the registry's; any other (of the caller, of the tenant) is a
    control that could not be tried."""
    attempt = control.attempt
    facts: dict[str, Any] = {"control": control.facts(), "swept_from_earlier_runs": dict(swept)}
    if attempt.outcome is Outcome.REFUSED and attempt.reason in signature_refusals:
        return failed(f"a soundly signed package is refused: {attempt.reason} {attempt.detail}", **facts)
    if attempt.outcome is not Outcome.ALLOWED:
        return blocked(f"an upload of the audit's own: {attempt.reason} {attempt.detail}".strip(), **facts)
    if control.served is None or not control.found:
        return blocked("the uploaded package in the registry: it was accepted, and is not there", **facts)
    if not exact:
        return failed("the registry stores other bytes than were signed", **facts)
    stuck = {name: why for name, why in {**swept, **control.found}.items() if why != DELETED}
    if stuck:
        return blocked(f"the right to delete packages of one's own: {name_some(stuck)}", **facts)
    return passed("a soundly signed package is accepted, and stored byte for byte; it was deleted again", **facts)


def judge_upload(what: str, control: Trial, trial: Trial, codes: Collection[str]) -> Verdict:
    said = what.replace("_", " ")
    if trial.found and trial.attempt.outcome is not Outcome.ALLOWED:
        return failed(f"an upload ({said}) was not accepted, and stored all the same", attempt=trial.facts())
    return judge_refusal(
        f"uploading a package ({said})",
        control=control.attempt,
        attempt=trial.attempt,
        right_reasons=codes,
        stored=dict(trial.found),
    )


def judge_logged(request_id: str, events: Collection[Mapping[str, Any]], seen: Collection[Outcome]) -> Verdict:
    """Every attempt of this run left a record, and the record says what the registry answered."""
    answered = Counter(OUTCOMES[outcome] for outcome in seen if outcome in OUTCOMES)
    uploads = [event for event in events if str(event.get("action", "")).startswith("package.upload")]
    logged = Counter(str(event.get("outcome")) for event in uploads)
    facts: dict[str, Any] = {"request_id": request_id, "answered": dict(answered), "logged": dict(logged)}
    if not answered:
        return blocked("upload attempts to look for: none was answered", **facts)
    if len(uploads) < answered.total():
        return failed(f"{len(uploads)} of {answered.total()} upload attempts are in the audit log", **facts)
    if answered - logged:
        return failed(f"the audit log tells of other outcomes: {dict(logged)}, not {dict(answered)}", **facts)
    return passed(f"all {answered.total()} upload attempts are in the audit log, with their outcomes", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **WORKFLOW_REGISTRY,
            "revoked_probe_key": {"type": "path", "no_log": False},
            "refusals": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
