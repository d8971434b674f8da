"""The audit log: every decision is one record, chained to the one before, first in PostgreSQL, then sealed in S3.

A record's ``hash`` is the SHA-256 of its RFC 8785 canonical JSON without ``hash`` itself; ``prev_hash`` is the hash of
the record before (64 zeros before the first). Sealed segments are S3 objects under ``log/``, one canonical record a
line, named by their first and last sequence numbers, under Object Lock; ``audit.segments`` anchors each by digest.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import rfc8785
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atom.database import Database, DependencyUnavailableError
from atom.settings import Settings

GENESIS = "0" * 64
SEGMENT_RECORDS = 500
TICK_S = 0.25
CHAIN_LOCK = 0x41544F4D
"""Key of the advisory lock that serialises appends: the chain has one end."""
COLUMNS = "seq, id, at, tenant, actor, action, subject, outcome, request_id, detail, prev_hash, hash"
log = logging.getLogger(__name__)


def append(
    cursor: Any,
    *,
    actor: str,
    action: str,
    subject: str,
    outcome: str,
    tenant: str | None = None,
    request_id: str | None = None,
    detail: dict[str, Any] | None = None,
    clock_ahead: timedelta = timedelta(0),
) -> None:
    """Add a record at the end of the chain, in the caller's transaction: no action without its record."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CHAIN_LOCK,))
    cursor.execute("SELECT seq, hash FROM audit.events ORDER BY seq DESC LIMIT 1")
    last = cursor.fetchone()
    record = {
        "seq": last["seq"] + 1 if last else 1,
        "id": str(uuid.uuid4()),
        "at": utc(datetime.now(timezone.utc) + clock_ahead),
        "tenant": tenant,
        "actor": actor,
        "action": action,
        "subject": subject,
        "outcome": outcome,
        "request_id": request_id,
        "detail": detail or {},
        "prev_hash": last["hash"] if last else GENESIS,
    }
    record["hash"] = hashlib.sha256(rfc8785.dumps(record)).hexdigest()
    stored = {**record, "detail": rfc8785.dumps(record["detail"]).decode()}
    cursor.execute(
        f"INSERT INTO audit.events ({COLUMNS}) VALUES (%(seq)s, %(id)s, %(at)s, %(tenant)s, %(actor)s, %(action)s,"  # noqa: S608
        " %(subject)s, %(outcome)s, %(request_id)s, %(detail)s, %(prev_hash)s, %(hash)s)",
        stored,
    )


def events(
    cursor: Any, *, after: int = 0, request_id: str | None = None, limit: int = SEGMENT_RECORDS
) -> list[dict[str, Any]]:
    """Records in order, as they were chained; ``request_id`` selects by prefix."""
    cursor.execute(
        f"SELECT {COLUMNS} FROM audit.events WHERE seq > %s"  # noqa: S608
        " AND (%s::text IS NULL OR starts_with(request_id, %s)) ORDER BY seq LIMIT %s",
        (after, request_id, request_id, limit),
    )
    return [{**row, "id": str(row["id"]), "at": utc(row["at"])} for row in map(dict, cursor.fetchall())]


def utc(moment: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def s3_client(settings: Settings, access_key: str, secret_key: str) -> Any:
    """An S3 client with explicit credentials and bounded waits."""
    return boto3.client(
        "s3",
        endpoint_url=settings["s3.endpoint"],
        region_name=settings["s3.region"],
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )


class Sealer(threading.Thread):
    """Ships new records to the object store in the background; an outage only delays it."""

    def __init__(self, settings: Settings, database: Database, store: Callable[[], Any]) -> None:
        super().__init__(name="sealer", daemon=True)
        self._settings, self._database, self._store = settings, database, store
        self._client: Any = None
        self._begun: list[dict[str, Any]] = []
        self.last_sealed = 0.0
        self.stopping = threading.Event()

    def run(self) -> None:
        sealed = 0.0
        while not self.stopping.wait(TICK_S):
            if time.monotonic() - sealed < self._settings["audit_log.seal_interval_s"]:
                continue
            sealed = time.monotonic()
            try:
                while self.seal():
                    pass
                self.last_sealed = datetime.now(timezone.utc).timestamp()
            except (DependencyUnavailableError, BotoCoreError, ClientError) as error:
                log.warning("sealing is delayed: %s", type(error).__name__)
            except Exception:  # a sealer that died would be noticed too late
                log.exception("sealing failed and is tried again")

    def seal(self) -> bool:
        """Seal one segment of what is not sealed yet; whether there was any.

        A segment that may have reached the store but not the anchor is finished first, with the same bytes under the
        same key: one with more records would overlap it, and nothing can be taken back from the store.
        """
        with self._database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CHAIN_LOCK + 1,))
            cursor.execute("SELECT coalesce(max(last_seq), 0) AS sealed FROM audit.segments")
            sealed = cursor.fetchone()["sealed"]
            if not self._begun or self._begun[0]["seq"] != sealed + 1:
                self._begun = events(cursor, after=sealed)
            if not self._begun:
                return False
            records = self._begun
            body = b"".join(rfc8785.dumps(record) + b"\n" for record in records)
            first, last = records[0]["seq"], records[-1]["seq"]
            key = f"log/{first:012}-{last:012}.jsonl"
            self._client = self._client or self._store()
            answer = self._client.put_object(
                Bucket=self._settings["s3.audit_bucket"], Key=key, Body=body, ContentType="application/x-ndjson"
            )
            cursor.execute(
                "INSERT INTO audit.segments (object_key, first_seq, last_seq, head_hash, sha256, version_id)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (key, first, last, records[-1]["hash"], hashlib.sha256(body).hexdigest(), answer.get("VersionId")),
            )
        self._begun = []
        return True
