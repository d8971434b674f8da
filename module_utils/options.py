# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option that more than one module takes, defined once; ``doc_fragments/`` says the same to ``ansible-doc``.

A module composes its argument spec from these: ``{**AUDIT, **POSTGRES, "app_role": {...}}``. No connection option is
``required``: a missing one must end as a BLOCKED row that names it, not as an aborted task.
"""

from __future__ import annotations

from typing import Any

Spec = dict[str, dict[str, Any]]

AUDIT_OPTIONS: Spec = {
    "run_id": {"type": "str"},
    "role": {"type": "str"},
    "probes": {"type": "str", "choices": ["active", "passive"], "default": "active"},
    "deadline_s": {"type": "float", "default": 60.0},
}
AUDIT: Spec = {"audit": {"type": "dict", "options": AUDIT_OPTIONS}}

POSTGRES: Spec = {
    "postgres_dsn": {"type": "str", "no_log": True},
    "postgres_app_dsn": {"type": "str", "no_log": True},
    "postgres_restore_dsn": {"type": "str", "no_log": True},
    "postgres_bin": {"type": "path"},
}
VAULT: Spec = {
    "vault_addr": {"type": "str"},
    "vault_cacert": {"type": "path"},
    "vault_namespace": {"type": "str"},
    "vault_token": {"type": "str", "no_log": True},
}
WORKFLOW_REGISTRY: Spec = {
    "workflow_registry_url": {"type": "str"},
    "workflow_registry_cacert": {"type": "path"},
    "workflow_registry_token": {"type": "str", "no_log": True},
    "workflow_registry_publisher_token": {"type": "str", "no_log": True},
    "workflow_registry_approver_token": {"type": "str", "no_log": True},
    "workflow_registry_probe_tenant": {"type": "str", "default": "audit-probe"},
    "workflow_registry_probe_key": {"type": "path", "no_log": False},
}
S3: Spec = {
    "s3_endpoint": {"type": "str"},
    "s3_region": {"type": "str", "default": "us-east-1"},
    "s3_cacert": {"type": "path"},
    "s3_access_key": {"type": "str", "no_log": False},
    "s3_secret_key": {"type": "str", "no_log": True},
    "s3_writer_access_key": {"type": "str", "no_log": False},
    "s3_writer_secret_key": {"type": "str", "no_log": True},
}
PROMETHEUS: Spec = {
    "prometheus_url": {"type": "str"},
    "prometheus_cacert": {"type": "path"},
    "prometheus_token": {"type": "str", "no_log": True},
}
ALERTMANAGER: Spec = {
    "alertmanager_url": {"type": "str"},
    "alertmanager_cacert": {"type": "path"},
    "alertmanager_token": {"type": "str", "no_log": True},
}
IMAGE_REGISTRY: Spec = {
    "image_registry_url": {"type": "str"},
    "image_registry_cacert": {"type": "path"},
    "image_registry_username": {"type": "str"},
    "image_registry_password": {"type": "str", "no_log": True},
}
ADMISSION: Spec = {
    "admission_url": {"type": "str"},
    "admission_cacert": {"type": "path"},
    "admission_token": {"type": "str", "no_log": True},
}
TENANCY: Spec = {
    "schemas": {"type": "list", "elements": "str"},
    "tenant_column": {"type": "str"},
    "app_role": {"type": "str"},
    "shared_tables": {"type": "list", "elements": "str", "default": []},
}

SHARED_OPTIONS: frozenset[str] = frozenset().union(
    POSTGRES, VAULT, WORKFLOW_REGISTRY, S3, PROMETHEUS, ALERTMANAGER, IMAGE_REGISTRY, ADMISSION
)
"""Options whose inventory variable has the same name; every other option's variable is ``<role>_<option>``."""
