"""What the nightly jobs leave behind for the metrics: when each last succeeded."""

from __future__ import annotations

import time
from pathlib import Path

from atom.settings import Settings


def note_success(settings: Settings, job: str) -> None:
    """Note that a job succeeded just now."""
    folder = Path(settings["jobs.status_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{job}"
    beside.write_text(f"{time.time():.3f}\n", encoding="ascii")
    beside.replace(folder / job)


def last_success(settings: Settings, job: str) -> float:
    """Seconds since the epoch; 0 if it never did."""
    try:
        return float((Path(settings["jobs.status_dir"]) / job).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0
