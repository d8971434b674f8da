"""``python -m atom.backup --settings FILE``: the nightly backup.

A ``pg_dump`` in directory format, with the digest of each of its files in ``manifest.json`` and in ``SHA256SUMS`` (as
``sha256sum -c`` reads it). It is written under a hidden name and renamed when complete, so that a folder called
``atom-<UTC time>`` always is a whole backup. Only the newest ``retention_count`` are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from atom import audit_log, credentials, jobs, server
from atom.settings import Settings

LONGEST_S = 3600


def back_up(settings: Settings, user: str, password: str) -> Path:
    """Take a backup now; its folder.

    :raises subprocess.CalledProcessError: if pg_dump fails; nothing is left behind then.
    """
    home = Path(settings["backup.directory"])
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    started = datetime.now(timezone.utc)
    folder = home / f"atom-{started:%Y%m%dT%H%M%S}.{started.microsecond // 1000:03}Z"
    for killed in home.glob(".atom-*"):
        shutil.rmtree(killed)
    unfinished = home / f".{folder.name}"
    unfinished.mkdir(mode=0o700)
    try:
        _dump(settings, user, password, unfinished / "dump")
        _describe(settings, unfinished, folder.name, started)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for old in sorted(home.glob("atom-*"))[: -int(settings["backup.retention_count"])]:
        shutil.rmtree(old)
    return folder


def _dump(settings: Settings, user: str, password: str, target: Path) -> None:
    where = settings["postgresql"]
    with tempfile.TemporaryDirectory(prefix="atom-backup-") as private:
        passfile = Path(private) / "pgpass"
        passfile.touch(mode=0o600)
        passfile.write_text(
            f"*:*:*:*:{password.replace(chr(92), chr(92) * 2).replace(':', chr(92) + ':')}\n", encoding="utf-8"
        )
        environment = {"PATH": os.defpath, "PGPASSFILE": str(passfile), "LC_ALL": "C.UTF-8"}
        connection = ("-h", str(where["host"]), "-p", str(where["port"]), "-U", user, "-d", str(where["dbname"]))
        subprocess.run(  # noqa: S603
            (settings["backup.pg_dump"], *connection, "--no-password", "-Fd", "-f", str(target)),
            check=True,
            env=environment,
            timeout=LONGEST_S,
        )


def _describe(settings: Settings, folder: Path, name: str, started: datetime) -> None:
    """Digest every file, make all of it private, and write the manifest."""
    (folder / "dump").chmod(0o700)
    files: list[dict[str, Any]] = []
    for path in sorted((folder / "dump").rglob("*")):
        path.chmod(0o600)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.append({"path": str(path.relative_to(folder)), "size": path.stat().st_size, "sha256": digest})
    manifest = {
        "schema_version": 1,
        "id": name,
        "database": settings["postgresql"]["dbname"],
        "tool": "pg_dump -Fd",
        "started_at": audit_log.utc(started),
        "finished_at": audit_log.utc(datetime.now(timezone.utc)),
        "files": files,
    }
    _write(folder / "manifest.json", json.dumps(manifest, indent=1))
    _write(folder / "SHA256SUMS", "".join(f"{file['sha256']}  {file['path']}\n" for file in files))


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    settings = server.settings_from_arguments("The nightly backup")
    secret = credentials.fetch(settings, "backup")
    print(back_up(settings, secret["postgres_user"], secret["postgres_password"]))  # noqa: T201
    jobs.note_success(settings, "backup")


if __name__ == "__main__":
    main()
