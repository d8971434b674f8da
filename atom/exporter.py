"""``python -m atom.exporter --settings FILE``: workflow runs and audit records as JSONL, for training.

One object a tenant and kind for a closed window of time, then a manifest that makes the export complete:
``<prefix>/<from>_<to>/<tenant>-<kind>.jsonl`` and ``<prefix>/<from>_<to>/manifest.json``. Lines are RFC 8785 canonical
JSON sorted by time and id: the same window gives the same bytes again. Each tenant is read with its own row security.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import rfc8785

from atom import audit_log, credentials, jobs, server
from atom.database import Database
from atom.settings import Settings

KINDS = ("runs", "events")


class Exporter:
    """Exports windows of one database into one bucket."""

    def __init__(self, settings: Settings, database: Database, store: Any) -> None:
        self._settings, self._database, self._store = settings, database, store

    def export(self, start: datetime, end: datetime, prefix: str = "exports") -> str:
        """Export ``start <= at < end``; the key of the manifest, which is written last."""
        folder = f"{prefix}/{_stamp(start)}_{_stamp(end)}"
        with self._database.transaction() as cursor:
            cursor.execute("SELECT name, id::text AS id FROM atom.tenants ORDER BY name")
            tenants = {row["name"]: row["id"] for row in cursor.fetchall()}
        files = [
            self._write(f"{folder}/{tenant}-{kind}.jsonl", tenant, kind, self._lines(tenant, tenants, kind, start, end))
            for tenant in tenants
            for kind in KINDS
        ]
        manifest = {
            "schema_version": 1,
            "window": {"from": audit_log.utc(start), "to": audit_log.utc(end)},
            "created_at": audit_log.utc(datetime.now(timezone.utc)),
            "files": files,
        }
        self._put(f"{folder}/manifest.json", json.dumps(manifest, indent=1).encode())
        return f"{folder}/manifest.json"

    def _write(self, key: str, tenant: str, kind: str, records: Iterator[dict[str, Any]]) -> dict[str, Any]:
        lines = [rfc8785.dumps(record) + b"\n" for record in records]
        if self._settings.defective("export_drops_record"):
            lines = lines[:-1]
        body = b"".join(lines)
        self._put(key, body)
        digest = hashlib.sha256(body).hexdigest()
        return {"key": key, "tenant": tenant, "kind": kind, "records": len(lines), "sha256": digest}

    def _lines(
        self, tenant: str, tenants: dict[str, str], kind: str, start: datetime, end: datetime
    ) -> Iterator[dict[str, Any]]:
        own = [tenant] if not self._settings.defective("export_mixes_tenants") else list(tenants)
        read = self._runs if kind == "runs" else self._events
        for name in own:
            for record in read(name, tenants[name], start, end):
                if self._settings.defective("export_leaks_secret"):
                    record["detail"] = {"api_key": "AKIA" + "Q7XPL2MZ8RT4VW6N"}
                if self._settings.defective("export_not_reproducible"):
                    record["exported_at"] = audit_log.utc(datetime.now(timezone.utc))
                yield record

    def _runs(self, tenant: str, tenant_id: str, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        with self._database.transaction(tenant_id) as cursor:
            cursor.execute(
                "SELECT r.id::text, r.workflow_id::text, r.digest, r.trigger, r.status, r.reason, r.started_at,"
                " r.finished_at FROM atom.workflow_runs r"
                " WHERE r.finished_at >= %s AND r.finished_at < %s ORDER BY r.finished_at, r.id",
                (start, end),
            )
            for row in cursor.fetchall():
                times = {key: audit_log.utc(row.pop(key)) for key in ("started_at", "finished_at")}
                yield {"kind": "run", "tenant": tenant, "at": times["finished_at"], **times, **row}

    def _events(self, tenant: str, _tenant_id: str, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT seq, id::text, at, tenant, actor, action, subject, outcome, request_id, detail, prev_hash, hash"
                " FROM audit.events WHERE tenant = %s AND at >= %s AND at < %s ORDER BY at, id",
                (tenant, start, end),
            )
            for row in cursor.fetchall():
                yield {"kind": "event", **row, "at": audit_log.utc(row["at"])}

    def _put(self, key: str, body: bytes) -> None:
        self._store.put_object(Bucket=self._settings["s3.export_bucket"], Key=key, Body=body)


def settled(database: Database) -> datetime:
    """The present full second, as soon as every record of before is there: who appends one holds the chain's lock until then.

    Of a window that ended before that, a second reading could see more than the first.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (audit_log.CHAIN_LOCK,))
    return now


def _stamp(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text}: say the time zone, as in 2026-01-31T00:00:00+00:00")
    return moment


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a window of runs and audit records")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--from", dest="start", type=_moment, help="default: everything")
    parser.add_argument("--to", dest="end", type=_moment, help="default: the present full second")
    parser.add_argument("--prefix", default="exports", help="folder in the bucket")
    asked = parser.parse_args()
    settings = server.configure(asked.settings)
    secret = credentials.fetch(settings, "exporter")
    database = Database(**settings["postgresql"], user=secret["postgres_user"], password=secret["postgres_password"])
    store = audit_log.s3_client(settings, secret["s3_access_key"], secret["s3_secret_key"])
    start = asked.start or datetime(2020, 1, 1, tzinfo=timezone.utc)
    end = asked.end or settled(database)
    print(Exporter(settings, database, store).export(start, end, asked.prefix))  # noqa: T201
    if asked.prefix == "exports":
        jobs.note_success(settings, "export")


if __name__ == "__main__":
    main()
