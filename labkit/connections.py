"""What the lab tells others: ``connections.json`` for its administrator, ``auditor.yml`` for the auditor.

Both leave out what belongs to a part the lab has to do without.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from labkit import image_registry, monitoring, openbao, postgres, seaweedfs, services
from labkit.files import write_private
from labkit.lab import Lab

Facts = Callable[[Lab], dict[str, Any]]


def file(folder: Path) -> Path:
    """Written last, so its presence says that the lab was once up."""
    return folder / "connections.json"


def write(lab: Lab) -> None:
    """Write both files; of each part's facts only when the part is there."""
    missing = lab.missing
    keys = lab.path("keys")
    handed: dict[str, Any] = {
        "cosign_trusted_keys": [str(path) for path in sorted((keys / "trusted").iterdir())],
        "cosign_revoked_keys": [str(path) for path in sorted((keys / "revoked").iterdir())],
        "workflow_registry_probe_key": str(keys / "probe.key"),
        "revoked_probe_key": str(keys / "revoked.key"),
        "ci_repository": str(lab.path("ci-repo")),
        "backup_dir": str(lab.path("backups")),
        "crontab": str(lab.path("etc", "cron.d", "atom")),
        "packages_dir": str(lab.path("packages")),
        "scratch_dir": str(lab.path("scratch")),
    }
    for part, facts in AUDITOR.items():
        if part not in missing:
            handed |= facts(lab)
    write_private(lab.path("auditor.yml"), yaml.safe_dump(handed, sort_keys=False, width=1000))
    known = {section: facts(lab) for part, (section, facts) in ADMINISTRATOR.items() if part not in missing}
    write_private(
        file(lab.folder),
        json.dumps({"lab_dir": str(lab.folder), **known, "pids": lab.pids(), "missing": missing}, indent=1),
    )


def refresh_pids(lab: Lab) -> None:
    """After a restart the pids are others."""
    known = json.loads(file(lab.folder).read_text())
    write_private(file(lab.folder), json.dumps({**known, "pids": lab.pids()}, indent=1))


def _cacert(lab: Lab) -> str:
    return str(lab.path("tls", "ca.pem"))


AUDITOR: dict[str, Facts] = {
    "registry": lambda lab: {
        "workflow_registry_url": services.url(lab, services.Registry),
        "workflow_registry_token": lab.secret("registry_auditor"),
        "workflow_registry_publisher_token": lab.secret("registry_audit-publisher"),
        "workflow_registry_approver_token": lab.secret("registry_audit-approver"),
    },
    "openbao": lambda lab: {
        "vault_addr": openbao.address(lab),
        "vault_cacert": _cacert(lab),
        "vault_token": lab.secret("vault_token_auditor"),
        "vault_audit_log": str(lab.path("openbao", "audit.log")),
    },
    "postgres": lambda lab: {
        "postgres_dsn": postgres.dsn(lab, "auditor"),
        "postgres_app_dsn": postgres.dsn(lab, "atom_app"),
        "postgres_restore_dsn": postgres.dsn(lab, "auditor_restore"),
        "postgres_bin": str(postgres.PROGRAMS),
    },
    "seaweedfs": lambda lab: {
        "s3_endpoint": seaweedfs.endpoint(lab),
        "s3_access_key": seaweedfs.access_key("auditor"),
        "s3_secret_key": lab.secret("s3_auditor"),
        "s3_writer_access_key": seaweedfs.access_key("writer"),
        "s3_writer_secret_key": lab.secret("s3_writer"),
        "audit_bucket": seaweedfs.AUDIT_BUCKET,
        "export_bucket": seaweedfs.EXPORT_BUCKET,
    },
    "prometheus": lambda lab: {
        "prometheus_url": monitoring.prometheus_url(lab),
        "rules_file": str(lab.path("prometheus", "rules", "atom.yml")),
    },
    "alertmanager": lambda lab: {"alertmanager_url": monitoring.alertmanager_url(lab)},
    "pager": lambda lab: {"pager_url": services.url(lab, services.Pager), "pager_token": lab.secret("pager_reader")},
    "image_registry": lambda lab: {
        "image_registry_url": image_registry.url(lab),
        "deployed_images": image_registry.deployed(lab),
    },
    "admission": lambda lab: {
        "admission_url": f"{services.url(lab, services.Admission)}/validate",
        "admission_cacert": _cacert(lab),
    },
    "backup": lambda lab: {"backup_command": services.job_command(lab, "backup")},
    "exporter": lambda lab: {"export_command": services.job_command(lab, "exporter")},
}
"""By part: what it lets the auditor reach, with the auditor's own rights."""

ADMINISTRATOR: dict[str, tuple[str, Facts]] = {
    "postgres": (
        "postgres",
        lambda lab: {"admin_dsn": postgres.dsn(lab, "postgres"), "app_dsn": postgres.dsn(lab, "atom_app")},
    ),
    "openbao": (
        "vault",
        lambda lab: {
            "addr": openbao.address(lab),
            "cacert": _cacert(lab),
            "root_token": lab.secret("vault_token_lab-admin"),
            "unseal_key": lab.secret("vault_unseal_key"),
        },
    ),
    "seaweedfs": (
        "s3",
        lambda lab: {
            "endpoint": seaweedfs.endpoint(lab),
            "access_key": seaweedfs.access_key("admin"),
            "secret_key": lab.secret("s3_admin"),
            "audit_bucket": seaweedfs.AUDIT_BUCKET,
            "export_bucket": seaweedfs.EXPORT_BUCKET,
        },
    ),
    "prometheus": ("prometheus", lambda lab: {"url": monitoring.prometheus_url(lab)}),
    "alertmanager": ("alertmanager", lambda lab: {"url": monitoring.alertmanager_url(lab)}),
    "image_registry": ("image_registry", lambda lab: {"url": image_registry.url(lab)}),
    "registry": (
        "registry",
        lambda lab: {
            "url": services.url(lab, services.Registry),
            "admin_token": lab.secret("registry_lab-admin"),
        },
    ),
    "admission": ("admission", lambda lab: {"url": services.url(lab, services.Admission), "cacert": _cacert(lab)}),
    "pager": (
        "pager",
        lambda lab: {
            "url": services.url(lab, services.Pager),
            "token": lab.secret("pager_reader"),
            "webhook_token": lab.secret("pager_webhook"),
        },
    ),
}
"""By part: its section, and what its administrator needs."""
