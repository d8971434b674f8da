"""What each service finds in the secret broker under ``secret/atom/NAME``; settled before anything runs."""

from __future__ import annotations

import hashlib
import json

from labkit import seaweedfs
from labkit.lab import Lab

IDENTITIES = (
    ("lab-admin", "admin", ("*",)),
    ("auditor", "viewer", ("*",)),
    ("audit-publisher", "publisher", ("audit-probe",)),
    ("audit-approver", "admin", ("audit-probe",)),
)
"""Who may ask the workflow registry: name, role, tenants."""
TOKENS = tuple(f"registry_{name}" for name, _role, _tenants in IDENTITIES)


def of_services(lab: Lab) -> dict[str, dict[str, str]]:
    """The key-value pairs of every service that has a secret."""
    return {
        "registry": {
            **_database(lab, "atom_app"),
            **_store(lab, "writer"),
            "identities": json.dumps(
                [
                    {"name": name, "role": role, "tenants": tenants, "sha256": _sha256(lab.secret(f"registry_{name}"))}
                    for name, role, tenants in IDENTITIES
                ]
            ),
        },
        "exporter": {**_database(lab, "atom_etl"), **_store(lab, "exporter")},
        "backup": _database(lab, "atom_backup"),
        "pager": {
            "webhook_sha256": _sha256(lab.secret("pager_webhook")),
            "reader_sha256": _sha256(lab.secret("pager_reader")),
        },
    }


def _database(lab: Lab, login: str) -> dict[str, str]:
    return {"postgres_user": login, "postgres_password": lab.secret(f"postgres_{login}")}


def _store(lab: Lab, identity: str) -> dict[str, str]:
    return {"s3_access_key": seaweedfs.access_key(identity), "s3_secret_key": lab.secret(f"s3_{identity}")}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
