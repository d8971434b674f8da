"""Faults of A09, Audit Exports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from labkit import control
from labkit.bench import Bench
from tests.violations import Violation


def export(bench: Bench) -> None:
    """Export again: whatever was wrong is in the newest export, or is gone from it."""
    if control.run("exporter", (), bench.folder) != 0:
        raise RuntimeError("the export failed")


def exporter_violation(
    id: str, check: str, about: str, *, defect: str, also: frozenset[str] = frozenset()
) -> Violation:
    """A misbehaving exporter, and an export that it made."""

    def plant(bench: Bench) -> None:
        bench.defect(defect, on=True)
        export(bench)

    def remove(bench: Bench) -> None:
        bench.defect(defect, on=False)
        export(bench)

    return Violation(id, check, about, plant, remove, also)


def newest_manifest(bench: Bench) -> str:
    objects = bench.s3.list_objects_v2(Bucket=bench.connections["s3"]["export_bucket"], Prefix="exports/")["Contents"]
    found = [one for one in objects if one["Key"].endswith("/manifest.json")]
    return str(max(found, key=lambda one: one["LastModified"])["Key"])


def runs_file(bench: Bench) -> str:
    return newest_manifest(bench).replace("manifest.json", "acme-runs.jsonl")


def rewrite(bench: Bench, key: str, edit: Callable[[bytes], bytes]) -> None:
    bucket = bench.connections["s3"]["export_bucket"]
    body = bench.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    bench.s3.put_object(Bucket=bucket, Key=key, Body=edit(body))


def remove_a_file(bench: Bench) -> None:
    bench.s3.delete_object(Bucket=bench.connections["s3"]["export_bucket"], Key=runs_file(bench))


def wrong_count(data: bytes) -> bytes:
    manifest: dict[str, Any] = json.loads(data)
    manifest["files"][0]["records"] += 1
    return json.dumps(manifest).encode()


VIOLATIONS = [
    Violation(
        "export-file-missing",
        "export.present",
        "A file of the newest export is gone",
        remove_a_file,
        export,
    ),
    Violation(
        "export-count-wrong",
        "export.manifest",
        "The manifest states another number of records",
        lambda bench: rewrite(bench, newest_manifest(bench), wrong_count),
        export,
    ),
    Violation(
        "export-line-broken",
        "export.valid_jsonl",
        "A line of an exported file is cut off",
        lambda bench: rewrite(bench, runs_file(bench), lambda data: data + b'{"kind": "ru'),
        export,
        frozenset({"export.manifest"}),
    ),
    exporter_violation(
        "export-drops-records",
        "export.complete",
        "The exporter leaves records out",
        defect="export_drops_record",
    ),
    exporter_violation(
        "export-leaks-a-key",
        "export.no_secrets",
        "The exporter writes a credential",
        defect="export_leaks_secret",
    ),
    exporter_violation(
        "export-mixes-tenants",
        "export.tenant_scoped",
        "The exporter puts every tenant's records into each file",
        defect="export_mixes_tenants",
        also=frozenset({"export.complete"}),
    ),
    exporter_violation(
        "export-not-reproducible",
        "export.reproducible",
        "The exporter writes its own time into every record",
        defect="export_not_reproducible",
    ),
]
