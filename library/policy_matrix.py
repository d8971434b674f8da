#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: policy_matrix
short_description: Join what was asked with what was answered
description:
  - Joins the catalogue, the hosts of each environment and their registered results into one document per environment.
  - A check that did not run, was skipped, failed, came from an unreachable host, or broke the result contract is BLOCKED.
options:
  catalogue:
    description: Path of the catalogue.
    type: path
    required: true
  run:
    description: What C(audit_run) returned.
    type: dict
    required: true
  environments:
    description: Names of the environments to report; one without any host has every row BLOCKED.
    type: list
    elements: str
    required: true
  hosts:
    description: Host name to its C(environment), C(groups) and C(results), the registered results by variable.
    type: dict
    required: true
extends_documentation_fragment: report
"""

EXAMPLES = r"""
- name: Join catalogue, hosts and answers
  policy_matrix:
    catalogue: policies/phase_a.yml
    run: "{{ audit_run }}"
    environments: "{{ ansible_inventory_sources | environments_of(hostvars) }}"
    hosts: "{{ hostvars | audited_hosts(audit_run.variables) }}"
  register: policy_matrix
"""

RETURN = r"""
documents:
  description: One document per environment, with every check's words and evidence for the reports.
  returned: success
  type: list
  elements: dict
matrices:
  description: The published matrix of each document, in the same order (docs/PhaseA_PolicyMatrix.schema.json).
  returned: success
  type: list
  elements: dict
files: {description: Every file of a report; the matrix's own come first., returned: success, type: list, elements: str}
rejections:
  description: Why each environment that is not accepted is not; empty when the run is accepted.
  returned: success
  type: list
  elements: str
"""

from datetime import datetime, timezone
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import catalogue, matrix


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "catalogue": {"type": "path", "required": True},
            "run": {"type": "dict", "required": True},
            "environments": {"type": "list", "elements": "str", "required": True},
            "hosts": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params["run"]
    try:
        loaded = catalogue.load(Path(module.params["catalogue"]))
    except catalogue.CatalogueError as error:
        module.fail_json(msg=str(error))
    run = matrix.Run(
        id=given["run_id"],
        started_at=given["started_at"],
        finished_at=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        limits=tuple(given["limits"]),
        selected=frozenset(policy["id"] for policy in given["policies"]),
    )
    hosts = [
        matrix.Host(name, host["environment"], frozenset(host["groups"]), host["results"])
        for name, host in sorted(module.params["hosts"].items())
    ]
    documents = [matrix.join(loaded, run, environment, hosts) for environment in module.params["environments"]]
    module.exit_json(
        changed=False,
        documents=documents,
        matrices=[matrix.matrix(document) for document in documents],
        files=[*matrix.FILES, *loaded.files],
        rejections=matrix.rejections(documents),
    )


if __name__ == "__main__":
    main()
