"""Faults of A08, Observability Rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import requests
import yaml

from labkit.bench import Bench
from tests.violations import Violation, file_violation

REPOSITORY = frozenset({"alerts.rules_healthy"})
"""Whatever is changed in the loaded rules differs from the repository's, too."""


def rules_violation(
    id: str, check: str, about: str, edit: Callable[[bytes], bytes], also: frozenset[str] = REPOSITORY
) -> Violation:
    """Rules that were edited where Prometheus reads them."""
    return file_violation(
        id,
        check,
        about,
        file=lambda bench: bench.path("prometheus", "rules", "atom.yml"),
        edit=edit,
        then=lambda bench: bench.reload_prometheus(),
        also=also,
    )


def null_receiver(data: bytes) -> bytes:
    configuration: dict[str, Any] = yaml.safe_load(data)
    configuration["receivers"].append({"name": "nobody"})
    configuration["route"]["routes"].append({"receiver": "nobody", "matchers": ['alertname="AtomWorkflowFailed"']})
    return yaml.safe_dump(configuration, sort_keys=False).encode()


def forget_the_end(data: bytes) -> bytes:
    return data.replace(b"send_resolved: true", b"send_resolved: false")


def wrong_path(data: bytes) -> bytes:
    configuration: dict[str, Any] = yaml.safe_load(data)
    for job in configuration["scrape_configs"]:
        if job["job_name"] == "alertmanager":
            job["metrics_path"] = "/nope"
    return yaml.safe_dump(configuration, sort_keys=False).encode()


def wait_for_scrape(bench: Bench) -> None:
    """Until every target was scraped with the configuration that is loaded now."""
    bench.reload_prometheus()
    url = bench.connections["prometheus"]["url"] + "/api/v1/targets?state=active"

    def scraped() -> bool:
        targets = requests.get(url, timeout=5).json()["data"]["activeTargets"]
        return all(target["health"] != "unknown" for target in targets)

    bench.wait("a scrape of every target", scraped)


def silence(bench: Bench) -> None:
    now = datetime.now(timezone.utc)
    body = {
        "matchers": [{"name": "alertname", "value": "AtomBackupStale", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=2)).isoformat(),
        "createdBy": "somebody",
        "comment": "too loud",
    }
    answer = requests.post(bench.connections["alertmanager"]["url"] + "/api/v2/silences", json=body, timeout=5)
    answer.raise_for_status()
    bench.state["silence"] = answer.json()["silenceID"]


def unsilence(bench: Bench) -> None:
    if "silence" in bench.state:
        url = f"{bench.connections['alertmanager']['url']}/api/v2/silence/{bench.state['silence']}"
        requests.delete(url, timeout=5)


VIOLATIONS = [
    rules_violation(
        "rule-edited-in-place",
        "alerts.rules_healthy",
        "An alert's threshold was raised where Prometheus reads it",
        lambda data: data.replace(b"> 300", b"> 300000"),
        also=frozenset(),
    ),
    rules_violation(
        "alert-without-metric",
        "alerts.required_present",
        "An alert looks at a metric that does not exist",
        lambda data: data.replace(b"atom_export_last_success", b"atom_exports_last_success"),
    ),
    rules_violation(
        "alert-without-severity",
        "alerts.required_present",
        "An alert's severity means nothing",
        lambda data: data.replace(b"severity: warning", b"severity: whatever"),
    ),
    rules_violation(
        "watchdog-asleep",
        "alerts.watchdog",
        "The watchdog no longer fires",
        lambda data: data.replace(b"vector(1)", b"vector(1) > 2"),
    ),
    file_violation(
        "target-misconfigured",
        "alerts.targets_up",
        "A target is scraped at a path that is not there",
        file=lambda bench: bench.path("prometheus", "prometheus.yml"),
        edit=wrong_path,
        then=wait_for_scrape,
    ),
    Violation(
        "alert-silenced",
        "alerts.routed",
        "A required alert is silenced",
        silence,
        unsilence,
    ),
    file_violation(
        "alert-routed-to-nobody",
        "alerts.delivered",
        "The alert of failed workflows goes to a receiver that tells nobody",
        file=lambda bench: bench.path("alertmanager", "alertmanager.yml"),
        edit=null_receiver,
        then=lambda bench: bench.reload_alertmanager(),
        also=frozenset({"alerts.routed"}),
    ),
    file_violation(
        "end-not-told",
        "alerts.resolves",
        "The receiver is not told when an alert is over",
        file=lambda bench: bench.path("alertmanager", "alertmanager.yml"),
        edit=forget_the_end,
        then=lambda bench: bench.reload_alertmanager(),
    ),
    rules_violation(
        "alert-too-patient",
        "alerts.fires",
        "The alert of failed workflows waits ten minutes",
        lambda data: data.replace(b"for: 1s", b"for: 10m", 1),
    ),
]
