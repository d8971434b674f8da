"""What the lab tells others: ``connections.json`` for its administrator, ``auditor.yml`` for the auditor."""

from __future__ import annotations

import json
from pathlib import Path

from labkit.files import write_private
from labkit.lab import Lab


def file(folder: Path) -> Path:
    """Written last, so its presence says that the lab was once up."""
    return folder / "connections.json"


def write(lab: Lab) -> None:
    """Write both files."""
    write_private(file(lab.folder), json.dumps({"pids": lab.pids(), "missing": lab.missing}))


def refresh_pids(lab: Lab) -> None:
    """After a restart the pids are others."""
    known = json.loads(file(lab.folder).read_text())
    write_private(file(lab.folder), json.dumps({**known, "pids": lab.pids()}, indent=1))
