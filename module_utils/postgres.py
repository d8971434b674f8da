# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL as a guest talks to it: one transaction that is always rolled back, every wait bounded.

A passive conversation is ``READ ONLY, REPEATABLE READ``, so that all questions see one state. An active one may write, and
leaves nothing, because nothing here ever commits; :meth:`Postgres.attempt` tries one statement inside a savepoint.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from .result import Attempt, Outcome
from .unanswerable import Unanswerable

CONNECT_S = 5
LOCK_MS = 2_000
"""An audit must never queue behind the application's locks, nor make it queue behind ours."""
INSUFFICIENT_PRIVILEGE = "42501"
CONSTRAINTS = frozenset({"23502", "23503", "23505", "23514"})
"""A row that reached a constraint had passed row security, which PostgreSQL checks first."""

Row = Mapping[str, Any]


class Postgres:
    """One connection, one transaction.

    :param name: the inventory variable that the connection string came from, for messages.
    :param dbname: another database than the connection string's.
    :raises Unanswerable: from every method, naming server and database, never the password.
    """

    def __init__(
        self,
        dsn: str,
        name: str,
        *,
        application: str,
        writes: bool = False,
        timeout_s: float = 10.0,
        dbname: str | None = None,
    ) -> None:
        try:
            dsn = psycopg2.extensions.make_dsn(dsn, **({"dbname": dbname} if dbname else {}))
            parsed = psycopg2.extensions.parse_dsn(dsn)
        except psycopg2.Error:
            raise Unanswerable(f"{name} as a libpq connection string (host=... dbname=... user=...)") from None
        self.name = (
            f"PostgreSQL at {parsed.get('host', 'the local socket')}:{parsed.get('port', '5432')}"
            f"/{parsed.get('dbname', '')} as {parsed.get('user', '')}"
        )
        milliseconds = int(timeout_s * 1000)
        options = (
            f"-c statement_timeout={milliseconds} -c lock_timeout={LOCK_MS}"
            f" -c idle_in_transaction_session_timeout={6 * milliseconds} -c search_path=pg_catalog"
        )
        try:
            self._connection = psycopg2.connect(
                dsn,
                connect_timeout=CONNECT_S,
                application_name=application[:63],
                options=options,
                cursor_factory=psycopg2.extras.RealDictCursor,
                tcp_user_timeout=milliseconds,
            )
        except psycopg2.Error as error:
            raise Unanswerable(f"{self.name}: {_said(error)}") from None
        self._connection.set_session(
            readonly=not writes, isolation_level="REPEATABLE READ" if not writes else "READ COMMITTED"
        )
        self.version: int = self._connection.server_version
        """As the server numbers itself: 180001 is 18.1."""

    def rows(self, statement: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> list[Row]:
        """All rows of a query, as mappings."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return [dict(row) for row in cursor.fetchall()]
        except psycopg2.Error as error:
            raise Unanswerable(f"{self.name}: {_said(error)}") from None

    def attempt(
        self, action: str, statement: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> Attempt:
        """Try one statement and take it back. No error: allowed, and ``reason`` is ``N rows``; an error: refused, and
        ``reason`` is its SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
        """
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SAVEPOINT attempt")
                try:
                    cursor.execute(statement, parameters)
                    found = Attempt(action, Outcome.ALLOWED, f"{cursor.rowcount} rows")
                except psycopg2.OperationalError:  # a time-out or a lost server refuses nothing
                    raise
                except psycopg2.Error as error:
                    found = Attempt(action, Outcome.REFUSED, error.pgcode or "", _said(error))
                cursor.execute("ROLLBACK TO SAVEPOINT attempt")
                return found
        except psycopg2.Error as error:
            raise Unanswerable(f"{self.name}: {action}: {_said(error)}") from None

    def close(self) -> None:
        """Roll back whatever was tried."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._connection.close()

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _said(error: psycopg2.Error) -> str:
    """The server's own first line, or the driver's."""
    message = error.diag.message_primary if error.diag else None
    return " ".join((message or str(error)).split())
