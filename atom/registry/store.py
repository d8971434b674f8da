"""The registry's SQL. Every function works in the caller's transaction, which sees one tenant's rows."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from atom.packages import Package

CURRENT = """
    SELECT w.id, w.name, w.tenant_id, v.version, v.author, v.digest, v.declared_mode, v.schedule, v.content,
           v.signature, v.signer, v.uploaded_at
    FROM atom.workflows w
    JOIN LATERAL (SELECT * FROM atom.workflow_versions WHERE workflow_id = w.id ORDER BY id DESC LIMIT 1) v ON true
"""


def tenants(cursor: Any) -> dict[str, str]:
    """Tenant name to id."""
    cursor.execute("SELECT name, id FROM atom.tenants")
    return {row["name"]: str(row["id"]) for row in cursor.fetchall()}


def tenant_of(cursor: Any, workflow_id: str) -> str | None:
    """The tenant a workflow belongs to, if there is such a workflow."""
    cursor.execute("SELECT tenant FROM atom.workflow_index WHERE workflow_id::text = %s", (workflow_id,))
    row = cursor.fetchone()
    return row["tenant"] if row else None


def index(cursor: Any, *, visible: list[str] | None, after: str, limit: int) -> list[dict[str, Any]]:
    """A page of workflow ids with their tenants, in order; ``visible`` None shows every tenant's."""
    cursor.execute(
        "SELECT workflow_id::text AS id, tenant FROM atom.workflow_index"
        " WHERE workflow_id::text > %s AND (%s::text[] IS NULL OR tenant = ANY (%s))"
        " ORDER BY workflow_id::text LIMIT %s",
        (after, visible, visible, limit),
    )
    return list(cursor.fetchall())


def current(cursor: Any, workflow_id: str) -> dict[str, Any] | None:
    """A workflow with its newest version."""
    cursor.execute(f"{CURRENT} WHERE w.id = %s", (workflow_id,))
    row = cursor.fetchone()
    return dict(row) if row else None


def add_workflow(cursor: Any, tenant: str, tenant_id: str, package: Package) -> str | None:
    """A new workflow without a version yet; its id, or None if the tenant has one of this name."""
    workflow_id = str(uuid.uuid4())
    cursor.execute(
        "INSERT INTO atom.workflows (id, tenant_id, name) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (workflow_id, tenant_id, package.name),
    )
    if cursor.rowcount == 0:
        return None
    cursor.execute("INSERT INTO atom.workflow_index VALUES (%s, %s)", (workflow_id, tenant))
    return workflow_id


def add_version(
    cursor: Any,
    tenant_id: str,
    workflow_id: str,
    package: Package,
    author: str,
    data: bytes,
    signature: str | None,
    signer: str | None,
) -> None:
    """A new version of a workflow, which is the present one from now on."""
    mode = package.declared_mode
    cursor.execute(
        "INSERT INTO atom.workflow_versions (tenant_id, workflow_id, version, author, digest, declared_mode, schedule,"
        " content, signature, signer) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(tenant_id, workflow_id, package.version, author, package.digest),
            *(None if mode is None else str(mode), package.schedule, data, signature, signer),
        ),
    )


def remove(cursor: Any, workflow_id: str) -> None:
    """A workflow and what hangs on it; its runs stay, as history does."""
    cursor.execute("DELETE FROM atom.workflows WHERE id = %s", (workflow_id,))
    cursor.execute("DELETE FROM atom.workflow_index WHERE workflow_id = %s", (workflow_id,))


def approval(cursor: Any, workflow_id: str) -> dict[str, Any] | None:
    """The newest approval, whether it holds or not."""
    cursor.execute(
        "SELECT approved_by, role, digest, approved_at, expires_at FROM atom.approvals WHERE workflow_id = %s"
        " ORDER BY id DESC LIMIT 1",
        (workflow_id,),
    )
    row = cursor.fetchone()
    return dict(row) if row else None


def add_approval(cursor: Any, tenant_id: str, workflow_id: str, digest: str, by: str, role: str, hours: float) -> None:
    """An approval of exactly this digest, for so many hours."""
    cursor.execute(
        "INSERT INTO atom.approvals (tenant_id, workflow_id, digest, approved_by, role, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (tenant_id, workflow_id, digest, by, role, datetime.now(timezone.utc) + timedelta(hours=hours)),
    )


def allowed_dry_run(cursor: Any, workflow_id: str, digest: str, hours: float) -> dict[str, Any] | None:
    """A dry-run of this digest, not too old, that found nothing to block."""
    cursor.execute(
        "SELECT id FROM atom.dry_runs WHERE workflow_id = %s AND digest = %s AND verdict = 'allowed'"
        " AND at > clock_timestamp() - %s * interval '1 hour' LIMIT 1",
        (workflow_id, digest, hours),
    )
    row = cursor.fetchone()
    return dict(row) if row else None


def add_dry_run(cursor: Any, tenant_id: str, workflow_id: str, digest: str, verdict: str) -> None:
    """That this digest was dry-run, and what came of it."""
    cursor.execute(
        "INSERT INTO atom.dry_runs (tenant_id, workflow_id, digest, verdict) VALUES (%s, %s, %s, %s)",
        (tenant_id, workflow_id, digest, verdict),
    )


def add_run(cursor: Any, tenant_id: str, workflow_id: str, digest: str, trigger: str) -> tuple[str, datetime]:
    """A run that is starting: its id and its start."""
    run_id, started = str(uuid.uuid4()), datetime.now(timezone.utc)
    cursor.execute(
        "INSERT INTO atom.workflow_runs (id, tenant_id, workflow_id, digest, trigger, status, started_at)"
        " VALUES (%s, %s, %s, %s, %s, 'running', %s)",
        (run_id, tenant_id, workflow_id, digest, trigger, started),
    )
    return run_id, started


def finish_run(
    cursor: Any, tenant_id: str, run_id: str, started: datetime, steps: list[dict[str, str]], reason: str | None
) -> None:
    """The end of a run, with what became of its steps; a reason means that it failed."""
    for position, step in enumerate(steps):
        cursor.execute(
            "INSERT INTO atom.run_steps (run_id, tenant_id, position, name, uses, status, detail)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (run_id, tenant_id, position, step["name"], step["uses"], step["status"], step["detail"]),
        )
    cursor.execute(
        "UPDATE atom.workflow_runs SET status = %s, reason = %s, finished_at = clock_timestamp()"
        " WHERE id = %s AND started_at = %s",
        ("failed" if reason else "succeeded", reason, run_id, started),
    )


def runs(cursor: Any, workflow_id: str) -> list[dict[str, Any]]:
    """A workflow's runs, newest first."""
    cursor.execute(
        "SELECT id::text AS run_id, status, trigger, digest, reason, started_at, finished_at FROM atom.workflow_runs"
        " WHERE workflow_id = %s ORDER BY started_at DESC LIMIT 200",
        (workflow_id,),
    )
    return [dict(row) for row in cursor.fetchall()]


def make_due(cursor: Any, tenant_id: str, workflow_id: str, request_id: str | None) -> None:
    """Put a workflow on the schedule for now."""
    cursor.execute(
        "INSERT INTO atom.schedules (workflow_id, tenant_id, due_at, request_id) VALUES (%s, %s, clock_timestamp(), %s)"
        " ON CONFLICT (workflow_id) DO UPDATE SET due_at = excluded.due_at, request_id = excluded.request_id",
        (workflow_id, tenant_id, request_id),
    )


def take_due(cursor: Any) -> list[dict[str, Any]]:
    """Take what is due off the schedule."""
    cursor.execute(
        "DELETE FROM atom.schedules WHERE due_at <= clock_timestamp() RETURNING workflow_id::text AS id, request_id"
    )
    return list(cursor.fetchall())
