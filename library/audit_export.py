#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_export
short_description: Verify the newest export of audit records against its manifest and its source
description:
  - Finds the newest manifest, streams every file it names, line by line, and compares them with the manifest and with the source.
  - Exports the same window again by the platform's own command, below a prefix of the run's own, compares the digests, and removes it.
options:
  bucket:
    description: Bucket of the exports.
    type: str
  prefix:
    description: Where in the bucket the exports are; the newest folder that has a manifest is examined.
    type: str
    default: exports/
  max_age_s:
    description: How old the newest export may be.
    type: int
    default: 93600
  source_query:
    description: >-
      SQL that returns C(tenant) and C(records), the number of audit records of each tenant from C(%(from)s) to C(%(to)s),
      and C(digest), the hex SHA-256 over their identifiers in the order of C(at, id), one a line.
    type: str
  schema:
    description: Names that each line's object must have, by the line's C(kind).
    type: dict
    default: {}
  command:
    description: >-
      The platform's export command, to which C(--from), C(--to) and C(--prefix) are added; empty means that reproducibility cannot be tried.
    type: list
    elements: str
    default: []
  command_timeout_s:
    description: How long the command may take.
    type: int
    default: 40
extends_documentation_fragment: [audit, s3, postgres]
"""

EXAMPLES = r"""
- name: Verify the newest export
  audit_export:
    audit: "{{ audit_context }}"
    s3_endpoint: https://s3.eu-central-1.amazonaws.com
    bucket: example-exports
  register: audit_exports_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import json
import subprocess
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.export_files import ExportFile, read_export
from ..module_utils.guard import ABANDONED, Audit, Checks, run_audit
from ..module_utils.options import AUDIT, POSTGRES, S3
from ..module_utils.postgres import Postgres, Row
from ..module_utils.result import Outcome, Verdict, blocked, failed, judge_each, name_some, passed
from ..module_utils.s3 import Store
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(
    passive=(
        "export.present",
        "export.manifest",
        "export.valid_jsonl",
        "export.complete",
        "export.no_secrets",
        "export.tenant_scoped",
    ),
    active=("export.reproducible",),
)
MANIFEST = "manifest.json"
PROBE_PREFIX = "audit-probe-"


def examine(audit: Audit) -> None:
    """Find the newest export, read it once, judge it from every side; then make it again."""
    endpoint, access_key, secret_key, bucket = audit.require("s3_endpoint", "s3_access_key", "s3_secret_key", "bucket")
    region, cacert, prefix = (audit.params[key] for key in ("s3_region", "s3_cacert", "prefix"))
    store = Store(endpoint, access_key, secret_key, region=region, cacert=cacert, who="the auditor")
    objects = {str(v["Key"]): v for v in store.versions(bucket, prefix) if not v["deleted"] and v.get("IsLatest", True)}
    manifests = sorted(
        (key for key in objects if key.endswith(f"/{MANIFEST}")), key=lambda key: objects[key]["LastModified"]
    )
    if not manifests:
        raise Unanswerable(f"an export to examine: {bucket}/{prefix} has no {MANIFEST}")
    manifest = read_manifest(store, bucket, manifests[-1])
    audit.check(
        "export.present", judge_present, manifest, objects, datetime.now(timezone.utc), audit.params["max_age_s"]
    )
    files = [
        read_export(item, store, bucket, audit.params["schema"]) for item in manifest["files"] if item["key"] in objects
    ]
    audit.check("export.manifest", judge_manifest, manifest, files)
    audit.check("export.valid_jsonl", judge_lines, files)
    audit.check("export.no_secrets", judge_secrets, files)
    audit.check("export.tenant_scoped", judge_tenants, files)
    audit.check("export.complete", ask_complete, audit, manifest, files)
    audit.check("export.reproducible", ask_again, audit, store, bucket, manifest)


def read_manifest(store: Store, bucket: str, key: str) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(b"".join(store.lines(bucket, key)))
        window = manifest["window"]
        datetime.fromisoformat(window["from"]), datetime.fromisoformat(window["to"])
        if not isinstance(manifest["files"], list) or not all(
            {"key", "tenant", "records", "sha256"} <= set(f) for f in manifest["files"]
        ):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise Unanswerable(f"a manifest that says window and files: {bucket}/{key} does not") from None
    return {**manifest, "key": key}


def ask_complete(audit: Audit, manifest: Mapping[str, Any], files: Collection[ExportFile]) -> Verdict:
    dsn, query = audit.require("postgres_dsn", "source_query")
    with Postgres(dsn, "postgres_dsn", application=audit.run_id) as database:
        source = database.rows(query, manifest["window"])
    return judge_complete(source, files)


def ask_again(audit: Audit, store: Store, bucket: str, manifest: Mapping[str, Any]) -> Verdict:
    """Export the same window below a prefix of our own, compare, and remove it."""
    command = audit.require("command")
    window, prefix = manifest["window"], f"{PROBE_PREFIX}{audit.run_id}"
    try:
        done = subprocess.run(
            [*command, "--from", window["from"], "--to", window["to"], "--prefix", prefix],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=min(audit.params["command_timeout_s"], audit.remaining()),
            check=False,
        )
        if done.returncode != 0:
            raise Unanswerable(
                f"an export command that works: {command[0]} ended with {done.returncode}: {done.stderr[-300:]}"
            )
        again = [key for v in store.versions(bucket, f"{prefix}/") if (key := str(v["Key"])).endswith(f"/{MANIFEST}")]
        if not again:
            raise Unanswerable(f"a second export: {command[0]} left no {MANIFEST} below {bucket}/{prefix}/")
        return judge_reproducible(manifest, read_manifest(store, bucket, again[-1]))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unanswerable(f"an export command that works: {type(error).__name__} of {command[0]}") from None
    finally:
        sweep(store, bucket, prefix)


def sweep(store: Store, bucket: str, own: str) -> None:
    """Remove this run's trial export, and those of runs that were killed."""
    abandoned = datetime.now(timezone.utc) - ABANDONED
    for version in list(store.versions(bucket, PROBE_PREFIX)):
        if not str(version["Key"]).startswith(own) and version["LastModified"] > abandoned:
            continue
        target = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        left = store.attempt("removing a trial export", "delete_object", **target)
        if left.outcome is Outcome.REFUSED:
            raise Unanswerable(f"{store.name}: the right to remove {bucket}/{PROBE_PREFIX}*: {left.detail}")


def judge_present(manifest: Mapping[str, Any], objects: Mapping[str, Any], now: datetime, max_age_s: int) -> Verdict:
    age = (now - datetime.fromisoformat(manifest["window"]["to"])).total_seconds()
    missing = [item["key"] for item in manifest["files"] if item["key"] not in objects]
    facts = {"manifest": manifest["key"], "window": manifest["window"], "age_s": round(age), "missing": missing}
    if missing:
        return failed(f"{len(missing)} files of the newest export are missing: {name_some(missing)}", **facts)
    if age > max_age_s:
        return failed(f"the newest export ends {age:.0f} s ago; {max_age_s} s are allowed", **facts)
    if not manifest["files"]:
        return blocked(f"exported files: {manifest['key']} names none", **facts)
    return passed(f"the newest export has its {len(manifest['files'])} files and ends {age:.0f} s ago", **facts)


def judge_manifest(manifest: Mapping[str, Any], files: Collection[ExportFile]) -> Verdict:
    stated = {item["key"]: item for item in manifest["files"]}
    offenders = {}
    for file in files:
        item = stated[file.key]
        if item["sha256"] != file.sha256:
            offenders[file.key] = "other bytes than its digest says"
        elif item["records"] != file.records:
            offenders[file.key] = f"{file.records} records instead of {item['records']}"
    return judge_each(
        "exported files",
        [file.key for file in files],
        offenders,
        sound="match the manifest",
        fault="differ from the manifest",
    )


def judge_lines(files: Collection[ExportFile]) -> Verdict:
    return _judge_lines(files, "invalid", sound="hold one valid object a line", fault="hold invalid lines")


def judge_secrets(files: Collection[ExportFile]) -> Verdict:
    return _judge_lines(files, "secrets", sound="hold no credential", fault="hold what looks like a credential")


def judge_tenants(files: Collection[ExportFile]) -> Verdict:
    return _judge_lines(files, "foreign", sound="hold one tenant's records only", fault="hold other tenants' records")


def _judge_lines(files: Collection[ExportFile], fault_of: str, *, sound: str, fault: str) -> Verdict:
    """Files are judged by their lines: none of them empty-handed, since no line proves nothing."""
    lines = sum(file.records for file in files)
    if not lines:
        return blocked("exported records: every file is empty", files=[file.key for file in files])
    offenders = {file.key: "; ".join(found[:3]) for file in files if (found := getattr(file, fault_of))}
    names = [file.key for file in files]
    return judge_each("exported files", names, offenders, sound=f"({lines} lines) {sound}", fault=fault, lines=lines)


def judge_complete(source: Collection[Row], files: Collection[ExportFile]) -> Verdict:
    """Each tenant's records are in its export as they are in the source: as many, the same ones, none twice."""
    offenders: dict[str, str] = {}
    exported = {file.tenant: file for file in files if file.kind == "events"}
    for row in source:
        file = exported.get(row["tenant"])
        if file is None:
            offenders[row["tenant"]] = "has no export"
        elif file.records != row["records"]:
            offenders[row["tenant"]] = f"{file.records} of {row['records']} records are exported"
        elif file.ids_digest != row["digest"]:
            offenders[row["tenant"]] = "other records are exported than the source holds"
    for file in files:
        if file.duplicates:
            offenders.setdefault(file.tenant, f"{file.duplicates} records are exported twice")
    return judge_each(
        "tenants",
        [row["tenant"] for row in source],
        offenders,
        sound="are exported completely",
        fault="are exported incompletely",
        source=[dict(row) for row in source],
    )


def judge_reproducible(first: Mapping[str, Any], second: Mapping[str, Any]) -> Verdict:
    def digests(manifest: Mapping[str, Any]) -> dict[str, str]:
        return {item["key"].rsplit("/", 1)[-1]: item["sha256"] for item in manifest["files"]}

    one, other = digests(first), digests(second)
    changed = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    facts = {"window": first["window"], "files": len(one), "changed": changed}
    if changed:
        return failed(f"exporting the same window again gave other bytes for {name_some(changed)}", **facts)
    return passed(f"exporting the same window again gave the same {len(one)} files, byte for byte", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **S3,
            **POSTGRES,
            "bucket": {"type": "str"},
            "prefix": {"type": "str", "default": "exports/"},
            "max_age_s": {"type": "int", "default": 93600},
            "source_query": {"type": "str"},
            "schema": {"type": "dict", "default": {}},
            "command": {"type": "list", "elements": "str", "default": []},
            "command_timeout_s": {"type": "int", "default": 40},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
