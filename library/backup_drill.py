#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_drill
short_description: Take a backup now, restore it, and prove that it is equal to its source
description:
  - Dumps the database in an exported snapshot, copies the dump, restores the copy into a scratch database, and compares every
    table's content and every schema object with the source as it was in that snapshot. The scratch database is dropped.
  - Restores the newest backup of the series as well, into another.
options:
  directory:
    description: Folder of the backup series; each backup is a folder with a C(manifest.json) and a C(dump) in pg_dump's directory format.
    type: path
  scratch_dir:
    description: Folder for the dump while it is examined; needs three times the database's size.
    type: path
  rto_s:
    description: How many seconds a restore may take.
    type: float
    default: 3600.0
  jobs:
    description: How many processes restore at once.
    type: int
    default: 2
extends_documentation_fragment: [audit, postgres]
"""

EXAMPLES = r"""
- name: Take a backup, restore it, compare
  backup_drill:
    audit: "{{ audit_context }}"
    postgres_restore_dsn: host=db.example.com dbname=atom user=auditor_restore
    scratch_dir: /var/tmp
    directory: /srv/backups
  register: backup_restore_drill_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.backup_files import Backup, digests, newest
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, POSTGRES
from ..module_utils.postgres import Postgres
from ..module_utils.postgres_copy import (
    DATABASE_SIZE,
    ToolFailedError,
    content,
    objects,
    run_tool,
    scratch_database,
    sequences,
    service,
    sweep_scratch_databases,
)
from ..module_utils.result import Verdict, blocked, failed, name_some, passed
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(
    active=(
        "backup.taken",
        "backup.checksum",
        "backup.restore",
        "backup.content_equal",
        "backup.latest_restores",
        "backup.rto",
    ),
)
ROOM = 3
"""Times the database's size that must be free: the dump, its copy, and some air."""


@dataclass(frozen=True)
class State:
    """What a database holds: table to count and checksum, object to definition."""

    content: Mapping[str, str]
    objects: Mapping[str, str]
    sequences: Mapping[str, int]


def examine(audit: Audit) -> None:
    """Dump in a snapshot, copy, restore the copy, compare; then restore the newest of the series."""
    audit.require_active()
    dsn, scratch = audit.require("postgres_restore_dsn", "scratch_dir")
    swept = sweep_scratch_databases(dsn)
    with workspace(Path(scratch)) as folder:
        with Postgres(dsn, "postgres_restore_dsn", application=audit.run_id, timeout_s=audit.remaining()) as source:
            check_room(folder, source.rows(DATABASE_SIZE)[0]["bytes"])
            snapshot = source.rows("SELECT pg_export_snapshot() AS id")[0]["id"]
            floor = sequences(source)
            dump, seconds = folder / "dump", -time.monotonic()
            with service(dsn) as env:
                where = ("--dbname=service=audit", f"--snapshot={snapshot}", "-Fd", f"--file={dump}")
                run_tool(audit.params["postgres_bin"], "pg_dump", *where, env=env, timeout_s=audit.remaining())
            seconds += time.monotonic()
            before = State(content(source), objects(source), sequences(source))
        taken = digests(dump)
        audit.check("backup.taken", judge_taken, taken, seconds, swept)
        copy = shutil.copytree(dump, folder / "copy")
        latest = ask_latest(audit)
        audit.check("backup.checksum", judge_checksum, taken, digests(copy), latest)
        with scratch_database(dsn, audit.run_id, "drill") as name:
            restoring = time.monotonic()
            restore(audit, copy, name)
            took = time.monotonic() - restoring
            after = read_state(dsn, name, audit)
        audit.check("backup.restore", judge_restore, after, took)
        audit.check("backup.content_equal", judge_equal, before, after, floor)
        audit.check("backup.rto", judge_rto, took, audit.params["rto_s"])
    audit.check("backup.latest_restores", ask_latest_restores, audit, latest)


@contextmanager
def workspace(scratch: Path) -> Iterator[Path]:
    """A private folder that is gone afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix="policy-audit-drill-", dir=scratch) as folder:
            yield Path(folder)
    except OSError as error:
        raise Unanswerable(f"a writable folder {scratch} (backup_restore_scratch_dir): {error.strerror}") from None


def check_room(folder: Path, database_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM * database_bytes:
        raise Unanswerable(
            f"room for the drill: {folder.parent} has {free:,} bytes free, {ROOM * database_bytes:,} are needed"
        )


def restore(audit: Audit, dump: Path, name: str) -> None:
    """Restore everything into an empty database; the first error ends it."""
    with service(audit.params["postgres_restore_dsn"], dbname=name) as env:
        where = ("--dbname=service=audit", "--no-owner", "--exit-on-error", f"--jobs={audit.params['jobs']}", str(dump))
        run_tool(audit.params["postgres_bin"], "pg_restore", *where, env=env, timeout_s=audit.remaining())


def read_state(dsn: str, name: str, audit: Audit) -> State:
    wait = audit.remaining()
    with Postgres(dsn, "postgres_restore_dsn", application=audit.run_id, timeout_s=wait, dbname=name) as database:
        return State(content(database), objects(database), sequences(database))


def ask_latest(audit: Audit) -> Backup | None:
    """The newest backup of the series, where this host has the series."""
    directory = audit.params["directory"]
    return newest(Path(directory)) if directory else None


def ask_latest_restores(audit: Audit, latest: Backup | None) -> Verdict:
    audit.require("directory")
    if latest is None:
        raise Unanswerable(f"a backup in {audit.params['directory']}")
    with scratch_database(audit.params["postgres_restore_dsn"], audit.run_id, "latest") as name:
        restoring = time.monotonic()
        try:
            restore(audit, latest.folder / "dump", name)
        except ToolFailedError as error:
            return failed(
                f"the newest backup {latest.name} cannot be restored: {error.prerequisite}", backup=latest.name
            )
        return judge_latest(
            latest, read_state(audit.params["postgres_restore_dsn"], name, audit), time.monotonic() - restoring
        )


def judge_taken(taken: Mapping[str, str], seconds: float, swept: list[str]) -> Verdict:
    facts = {"files": dict(taken), "seconds": round(seconds, 2), "swept_from_earlier_runs": swept}
    if "toc.dat" not in taken:
        return failed("the backup taken now has no table of contents", **facts)
    return passed(f"a backup of {len(taken)} files was taken in {seconds:.1f} s", **facts)


def judge_checksum(taken: Mapping[str, str], copied: Mapping[str, str], latest: Backup | None) -> Verdict:
    """SHA-256 before and after the transfer; and of the newest backup against what was recorded when it was taken."""
    facts = {"before": dict(taken), "after": dict(copied), "newest": latest.name if latest else None}
    changed = sorted(name for name in {*taken, *copied} if taken.get(name) != copied.get(name))
    if changed:
        return failed(f"{len(changed)} files changed in the transfer: {name_some(changed)}", **facts)
    if latest is None:
        return blocked("a backup whose recorded hashes can be compared (backup_restore_directory)", **facts)
    facts["recorded"] = latest.recorded
    differing = sorted(
        name for name in {*latest.recorded, *latest.found} if latest.recorded.get(name) != latest.found.get(name)
    )
    if differing:
        return failed(
            f"the newest backup {latest.name} differs from its recorded hashes: {name_some(differing)}", **facts
        )
    if not latest.recorded or not taken:
        return blocked("hashes to compare: none were recorded", **facts)
    return passed(f"{len(taken)} files are the same after the transfer, {len(latest.recorded)} as recorded", **facts)


def judge_restore(after: State, took: float) -> Verdict:
    facts = {"tables": len(after.content), "objects": len(after.objects), "seconds": round(took, 2)}
    if not after.content:
        return failed("the restored database has no table", **facts)
    return passed(f"restored into a scratch database in {took:.1f} s: {len(after.content)} tables", **facts)


def judge_equal(before: State, after: State, floor: Mapping[str, int]) -> Verdict:
    """Content by count and checksum; schema, policies and grants by definition; sequences by standing between the readings
    before and after the dump. Owners cannot be compared."""
    tables = _differences(before.content, after.content)
    definitions = _differences(before.objects, after.objects)
    definitions += [
        f"sequence {name} stands at {after.sequences.get(name)}"
        for name, value in before.sequences.items()
        if not floor.get(name, 0) <= after.sequences.get(name, -1) <= value
    ]
    facts = {
        "tables": dict(before.content),
        "differing": tables,
        "objects": len(before.objects),
        "differing_objects": definitions,
    }
    if tables or definitions:
        return failed(f"the restored database differs from its source: {name_some([*tables, *definitions])}", **facts)
    if not before.content:
        return blocked("tables to compare: the source has none", **facts)
    return passed(
        f"{len(before.content)} tables and {len(before.objects)} schema objects are equal to the source", **facts
    )


def judge_latest(latest: Backup, state: State, took: float) -> Verdict:
    filled = [name for name, text in state.content.items() if not text.startswith("0:")]
    facts = {"backup": latest.name, "tables": dict(state.content), "seconds": round(took, 2)}
    if not filled:
        return failed(f"the newest backup {latest.name} restores to a database without rows", **facts)
    return passed(
        f"the newest backup {latest.name} restores: {len(filled)} of {len(state.content)} tables hold rows", **facts
    )


def judge_rto(took: float, rto_s: float) -> Verdict:
    facts = {"seconds": round(took, 2), "objective_s": rto_s}
    if took > rto_s:
        return failed(f"the restore took {took:.1f} s; the objective is {rto_s:g} s", **facts)
    return passed(f"the restore took {took:.1f} s; the objective is {rto_s:g} s", **facts)


def _differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **POSTGRES,
            "directory": {"type": "path"},
            "scratch_dir": {"type": "path"},
            "rto_s": {"type": "float", "default": 3600.0},
            "jobs": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
