#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# ruff: noqa: D100, D103, E402
from __future__ import annotations

DOCUMENTATION = r"""
module: lab
short_description: Start or stop the embedded environment
description:
  - Brings the embedded environment up or down, or tells who runs.
  - A part that this machine cannot offer is named in RV(missing); the others start.
options:
  state:
    description: What is wanted; V(status) only looks.
    type: str
    choices: [up, down, status]
    default: up
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
- name: Start it
  lab:
    state: up
    checkout: "{{ playbook_dir | dirname }}"
"""

RETURN = r"""
running:
  description: The servers that run, with their process ids.
  type: dict
  returned: always
stopped:
  description: The servers that do not.
  type: list
  elements: str
  returned: always
missing:
  description: What this environment has to do without, with the reasons.
  type: dict
  returned: always
log:
  description: What was done, line by line.
  type: list
  elements: str
  returned: always
"""

import sys
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["up", "down", "status"], "default": "up"},
            "dir": {"type": "path"},
            "checkout": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    sys.path.insert(0, module.params["checkout"])
    from labkit import control  # noqa: PLC0415 - found only now

    folder = Path(module.params["dir"]) if module.params["dir"] else None
    log: list[str] = []
    try:
        if module.check_mode or module.params["state"] == "status":
            outcome = control.status(folder)
        elif module.params["state"] == "up":
            outcome = control.up(folder, log.append)
        else:
            outcome = control.down(folder)
    except (RuntimeError, OSError) as error:
        module.fail_json(msg=str(error), log=log)
    for name, reason in outcome.missing.items():
        module.warn(f"{name} is missing: {reason}")
    module.exit_json(**asdict(outcome), log=log)


if __name__ == "__main__":
    main()
