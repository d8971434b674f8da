"""``python -m atom.registry --settings FILE``: the registry with its scheduler and its sealer."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette

from atom import audit_log, credentials, jobs, server
from atom.database import Database, DependencyUnavailableError
from atom.registry.app import Api
from atom.registry.identities import Identities
from atom.registry.service import Registry
from atom.settings import Settings

TICK_S = 0.5
log = logging.getLogger("atom.registry")


class Metrics:
    """What Prometheus scrapes. Every tenant and status is there from the start: an absent series alerts nobody."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = CollectorRegistry()
        self._runs = Counter("atom_workflow_runs_total", "Finished runs", ["tenant", "status"], registry=self._registry)
        self._events = Counter("atom_audit_events", "Audit records written", registry=self._registry)
        self._sealed = Gauge(
            "atom_audit_last_sealed_timestamp_seconds", "When the audit log was last sealed", registry=self._registry
        )
        self._jobs = {
            job: Gauge(
                f"atom_{job}_last_success_timestamp_seconds",
                f"When the {job} job last succeeded",
                registry=self._registry,
            )
            for job in ("backup", "export")
        }
        self.sealer: audit_log.Sealer | None = None

    def expect(self, tenants: list[str]) -> None:
        for tenant in tenants:
            for status in ("succeeded", "failed"):
                self._runs.labels(tenant, status)

    def on_run(self, tenant: str, status: str) -> None:
        self._runs.labels(tenant, status).inc()

    def on_event(self) -> None:
        self._events.inc()

    def render(self) -> bytes:
        self._sealed.set(self.sealer.last_sealed if self.sealer else 0)
        for job, gauge in self._jobs.items():
            gauge.set(jobs.last_success(self._settings, job))
        return generate_latest(self._registry)


def main() -> None:
    settings = server.settings_from_arguments("The workflow registry")
    secret = credentials.fetch(settings, "registry")
    database = Database(**settings["postgresql"], user=secret["postgres_user"], password=secret["postgres_password"])
    metrics = Metrics(settings)
    registry = Registry(settings, database, metrics.on_run, metrics.on_event)
    metrics.expect(list(registry.tenants))
    metrics.sealer = audit_log.Sealer(
        settings, database, lambda: audit_log.s3_client(settings, secret["s3_access_key"], secret["s3_secret_key"])
    )
    stopping = threading.Event()

    def schedule() -> None:
        while not stopping.wait(TICK_S):
            try:
                registry.tick()
            except DependencyUnavailableError as error:
                log.warning("the scheduler waits: %s", error)
            except Exception:  # one package must not stop every other one's schedule
                log.exception("the scheduler passes over what it was at")

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=schedule, name="scheduler", daemon=True).start()
        if metrics.sealer:
            metrics.sealer.start()
        yield
        stopping.set()

    api = Api(settings, registry, Identities(secret["identities"]), metrics.render)
    server.serve(settings, "registry", api.application(lifespan))


if __name__ == "__main__":
    main()
