"""PostgreSQL, with the tenant of each transaction set where row-level security reads it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.extras

psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]
POOL_SIZE = 8


class DependencyUnavailableError(Exception):
    """A system this service needs does not answer; the text names it, and a client may see it."""


class Database:
    """A small pool of connections of one role."""

    def __init__(self, *, host: str, port: int, dbname: str, user: str, password: str) -> None:
        self._options: dict[str, Any] = {
            "host": host,
            "port": port,
            "dbname": dbname,
            "user": user,
            "password": password,
        }
        self._name = f"PostgreSQL at {host}:{port}"
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue(POOL_SIZE)

    @contextmanager
    def transaction(self, tenant_id: str | None = None) -> Iterator[Any]:
        """A cursor (rows as dicts) in a transaction that sees one tenant's rows, or none.

        :raises DependencyUnavailableError: if the server cannot be reached, also half way.
        """
        connection = None
        try:
            connection = self._take()
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant_id or "",))
                yield cursor
        except psycopg2.OperationalError:
            raise DependencyUnavailableError(f"{self._name} is unavailable") from None
        except psycopg2.InterfaceError:
            raise DependencyUnavailableError(f"{self._name} is unavailable") from None
        finally:
            self._give_back(connection)

    def _take(self) -> Any:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return psycopg2.connect(
                    **self._options,
                    connect_timeout=3,
                    options="-c statement_timeout=15000 -c lock_timeout=10000",
                    cursor_factory=psycopg2.extras.RealDictCursor,
                )
            try:  # one that idled through a restart of the server fails here, where it costs nothing
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.Error:
                connection.close()
                continue
            return connection

    def _give_back(self, connection: Any) -> None:
        if connection is None:
            return
        try:
            if connection.closed:
                return
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()
