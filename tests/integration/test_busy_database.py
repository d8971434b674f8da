"""A database that is never left alone: autovacuum is in every table as soon as there is one, and goes through it slowly."""

from __future__ import annotations

import pytest

from labkit.bench import Bench
from tests.harness import audit

EAGER = {
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_threshold": "0",
    "autovacuum_analyze_threshold": "0",
    "autovacuum_vacuum_cost_delay": "20ms",
    "autovacuum_vacuum_cost_limit": "1",
}


@pytest.fixture
def busy(lab):
    bench = Bench(lab)
    for name, value in EAGER.items():
        bench.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    bench.sql("SELECT pg_reload_conf()")
    yield
    for name in EAGER:
        bench.sql(f"ALTER SYSTEM RESET {name}")
    bench.sql("SELECT pg_reload_conf()")


@pytest.mark.usefixtures("busy")
def test_scratch_databases_can_be_dropped_while_autovacuum_is_in_them(lab, tmp_path):
    outcome = audit("-i", "lab", "--tags", "A07", lab=lab, reports=tmp_path)
    assert outcome.rows()["A07"] == "PASS", [row["notes"] for row in outcome.matrix()["policies"] if row["id"] == "A07"]
    left = Bench(lab).sql(
        "SELECT datname FROM pg_database WHERE datname NOT IN ('atom', 'postgres', 'template0', 'template1')"
    )
    assert left == []
