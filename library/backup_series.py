#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_series
short_description: Judge the schedule, the age, the protection and the retention of a series of backups
description:
  - Runs on the host that keeps the backups, and reads; each backup is a folder with a C(manifest.json).
  - The schedule is a crontab file (with or without a user field) or a systemd timer.
options:
  directory:
    description: Folder of the backup series.
    type: path
  crontab:
    description: Crontab file in which the job is scheduled.
    type: path
  timer:
    description: Systemd timer by which the job is scheduled, instead of a crontab.
    type: str
  job_pattern:
    description: Regular expression that the scheduled command matches.
    type: str
    default: backup
  max_age_s:
    description: How many seconds old the newest backup may be, and how long the series may be interrupted.
    type: int
    default: 93600
  keep_count:
    description: How many backups must be there, at the least.
    type: int
    default: 7
  keep_days:
    description: How many days old a backup may become before it must be gone.
    type: int
    default: 400
  offsite_directory:
    description: Where a copy of each backup must be as well; empty when none is required.
    type: path
extends_documentation_fragment: audit
"""

EXAMPLES = r"""
- name: Examine the series of backups
  backup_series:
    audit: "{{ audit_context }}"
    directory: /srv/backups
    crontab: /etc/cron.d/backup
  register: backup_restore_series_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import re
import stat
import subprocess
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.backup_files import Backup, digests, series
from ..module_utils.crontab import Entry, longest_pause, read_crontab
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT
from ..module_utils.result import Verdict, blocked, failed, judge_each, name_some, passed
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(passive=("backup.schedule", "backup.fresh", "backup.protected", "backup.retention"))
NIGHTLY = timedelta(hours=25)
"""The longest pause of a nightly job: a day, and the hour that the clock is put back."""


def examine(audit: Audit) -> None:
    """The schedule first, which needs no backup; then the series, read once."""
    audit.check("backup.schedule", ask_schedule, audit)
    directory = Path(audit.require("directory"))
    complete, broken = series(directory)
    now = datetime.now(timezone.utc)
    audit.check("backup.fresh", judge_fresh, complete, broken, now, timedelta(seconds=audit.params["max_age_s"]))
    audit.check("backup.protected", ask_protected, audit, complete)
    oldest_allowed = now - timedelta(days=audit.params["keep_days"])
    audit.check("backup.retention", judge_retention, complete, audit.params["keep_count"], oldest_allowed)


def ask_schedule(audit: Audit) -> Verdict:
    """A systemd timer is asked of systemd, a crontab is read as cron reads it."""
    if audit.params["timer"]:
        answers = {}
        for question in ("is-enabled", "is-active"):
            try:
                command = ["systemctl", question, audit.params["timer"]]
                done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unanswerable(f"systemctl on this host: {type(error).__name__}") from None
            answers[question] = done.stdout.strip() or done.stderr.strip()
        return judge_timer(audit.params["timer"], answers)
    crontab = audit.require("crontab")
    return judge_crontab(crontab, read_crontab(Path(crontab)), audit.params["job_pattern"])


def ask_protected(audit: Audit, complete: Sequence[Backup]) -> Verdict:
    open_files, files = {}, 0
    for backup in complete:
        for path in (backup.folder, *backup.folder.rglob("*")):
            files += 1
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                open_files[str(path.relative_to(backup.folder.parent))] = f"mode {mode:04o}"
    offsite = audit.params["offsite_directory"]
    lacking = [
        b.name for b in complete if offsite and digests(Path(offsite) / b.name / "dump") != digests(b.folder / "dump")
    ]
    return judge_protected([backup.name for backup in complete], files, open_files, offsite, lacking)


def judge_timer(timer: str, answers: dict[str, str]) -> Verdict:
    if answers != {"is-enabled": "enabled", "is-active": "active"}:
        return failed(f"the timer {timer} is {answers['is-enabled']} and {answers['is-active']}", **answers)
    return passed(f"the timer {timer} is enabled and active", **answers)


def judge_crontab(crontab: str, entries: Collection[Entry], pattern: str) -> Verdict:
    """An entry whose command is the job's, and that comes due at least once a night."""
    found = [entry for entry in entries if re.search(pattern, entry.command)]
    facts = {"crontab": crontab, "entries": [f"{entry.schedule} {entry.command}" for entry in found]}
    if not found:
        return failed(f"{crontab} schedules no job that matches {pattern!r}", **facts)
    pauses = {entry.schedule: longest_pause(entry.schedule) for entry in found}
    rarest = min(pauses.values())
    if rarest > NIGHTLY:
        return failed(f"the backup comes due every {rarest}, not every night ({', '.join(pauses)})", **facts)
    return passed(f"the backup is scheduled nightly ({', '.join(pauses)}) in {crontab}", **facts)


def judge_fresh(complete: Sequence[Backup], broken: Collection[str], now: datetime, limit: timedelta) -> Verdict:
    """The newest is young enough, and no two that follow each other are further apart than that."""
    facts = {
        "backups": [f"{backup.name} {backup.finished_at.isoformat()}" for backup in complete],
        "incomplete": list(broken),
        "limit_s": limit.total_seconds(),
    }
    if not complete:
        return failed("there is no complete backup", **facts)
    age = now - complete[-1].finished_at
    if age > limit:
        return failed(f"the newest backup {complete[-1].name} is {age} old; {limit} is allowed", **facts)
    if age < -limit:
        return failed(f"the newest backup {complete[-1].name} is dated in the future", **facts)
    gaps = [other.name for one, other in pairwise(complete) if other.finished_at - one.finished_at > limit]
    if gaps:
        return failed(f"the series has {len(gaps)} gaps of more than {limit}, before {name_some(gaps)}", **facts)
    if broken:
        return failed(f"{len(broken)} backups are not complete: {name_some(broken)}", **facts)
    return passed(f"{len(complete)} backups without a gap, the newest {age.total_seconds():.0f} s old", **facts)


def judge_protected(
    names: Collection[str], files: int, open_files: dict[str, str], offsite: str | None, lacking: Collection[str]
) -> Verdict:
    offenders = {**open_files, **dict.fromkeys(lacking, f"no equal copy in {offsite}")}
    return judge_each(
        "backups",
        names,
        offenders,
        sound=f"({files} files) are closed to group and others" + (f", and copied to {offsite}" if offsite else ""),
        fault="are not protected",
        offsite=offsite,
    )


def judge_retention(complete: Sequence[Backup], keep_count: int, oldest_allowed: datetime) -> Verdict:
    facts = {"count": len(complete), "keep_count": keep_count, "oldest_allowed": oldest_allowed.isoformat()}
    if not complete:
        return blocked("backups to examine: there is none", **facts)
    expired = [backup.name for backup in complete if backup.finished_at < oldest_allowed]
    if len(complete) < keep_count:
        return failed(f"{len(complete)} backups are kept; {keep_count} must be", **facts)
    if expired:
        return failed(f"{len(expired)} backups are older than allowed: {name_some(expired)}", **facts)
    return passed(f"{len(complete)} backups are kept, of which none is older than allowed", **facts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            "directory": {"type": "path"},
            "crontab": {"type": "path"},
            "timer": {"type": "str"},
            "job_pattern": {"type": "str", "default": "backup"},
            "max_age_s": {"type": "int", "default": 93600},
            "keep_count": {"type": "int", "default": 7},
            "keep_days": {"type": "int", "default": 400},
            "offsite_directory": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
