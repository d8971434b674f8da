#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_chain
short_description: Verify the hash-chained audit log, from its first record to one of our own
description:
  - Streams every segment of the log, verifies each record's hash, the chain within and across segments, and each segment
    against its anchor in PostgreSQL. Delete markers and second versions of a segment are breaks, too.
  - Causes one event of its own (the dry-run of a harmless package), and finds it in both stores.
options:
  bucket:
    description: Bucket of the audit log.
    type: str
  prefix:
    description: Where in the bucket the log's segments are.
    type: str
    default: log/
  anchors_query:
    description: SQL that returns C(object_key), C(first_seq), C(last_seq), C(head_hash) and C(sha256) of every anchored segment.
    type: str
    default: SELECT object_key, first_seq, last_seq, head_hash, sha256 FROM audit.segments
  events_query:
    description: SQL that returns C(seq) and C(hash) of the events with the request id C(%(request_id)s).
    type: str
    default: SELECT seq, hash FROM audit.events WHERE request_id = %(request_id)s
  max_age_s:
    description: How old the newest record may be.
    type: int
    default: 86400
  seal_wait_s:
    description: How long after an event it must be in the object store.
    type: int
    default: 15
extends_documentation_fragment: [audit, s3, postgres, workflow_registry]
"""

EXAMPLES = r"""
- name: Verify the audit log
  audit_chain:
    audit: "{{ audit_context }}"
    s3_endpoint: https://s3.eu-central-1.amazonaws.com
    bucket: example-audit
  register: audit_log_chain_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import time
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.audit_chain_format import SEGMENT_NAME, Chain
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, POSTGRES, S3, WORKFLOW_REGISTRY
from ..module_utils.postgres import Postgres, Row
from ..module_utils.result import Outcome, Verdict, blocked, failed, name_some, passed
from ..module_utils.s3 import Store
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import WorkflowRegistry, form, package, probe_name

CHECKS = Checks(passive=("auditlog.chain_verified", "auditlog.fresh"), active=("auditlog.events_complete",))
POLL_S = 0.5
PURPOSE = "audit_log"


def examine(audit: Audit) -> None:
    """Verify the chain as it stands; then cause an event, and wait until both stores hold it."""
    endpoint, access_key, secret_key, bucket = audit.require("s3_endpoint", "s3_access_key", "s3_secret_key", "bucket")
    region, cacert, prefix = (audit.params[key] for key in ("s3_region", "s3_cacert", "prefix"))
    store = Store(endpoint, access_key, secret_key, region=region, cacert=cacert, who="the auditor")
    audit.check("auditlog.events_complete", ask_event, audit, store, bucket, prefix)
    before = read_anchors(audit)  # what is sealed while we list is in the store, but not in our listing
    versions = list(store.versions(bucket, prefix))
    anchors = read_anchors(audit, of={str(version["Key"]) for version in versions})
    chain = verify(store, bucket, versions, anchors)
    chain.missing(before, {str(version["Key"]) for version in versions if not version["deleted"]})
    audit.check("auditlog.chain_verified", judge_chain, chain, hidden(versions))
    audit.check("auditlog.fresh", judge_fresh, chain.newest, datetime.now(timezone.utc), audit.params["max_age_s"])


def read_anchors(audit: Audit, of: Collection[str] = ()) -> list[Row]:
    """The anchors; a segment is anchored as soon as it is written, so those of new segments are waited for."""
    give_up = time.monotonic() + min(audit.params["seal_wait_s"], audit.remaining() - 1)
    while True:
        # a connection sees the one state it began with
        with Postgres(audit.require("postgres_dsn"), "postgres_dsn", application=audit.run_id) as database:
            anchors = database.rows(audit.params["anchors_query"])
        if set(of) <= {str(anchor["object_key"]) for anchor in anchors} or time.monotonic() > give_up:
            return anchors
        time.sleep(POLL_S)


def verify(store: Store, bucket: str, versions: Collection[Mapping[str, Any]], anchors: Collection[Row]) -> Chain:
    """Stream every segment in order; only the oldest version of a key can be the one that was anchored."""
    by_key = {anchor["object_key"]: anchor for anchor in anchors}
    oldest = {str(version["Key"]): version for version in versions if not version["deleted"]}
    chain = Chain()
    for key in sorted(oldest):
        chain.segment(key, store.lines(bucket, key, VersionId=oldest[key]["VersionId"]), by_key.get(key))
    return chain


def hidden(versions: Collection[Mapping[str, Any]]) -> list[str]:
    """Segments behind a delete marker, or overlaid by a second version."""
    keys = [str(version["Key"]) for version in versions if not version["deleted"]]
    marked = [f"{version['Key']}: hidden behind a delete marker" for version in versions if version["deleted"]]
    return marked + [f"{key}: has {keys.count(key)} versions" for key in sorted(set(keys)) if keys.count(key) > 1]


def ask_event(audit: Audit, store: Store, bucket: str, prefix: str) -> Verdict:
    """Dry-run a harmless package under a request id of our own, and look for that in the table and in the store."""
    request_id = f"{audit.run_id}/{PURPOSE}"
    data = package(probe_name(audit, "event"), audit.params["workflow_registry_probe_tenant"])
    registry = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), PURPOSE)
    attempt, _answer = registry.attempt("a dry-run", "POST", "/workflows/adhoc/dry-run", files=form(data))
    if attempt.outcome is not Outcome.ALLOWED:
        raise Unanswerable(f"{registry.name}: a dry-run of a harmless package: {attempt.reason} {attempt.detail}")
    give_up = time.monotonic() + min(audit.params["seal_wait_s"], audit.remaining())
    with Postgres(audit.require("postgres_dsn"), "postgres_dsn", application=audit.run_id) as database:
        rows = database.rows(audit.params["events_query"], {"request_id": request_id})
    sealed = bool(rows) and wait_until_sealed(store, bucket, prefix, rows[0], give_up)
    return judge_event(request_id, rows, sealed, audit.params["seal_wait_s"])


def wait_until_sealed(store: Store, bucket: str, prefix: str, event: Row, give_up: float) -> bool:
    """Whether a segment with the event's number holds its hash, before time is up."""
    wanted = str(event["hash"]).encode()
    while time.monotonic() < give_up:
        for version in store.versions(bucket, prefix):
            name = SEGMENT_NAME.search(str(version["Key"]))
            if name and int(name["first"]) <= event["seq"] <= int(name["last"]) and not version["deleted"]:
                return any(
                    wanted in line for line in store.lines(bucket, str(version["Key"]), VersionId=version["VersionId"])
                )
        time.sleep(POLL_S)
    return False


def judge_chain(chain: Chain, concealed: Collection[str]) -> Verdict:
    """One unbroken chain from the first record on, every segment anchored, nothing hidden."""
    breaks = [*chain.breaks, *concealed]
    facts = {
        "records": chain.records,
        "segments": chain.segments,
        "last_seq": chain.last_seq,
        "head": chain.head,
        "breaks": breaks,
    }
    if breaks:
        return failed(f"the audit log is broken in {len(breaks)} places: {name_some(breaks, 3)}", **facts)
    if not chain.records:
        return blocked("records to verify: the audit log is empty", **facts)
    return passed(f"{chain.records} records in {chain.segments} segments form one chain, as anchored", **facts)


def judge_fresh(newest: str, now: datetime, max_age_s: int) -> Verdict:
    if not newest:
        return blocked("a record with a time: the audit log has none")
    age = (now - datetime.fromisoformat(newest)).total_seconds()
    facts = {"newest": newest, "age_s": round(age), "max_age_s": max_age_s}
    if age > max_age_s:
        return failed(f"the newest audit record is {age:.0f} s old; {max_age_s} s are allowed", **facts)
    if age < -max_age_s:
        return failed(f"the newest audit record is dated {-age:.0f} s in the future", **facts)
    return passed(f"the newest audit record is {age:.0f} s old", **facts)


def judge_event(request_id: str, rows: Collection[Row], sealed: bool, wait_s: int) -> Verdict:
    facts = {"request_id": request_id, "in_table": [dict(row) for row in rows], "in_store": sealed}
    if not rows:
        return failed("what this run did (a dry-run) is not in the audit table", **facts)
    if not sealed:
        return failed(f"what this run did (a dry-run) was not in the object store after {wait_s} s", **facts)
    return passed("what this run did (a dry-run) is in the audit table, and sealed in the object store", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **S3,
            **POSTGRES,
            **WORKFLOW_REGISTRY,
            "bucket": {"type": "str"},
            "prefix": {"type": "str", "default": "log/"},
            "anchors_query": {
                "type": "str",
                "default": "SELECT object_key, first_seq, last_seq, head_hash, sha256 FROM audit.segments",
            },
            "events_query": {
                "type": "str",
                "default": "SELECT seq, hash FROM audit.events WHERE request_id = %(request_id)s",
            },
            "max_age_s": {"type": "int", "default": 86400},
            "seal_wait_s": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
