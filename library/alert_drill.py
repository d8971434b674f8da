#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: alert_drill
short_description: Make a workflow fail, and see that somebody is told
description:
  - Runs a package of the audit's own that fails, in the tenant set aside for probes; waits until the alert fires, reaches the
    receiver, and clears again. The package is deleted.
  - Where an Alertmanager is given and does not answer, nothing is said of delivery.
options:
  alert:
    description: Name of the alert that must fire when a workflow fails.
    type: str
  labels:
    description: Labels by which the alert of the tenant set aside is known.
    type: dict
    default: {}
  pager_url:
    description: Base URL of the receiver, which answers C(GET /notifications?since=) with the notifications it got.
    type: str
  pager_token:
    description: Token that may read them.
    type: str
  fire_wait_s:
    description: How long after the failure the alert must fire.
    type: float
    default: 30.0
  deliver_wait_s:
    description: How long after it fires it must be delivered.
    type: float
    default: 30.0
  clear_wait_s:
    description: How long after it fires it must have cleared; also how long an earlier one is waited for.
    type: float
    default: 45.0
extends_documentation_fragment: [audit, prometheus, alertmanager, workflow_registry]
"""

EXAMPLES = r"""
- name: Make a workflow fail, and see that somebody is told
  alert_drill:
    audit: "{{ audit_context }}"
    prometheus_url: https://prometheus.example.com
    workflow_registry_url: https://registry.example.com/api
    alert: WorkflowFailed
    labels: {tenant: audit-probe}
    pager_url: https://pager.example.com
    workflow_registry_probe_key: keys/probe.key
  register: observability_drill_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.http import HttpClient
from ..module_utils.options import ALERTMANAGER, AUDIT, PROMETHEUS, WORKFLOW_REGISTRY
from ..module_utils.prometheus import Alertmanager, Prometheus
from ..module_utils.result import Outcome, Verdict, blocked, failed, passed
from ..module_utils.signatures import load_signer, sign
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import WorkflowRegistry, form, package, probe_name

CHECKS = Checks(active=("alerts.fires", "alerts.delivered", "alerts.resolves"))
POLL_S = 0.4
REGISTRY = ("workflow_registry_url", "workflow_registry_publisher_token", "workflow_registry_probe_key")
FAILING = [{"name": "fail", "uses": "core.assert", "with": {"condition": False}}]


@dataclass(frozen=True)
class Watch:
    """The alert of the tenant set aside: where it fires, and where it arrives."""

    prometheus: Prometheus
    alertmanager: Alertmanager | None
    pager: HttpClient
    labels: Mapping[str, str]

    def firing(self) -> bool:
        return any(one.get("state") == "firing" and self._ours(one.get("labels")) for one in self.prometheus.alerts())

    def told(self, since: str, status: str) -> bool:
        """Whether the receiver got the alert with that status since then."""
        answer = self.pager.get_json("/notifications", params={"since": since})
        if not isinstance(answer, dict) or not isinstance(answer.get("notifications"), list):
            raise Unanswerable(f"{self.pager.system}: 'notifications' in its answer")
        alerts = [alert for one in answer["notifications"] for alert in one.get("alerts") or ()]
        return any(alert.get("status") == status and self._ours(alert.get("labels")) for alert in alerts)

    def delivered(self, since: str, status: str) -> bool:
        """Whether the receiver was told; a delivery is only awaited while Alertmanager is there to make it."""
        if self.told(since, status):
            return True
        if self.alertmanager:
            self.alertmanager.status()
        return False

    def _ours(self, labels: Any) -> bool:
        return isinstance(labels, dict) and all(labels.get(name) == value for name, value in self.labels.items())


def examine(audit: Audit) -> None:
    """It does not fire; a workflow fails; it fires, arrives, and clears again."""
    audit.require_active()
    params = audit.params
    url, alert, pager, *_registry = audit.require("prometheus_url", "alert", "pager_url", *REGISTRY)
    prometheus = Prometheus(url, token=params["prometheus_token"], cacert=params["prometheus_cacert"])
    alertmanager = None
    if params["alertmanager_url"]:
        alertmanager = Alertmanager(
            params["alertmanager_url"], token=params["alertmanager_token"], cacert=params["alertmanager_cacert"]
        )
    with HttpClient("pager", pager, token=params["pager_token"]) as receiver:
        watch = Watch(prometheus, alertmanager, receiver, {"alertname": alert, **params["labels"]})
        since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        watch.told(since, "firing")  # a receiver that cannot be asked is known before anything fails
        quiet = wait(audit, params["clear_wait_s"], lambda: not watch.firing())
        if quiet is None:
            raise Unanswerable(
                f"a quiet beginning: {alert} was firing already, and did not clear in {params['clear_wait_s']:g} s"
            )
        run = fail_a_workflow(audit)
        fired = wait(audit, params["fire_wait_s"], watch.firing)
        audit.check(
            "alerts.fires", judge_wait, f"{alert} fires after a failed workflow", fired, params["fire_wait_s"], run
        )
        if fired is None:
            raise Unanswerable(f"an alert to follow: {alert} did not fire")
        delivered = wait(audit, params["deliver_wait_s"], lambda: watch.delivered(since, "firing"))
        audit.check(
            "alerts.delivered", judge_wait, f"{alert} reaches the receiver", delivered, params["deliver_wait_s"], run
        )
        cleared = wait(
            audit,
            params["clear_wait_s"],
            lambda: not watch.firing() and (delivered is None or watch.delivered(since, "resolved")),
        )
        audit.check(
            "alerts.resolves",
            judge_wait,
            f"{alert} clears, and the receiver is told",
            cleared,
            params["clear_wait_s"],
            run,
        )


def wait(audit: Audit, limit_s: float, until: Callable[[], bool]) -> float | None:
    """Seconds until it holds; None if it does not in time."""
    started = time.monotonic()
    limit_s = min(limit_s, audit.remaining() - 1)
    while (elapsed := time.monotonic() - started) < limit_s:
        if until():
            return elapsed
        time.sleep(POLL_S)
    return None


def fail_a_workflow(audit: Audit) -> dict[str, str]:
    """Publish a package that fails, run it, and delete it; what became of the run."""
    registry = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), "observability")
    key = load_signer(audit.require("workflow_registry_probe_key"))
    name = probe_name(audit, "alert")
    data = package(name, audit.params["workflow_registry_probe_tenant"], FAILING, mode="manual")
    try:
        attempt, workflow = registry.upload(data, sign(key, data))
        if attempt.outcome is not Outcome.ALLOWED:
            raise Unanswerable(f"{registry.name}: the right to publish: {attempt.reason} {attempt.detail}")
        path = f"/workflows/{workflow['id']}"
        registry.attempt("a dry-run", "POST", f"{path}/dry-run", files=form(data))
        attempt, run = registry.attempt("a run", "POST", f"{path}/runs", json={"trigger": "user"})
        if attempt.outcome is not Outcome.ALLOWED or run.get("status") != "failed":
            raise Unanswerable(f"{registry.name}: a run that fails: {attempt.reason} {run.get('status', '')}")
        return {"run": str(run.get("run_id")), "status": "failed"}
    finally:
        registry.sweep(name)


def judge_wait(what: str, seconds: float | None, limit_s: float, run: Mapping[str, str]) -> Verdict:
    facts = {"waited_s": None if seconds is None else round(seconds, 1), "limit_s": limit_s, **run}
    if run.get("status") != "failed":
        return blocked("a failed workflow to tell of", **facts)
    if seconds is None:
        return failed(f"not within {limit_s:g} s: {what}", **facts)
    return passed(f"{what}, within {seconds:.1f} s", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **PROMETHEUS,
            **ALERTMANAGER,
            **WORKFLOW_REGISTRY,
            "alert": {"type": "str"},
            "labels": {"type": "dict", "default": {}},
            "pager_url": {"type": "str"},
            "pager_token": {"type": "str", "no_log": True},
            "fire_wait_s": {"type": "float", "default": 30.0},
            "deliver_wait_s": {"type": "float", "default": 30.0},
            "clear_wait_s": {"type": "float", "default": 45.0},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
