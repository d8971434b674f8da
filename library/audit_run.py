#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_run
short_description: Give an audit run its identity and select its policies
description:
  - Reads and validates the catalogue, selects the policies that C(--tags) and C(--skip-tags) leave, and makes the run id.
  - Fails, before any system is touched, when the catalogue is unsound or a tag names no policy.
options:
  catalogue:
    description: Path of the catalogue.
    type: path
    required: true
  tags:
    description: The run's tags, as C(ansible_run_tags) gives them.
    type: list
    elements: str
    default: [all]
  skip_tags:
    description: The tags to leave out, as C(ansible_skip_tags) gives them.
    type: list
    elements: str
    default: []
  limit:
    description: The run's host pattern, as C(ansible_limit) gives it.
    type: str
extends_documentation_fragment: report
"""

EXAMPLES = r"""
- name: Give the run its identity, and select its policies
  audit_run:
    catalogue: policies/phase_a.yml
    tags: "{{ ansible_run_tags }}"
  register: audit_run
  run_once: true
"""

RETURN = r"""
run_id: {description: "UTC time and a random part; sorts by time.", returned: success, type: str}
started_at: {description: RFC 3339 UTC., returned: success, type: str}
limits: {description: "Why the run is partial, empty for a full one.", returned: success, type: list, elements: str}
policies: {description: "The selected policies: id, policy, role, groups.", returned: success, type: list, elements: dict}
variables: {description: The variables in which roles register their answers., returned: success, type: list, elements: str}
"""

import secrets
from datetime import datetime, timezone
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import catalogue


def limits(check_mode: bool, tags: list[str], skip_tags: list[str], limit: str | None) -> list[str]:
    """Everything that makes a run less than the whole audit, as an operator typed it."""
    found = []
    if tags != ["all"]:
        found.append(f"--tags {','.join(tags)}")
    if skip_tags:
        found.append(f"--skip-tags {','.join(skip_tags)}")
    if limit:
        found.append(f"--limit {limit}")
    if check_mode:
        found.append("--check")
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "catalogue": {"type": "path", "required": True},
            "tags": {"type": "list", "elements": "str", "default": ["all"]},
            "skip_tags": {"type": "list", "elements": "str", "default": []},
            "limit": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        loaded = catalogue.load(Path(params["catalogue"]))
        selected = loaded.select(params["tags"], params["skip_tags"])
    except catalogue.CatalogueError as error:
        module.fail_json(msg=str(error))
    now = datetime.now(timezone.utc)
    module.exit_json(
        changed=False,
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        limits=limits(module.check_mode, params["tags"], params["skip_tags"], params["limit"]),
        policies=[{"id": p.id, "policy": p.policy, "role": p.role, "groups": p.groups} for p in selected],
        variables=[source.variable for policy in selected for source in policy.sources],
    )


if __name__ == "__main__":
    main()
