#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: admission_probe
short_description: Ask the admission endpoint to admit what it must not
description:
  - Sends AdmissionReview requests (admission.k8s.io/v1, dry run) for pods with signed, unsigned, wrongly signed and swapped images.
    Nothing is deployed.
options:
  signed:
    description: Tag of an image that a trusted key signed, as C(name:tag).
    type: str
  unsigned:
    description: Tag of an image that nobody signed.
    type: str
  untrusted:
    description: Tag of an image that a key nobody trusts signed.
    type: str
  swapped:
    description: Tag that once pointed to the signed image, and now points to another.
    type: str
  image_host:
    description: Host that the references are given with; the registry's own when unset.
    type: str
  reasons:
    description: Words of the endpoint's message for the right refusals, by the name of the attempt.
    type: dict
    default: {}
extends_documentation_fragment: [audit, admission, image_registry]
"""

EXAMPLES = r"""
- name: Ask for what must not be admitted
  admission_probe:
    audit: "{{ audit_context }}"
    admission_url: https://admission.example.com/validate
    image_registry_url: https://images.example.com
    signed: audit/probe:signed
    unsigned: audit/probe:unsigned
    untrusted: audit/probe:untrusted
    swapped: audit/probe:swapped
  register: cicd_gate_admission_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import uuid
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.http import HttpClient
from ..module_utils.oci import ImageRegistry, parse_reference
from ..module_utils.options import ADMISSION, AUDIT, IMAGE_REGISTRY
from ..module_utils.result import Attempt, Outcome, Verdict, failed, judge_refusal, passed
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(
    active=("cicd.admits_signed", "cicd.rejects_unsigned", "cicd.rejects_untrusted_signer", "cicd.rejects_tag_swap"),
)
REASONS: dict[str, list[str]] = {
    "unsigned": ["signature_missing", "no signatures found", "no matching signatures"],
    "untrusted": ["signer_untrusted", "no matching signatures"],
    "swapped": ["digest_mismatch"],
}


def examine(audit: Audit) -> None:
    """Look up what the tags point to; ask for the signed image, then for the others."""
    audit.require_active()
    url, images = audit.require("admission_url", "image_registry_url")
    tags = dict(
        zip(
            ("signed", "unsigned", "untrusted", "swapped"),
            audit.require("signed", "unsigned", "untrusted", "swapped"),
            strict=True,
        )
    )
    params = audit.params
    registry = ImageRegistry(
        images,
        username=params["image_registry_username"],
        password=params["image_registry_password"],
        cacert=params["image_registry_cacert"],
    )
    digests = {what: find(registry, tag) for what, tag in tags.items()}
    host = params["image_host"] or urlsplit(images).netloc
    references = {what: f"{host}/{tag.rpartition(':')[0]}@{digests[what]}" for what, tag in tags.items()}
    references["swapped"] = f"{host}/{tags['swapped']}@{digests['signed']}"
    reasons = {**REASONS, **params["reasons"]}
    with HttpClient(
        "admission endpoint", url, token=params["admission_token"], cacert=params["admission_cacert"]
    ) as endpoint:
        control = ask(endpoint, audit.run_id, "admitting a signed image", references["signed"], [])
        audit.check("cicd.admits_signed", judge_admitted, control, references["signed"])
        for check_id, what, action in (
            ("cicd.rejects_unsigned", "unsigned", "admitting an unsigned image"),
            ("cicd.rejects_untrusted_signer", "untrusted", "admitting an image that a stranger signed"),
            ("cicd.rejects_tag_swap", "swapped", "admitting an image whose tag was moved away"),
        ):
            audit.check(check_id, ask_refusal, endpoint, audit.run_id, action, references[what], reasons[what], control)


def find(registry: ImageRegistry, tag: str) -> str:
    name, label, _digest = parse_reference(tag)
    digest = registry.resolve(name, label or "latest")
    if digest is None:
        raise Unanswerable(f"{registry.name}: the probe image {tag}")
    return digest


def ask_refusal(
    endpoint: HttpClient, run_id: str, action: str, image: str, reasons: Collection[str], control: Attempt
) -> Verdict:
    attempt = ask(endpoint, run_id, action, image, reasons)
    return judge_refusal(action, control=control, attempt=attempt, right_reasons=reasons, image=image)


def ask(endpoint: HttpClient, run_id: str, action: str, image: str, reasons: Collection[str]) -> Attempt:
    """One review; the reason is whichever of the expected words the message holds, else the status code."""
    uid = str(uuid.uuid4())
    answer = endpoint.expect(endpoint.request("POST", "", json=review(uid, run_id, image)), 200).json()
    try:
        response = answer["response"]
        if answer["kind"] != "AdmissionReview" or response["uid"] != uid or not isinstance(response["allowed"], bool):
            raise TypeError
    except (KeyError, TypeError):
        raise Unanswerable(f"{endpoint.system}: an AdmissionReview that answers the one it was sent") from None
    if response["allowed"]:
        return Attempt(action, Outcome.ALLOWED)
    status: dict[str, Any] = response.get("status") or {}
    message = f"{status.get('reason', '')} {status.get('message', '')}".strip()
    reason = next((words for words in reasons if words in message), str(status.get("code", "")))
    return Attempt(action, Outcome.REFUSED, reason, message)


def review(uid: str, run_id: str, image: str) -> dict[str, Any]:
    """An AdmissionReview of a pod, dry run (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/)."""
    resource = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    metadata = {"name": "audit-probe", "namespace": "default", "labels": {"policy-audit/run": run_id}}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": "audit-probe",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "policy-audit", "groups": ["system:authenticated"]},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"containers": [{"name": "probe", "image": image}]},
            },
            "oldObject": None,
            "dryRun": True,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions", "dryRun": ["All"]},
        },
    }


def judge_admitted(control: Attempt, image: str) -> Verdict:
    facts = {"control": control.facts(), "image": image}
    if control.outcome is not Outcome.ALLOWED:
        return failed(f"a signed image is refused: {control.detail or control.reason}", **facts)
    return passed("a signed image is admitted", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **ADMISSION,
            **IMAGE_REGISTRY,
            "signed": {"type": "str"},
            "unsigned": {"type": "str"},
            "untrusted": {"type": "str"},
            "swapped": {"type": "str"},
            "image_host": {"type": "str"},
            "reasons": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
