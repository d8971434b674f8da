"""Records are chained, and a segment that may have been stored is never overlapped by another."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import datetime, timezone

import pytest
import rfc8785

from atom import audit_log
from atom.database import DependencyUnavailableError
from atom.settings import Settings


class Table:
    """The two audit tables, as far as the log asks of them; commits of segments can be made to fail."""

    def __init__(self):
        self.events, self.segments, self.failing = [], [], False

    @contextlib.contextmanager
    def transaction(self):
        cursor = Cursor(self)
        yield cursor
        if self.failing:
            raise DependencyUnavailableError("PostgreSQL is unavailable")
        self.segments += cursor.sealed


class Cursor:
    def __init__(self, table):
        self.table, self.sealed, self.answer = table, [], []

    def execute(self, statement, values=()):
        if "INSERT INTO audit.events" in statement:
            at = datetime.strptime(values["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            self.table.events.append({**values, "at": at, "detail": {}})
        elif "INSERT INTO audit.segments" in statement:
            self.sealed.append(values)
        elif "max(last_seq)" in statement:
            self.answer = [{"sealed": self.table.segments[-1][2] if self.table.segments else 0}]
        elif "ORDER BY seq DESC" in statement:
            self.answer = self.table.events[-1:]
        elif "FROM audit.events" in statement:
            self.answer = [event for event in self.table.events if event["seq"] > values[0]]

    def fetchone(self):
        return self.answer[0] if self.answer else None

    def fetchall(self):
        return self.answer


class Store:
    def __init__(self):
        self.keys = []

    def put_object(self, *, Key, Body, **_):  # noqa: N803
        self.keys.append(Key)
        return {"VersionId": str(len(self.keys))}


@pytest.fixture
def sealer(tmp_path):
    path = tmp_path / "settings.yml"
    path.write_text("s3: {audit_bucket: b}\n")
    table, store = Table(), Store()
    sealer = audit_log.Sealer(Settings(path), table, lambda: store)
    return sealer, table, store


def add(table, subject):
    audit_log.append(Cursor(table), actor="a", action="x", subject=subject, outcome="done")


def test_each_record_names_the_one_before(sealer):
    _sealer, table, _store = sealer
    for subject in "abc":
        add(table, subject)
    records = audit_log.events(Cursor(table))
    assert [record["seq"] for record in records] == [1, 2, 3]
    assert [record["prev_hash"] for record in records] == [audit_log.GENESIS, records[0]["hash"], records[1]["hash"]]
    for record in records:
        body = {key: value for key, value in record.items() if key != "hash"}
        assert record["hash"] == hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def test_only_what_is_new_is_sealed(sealer):
    sealer, table, store = sealer
    add(table, "a")
    assert sealer.seal()
    assert not sealer.seal()
    add(table, "b")
    assert sealer.seal()
    assert store.keys == ["log/000000000001-000000000001.jsonl", "log/000000000002-000000000002.jsonl"]


def test_a_segment_whose_anchor_failed_is_finished_before_newer_records_are_sealed(sealer):
    sealer, table, store = sealer
    add(table, "a")
    table.failing = True
    with pytest.raises(DependencyUnavailableError):
        sealer.seal()
    table.failing = False
    add(table, "b")
    assert sealer.seal()
    assert sealer.seal()
    assert store.keys == ["log/000000000001-000000000001.jsonl"] * 2 + ["log/000000000002-000000000002.jsonl"]
