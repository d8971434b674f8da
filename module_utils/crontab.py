# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Crontab files as crontab(5) describes them, in the user's form and in that of ``/etc/cron.d`` with a user field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

from cronsim import CronSim, CronSimError

from .unanswerable import Unanswerable

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SETTING = re.compile(r"""^\s*["']?\w+["']?\s*=""")
LOOKED_AT = 64
"""How many times an entry is followed: more than two months of nights."""


@dataclass(frozen=True)
class Entry:
    """When, and what; a user field stays part of the command."""

    schedule: str
    command: str


def read_crontab(path: Path) -> list[Entry]:
    """The entries of a crontab file.

    :raises Unanswerable: if it cannot be read, or an entry cannot be understood.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Unanswerable(f"a readable crontab {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#") or SETTING.match(text):
            continue
        fields = text.split(None, 1 if text.startswith("@") else 5)
        schedule = NICKNAMES.get(fields[0]) if text.startswith("@") else " ".join(fields[:5])
        if schedule is None:
            continue  # @reboot comes due at no time
        if len(fields) < (2 if text.startswith("@") else 6):
            raise Unanswerable(f"a crontab that can be understood: {path} line {number}")
        entries.append(Entry(schedule, fields[-1]))
    return entries


def longest_pause(schedule: str) -> timedelta:
    """The longest time between two runs, over the next months.

    :raises Unanswerable: for a schedule that cron would not take.
    """
    try:
        times = list(islice(CronSim(schedule, datetime(2026, 1, 1)), LOOKED_AT))
    except CronSimError as error:
        raise Unanswerable(f"a schedule that cron takes: {schedule!r}: {error}") from None
    return max((other - one for one, other in pairwise(times)), default=timedelta.max)
