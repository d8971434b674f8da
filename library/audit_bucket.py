#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_bucket
short_description: Judge and try the lock on the bucket that keeps the audit log
description:
  - Reads versioning, Object Lock and lifecycle of the bucket, and tries what must be refused on objects of the audit's own.
  - The probe's objects are locked for a few seconds only, so that the same deletion that must be refused first must work afterwards;
    that is the control, and it leaves the bucket as it was.
options:
  bucket:
    description: Bucket of the audit log.
    type: str
  prefix:
    description: Where in the bucket the log's segments are.
    type: str
    default: log/
  probe_prefix:
    description: Where the auditor may put objects of its own.
    type: str
    default: probe/
  retention_days:
    description: How long audit records must be kept, at the least.
    type: int
    default: 365
extends_documentation_fragment: [audit, s3]
"""

EXAMPLES = r"""
- name: Examine the bucket of the audit log
  audit_bucket:
    audit: "{{ audit_context }}"
    s3_endpoint: https://s3.eu-central-1.amazonaws.com
    bucket: example-audit
    retention_days: 365
  register: audit_log_bucket_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, S3
from ..module_utils.result import Attempt, Outcome, Status, Verdict, blocked, failed, judge_refusal, name_some, passed
from ..module_utils.s3 import Store

CHECKS = Checks(
    passive=("auditlog.object_lock", "auditlog.lifecycle_safe"),
    active=(
        "auditlog.writer_least_privilege",
        "auditlog.delete_refused",
        "auditlog.retention_shortening_refused",
        "auditlog.overwrite_keeps_version",
    ),
)
LOCKED = {"AccessDenied", "ObjectLocked", "InvalidRetentionPeriod", "InvalidRequest"}
"""How S3 services refuse what Object Lock forbids; the control tells them from a missing right."""
HOLD_S = 3
FIRST = b"first version"
SECOND = b"second version"


@dataclass(frozen=True)
class Drill:
    """What became of the probe's objects, while they were locked and afterwards."""

    delete: Attempt
    shorten: Attempt
    weaken: Attempt
    extend: Attempt
    overwrite: Attempt
    first_again: bytes
    freed: Attempt
    swept: Collection[str]


def examine(audit: Audit) -> None:
    """Read the configuration; then lock an object of one's own for seconds, and try to be rid of it."""
    endpoint, access_key, secret_key, bucket = audit.require("s3_endpoint", "s3_access_key", "s3_secret_key", "bucket")
    options: dict[str, Any] = {"region": audit.params["s3_region"], "cacert": audit.params["s3_cacert"]}
    days, prefix = audit.params["retention_days"], audit.params["prefix"]
    auditor = Store(endpoint, access_key, secret_key, who="the auditor", **options)
    audit.check("auditlog.object_lock", ask_lock, auditor, bucket, days)
    audit.check("auditlog.lifecycle_safe", ask_lifecycle, auditor, bucket, prefix, days)
    audit.check("auditlog.writer_least_privilege", ask_writer, audit, bucket, options)
    audit.require_active()
    drill = run_drill(auditor, bucket, audit.params["probe_prefix"], audit.run_id)
    audit.check("auditlog.delete_refused", judge_delete, drill)
    audit.check("auditlog.retention_shortening_refused", judge_shortening, drill)
    audit.check("auditlog.overwrite_keeps_version", judge_overwrite, drill)


def ask_lock(auditor: Store, bucket: str, days: int) -> Verdict:
    versioning = auditor.call("get_bucket_versioning", Bucket=bucket).get("Status", "never enabled")
    found = auditor.find("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError", Bucket=bucket)
    lock = (found or {}).get("ObjectLockConfiguration", {})
    return judge_lock(versioning, lock, days)


def judge_lock(versioning: str, lock: Mapping[str, Any], days: int) -> Verdict:
    retention = lock.get("Rule", {}).get("DefaultRetention", {})
    kept = int(retention.get("Days") or 365 * int(retention.get("Years") or 0))
    faults = []
    if versioning != "Enabled":
        faults.append(f"versioning is {versioning}")
    if lock.get("ObjectLockEnabled") != "Enabled":
        faults.append("Object Lock is not enabled")
    elif retention.get("Mode") != "COMPLIANCE":
        faults.append(f"the default retention mode is {retention.get('Mode', 'not set')}, not COMPLIANCE")
    elif kept < days:
        faults.append(f"the default retention is {kept} days, not {days}")
    facts = {"versioning": versioning, "object_lock": dict(lock), "required_days": days}
    if faults:
        return failed("; ".join(faults), **facts)
    return passed(f"versioned, and every object is locked in COMPLIANCE mode for {kept} days", **facts)


def ask_lifecycle(auditor: Store, bucket: str, prefix: str, days: int) -> Verdict:
    found = auditor.find("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", Bucket=bucket)
    return judge_lifecycle((found or {}).get("Rules", []), prefix, days)


def judge_lifecycle(rules: Collection[Mapping[str, Any]], prefix: str, days: int) -> Verdict:
    """No enabled rule that touches the log expires its objects, or their older versions, too early."""
    faults = []
    for rule in rules:
        scope = str(rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or "")
        if rule.get("Status") != "Enabled" or not (prefix.startswith(scope) or scope.startswith(prefix)):
            continue
        name = rule.get("ID") or scope or "a rule"
        expiry = rule.get("Expiration", {})
        if expiry.get("Date"):
            faults.append(f"{name} expires objects on a fixed date")
        for what, after in (
            ("objects", expiry.get("Days")),
            ("older versions", rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")),
        ):
            if after is not None and int(after) < days:
                faults.append(f"{name} expires {what} after {after} days")
    facts = {"rules": list(rules), "prefix": prefix, "required_days": days}
    if faults:
        return failed(f"lifecycle rules expire audit records before {days} days: {name_some(faults)}", **facts)
    return passed(f"none of {len(rules)} lifecycle rules expires audit records before {days} days", **facts)


def ask_writer(audit: Audit, bucket: str, options: Mapping[str, Any]) -> Verdict:
    """Try, as the writer, what it must not: on a key that does not exist, and with the settings that are there now."""
    access_key, secret_key = audit.require("s3_writer_access_key", "s3_writer_secret_key")
    writer = Store(audit.params["s3_endpoint"], access_key, secret_key, who="the log's writer", **options)
    key = f"{audit.params['probe_prefix']}{audit.run_id}"
    lock = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": audit.params["retention_days"]}},
    }
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(timezone.utc) + timedelta(seconds=HOLD_S)}
    attempts = [
        writer.attempt("deleting an object", "delete_object", Bucket=bucket, Key=key),
        writer.attempt("deleting a version", "delete_object", Bucket=bucket, Key=key, VersionId="null"),
        writer.attempt(
            "bypassing a retention",
            "put_object_retention",
            Bucket=bucket,
            Key=key,
            Retention=retention,
            BypassGovernanceRetention=True,
        ),
        writer.attempt(
            "changing the bucket's lock", "put_object_lock_configuration", Bucket=bucket, ObjectLockConfiguration=lock
        ),
        writer.attempt(
            "changing the bucket's versioning",
            "put_bucket_versioning",
            Bucket=bucket,
            VersioningConfiguration={"Status": "Enabled"},
        ),
    ]
    return judge_writer(attempts)


def judge_writer(attempts: Collection[Attempt]) -> Verdict:
    """AccessDenied tells that the service knows the writer and refuses the action; another answer was not its rights'."""
    facts = {"attempts": [attempt.facts() for attempt in attempts]}
    able = [a.action for a in attempts if a.outcome is Outcome.ALLOWED or a.reason.startswith("NoSuch")]
    odd = [f"{a.action}: {a.reason}" for a in attempts if a.outcome is Outcome.REFUSED and a.reason != "AccessDenied"]
    if able:
        return failed(f"the log's writer is not refused {name_some(able)}", **facts)
    if odd:
        return blocked(f"refusals that prove the writer's rights: {name_some(odd)}", **facts)
    return passed(f"the log's writer, whom the service knows, is refused {len(attempts)} ways to undo the log", **facts)


def run_drill(auditor: Store, bucket: str, prefix: str, run_id: str) -> Drill:
    """Two versions of one object, locked for seconds; everything tried on the first; both removed when the lock ends."""
    swept = sweep(auditor, bucket, prefix)
    key = f"{prefix}{run_id}"
    until = datetime.now(timezone.utc) + timedelta(seconds=HOLD_S)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    first = auditor.call("put_object", Bucket=bucket, Key=key, Body=FIRST, **lock)["VersionId"]
    version = {"Bucket": bucket, "Key": key, "VersionId": first}
    bypass = {**version, "BypassGovernanceRetention": True}
    try:
        delete = auditor.attempt("deleting a locked version", "delete_object", **bypass)
        shorter = {"Mode": "COMPLIANCE", "RetainUntilDate": until - timedelta(seconds=2)}
        shorten = auditor.attempt("shortening a retention", "put_object_retention", **bypass, Retention=shorter)
        governance = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
        weaken = auditor.attempt(
            "weakening COMPLIANCE to GOVERNANCE", "put_object_retention", **bypass, Retention=governance
        )
        longer = {"Mode": "COMPLIANCE", "RetainUntilDate": until + timedelta(seconds=1)}
        extend = auditor.attempt("extending a retention", "put_object_retention", **version, Retention=longer)
        overwrite = auditor.attempt(
            "writing the same key again", "put_object", Bucket=bucket, Key=key, Body=SECOND, **lock
        )
        first_again = b"".join(auditor.lines(**_lines(version))) if delete.outcome is not Outcome.ALLOWED else b""
    finally:
        time.sleep(max(0.0, (until + timedelta(seconds=2) - datetime.now(timezone.utc)).total_seconds()))
        freed = auditor.attempt("deleting the version after its retention", "delete_object", **version)
        sweep(auditor, bucket, prefix)
    return Drill(delete, shorten, weaken, extend, overwrite, first_again, freed, swept)


def sweep(auditor: Store, bucket: str, prefix: str) -> list[str]:
    """Remove what this run, or an earlier one that was killed, left; what is still locked stays for the next."""
    gone = []
    for version in list(auditor.versions(bucket, prefix)):
        target = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        if auditor.attempt("sweeping", "delete_object", **target).outcome is Outcome.ALLOWED:
            gone.append(str(version["Key"]))
    return gone


def judge_delete(drill: Drill) -> Verdict:
    return judge_refusal(
        "deleting a locked audit object",
        control=drill.freed,
        attempt=drill.delete,
        right_reasons=LOCKED,
        swept_from_earlier_runs=drill.swept,
    )


def judge_shortening(drill: Drill) -> Verdict:
    """Both the date and the mode of a retention hold."""
    tried = {"shortening a retention": drill.shorten, "weakening COMPLIANCE to GOVERNANCE": drill.weaken}
    verdicts = [
        judge_refusal(what, control=drill.extend, attempt=attempt, right_reasons=LOCKED)
        for what, attempt in tried.items()
    ]
    return max(verdicts, key=lambda verdict: (verdict.status is Status.FAIL, verdict.status is Status.BLOCKED))


def judge_overwrite(drill: Drill) -> Verdict:
    facts = {"overwrite": drill.overwrite.facts(), "first_version_again": drill.first_again}
    if drill.overwrite.outcome is not Outcome.ALLOWED:
        return blocked(f"a second version: writing the same key again was refused ({drill.overwrite.reason})", **facts)
    if drill.first_again != FIRST:
        return failed("writing the same key again replaced the first version", **facts)
    if not drill.overwrite.reason:
        return failed("writing the same key again made no version of its own", **facts)
    return passed("writing the same key again kept the first version, byte for byte", **facts)


def _lines(version: Mapping[str, str]) -> dict[str, str]:
    return {"bucket": version["Bucket"], "key": version["Key"], "VersionId": version["VersionId"]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **S3,
            "bucket": {"type": "str"},
            "prefix": {"type": "str", "default": "log/"},
            "probe_prefix": {"type": "str", "default": "probe/"},
            "retention_days": {"type": "int", "default": 365},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
