"""Faults of A07, Backup & DR."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from labkit.bench import Bench
from tests.violations import Violation, file_violation, sql_violation


def newest(bench: Bench) -> Path:
    return max(Path(bench.auditor["backup_dir"]).glob("atom-*"))


def in_newest(*parts: str) -> Any:
    return lambda bench: newest(bench).joinpath(*parts)


def five_days_older(data: bytes) -> bytes:
    manifest = json.loads(data)
    manifest["finished_at"] = (datetime.now(timezone.utc) - timedelta(days=5)).isoformat()
    return json.dumps(manifest).encode()


def other_hash(data: bytes) -> bytes:
    manifest = json.loads(data)
    manifest["files"][0]["sha256"] = "0" * 64
    return json.dumps(manifest).encode()


def leave_an_ancient_one(bench: Bench) -> None:
    ancient = newest(bench).with_name("atom-20200101T020000.000Z")
    shutil.copytree(newest(bench), ancient)
    manifest = json.loads((ancient / "manifest.json").read_text())
    manifest["finished_at"] = "2020-01-01T02:00:10+00:00"
    (ancient / "manifest.json").write_text(json.dumps(manifest))


def remove_the_ancient_one(bench: Bench) -> None:
    shutil.rmtree(Path(bench.auditor["backup_dir"]) / "atom-20200101T020000.000Z", ignore_errors=True)


VIOLATIONS = [
    file_violation(
        "backup-not-scheduled",
        "backup.schedule",
        "The backup job is commented out of the crontab",
        file=lambda bench: Path(bench.auditor["crontab"]),
        edit=lambda data: b"\n".join(
            b"# " + line if line.endswith(b"run backup") else line for line in data.split(b"\n")
        ),
    ),
    file_violation(
        "backup-weekly",
        "backup.schedule",
        "The backup job runs on Sundays only",
        file=lambda bench: Path(bench.auditor["crontab"]),
        edit=lambda data: data.replace(b"0 2 * * * atom", b"0 2 * * 0 atom"),
    ),
    file_violation(
        "backup-stale",
        "backup.fresh",
        "The newest backup is five days old",
        file=in_newest("manifest.json"),
        edit=five_days_older,
    ),
    Violation(
        "backup-readable",
        "backup.protected",
        "A backup can be read by everybody",
        lambda bench: (newest(bench) / "dump" / "toc.dat").chmod(0o644),
        lambda bench: (newest(bench) / "dump" / "toc.dat").chmod(0o600),
    ),
    Violation(
        "backup-kept-too-long",
        "backup.retention",
        "A backup from years ago is still there",
        leave_an_ancient_one,
        remove_the_ancient_one,
        frozenset({"backup.fresh"}),
    ),
    file_violation(
        "backup-hash-differs",
        "backup.checksum",
        "A file of the newest backup is not what its manifest recorded",
        file=in_newest("manifest.json"),
        edit=other_hash,
    ),
    sql_violation(
        "table-not-dumped",
        "backup.content_equal",
        "A table belongs to an extension, and so to no backup",
        plant="ALTER EXTENSION plpgsql ADD TABLE atom.plans",
        remove="ALTER EXTENSION plpgsql DROP TABLE atom.plans",
    ),
    file_violation(
        "backup-truncated",
        "backup.latest_restores",
        "The newest backup has lost the end of its table of contents",
        file=in_newest("dump", "toc.dat"),
        edit=lambda data: data[: len(data) // 2],
        also=frozenset({"backup.checksum"}),
    ),
]
