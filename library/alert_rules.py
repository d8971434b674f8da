#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: alert_rules
short_description: Judge the alerts that Prometheus evaluates
description:
  - Reads the live rules, their health and their latest evaluation, compares them with the repository's, and looks whether the required
    alerts mean something.
options:
  rules_files:
    description: The repository's rule files.
    type: list
    elements: path
  required_alerts:
    description: Names of the alerts that must be there.
    type: list
    elements: str
  severities:
    description: Values of the label C(severity) that mean something.
    type: list
    elements: str
    default: [critical, warning, page, high]
  max_for_s:
    description: How long an alert may wait before it fires, in seconds.
    type: float
    default: 900.0
  max_evaluation_age_s:
    description: How long ago a rule's latest evaluation may be, in seconds.
    type: float
    default: 180.0
  watchdog:
    description: Name of the alert that always fires.
    type: str
    default: Watchdog
  required_jobs:
    description: Scrape jobs that the alerts need, each with a target that is up; every job when empty.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [audit, prometheus]
"""

EXAMPLES = r"""
- name: Examine the alert rules
  alert_rules:
    audit: "{{ audit_context }}"
    prometheus_url: https://prometheus.example.com
    rules_files: [monitoring/app.rules.yml]
    required_alerts: [WorkflowFailed, BackupStale]
  register: observability_rule_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, PROMETHEUS
from ..module_utils.prometheus import Prometheus, repository_rules, seconds, selectors
from ..module_utils.result import Verdict, blocked, failed, judge_each, name_some, passed
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(passive=("alerts.rules_healthy", "alerts.required_present", "alerts.watchdog", "alerts.targets_up"))
Rule = Mapping[str, Any]
Target = Mapping[str, Any]
AWAY = re.compile(
    r"connection refused|deadline exceeded|no such host|no route|timeout|EOF|reset by peer", re.IGNORECASE
)
"""What Prometheus says of a target that does not answer at all."""
UNSCRAPED = "unknown"
"""The health of a target that Prometheus has not come to yet, as after its start."""
COMPARISON = re.compile(r"[<>]=?|==|!=")


def examine(audit: Audit) -> None:
    """Read the live rules once, and judge them from every side."""
    params = audit.params
    prometheus = Prometheus(
        audit.require("prometheus_url"), token=params["prometheus_token"], cacert=params["prometheus_cacert"]
    )
    targets = prometheus.targets()
    audit.check("alerts.targets_up", judge_targets, targets, params["required_jobs"])
    live = prometheus.rules()
    audit.check("alerts.watchdog", judge_watchdog, params["watchdog"], live)
    audit.check("alerts.rules_healthy", ask_healthy, audit, prometheus, live)
    audit.check("alerts.required_present", ask_required, audit, prometheus, live, targets)


def judge_targets(targets: Collection[Target], required: Collection[str]) -> Verdict:
    """One that does not answer is a system that is away, which blocks; one that answers something else is a fault."""
    ours = {_target(one): one for one in targets if not required or one["labels"].get("job") in required}
    faults = {
        name: str(one.get("lastError") or one.get("health")) for name, one in ours.items() if one.get("health") != "up"
    }
    away = {name: fault for name, fault in faults.items() if fault == UNSCRAPED or AWAY.search(fault)}
    offenders = {name: fault for name, fault in faults.items() if name not in away}
    offenders |= {job: "no target" for job in required if job not in {one["labels"].get("job") for one in targets}}
    if away and not offenders:
        named = name_some([f"{name} ({fault})" for name, fault in away.items()])
        return blocked(f"scrape targets that answer: {named}", targets=sorted(ours))
    return judge_each("scrape targets", list(ours), offenders, sound="are up", fault="are not up")


def judge_watchdog(name: str, live: Collection[Rule]) -> Verdict:
    """It fires always, so that its absence at the receiver says that alerting itself is broken."""
    rule = next((one for one in live if one.get("name") == name and one.get("type") == "alerting"), None)
    if rule is None:
        return failed(f"there is no alert {name}", rules=sorted(str(one.get("name")) for one in live))
    facts = {"state": rule.get("state"), "query": rule.get("query")}
    if rule.get("state") != "firing":
        return failed(f"the alert {name} is {rule.get('state')}, and must always fire", **facts)
    return passed(f"the alert {name} fires, as it always must", **facts)


def ask_healthy(audit: Audit, prometheus: Prometheus, live: Collection[Rule]) -> Verdict:
    wanted = repository_rules(audit.require("rules_files"))
    written = {_key(rule): _normal(rule, prometheus.formatted(str(rule["expr"]))) for rule in wanted}
    return judge_healthy(live, written, datetime.now(timezone.utc), audit.params["max_evaluation_age_s"])


def judge_healthy(
    live: Collection[Rule], written: Mapping[str, Mapping[str, Any]], now: datetime, max_age_s: float
) -> Verdict:
    """Loaded, healthy, evaluated just now, and equal to the repository's."""
    offenders, names = {}, []
    for rule in live:
        name = f"{rule['group']}/{rule.get('name')}"
        names.append(name)
        age = (now - _moment(str(rule.get("lastEvaluation")))).total_seconds()
        if rule.get("health") != "ok":
            offenders[name] = f"health {rule.get('health')}: {rule.get('lastError', '')}"
        elif age > max_age_s:
            offenders[name] = f"last evaluated {age:.0f} s ago"
        elif name not in written:
            offenders[name] = "not in the repository"
        else:
            running = _normal(rule, str(rule.get("query")))
            changed = sorted(key for key in running if running[key] != written[name][key])
            if changed:
                offenders[name] = f"{', '.join(changed)} differs from the repository"
    offenders |= dict.fromkeys(set(written) - set(names), "in the repository, not loaded")
    return judge_each(
        "rules",
        names,
        offenders,
        sound="are healthy, and as the repository has them",
        fault="are not as they should be",
    )


def ask_required(audit: Audit, prometheus: Prometheus, live: Collection[Rule], targets: Collection[Target]) -> Verdict:
    required = audit.require("required_alerts")
    rules = {str(rule["name"]): rule for rule in live if rule.get("type") == "alerting"}
    present = {name: rules[name] for name in required if name in rules}
    found = {s: prometheus.series(s) for rule in present.values() for s in selectors(str(rule["query"]))}
    away = [_target(one) for one in targets if one.get("health") != "up"]
    if away and not all(found.values()):
        dead = name_some([selector for selector, count in found.items() if not count])
        raise Unanswerable(f"the series {dead}: they are not there while scrape targets are down ({name_some(away)})")
    return judge_required(required, present, found, audit.params["severities"], audit.params["max_for_s"])


def judge_required(
    required: Collection[str],
    present: Mapping[str, Rule],
    series: Mapping[str, int],
    severities: Collection[str],
    max_for_s: float,
) -> Verdict:
    offenders = {}
    for name in required:
        fault = alert_fault(present[name], series, severities, max_for_s) if name in present else "does not exist"
        if fault:
            offenders[name] = fault
    return judge_each(
        "required alerts",
        list(required),
        offenders,
        sound="exist, and mean something",
        fault="do not exist, or mean nothing",
        queries={name: rule.get("query") for name, rule in present.items()},
        series=dict(series),
    )


def alert_fault(rule: Rule, series: Mapping[str, int], severities: Collection[str], max_for_s: float) -> str | None:
    """Why an alert could not wake anybody, or would not be understood."""
    query = str(rule.get("query"))
    dead = [one for one in selectors(query) if not series.get(one)]
    if dead:
        return f"no series of {', '.join(dead)}, so that it can never fire"
    if not COMPARISON.search(re.sub(r"\{[^}]*\}", "", query)):
        return "has no threshold"
    wait = seconds(rule.get("duration"))
    if not 0 < wait <= max_for_s:
        return f"waits {wait:g} s; more than 0, and at most {max_for_s:g}, is sensible"
    if (rule.get("labels") or {}).get("severity") not in severities:
        return f"severity {(rule.get('labels') or {}).get('severity')!r}"
    runbook = (rule.get("annotations") or {}).get("runbook_url", "")
    return None if re.match(r"https?://\S+\.\S+", runbook) else "no runbook_url"


def _key(rule: Rule) -> str:
    return f"{rule['group']}/{rule.get('alert') or rule.get('record')}"


def _normal(rule: Rule, expression: str) -> dict[str, Any]:
    """What makes two rules the same; a live one has ``duration``, a written one ``for``."""
    return {
        "expr": expression,
        "for": seconds(rule.get("duration", rule.get("for"))),
        "labels": dict(rule.get("labels") or {}),
        "annotations": dict(rule.get("annotations") or {}),
    }


def _target(target: Target) -> str:
    return f"{target['labels'].get('job')} {target['labels'].get('instance')}"


def _moment(text: str) -> datetime:
    """RFC 3339 with Go's nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **PROMETHEUS,
            "rules_files": {"type": "list", "elements": "path"},
            "required_alerts": {"type": "list", "elements": "str"},
            "severities": {"type": "list", "elements": "str", "default": ["critical", "warning", "page", "high"]},
            "max_for_s": {"type": "float", "default": 900.0},
            "max_evaluation_age_s": {"type": "float", "default": 180.0},
            "watchdog": {"type": "str", "default": "Watchdog"},
            "required_jobs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
