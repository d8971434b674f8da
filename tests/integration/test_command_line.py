"""What an operator may type, right or wrong, and what comes of it."""

from __future__ import annotations

import pytest
import yaml

from tests.harness import POLICIES, ROOT, audit

SHIPPED = ("prod", "staging")


@pytest.mark.parametrize("environment", SHIPPED)
def test_a_shipped_template_is_blocked_and_names_what_is_missing(environment, tmp_path):
    outcome = audit("-i", environment, reports=tmp_path)
    assert outcome.code == 2
    assert outcome.rows(environment) == dict.fromkeys(POLICIES, "BLOCKED")
    for row in outcome.matrix(environment)["policies"]:
        for check in row["checks"]:
            assert "set in the inventory" in check["prerequisite"] or "inventory group" in check["prerequisite"], check


def test_two_environments_in_one_run_do_not_mix(lab, tmp_path):
    outcome = audit("-i", "lab", "-i", "staging", lab=lab, reports=tmp_path)
    assert outcome.code == 2
    assert outcome.rows("lab") == dict.fromkeys(POLICIES, "PASS")
    assert outcome.rows("staging") == dict.fromkeys(POLICIES, "BLOCKED")
    assert "staging: BLOCKED A01" in outcome.output


def test_tags_limit_a_run_which_is_then_partial(lab, tmp_path):
    full = tmp_path / "lab" / "PhaseA_PolicyMatrix.json"
    full.parent.mkdir()
    full.write_text('{"environment": "lab", "run_id": "0"}')
    outcome = audit("-i", "lab", "--tags", "tenancy_rls", lab=lab, reports=tmp_path)
    assert outcome.code == 2
    assert outcome.rows() == {**dict.fromkeys(POLICIES, "BLOCKED"), "A06": "PASS"}
    assert outcome.matrix()["partial"] is True
    assert outcome.matrix()["accepted"] is False
    assert full.read_text() == '{"environment": "lab", "run_id": "0"}'


def test_limit_to_one_system(lab, tmp_path):
    outcome = audit("-i", "lab", "--limit", "lab-ci", lab=lab, reports=tmp_path)
    assert outcome.code == 2
    assert outcome.matrix()["limits"] == ["--limit lab-ci"]
    asked = {
        check["target"] for row in outcome.matrix()["policies"] for check in row["checks"] if check["status"] == "PASS"
    }
    assert asked == {"lab-ci"}


def test_check_mode_asks_passive_questions_only(lab, tmp_path):
    outcome = audit("-i", "lab", "--check", lab=lab, reports=tmp_path)
    assert outcome.code == 2
    assert outcome.checks("FAIL") == {}
    assert all("check mode" in said for said in outcome.checks("BLOCKED").values())
    assert {"rls.cross_tenant_read_denied", "cosign.rejects_unsigned"} <= set(outcome.checks("BLOCKED"))
    assert {"rls.enabled", "cosign.packages_signed"} <= set(outcome.checks("PASS"))


def test_a_passive_environment_is_not_probed(lab, tmp_path):
    outcome = audit("-i", "lab", "--tags", "A06", "-e", "tenancy_rls_probes=passive", lab=lab, reports=tmp_path)
    assert "audit_probes is 'passive'" in outcome.checks("BLOCKED")["rls.cross_tenant_read_denied"]
    assert "rls.enabled" in outcome.checks("PASS")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-i", "nowhere"), 1, "nowhere"),
        (("-i", "staging", "--tags", "tenancy_rsl"), 2, "no policy is tagged tenancy_rsl"),
        (("-i", "staging", "--limit", "nobody"), 1, "nobody"),
    ],
)
def test_a_misspelt_word_is_an_error_that_names_it(arguments, code, said, tmp_path):
    outcome = audit(*arguments, reports=tmp_path)
    assert outcome.code == code
    assert said in outcome.output
    assert outcome.matrices == {}


def test_an_empty_inventory_is_reported_and_not_accepted(tmp_path):
    inventory = tmp_path / "void"
    inventory.mkdir()
    (inventory / "hosts.yml").write_text("all:\n")
    outcome = audit("-i", str(inventory), reports=tmp_path / "reports")
    assert outcome.code == 2
    assert outcome.rows("void") == dict.fromkeys(POLICIES, "BLOCKED")


def test_a_dead_host_blocks_its_own_checks_only(tmp_path):
    inventory = tmp_path / "outpost"
    inventory.mkdir()
    groups = yaml.safe_load((ROOT / "inventory" / "staging" / "hosts.yml").read_text())
    groups["staging"]["vars"] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    groups["postgres"]["hosts"] = {
        "outpost-db": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    }
    (inventory / "hosts.yml").write_text(yaml.safe_dump(groups))
    outcome = audit("-i", str(inventory), reports=tmp_path / "reports")
    assert outcome.code == 2
    assert outcome.rows("outpost") == dict.fromkeys(POLICIES, "BLOCKED")
    rows = {row["id"]: row for row in outcome.matrix("outpost")["policies"]}
    assert {check["prerequisite"].split(":")[0] for check in rows["A06"]["checks"]} == {"a reachable host"}
    assert all("a reachable host" not in check["prerequisite"] for check in rows["A10"]["checks"])


def test_verbose_shows_ansible_as_well(tmp_path):
    outcome = audit("-i", "staging", "--tags", "A06", "-v", reports=tmp_path)
    assert "TASK [" in outcome.output
    assert "BLOCKED  rls.enabled" in outcome.output
