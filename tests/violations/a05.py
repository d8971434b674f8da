"""Faults of A05, Audit Logging."""

from __future__ import annotations

from typing import Any

from labkit import seaweedfs
from labkit.bench import Bench
from tests.violations import Violation, defect_violation, setting_violation, sql_violation

LOCK = {"Mode": "COMPLIANCE", "Days": 400}


def default_retention(bench: Bench, **retention: Any) -> None:
    bench.s3.put_object_lock_configuration(
        Bucket=bench.connections["s3"]["audit_bucket"],
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )


def expire_log(bench: Bench) -> None:
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 30}}
    bucket = bench.connections["s3"]["audit_bucket"]
    bench.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def keep_log(bench: Bench) -> None:
    bench.s3.delete_bucket_lifecycle(Bucket=bench.connections["s3"]["audit_bucket"])


def let_writer_delete(bench: Bench) -> None:
    proper = seaweedfs.POLICIES["writer"]
    more = {"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": ["arn:aws:s3:::atom-audit/*"]}
    bench.s3_policy("writer", {**proper, "Statement": [*proper["Statement"], more]})


def hide_first_segment(bench: Bench) -> None:
    bucket = bench.connections["s3"]["audit_bucket"]
    first = bench.s3.list_objects_v2(Bucket=bucket, Prefix="log/", MaxKeys=1)["Contents"][0]["Key"]
    answer = bench.s3.delete_object(Bucket=bucket, Key=first)
    bench.state["marker"] = [first, answer["VersionId"]]


def show_first_segment(bench: Bench) -> None:
    if "marker" in bench.state:
        key, version = bench.state["marker"]
        bench.s3.delete_object(Bucket=bench.connections["s3"]["audit_bucket"], Key=key, VersionId=version)


TURN_ANCHOR = """
    SET session_replication_role = replica;
    UPDATE audit.segments SET sha256 = reverse(sha256) WHERE first_seq = 1;
    RESET session_replication_role;
"""
"""Turned twice it is as before."""

VIOLATIONS = [
    defect_violation(
        "log-from-the-future",
        "auditlog.fresh",
        "The clock that audit records are stamped with is three days ahead",
        defect="clock_ahead",
    ),
    Violation(
        "retention-governance",
        "auditlog.object_lock",
        "New audit objects are locked in GOVERNANCE mode, which can be bypassed",
        lambda bench: default_retention(bench, Mode="GOVERNANCE", Days=400),
        lambda bench: default_retention(bench, **LOCK),
    ),
    Violation(
        "retention-too-short",
        "auditlog.object_lock",
        "New audit objects are locked for a month",
        lambda bench: default_retention(bench, Mode="COMPLIANCE", Days=30),
        lambda bench: default_retention(bench, **LOCK),
    ),
    Violation(
        "lifecycle-expires-log",
        "auditlog.lifecycle_safe",
        "A lifecycle rule expires audit records after 30 days",
        expire_log,
        keep_log,
    ),
    Violation(
        "writer-may-delete",
        "auditlog.writer_least_privilege",
        "The identity that writes the log may delete from it",
        let_writer_delete,
        lambda bench: bench.s3_policy("writer"),
    ),
    sql_violation(
        "column-of-log-updatable",
        "auditlog.table_append_only",
        "The application may update one column of the audit table",
        plant="GRANT UPDATE (detail) ON audit.events TO atom_app",
        remove="REVOKE UPDATE (detail) ON audit.events FROM atom_app",
    ),
    sql_violation(
        "log-updatable",
        "auditlog.table_update_refused",
        "The application may update the audit table, and no trigger stops it",
        plant="GRANT UPDATE ON audit.events TO atom_app; ALTER TABLE audit.events DISABLE TRIGGER append_only",
        remove="REVOKE UPDATE ON audit.events FROM atom_app; ALTER TABLE audit.events ENABLE TRIGGER append_only",
        also=frozenset({"auditlog.table_append_only"}),
    ),
    sql_violation(
        "log-deletable",
        "auditlog.table_delete_refused",
        "The application may delete from the audit table, and no trigger stops it",
        plant="GRANT DELETE ON audit.events TO atom_app; ALTER TABLE audit.events DISABLE TRIGGER append_only",
        remove="REVOKE DELETE ON audit.events FROM atom_app; ALTER TABLE audit.events ENABLE TRIGGER append_only",
        also=frozenset({"auditlog.table_append_only"}),
    ),
    Violation(
        "segment-hidden",
        "auditlog.chain_verified",
        "A segment of the audit log is hidden behind a delete marker",
        hide_first_segment,
        show_first_segment,
    ),
    sql_violation(
        "anchor-changed",
        "auditlog.chain_verified",
        "The anchor of a segment is not its digest",
        plant=TURN_ANCHOR,
        remove=TURN_ANCHOR,
    ),
    setting_violation(
        "log-not-sealed",
        "auditlog.events_complete",
        "Audit records reach the object store once an hour",
        key="audit_log.seal_interval_s",
        value=3600,
    ),
]
