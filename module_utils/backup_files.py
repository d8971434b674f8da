# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A series of backups on disk: folders that each hold a ``manifest.json`` and a ``dump`` in pg_dump's directory format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .unanswerable import Unanswerable

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Backup:
    """One complete backup; ``recorded`` are its manifest's hashes by path, ``found`` those of the files that are there."""

    folder: Path
    finished_at: datetime
    recorded: dict[str, str]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def found(self) -> dict[str, str]:
        return {f"dump/{name}": digest for name, digest in digests(self.folder / "dump").items()}


def series(directory: Path) -> tuple[list[Backup], list[str]]:
    """The complete backups, oldest first; and folders that have no readable manifest.

    :raises Unanswerable: if the folder cannot be read.
    """
    complete, broken = [], []
    try:
        folders = sorted(entry for entry in directory.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise Unanswerable(f"a readable folder of backups {directory}: {error.strerror}") from None
    for folder in folders:
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            recorded = {str(file["path"]): str(file["sha256"]) for file in manifest["files"]}
            complete.append(Backup(folder, datetime.fromisoformat(manifest["finished_at"]), recorded))
        except (OSError, ValueError, KeyError, TypeError):
            broken.append(folder.name)
    return sorted(complete, key=lambda backup: backup.finished_at), broken


def newest(directory: Path) -> Backup | None:
    """The newest complete backup."""
    complete, _broken = series(directory)
    return complete[-1] if complete else None


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative path."""
    found = {}
    try:
        for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unanswerable(f"readable backup files in {folder}: {error.strerror}") from None
    return found
