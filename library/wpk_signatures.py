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

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import Status, Verdict, blocked, failed, judge_each, name_some, passed
from ..module_utils.signatures import (
    PublicKey,
    SignatureFormatError,
    key_id,
    load_public_keys,
    parse_signature,
    read_public_key,
    signer_of,
    weakness,
)
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import WorkflowRegistry

CHECKS = Checks(passive=("cosign.packages_signed", "cosign.trust_policy", "cosign.enforcement_mode"))
ENDING = ".wpk.yaml"
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
        stated = {str(entry["key_id"]): str(entry["pem"]) for entry in said["trusted_keys"]}
        live_revoked = {str(entry) for entry in said["revoked_keys"]}
    except (KeyError, TypeError):
        raise Unanswerable(f"{registry.name}: 'trusted_keys' and 'revoked_keys' in /enforcement") from None
    live = {known: read_public_key(pem.encode(), f"{registry.name}, key {known}") for known, pem in stated.items()}
    faults = {known: f"really the key {key_id(key)}" for known, key in live.items() if key_id(key) != known}
    faults |= {known: fault for known, key in {**live, **trusted}.items() if (fault := weakness(key))}
    return judge_trust(set(trusted), set(revoked), set(live), live_revoked, faults)


def judge_trust(
    trusted: Collection[str],
    revoked: Collection[str],
    live: Collection[str],
    live_revoked: Collection[str],
    faults: Mapping[str, str],
) -> Verdict:
    """The registry trusts exactly whom the inventory trusts; the keys are strong; none is revoked."""
    offenders = dict(faults)
    wrong = {
        "trusted by the inventory, not by the registry": set(trusted) - set(live),
        "trusted by the registry, not by the inventory": set(live) - set(trusted),
        "revoked, but the registry does not know": set(revoked) - set(live_revoked),
        "revoked, and trusted all the same": {*live, *trusted} & {*revoked, *live_revoked},
    }
    for fault, keys in wrong.items():
        offenders |= dict.fromkeys(keys, fault)
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
    sources: dict[str, Iterator[Package]] = {folder: in_folder(Path(folder)) for folder in audit.params["folders"]}
    sources[registry.name] = in_registry(registry)
    faults: dict[str, dict[str, str | None]] = {}
    for source, packages in sources.items():
        faults[source] = {one.name: one.fault or signature_fault(one, good, revoked) for one in packages}
    return judge_packages(faults, good)


def judge_packages(faults: Mapping[str, Mapping[str, str | None]], trusted: Collection[str]) -> Verdict:
    """Each source (by name, to its packages, to what is wrong with each) holds packages, and every one is signed."""
    offenders = {name: fault for found in faults.values() for name, fault in found.items() if fault}
    verdict = judge_each(
        "packages",
        [name for found in faults.values() for name in found],
        offenders,
        sound="are signed over their exact bytes by a trusted key",
        fault="are not soundly signed",
        sources={source: len(found) for source, found in faults.items()},
        trusted=sorted(trusted),
    )
    empty = [source for source, found in faults.items() if not found]
    if empty and verdict.status is Status.PASS:
        return blocked(f"packages to examine in {name_some(empty)}: none was found", **verdict.evidence)
    return verdict


def in_folder(folder: Path) -> Iterator[Package]:
    """Packages on disk. A link is refused, to a folder too: what it points to can change after the check."""

    def unreadable(error: OSError) -> None:
        raise Unanswerable(f"a readable folder {error.filename} (cosign_signature_folders): {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        for name in sorted((*folders, *files)):
            path = Path(parent, name)
            if path.is_symlink() and (path.is_dir() or name.endswith(ENDING)):
                yield Package(str(path), b"", None, "a symbolic link")
            elif name.endswith(ENDING) and name in files:
                yield read_package(path)


def read_package(path: Path) -> Package:
    try:
        beside = next((p for end in ENDINGS if (p := path.with_name(path.name + end)).is_file()), None)
        return Package(str(path), path.read_bytes(), beside.read_bytes() if beside else None)
    except OSError as error:
        return Package(str(path), b"", None, f"unreadable: {error.strerror}")


def in_registry(registry: WorkflowRegistry) -> Iterator[Package]:
    """Packages that the registry serves. Some, the audit's own among them, come and go while it runs."""
    for entry in registry.listing():
        name, workflow_id = f"{entry.get('tenant')}/{entry.get('name')}", str(entry["id"])
        data, signature = (registry.content(workflow_id, part) for part in ("package", "signature"))
        if (data is None or signature is None) and not registry.exists(workflow_id):
            continue  # deleted since it was listed
        fault = "listed, but its bytes are not served" if data is None else ""
        yield Package(name, data or b"", signature, fault)


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
