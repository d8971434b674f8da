# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dumps, scratch databases and what makes two databases equal.

The tools of PostgreSQL are given their connection in a private service file (libpq, "The Connection Service File"): no
credential is in their arguments or their environment. A scratch database is named by the run; while its run lives, a
session of it holds an advisory lock, so that another run can tell what was left behind by one that was killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from .postgres import CONNECT_S, Postgres
from .unanswerable import Unanswerable

SCRATCH_PREFIX = "audit_scratch_"
TABLES = """
    SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1
"""
SCHEMA_OBJECTS = """
    WITH relations AS (
        SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    )
    SELECT 'column' AS kind, r.name || '.' || a.attname AS name,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                     pg_get_expr(d.adbin, d.adrelid)) AS definition
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT 'row security', r.name, concat_ws(' ', r.relrowsecurity, r.relforcerowsecurity)
    FROM relations r WHERE r.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'policy', r.name || '.' || p.polname,
           concat_ws(' ', p.polpermissive, p.polcmd, (SELECT string_agg(pg_get_userbyid(o)::text, ',' ORDER BY o)
                     FROM unnest(p.polroles) AS o), pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
    UNION ALL
    SELECT 'constraint', r.name || '.' || c.conname, pg_get_constraintdef(c.oid)
    FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid WHERE c.contype <> 'n'
    UNION ALL
    SELECT 'index', r.name, pg_get_indexdef(r.oid) FROM relations r WHERE r.relkind = 'i'
    UNION ALL
    SELECT 'trigger', r.name || '.' || t.tgname, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
    FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'view', r.name, concat_ws(' ', r.reloptions, pg_get_viewdef(r.oid)) FROM relations r WHERE r.relkind IN ('v', 'm')
    UNION ALL
    SELECT 'function', f.oid::regprocedure::text, pg_get_functiondef(f.oid)
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND f.prokind IN ('f', 'p')
    UNION ALL
    SELECT 'grant', r.name || ' to ' || CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END,
           string_agg(x.privilege_type, ',' ORDER BY x.privilege_type)
    FROM relations r, aclexplode(r.relacl) AS x WHERE x.grantee <> r.relowner AND r.relkind <> 'i' GROUP BY 1, 2
    UNION ALL
    SELECT 'sequence', format('%I.%I', s.schemaname, s.sequencename), concat_ws(' ', s.min_value, s.increment_by, s.cycle)
    FROM pg_sequences s
"""
"""Everything that a schema is, one row an object; owners apart, whom a restore by another role cannot keep."""
SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename) AS name, coalesce(last_value, 0) AS value FROM pg_sequences
"""
"""Where each sequence stands. No snapshot holds sequences still: a restored one stands somewhere between two readings."""
DATABASE_SIZE = "SELECT pg_database_size(current_database()) AS bytes"


class ToolFailedError(Unanswerable):
    """A tool ran and ended with an error: what it was given, or the server, is not as it should be."""


@contextmanager
def service(dsn: str, **instead: str) -> Iterator[dict[str, str]]:
    """An environment in which PostgreSQL's tools find the connection as ``service=audit``; ``instead`` replaces parts."""
    parts = {**psycopg2.extensions.parse_dsn(dsn), **instead}
    with tempfile.TemporaryDirectory(prefix="policy-audit-") as private:
        file = Path(private) / "service.conf"
        file.touch(mode=0o600)
        file.write_text("[audit]\n" + "".join(f"{key}={value}\n" for key, value in parts.items()), encoding="utf-8")
        yield {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "PGSERVICEFILE": str(file)}


def run_tool(folder: str | None, tool: str, *arguments: str, env: Mapping[str, str], timeout_s: float) -> None:
    """Run one of PostgreSQL's tools to its end.

    :raises ToolFailedError: if it fails, with its last words.
    :raises Unanswerable: if it is not there, or takes too long.
    """
    path = shutil.which(tool, path=folder or None)
    if path is None:
        raise Unanswerable(f"{tool} (postgres_bin): not found in {folder or 'the PATH'}")
    try:
        done = subprocess.run(
            [path, *arguments],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unanswerable(f"a {tool} that ends: it was still running after {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise ToolFailedError(
            f"a {tool} that works: it ended with {done.returncode}: {' '.join(done.stderr.split())[-400:]}"
        )


@contextmanager
def scratch_database(dsn: str, run_id: str, purpose: str) -> Iterator[str]:
    """An empty database of one's own, dropped again whatever happens; its name."""
    name = f"{SCRATCH_PREFIX}{run_id}_{purpose}".lower().replace("-", "_")
    connection = _autocommit(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_key(name),))
            try:
                cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
            except psycopg2.Error as error:
                said = error.diag.message_primary if error.diag else error
                raise Unanswerable(f"a scratch database (postgres_restore_dsn needs CREATEDB): {said}") from None
            try:
                yield name
            finally:
                _drop(cursor, name)
    finally:
        connection.close()


def _drop(cursor: Any, name: str) -> None:
    """Drop a database. By force only what a killed run is still connected to: autovacuum gives way to a plain DROP, but a
    forced one needs the right to end it (DROP DATABASE).
    """
    try:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
    except psycopg2.errors.ObjectInUse:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def sweep_scratch_databases(dsn: str) -> list[str]:
    """Drop what runs that are no longer alive left behind; the names."""
    connection = _autocommit(dsn)
    gone = []
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND pg_has_role(datdba, 'USAGE')",
                (SCRATCH_PREFIX,),
            )
            for (name,) in cursor.fetchall():
                cursor.execute("SELECT pg_try_advisory_lock(%s)", (_key(name),))
                if cursor.fetchone()[0]:
                    _drop(cursor, name)
                    gone.append(name)
    finally:
        connection.close()
    return gone


def content(database: Postgres) -> dict[str, str]:
    """Table to ``rows:checksum``; the checksum adds two 64-bit hashes of each row, so that order does not matter."""
    names = [row["name"] for row in database.rows(TABLES)]
    if not names:
        return {}
    parts = [
        f"SELECT '{name.replace(chr(39), chr(39) * 2)}' AS name, count(*) AS rows,"
        f" coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS one,"
        f" coalesce(sum(hashtextextended(t::text, 1)::numeric), 0) AS two FROM {name} AS t"
        for name in names
    ]
    return {row["name"]: f"{row['rows']}:{row['one']}:{row['two']}" for row in database.rows(" UNION ALL ".join(parts))}


def objects(database: Postgres) -> dict[str, str]:
    """Each schema object's kind and name to its definition."""
    return {f"{row['kind']} {row['name']}": row["definition"] or "" for row in database.rows(SCHEMA_OBJECTS)}


def sequences(database: Postgres) -> dict[str, int]:
    """Each sequence to the number it stands at."""
    return {row["name"]: int(row["value"]) for row in database.rows(SEQUENCES)}


def _autocommit(dsn: str) -> Any:
    try:
        connection = psycopg2.connect(dsn, connect_timeout=CONNECT_S)
    except psycopg2.Error as error:
        raise Unanswerable(
            f"PostgreSQL for the restore drill (postgres_restore_dsn): {' '.join(str(error).split())}"
        ) from None
    connection.autocommit = True
    return connection


def _key(name: str) -> int:
    return zlib.crc32(name.encode())
