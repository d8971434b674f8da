#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: image_signatures
short_description: Verify the signatures of deployed images
description:
  - Resolves every deployed reference to its digest, and verifies that a trusted key signed exactly that digest.
options:
  deployed:
    description: References of the deployed images; a host in them is ignored, they are looked up in C(image_registry_url).
    type: list
    elements: str
  trusted_keys:
    description: PEM files of the public keys that may sign images, one key each.
    type: list
    elements: path
extends_documentation_fragment: [audit, image_registry]
"""

EXAMPLES = r"""
- name: Verify the deployed images
  image_signatures:
    audit: "{{ audit_context }}"
    image_registry_url: https://images.example.com
    deployed: [app/runner@sha256:0123...]
    trusted_keys: [keys/release.pub]
  register: cicd_gate_image_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.oci import ImageRegistry, parse_reference, signature_fault
from ..module_utils.options import AUDIT, IMAGE_REGISTRY
from ..module_utils.result import Verdict, judge_each
from ..module_utils.signatures import load_public_keys

CHECKS = Checks(passive=("cicd.deployed_images_signed",))


def examine(audit: Audit) -> None:
    audit.check("cicd.deployed_images_signed", ask_images, audit)


def ask_images(audit: Audit) -> Verdict:
    """Resolve, then verify by digest; a tag that moved since is looked at as well."""
    url, deployed, key_files = audit.require("image_registry_url", "deployed", "trusted_keys")
    keys, params = load_public_keys(key_files), audit.params
    registry = ImageRegistry(
        url,
        username=params["image_registry_username"],
        password=params["image_registry_password"],
        cacert=params["image_registry_cacert"],
    )
    digests, faults = {}, {}
    for reference in deployed:
        name, tag, pinned = parse_reference(reference)
        digest = registry.resolve(name, pinned or tag or "latest")
        digests[reference] = digest or ""
        if digest is None:
            faults[reference] = "is not in the registry"
        elif pinned and tag and registry.resolve(name, tag) != pinned:
            faults[reference] = "its tag no longer points to its digest"
        elif fault := signature_fault(registry.signatures(name, digest), digest, keys):
            faults[reference] = fault
    return judge_images(digests, faults)


def judge_images(digests: Mapping[str, str], faults: Mapping[str, str]) -> Verdict:
    return judge_each(
        "deployed images",
        list(digests),
        faults,
        sound="are signed, by digest, by a trusted key",
        fault="are not soundly signed",
        digests=dict(digests),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **IMAGE_REGISTRY,
            "deployed": {"type": "list", "elements": "str"},
            "trusted_keys": {"type": "list", "elements": "path", "no_log": False},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
