#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: wpk_signatures
short_description: Judge the signatures of workflow packages, and whom the registry trusts
description:
  - Verifies every package of every source over its exact bytes, with the keys that the inventory trusts, and no other.
options:
  folders:
    description: Folders with packages (C(*.wpk.yaml)) and their signatures (C(.sig), or a bundle C(.sigstore.json) or C(.bundle)).
    type: list
    elements: path
    default: []
  trusted_keys:
    description: PEM files of the trusted public keys, one key each.
    type: list
    elements: path
  revoked_keys:
    description: PEM files of revoked public keys.
    type: list
    elements: path
    default: []
extends_documentation_fragment: [audit, workflow_registry]
"""

EXAMPLES = r"""
- name: Verify the signatures of all packages
  wpk_signatures:
    audit: "{{ audit_context }}"
    workflow_registry_url: https://registry.example.com/api
    trusted_keys: [keys/release.pub]
  register: cosign_signature_package_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import Verdict, failed, judge_each, passed
from ..module_utils.signatures import (
    PublicKey,
    SignatureFormatError,
    load_public_keys,
    parse_signature,
    signer_of,
    weakness,
)
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import PROBE_PREFIX, WorkflowRegistry

CHECKS = Checks(passive=("cosign.packages_signed", "cosign.trust_policy", "cosign.enforcement_mode"))
ENDINGS = (".sig", ".sigstore.json", ".bundle")


@dataclass(frozen=True)
class Package:
    """One package as its source holds it; ``fault`` if it could not even be read as one."""

    name: str
    data: bytes
    signature: bytes | None
    fault: str = ""


def examine(audit: Audit) -> None:
    """The keys first; then every package of the folders and of the registry."""
    key_files, _url, token = audit.require("trusted_keys", "workflow_registry_url", "workflow_registry_token")
    trusted = load_public_keys(key_files)
    revoked = load_public_keys(audit.params["revoked_keys"])
    registry = WorkflowRegistry(audit, token, "cosign_signature")
    audit.check("cosign.enforcement_mode", ask_enforcement, registry)
    audit.check("cosign.trust_policy", ask_trust, registry, trusted, revoked)
    audit.check("cosign.packages_signed", ask_packages, audit, registry, trusted, revoked)


def ask_enforcement(registry: WorkflowRegistry) -> Verdict:
    return judge_enforcement(registry.get("/enforcement"))


def judge_enforcement(said: Mapping[str, Any]) -> Verdict:
    mode = said.get("signature_mode") if isinstance(said, dict) else None
    if mode is None:
        raise Unanswerable("'signature_mode' in the registry's /enforcement")
    if mode != "enforce":
        return failed(f"the registry's signature mode is {mode!r}, not 'enforce'", signature_mode=mode)
    return passed("the registry says that it enforces signatures", signature_mode=mode)


def ask_trust(
    registry: WorkflowRegistry, trusted: Mapping[str, PublicKey], revoked: Mapping[str, PublicKey]
) -> Verdict:
    said = registry.get("/enforcement")
    try:
        live = {str(entry["key_id"]) for entry in said["trusted_keys"]}
        live_revoked = {str(entry) for entry in said["revoked_keys"]}
    except (KeyError, TypeError):
        raise Unanswerable(f"{registry.name}: 'trusted_keys' and 'revoked_keys' in /enforcement") from None
    weak = {known: fault for known, key in trusted.items() if (fault := weakness(key))}
    return judge_trust(set(trusted), set(revoked), live, live_revoked, weak)


def judge_trust(
    trusted: Collection[str],
    revoked: Collection[str],
    live: Collection[str],
    live_revoked: Collection[str],
    weak: Mapping[str, str],
) -> Verdict:
    """The registry trusts whom the inventory trusts, nobody more; the keys are strong; none is revoked."""
    offenders = dict(weak)
    offenders |= dict.fromkeys(set(live) - set(trusted), "trusted by the registry, not by the inventory")
    offenders |= dict.fromkeys(
        (set(live) | set(trusted)) & (set(revoked) | set(live_revoked)), "revoked, and trusted all the same"
    )
    offenders |= dict.fromkeys(set(revoked) - set(live_revoked), "revoked, but the registry does not know")
    return judge_each(
        "keys",
        {*trusted, *live},
        offenders,
        sound="are strong, trusted by inventory and registry alike, and not revoked",
        fault="must not be trusted like this",
        revoked=sorted(revoked),
    )


def ask_packages(
    audit: Audit, registry: WorkflowRegistry, trusted: Mapping[str, PublicKey], revoked: Mapping[str, PublicKey]
) -> Verdict:
    good = {known: key for known, key in trusted.items() if known not in revoked}
    offenders, names = {}, []
    for package in (*in_folders(audit.params["folders"]), *in_registry(registry)):
        names.append(package.name)
        fault = package.fault or signature_fault(package, good, revoked)
        if fault:
            offenders[package.name] = fault
    return judge_each(
        "packages",
        names,
        offenders,
        sound="are signed over their exact bytes by a trusted key",
        fault="are not soundly signed",
        trusted=sorted(good),
    )


def in_folders(folders: Collection[str]) -> Iterator[Package]:
    """Packages on disk. A link is refused: what it points to can change after the check."""
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Unanswerable(f"the folder {folder} (cosign_signature_folders)")
        for path in sorted(folder.rglob("*.wpk.yaml")):
            if path.is_symlink():
                yield Package(str(path), b"", None, "a symbolic link")
                continue
            try:
                beside = next((p for end in ENDINGS if (p := path.with_name(path.name + end)).is_file()), None)
                yield Package(str(path), path.read_bytes(), beside.read_bytes() if beside else None)
            except OSError as error:
                raise Unanswerable(f"a readable package {path}: {error.strerror}") from None


def in_registry(registry: WorkflowRegistry) -> Iterator[Package]:
    """Packages that the registry serves; the audit's own, which come and go while it runs, are left out."""
    for entry in registry.listing():
        name = f"{entry.get('tenant')}/{entry.get('name')}"
        if str(entry.get("name", "")).startswith(PROBE_PREFIX):
            continue
        data = registry.content(str(entry["id"]), "package")
        if data is None:
            continue  # deleted since it was listed
        yield Package(name, data, registry.content(str(entry["id"]), "signature"))


def signature_fault(package: Package, good: Mapping[str, PublicKey], revoked: Mapping[str, PublicKey]) -> str | None:
    """Why a package is not soundly signed, if it is not."""
    if not package.signature:
        return "not signed"
    try:
        signature = parse_signature(package.signature, package.data)
    except SignatureFormatError as error:
        return f"the signature is {error}"
    if signer_of(revoked, signature, package.data):
        return "signed with a revoked key"
    return None if signer_of(good, signature, package.data) else "no trusted key signed these bytes"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **WORKFLOW_REGISTRY,
            "folders": {"type": "list", "elements": "path", "default": []},
            "trusted_keys": {"type": "list", "elements": "path", "no_log": False},
            "revoked_keys": {"type": "list", "elements": "path", "default": [], "no_log": False},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
