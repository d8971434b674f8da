"""Fill a new environment through the platform's own operations: packages, approvals, dry-runs, runs, audit records."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

from atom import signing
from atom.database import Database
from atom.registry.identities import Identity
from atom.registry.service import Registry
from atom.settings import Settings

AUTHORS = {"acme": "dana@acme.example", "globex": "li@globex.example", "initech": "peter@initech.example"}
APPROVER = Identity("security-board", "admin", ("*",))
WORKFLOWS: tuple[tuple[str, str | None, str], ...] = (
    ("invoice-sync", "auto", "Invoices of the day"),
    ("usage-rollup", "auto", "Usage by hour, rolled up by day"),
    ("customer-digest", "manual", "Weekly digest to account owners"),
    ("ledger-check", None, "Balances compared with the bank's"),
    ("ticket-triage", "manual", "New tickets sorted by product"),
)
ROUNDS = 8


def seed(settings: Settings, database: Database, signing_key: Path, packages_dir: Path) -> None:
    """Upload and approve signed packages for each tenant, run them, and leave the files in ``packages_dir``."""
    registry = Registry(settings, database)
    chance = random.Random(20)  # noqa: S311 -- the same environment every time
    packages_dir.mkdir(parents=True, exist_ok=True)
    for tenant, author in AUTHORS.items():
        publisher = Identity(author, "publisher", (tenant,))
        for name, mode, about in WORKFLOWS:
            data = _package(tenant, author, name, mode, about).encode()
            signature = signing.sign(signing_key, data)
            file = packages_dir / f"{tenant}-{name}.wpk.yaml"
            file.write_bytes(data)
            file.with_name(f"{file.name}.sig").write_text(signature, encoding="ascii")
            request = f"seed/{tenant}/{name}"
            workflow = registry.upload(publisher, data, signature, request)
            if mode == "auto":
                registry.approve(APPROVER, workflow["id"], workflow["digest"], request)
            registry.dry_run(publisher, workflow["id"], data, request)
            for _ in range(chance.randint(2, ROUNDS)):
                registry.run(publisher, workflow["id"], "user", request)


def _package(tenant: str, author: str, name: str, mode: str | None, about: str) -> str:
    steps: list[dict[str, Any]] = [
        {"name": "announce", "uses": "core.log", "with": {"message": f"{about} ({tenant})"}},
        {"name": "window", "uses": "core.set", "with": {"window": "24h", "zone": "UTC"}},
        {
            "name": "work",
            "uses": "core.group",
            "steps": [
                {"name": "ready", "uses": "core.assert", "with": {"condition": True}},
                {"name": "done", "uses": "core.log", "with": {"message": "done"}},
            ],
        },
    ]
    spec: dict[str, Any] = {"schedule": "0 2 * * *", "steps": steps}
    if mode is not None:
        spec = {"mode": mode, **spec}
    document = {
        "apiVersion": "atom/v1",
        "kind": "WorkflowPackage",
        "metadata": {"name": name, "version": "1.0.0", "author": author, "tenant": tenant},
        "spec": spec,
    }
    return yaml.safe_dump(document, sort_keys=False)
