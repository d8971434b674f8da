#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: alert_routing
short_description: Judge whether required alerts would reach somebody
description:
  - Reads the configuration that Alertmanager runs with, its silences, and whether Prometheus sends to it.
options:
  required_alerts:
    description: Names of the alerts that must reach somebody.
    type: list
    elements: str
  watchdog:
    description: Name of the alert that always fires; what it inhibits is never told.
    type: str
    default: Watchdog
extends_documentation_fragment: [audit, prometheus, alertmanager]
"""

EXAMPLES = r"""
- name: Examine the routing of alerts
  alert_routing:
    audit: "{{ audit_context }}"
    prometheus_url: https://prometheus.example.com
    alertmanager_url: https://alertmanager.example.com
    required_alerts: [WorkflowFailed, BackupStale]
  register: observability_routing_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import time
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import ALERTMANAGER, AUDIT, PROMETHEUS
from ..module_utils.prometheus import Alertmanager, Prometheus, matches, receivers
from ..module_utils.result import Verdict, failed, judge_each
from ..module_utils.unanswerable import Unanswerable

DISCOVERY_S = 12.0
"""Longer than Prometheus' discovery waits before it hands on what it found (5 s)."""
POLL_S = 0.5
CHECKS = Checks(passive=("alerts.routed",))


def examine(audit: Audit) -> None:
    audit.check("alerts.routed", ask_routed, audit)


def ask_routed(audit: Audit) -> Verdict:
    """What each required alert would look like, and where Alertmanager would send it."""
    params = audit.params
    url, sender, required = audit.require("alertmanager_url", "prometheus_url", "required_alerts")
    alertmanager = Alertmanager(url, token=params["alertmanager_token"], cacert=params["alertmanager_cacert"])
    configuration, silences = alertmanager.configuration(), alertmanager.silences()
    prometheus = Prometheus(sender, token=params["prometheus_token"], cacert=params["prometheus_cacert"])
    labels = {
        str(r["name"]): {**(r.get("labels") or {}), "alertname": str(r["name"])}
        for r in prometheus.rules()
        if r.get("type") == "alerting"
    }
    lacking = sorted(set(required) - set(labels))
    if lacking:
        raise Unanswerable(f"the alerts {', '.join(lacking)}: {prometheus.name} has no such rules")
    receiving = known_alertmanagers(prometheus, url, time.monotonic() + min(DISCOVERY_S, audit.remaining() - 1))
    if urlsplit(url).netloc not in receiving:
        return failed(f"Prometheus does not send its alerts to {url}", alertmanagers=receiving)
    return judge_routed(
        {name: labels[name] for name in required}, configuration, silences, labels.get(params["watchdog"], {})
    )


def known_alertmanagers(prometheus: Prometheus, url: str, give_up: float) -> list[str]:
    """Whom Prometheus sends its alerts to, by host and port. It knows nobody for some seconds after it read its configuration."""
    while True:
        active = prometheus.api("alertmanagers").get("activeAlertmanagers") or []
        found = [urlsplit(str(one.get("url"))).netloc for one in active]
        if urlsplit(url).netloc in found or time.monotonic() > give_up:
            return found
        time.sleep(POLL_S)


def judge_routed(
    alerts: Mapping[str, Mapping[str, str]],
    configuration: Mapping[str, Any],
    silences: Collection[Mapping[str, Any]],
    watchdog: Mapping[str, str],
) -> Verdict:
    offenders, routes = {}, {}
    for name, labels in alerts.items():
        routes[name] = receivers(configuration["route"], labels)
        fault = routing_fault(labels, routes[name], configuration, silences, watchdog)
        if fault:
            offenders[name] = fault
    return judge_each(
        "required alerts",
        list(alerts),
        offenders,
        sound="reach a receiver that tells somebody",
        fault="reach nobody",
        receivers=routes,
        silences=[one.get("id") for one in silences],
    )


def routing_fault(
    labels: Mapping[str, str],
    reached: Collection[str],
    configuration: Mapping[str, Any],
    silences: Collection[Mapping[str, Any]],
    watchdog: Mapping[str, str],
) -> str | None:
    """Why nobody would hear of an alert with these labels."""
    for silence in silences:
        if matches({"matchers": silence.get("matchers")}, labels):
            return f"silenced by {silence.get('id')} of {silence.get('createdBy')}"
    for rule in configuration.get("inhibit_rules") or ():
        if watchdog and matches(rule, labels, "target_") and matches(rule, watchdog, "source_"):
            return "inhibited by the alert that always fires"
    known = {str(one.get("name")): one for one in configuration.get("receivers") or ()}
    for name in reached:
        if any(key.endswith("_configs") and value for key, value in known.get(name, {}).items()):
            return None
    return f"its receiver {', '.join(reached)} tells nobody"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **PROMETHEUS,
            **ALERTMANAGER,
            "required_alerts": {"type": "list", "elements": "str"},
            "watchdog": {"type": "str", "default": "Watchdog"},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
