"""The policy engine sees what would be executed, however it is spelled, and lets ordinary work through."""

from __future__ import annotations

import base64
import dataclasses

import pytest
import yaml

from atom.packages import parse
from atom.policy_engine import CLASSES, judge, rules
from atom.settings import Settings
from atom.spellings import read


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
        ("destructive_data", "sql.query", {"statement": "DR\u041eP TABLE x"}),
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
        ("destructive_data", "sql.query", {"statement": "DELETE FROM invoices -- WHERE id = 1"}),
        ("destructive_data", "sql.query", {"statement": "SELECT '--'; DROP TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": "WITH d AS (DELETE FROM a RETURNING *) SELECT 1 WHERE true"}),
        ("destructive_data", "sql.query", {"statement": "DELETE FROM invoices WHERE id = 1 OR 2 > 1"}),
        ("destructive_data", "sql.query", {"statement": "DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE a'; END $$"}),
        ("destructive_data", "sql.query", {"statement": "{% if true %}DR{% endif %}OP TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": "DR{# x #}OP TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": "{{ ['DR', 'OP'] | join }} TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": "{{ 'PORD' | reverse }} TABLE invoices"}),
        ("destructive_data", "sql.query", {"statement": r"{{ '\x44ROP' }} TABLE invoices"}),
        ("destructive_data", "shell.run", {"command": base64.b64encode(b"rm -rf /").decode()}),
        ("destructive_data", "shell.run", {"command": ["rm", ["-r", "-f"], "/"]}),
        ("destructive_infrastructure", "infra.apply", {"action": "{{ ['des', 'troy'] | join }}"}),
        ("destructive_infrastructure", "infra.apply", {"action": {"destroy": {"target": "cluster"}}}),
        ("destructive_infrastructure", "infra.apply", {"state": "absent"}),
        ("privilege", "policy.set", {"role": "admin", "principal": "bob"}),
        ("network_opening", "net.rule", {"cidr": "0:0:0:0:0:0:0:0/0"}),
        ("network_opening", "net.rule", {"cidr": ["0.0.0.0/1", "128.0.0.0/1"]}),
        ("control_disabling", "policy.set", {"signature_mode": "off"}),
        ("control_disabling", "policy.set", {"name": "audit", "value": "disabled"}),
        ("control_disabling", "infra.apply", {"delete_protection": False}),
        ("arbitrary_shell", "net.rule", {"cidr": "{{ steps.a.cidr }}"}),
        ("arbitrary_shell", "sql.query", {"statement": "x" * 20_000}),
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
        ("infra.apply", {"action": "apply", "delete_protection": True, "replicas": 3}),
        ("sql.query", {"statement": "SELECT :id", "params": {"id": "{{ steps.first.id }}"}}),
        ("sql.query", {"statement": "INSERT INTO notes VALUES ('the update was set')"}),
        ("core.log", {"message": "sudo make me a sandwich, 1/1 done"}),
        ("policy.set", {"enforce": True, "mode": "enforce"}),
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
    assert any("rm -rf" in text for text in read(base64.b64encode(once.encode()).decode()).texts)


def test_a_secret_passed_on_by_a_later_step_is_seen(settings):
    read_it = package("secret.read", path="erp/login")
    tell = package("core.log", message="{{ steps.s.value }}")
    both = dataclasses.replace(read_it, steps=(*read_it.steps, *tell.steps))
    assert {finding.class_ for finding in judge(both, settings)} == {"secret_exposure"}


def test_what_nothing_executes_is_not_judged(settings):
    named = package("sql.query", statement="SELECT 1")
    named.steps[0]["name"] = "drop temp table"
    assert judge(named, settings) == []


@pytest.mark.parametrize(
    "statement",
    [
        "{{ " + "'a' ~ " * 2_000 + "'a' }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ " + "'aaaa'" + " | join('aaaa')" * 30 + " }}",
        "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
        "delete from a " * 1_100,
        "update t set a = 1 where " * 600,
        "'a' || " * 2_000,
    ],
)
@pytest.mark.timeout(60)  # far above what it takes: a spelling that multiplies would not end at all
def test_every_spelling_comes_to_an_end(settings, statement):
    assert isinstance(judge(package("sql.query", statement=statement), settings), list)
