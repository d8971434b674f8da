#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vault_hashes
short_description: Hash the values that Vault holds, so that hosts can be searched for them
description:
  - Reads every secret below the given folders and returns a keyed hash (HMAC-SHA256, a new random key each time) of each value.
  - Runs where the audit runs; the values never leave its memory. Register its result with C(no_log).
  - Does not fail where Vault cannot be read; it returns C(unavailable) instead, for C(host_secrets) to say.
options:
  secret_folders:
    description: Folders of KV version 2 secrets, as C(mount/path).
    type: list
    elements: str
  ignored_keys:
    description: Regular expression of the keys whose values are no secrets.
    type: str
    default: (^|_)(user|username|role|host|port|url|name|access_key|about)$
  min_length:
    description: Shorter values are left out, because ordinary words would match them.
    type: int
    default: 8
extends_documentation_fragment: [audit, vault]
"""

EXAMPLES = r"""
- name: Hash what Vault holds
  vault_hashes:
    vault_addr: https://vault.example.com:8200
    secret_folders: [secret/app]
  delegate_to: localhost
  no_log: true
  register: vault_broker_hashes
"""

RETURN = r"""
key: {description: "The key of this run's hashes, hex.", returned: always, type: str}
hashes: {description: "HMAC-SHA256 of each value, hex.", returned: always, type: list, elements: str}
unavailable: {description: "Why there are none; empty when there are.", returned: always, type: str}
"""

import hashlib
import hmac
import re
import secrets

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks
from ..module_utils.options import AUDIT, VAULT
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.vault import Vault

MAX_SECRETS = 2_000


def values(vault: Vault, folder: str, ignored: str, min_length: int) -> set[str]:
    """Every value worth looking for below a folder of a KV version 2 mount."""
    mount, _, start = folder.partition("/")
    found: set[str] = set()
    pending, seen = [f"{start}/" if start else ""], 0
    while pending:
        place = pending.pop()
        for key in vault.list(f"{mount}/metadata/{place}"):
            if key.endswith("/"):
                pending.append(f"{place}{key}")
                continue
            seen += 1
            if seen > MAX_SECRETS:
                raise Unanswerable(f"fewer than {MAX_SECRETS} secrets below {folder} (vault_broker_secret_folders)")
            answer = vault.read(f"{mount}/data/{place}{key}")
            data = ((answer or {}).get("data") or {}).get("data") or {}
            found |= {text for name, text in data.items() if isinstance(text, str) and not re.search(ignored, name)}
    return {text for text in found if len(text) >= min_length}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **VAULT,
            "secret_folders": {"type": "list", "elements": "str", "no_log": False},
            "ignored_keys": {
                "type": "str",
                "default": r"(^|_)(user|username|role|host|port|url|name|access_key|about)$",
                "no_log": False,
            },
            "min_length": {"type": "int", "default": 8},
        },
        supports_check_mode=True,
    )
    audit = Audit(module.params, Checks(), check_mode=module.check_mode, secrets=set())
    key, found, unavailable = secrets.token_bytes(32), set(), ""
    try:
        addr, token, folders = audit.require("vault_addr", "vault_token", "secret_folders")
        vault = Vault(addr, token, cacert=module.params["vault_cacert"], namespace=module.params["vault_namespace"])
        for folder in folders:
            found |= values(vault, folder, module.params["ignored_keys"], module.params["min_length"])
    except Unanswerable as error:
        unavailable = error.prerequisite
    hashes = sorted(hmac.new(key, value.encode(), hashlib.sha256).hexdigest() for value in found)
    module.exit_json(changed=False, key=key.hex(), hashes=hashes, unavailable=unavailable)


if __name__ == "__main__":
    main()
