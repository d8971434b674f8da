#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_secrets
short_description: Search a host for credentials in the clear
description:
  - Searches the environments and command lines of processes, and files, for values that Vault holds and for what looks like a credential.
  - Gets only keyed hashes of Vault's values, and reports only where something was found.
options:
  hashes:
    description: The C(key) and the C(hashes) that C(vault_hashes) returned.
    type: dict
  unavailable:
    description: Why there are no hashes, as C(vault_hashes) returned it.
    type: str
    default: ""
  process_pattern:
    description: Regular expression of the command lines of the processes to examine.
    type: str
    default: .
  files:
    description: Patterns of the files to examine, such as unit files, environment files and compose files.
    type: list
    elements: str
    default: []
extends_documentation_fragment: audit
"""

EXAMPLES = r"""
- name: Search the application's host
  host_secrets:
    audit: "{{ audit_context }}"
    hashes: "{{ {'key': vault_broker_hashes.key, 'hashes': vault_broker_hashes.hashes} }}"
    unavailable: "{{ vault_broker_hashes.unavailable }}"
    files: [/etc/systemd/system/*.service, /etc/default/*]
  register: vault_broker_host_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Collection, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.host_scan import LIMITS, Scan, processes, scan_files, scan_process
from ..module_utils.options import AUDIT
from ..module_utils.result import Verdict, blocked, judge_each
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(passive=("env.no_plaintext_secrets",))


def examine(audit: Audit) -> None:
    audit.check("env.no_plaintext_secrets", ask, audit)


def ask(audit: Audit) -> Verdict:
    """Hash every candidate the host shows, and compare."""
    hashes = audit.params["hashes"] or {}
    if audit.params["unavailable"] or "key" not in hashes:
        raise Unanswerable(audit.params["unavailable"] or "the hashes of Vault's values: they were not made")
    scan = Scan(bytes.fromhex(hashes["key"]), frozenset(hashes["hashes"]))
    found = processes(audit.params["process_pattern"])
    for name, folder in found.items():
        scan_process(scan, name, folder)
    files = scan_files(scan, audit.params["files"])
    return judge_host(list(found), files, len(hashes["hashes"]), scan.found, scan.candidates)


def judge_host(
    found: Collection[str], files: Collection[str], hashes: int, offenders: Mapping[str, str], candidates: int
) -> Verdict:
    facts = {
        "processes": len(found),
        "files": list(files),
        "values": hashes,
        "candidates": candidates,
        "limits": LIMITS,
    }
    if offenders:
        return judge_each(
            "places", [*found, *files], offenders, sound="", fault="hold credentials in the clear", **facts
        )
    if not hashes:
        return blocked("values to look for: Vault holds none (vault_broker_secret_folders)", **facts)
    if not found:
        return blocked("processes to examine: none matches vault_broker_process_pattern", **facts)
    return judge_each(
        "processes and files",
        [*found, *files],
        {},
        sound=f"hold none of {hashes} values that Vault holds",
        fault="",
        **facts,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            "hashes": {"type": "dict", "no_log": True},
            "unavailable": {"type": "str", "default": ""},
            "process_pattern": {"type": "str", "default": "."},
            "files": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
