"""Prometheus and Alertmanager: fast scrapes, the repository's own rules, every alert to the pager."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import yaml

from labkit import debian
from labkit.files import ROOT, write_private
from labkit.lab import Lab
from labkit.part import Part, answers
from labkit.process import Command

PACKAGE = "prometheus-alertmanager"
TEMPLATES = b"/usr/share/prometheus/alertmanager"
RULES = ROOT / "atom" / "monitoring" / "atom.rules.yml"


class Prometheus(Part):
    """Scrapes and evaluates every second."""

    name = "prometheus"
    ports: ClassVar = ("prometheus",)

    def obtain(self, lab: Lab) -> None:  # noqa: ARG002
        debian.program("prometheus", "prometheus")

    def configure(self, lab: Lab) -> None:
        home = lab.path("prometheus")
        (home / "rules").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        if RULES.exists():
            shutil.copyfile(RULES, home / "rules" / "atom.yml")
        write_private(home / "prometheus.yml", yaml.safe_dump(self._configuration(lab), sort_keys=False))

    def command(self, lab: Lab) -> Command:
        home = lab.path("prometheus")
        return Command(
            (
                str(debian.program("prometheus", "prometheus")),
                f"--config.file={home / 'prometheus.yml'}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address={lab.address('prometheus')}",
                "--web.enable-lifecycle",
                "--rules.alert.resend-delay=2s",  # of a minute; what Alertmanager missed reaches it soon
                "--log.level=warn",
            ),
            cwd=home,
        )

    def ready(self, lab: Lab) -> bool:
        return answers(f"{prometheus_url(lab)}/-/ready")

    def _configuration(self, lab: Lab) -> dict[str, Any]:
        def job(name: str, listener: str, **options: object) -> dict[str, Any]:
            return {"job_name": name, **options, "static_configs": [{"targets": [lab.address(listener)]}]}

        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules/*.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [lab.address("alertmanager")]}]}]},
            "scrape_configs": [
                job("atom-registry", "registry"),
                job("prometheus", "prometheus"),
                job("alertmanager", "alertmanager"),
                job(
                    "openbao",
                    "openbao",
                    scheme="https",
                    metrics_path="/v1/sys/metrics",
                    params={"format": ["prometheus"]},
                    tls_config={"ca_file": str(lab.path("tls", "ca.pem"))},
                ),
            ],
        }


class Alertmanager(Part):
    """Routes everything to the pager, the watchdog by a way of its own."""

    name = "alertmanager"
    ports: ClassVar = ("alertmanager",)
    secrets: ClassVar = ("pager_webhook",)

    def obtain(self, lab: Lab) -> None:  # noqa: ARG002
        _relocated()

    def configure(self, lab: Lab) -> None:
        home = lab.path("alertmanager")
        home.mkdir(mode=0o700)
        write_private(home / "webhook-token", lab.secret("pager_webhook"))
        webhook = {
            "url": f"http://{lab.address('pager')}/webhook",
            "send_resolved": True,
            "http_config": {"authorization": {"credentials_file": str(home / "webhook-token")}},
        }
        configuration = {
            "route": {
                "receiver": "pager",
                "group_by": ["alertname", "tenant"],
                "group_wait": "1s",
                "group_interval": "1s",
                "repeat_interval": "1h",
                "routes": [{"receiver": "watchdog", "matchers": ['alertname="Watchdog"'], "repeat_interval": "1m"}],
            },
            "receivers": [
                {"name": "pager", "webhook_configs": [webhook]},
                {"name": "watchdog", "webhook_configs": [webhook]},
            ],
        }
        write_private(home / "alertmanager.yml", yaml.safe_dump(configuration, sort_keys=False))

    def command(self, lab: Lab) -> Command:
        home = lab.path("alertmanager")
        return Command(
            (
                str(_relocated()),
                f"--config.file={home / 'alertmanager.yml'}",
                f"--storage.path={home / 'data'}",
                f"--web.listen-address={lab.address('alertmanager')}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ),
            cwd=debian.unpacked(PACKAGE) / "usr" / "share" / "prometheus" / "alertmanager",
        )

    def ready(self, lab: Lab) -> bool:
        return answers(f"{alertmanager_url(lab)}/-/ready")


def _relocated() -> Path:
    """Alertmanager, looking for its templates in its working directory.

    Debian's build reads them from a fixed folder under /usr/share, which only an installed package has. A path of the
    same length takes its place in a copy of the program.
    """
    program = debian.program(PACKAGE, PACKAGE)
    copy = program.with_name("alertmanager-relocated")
    if not copy.exists():
        code = program.read_bytes().replace(TEMPLATES, b"/proc/self/cwd".ljust(len(TEMPLATES), b"/"))
        write_private(copy, code, mode=0o755)
    return copy


def prometheus_url(lab: Lab) -> str:
    """Its base URL."""
    return f"http://{lab.address('prometheus')}"


def alertmanager_url(lab: Lab) -> str:
    """Its base URL."""
    return f"http://{lab.address('alertmanager')}"
