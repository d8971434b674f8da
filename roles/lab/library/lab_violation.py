#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# ruff: noqa: D100, D103, E402
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_violation
short_description: Plant a fault in the embedded environment, or take it back
description:
  - Plants or removes one entry of the violation catalogue, which one named check of the audit must then report.
options:
  id:
    description: The violation, see C(python -m labkit violations).
    type: str
    required: true
  state:
    description: What is wanted.
    type: str
    choices: [planted, removed]
    default: planted
  dir:
    description: The environment's folder. Default E(ATOM_LAB_DIR), else C(.lab) in the checkout.
    type: path
  checkout:
    description: Where this project is.
    type: path
    required: true
author: Policy audit maintainers (@policy-audit)
"""

EXAMPLES = r"""
- name: Let the database owner see every tenant
  lab_violation:
    id: rls_not_forced
    checkout: "{{ playbook_dir | dirname }}"
"""

RETURN = r"""
check:
  description: The check that must report it.
  type: str
  returned: success
about:
  description: What the fault is.
  type: str
  returned: success
"""

import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["planted", "removed"], "default": "planted"},
            "dir": {"type": "path"},
            "checkout": {"type": "path", "required": True},
        },
    )
    sys.path.insert(0, module.params["checkout"])
    from tests import violations  # noqa: PLC0415 - found only now

    folder = Path(module.params["dir"]) if module.params["dir"] else None
    violation = violations.catalogue().get(module.params["id"])
    if violation is None:
        module.fail_json(msg=f"no violation is called {module.params['id']}; `python -m labkit violations` lists them")
    act = violations.plant if module.params["state"] == "planted" else violations.remove
    try:
        changed = act(violation, folder)
    except Exception as error:
        module.fail_json(msg=f"{violation.id}: {error}")
    module.exit_json(changed=changed, check=violation.check, about=violation.about)


if __name__ == "__main__":
    main()
