#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: ci_pipeline
short_description: Judge the workflows that build, sign, gate and deploy
description:
  - Reads a repository's GitHub Actions workflows as a graph of jobs, with rules of its own about the signing gate, and with zizmor about the rest.
options:
  repository:
    description: Checkout of the repository, on the host where this module runs.
    type: path
  deploy_pattern:
    description: Regular expression of the commands and actions that deploy.
    type: str
    default: \b(kubectl|helm|argocd|nomad)\s|\bdeploy\b
  audit_pattern:
    description: Regular expression of the command that runs this audit.
    type: str
    default: ansible-playbook\s+(\S+\s+)*audit\.yml|ansible-runner\s+run
extends_documentation_fragment: audit
"""

EXAMPLES = r"""
- name: Examine the pipelines
  ci_pipeline:
    audit: "{{ audit_context }}"
    repository: /srv/checkouts/platform
  register: cicd_gate_pipeline_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ci_rules import Workflow, gate_fault, load_workflows, signing_fault, skip_fault, workflow_files
from ..module_utils.crontab import longest_pause
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT
from ..module_utils.result import Verdict, blocked, failed, judge_each, passed
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(
    passive=(
        "cicd.images_signed_in_pipeline",
        "cicd.policy_gate",
        "cicd.weekly_audit",
        "cicd.actions_pinned",
        "cicd.permissions_minimal",
        "cicd.no_dangerous_triggers",
    ),
)
ZIZMOR = ("--offline", "--strict-collection", "--no-config", "--no-ignores", "--no-progress", "--format", "json")
ZIZMOR_RULES = {
    "cicd.actions_pinned": {
        "unpinned-uses",
        "ref-confusion",
        "impostor-commit",
        "unpinned-images",
        "stale-action-refs",
    },
    "cicd.permissions_minimal": {"excessive-permissions", "secrets-inherit", "overprovisioned-secrets", "artipacked"},
    "cicd.no_dangerous_triggers": {
        "dangerous-triggers",
        "template-injection",
        "github-env",
        "insecure-commands",
        "bot-conditions",
        "unsound-condition",
        "unsound-contains",
        "cache-poisoning",
        "hardcoded-container-credentials",
        "self-hosted-runner",
    },
}
"""Which of zizmor's audits answer which check: https://docs.zizmor.sh/audits/"""
WEEKLY = timedelta(days=7, hours=1)


def examine(audit: Audit) -> None:
    """The graph of jobs by rules of one's own; the rest by zizmor."""
    repository = Path(audit.require("repository"))
    workflows = load_workflows(repository)
    audit.check("cicd.images_signed_in_pipeline", judge_signing, workflows)
    audit.check("cicd.policy_gate", judge_gate, workflows, audit.params["deploy_pattern"])
    audit.check("cicd.weekly_audit", judge_weekly, workflows, audit.params["audit_pattern"])
    files = workflow_files(repository)
    findings = run_zizmor(files)
    for check_id, rules in ZIZMOR_RULES.items():
        audit.check(check_id, judge_findings, [path.name for path in files], findings, rules)


def run_zizmor(files: Collection[Path]) -> list[dict[str, str]]:
    """The findings of zizmor; each input must have been read, since it passes over what it cannot parse."""
    beside = Path(sys.executable).with_name("zizmor")
    program = str(beside) if beside.is_file() else shutil.which("zizmor")
    if program is None:
        raise Unanswerable("zizmor: not installed (pip install -r requirements.txt)")
    try:
        done = subprocess.run(
            [program, *ZIZMOR, *map(str, files)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
            env={"NO_COLOR": "1"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unanswerable(f"a zizmor that works: {type(error).__name__}") from None
    if done.returncode not in (0, 10, 11, 12, 13, 14):
        raise Unanswerable(f"a zizmor that works: it ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    read = sum(f"completed {path}" in done.stderr for path in files)
    if read != len(files):
        raise Unanswerable(f"workflows that zizmor can read: it read {read} of {len(files)}")
    return [
        {"rule": str(finding["ident"]), "file": _file(finding), "about": str(finding.get("desc", ""))}
        for finding in json.loads(done.stdout)
    ]


def _file(finding: Mapping[str, Any]) -> str:
    key = finding["locations"][0]["symbolic"]["key"]
    place = key.get("Local", {})
    return Path(str(place.get("verbatim_path") or place.get("given_path") or key)).name


def judge_findings(files: Collection[str], findings: Collection[Mapping[str, str]], rules: Collection[str]) -> Verdict:
    offenders: dict[str, str] = {}
    for finding in findings:
        if finding["rule"] in rules:
            known = offenders.get(finding["file"])
            offenders[finding["file"]] = f"{known}, {finding['rule']}" if known else finding["rule"]
    others = sorted(
        {finding["rule"] for finding in findings} - {rule for group in ZIZMOR_RULES.values() for rule in group}
    )
    return judge_each(
        "workflow files",
        files,
        offenders,
        sound="pass zizmor",
        fault="have findings of zizmor",
        rules=sorted(rules),
        findings_of_other_rules=others,
    )


def judge_signing(workflows: Collection[Workflow]) -> Verdict:
    pushing = [
        (workflow, job) for workflow in workflows for job in workflow.jobs.values() if job.pushes_at() is not None
    ]
    return judge_each(
        "jobs that push an image",
        [job.name for _workflow, job in pushing],
        {job.name: fault for workflow, job in pushing if (fault := signing_fault(workflow, job))},
        sound="have it signed, by digest",
        fault="do not have it soundly signed",
    )


def judge_gate(workflows: Collection[Workflow], deploy_pattern: str) -> Verdict:
    deploying = [
        (workflow, job, at)
        for workflow in workflows
        for job in workflow.jobs.values()
        if (at := job.deploys_at(deploy_pattern)) is not None
    ]
    return judge_each(
        "jobs that deploy",
        [job.name for _workflow, job, _at in deploying],
        {job.name: fault for workflow, job, at in deploying if (fault := gate_fault(workflow, job, at))},
        sound="need a gate that cannot be skipped",
        fault="can go around their gate",
    )


def judge_weekly(workflows: Collection[Workflow], audit_pattern: str) -> Verdict:
    """The audit itself comes due every week, and its exit code is the job's."""
    jobs = [
        (workflow, job, step)
        for workflow in workflows
        for job in workflow.jobs.values()
        for step in job.steps
        if re.search(audit_pattern, job.script(step))
    ]
    if not jobs:
        return failed("no workflow runs this audit", workflows=[workflow.name for workflow in workflows])
    faults = {}
    for workflow, job, step in jobs:
        schedules = [str(one.get("cron")) for one in workflow.triggers.get("schedule") or []]
        pauses = [longest_pause(schedule) for schedule in schedules]
        swallowed = skip_fault(job, step)
        if not pauses:
            faults[job.name] = "is not scheduled"
        elif min(pauses) > WEEKLY:
            faults[job.name] = f"comes due every {min(pauses)} ({', '.join(schedules)})"
        elif swallowed:
            faults[job.name] = swallowed
    names = [job.name for _workflow, job, _step in jobs]
    if len(faults) < len(set(names)):
        sound = sorted(set(names) - set(faults))
        return passed(f"{sound[0]} runs this audit every week, and its result gates", jobs=names, faults=faults)
    first = next(iter(faults.items()), None)
    if first is None:
        return blocked("a job that runs this audit")
    return failed(f"{first[0]} runs this audit, but {first[1]}", jobs=names, faults=faults)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            "repository": {"type": "path"},
            "deploy_pattern": {"type": "str", "default": r"\b(kubectl|helm|argocd|nomad)\s|\bdeploy\b"},
            "audit_pattern": {
                "type": "str",
                "default": r"ansible-playbook\s+(\S+\s+)*audit\.yml|ansible-runner\s+run",
            },
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
