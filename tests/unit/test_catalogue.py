"""The catalogue: sound as shipped, and each unsound one is refused with file, key and mend."""

from __future__ import annotations

import ast
import importlib
import shutil
from pathlib import Path

import pytest
import yaml
from policy_audit.module_utils import matrix
from policy_audit.module_utils.catalogue import CatalogueError, load

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "policies" / "phase_a.yml"
POLICIES = load(SHIPPED).policies
SOURCES = [(source, policy) for policy in POLICIES for source in policy.sources]


@pytest.fixture
def edited(tmp_path):
    """Load the shipped catalogue after an edit of its data."""
    shutil.copy(ROOT / "policies" / "schema.json", tmp_path)

    def edit(change):
        data = yaml.safe_load(SHIPPED.read_text())
        change(data)
        path = tmp_path / "phase_a.yml"
        path.write_text(yaml.safe_dump(data))
        return load(path)

    return edit


def test_there_are_ten_policies_in_order():
    assert [policy.id for policy in POLICIES] == [f"A{number:02}" for number in range(1, 11)]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_each_policy_is_looked_at_from_both_sides(policy):
    for aspect in ("implemented", "enforced"):
        assert sum(check.aspect == aspect for check in policy.checks) >= 2


@pytest.mark.parametrize(("source", "policy"), SOURCES, ids=lambda one: getattr(one, "variable", ""))
def test_a_module_answers_exactly_what_the_catalogue_asks_of_it(source, policy):
    module = importlib.import_module(f"policy_audit.library.{source.module}")
    assert set(module.CHECKS.ids) == {check.id for check in policy.checks if check.source == source}


@pytest.mark.parametrize(("source", "policy"), SOURCES, ids=lambda one: getattr(one, "variable", ""))
def test_a_role_registers_what_the_catalogue_expects(source, policy):
    tasks = yaml.safe_load((ROOT / "roles" / policy.role / "tasks" / "main.yml").read_text())
    assert [source.module in task for task in tasks if task.get("register") == source.variable] == [True]


def test_every_module_is_in_the_catalogue():
    modules = {path.stem for path in (ROOT / "library").glob("*.py") if "\nCHECKS = Checks(" in path.read_text()}
    assert modules == {source.module for source, _policy in SOURCES}


def test_every_file_has_a_template():
    templates = {path.name for path in (ROOT / "roles" / "policy_matrix" / "templates").glob("[!_]*")}
    assert templates == {f"{name}.j2" for name in (*matrix.FILES, *load(SHIPPED).files)}


def test_judges_do_not_talk_to_systems():
    for path in (ROOT / "library").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("judge_"):
                names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
                assert "audit" not in names, f"{path.name}: {node.name} takes part in the conversation"


def drop_check_key(data):
    del data["policies"][0]["checks"][0]["remedy"]


def repeat_check(data):
    data["policies"][0]["checks"].append(data["policies"][0]["checks"][0])


def misname_source(data):
    data["policies"][0]["checks"][0]["source"] = "nowhere"


def repeat_policy(data):
    data["policies"].append(data["policies"][0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_check_key, "'remedy' is a required property"),
        (repeat_check, "stands there twice"),
        (misname_source, "'nowhere' is not among the policy's sources"),
        (repeat_policy, "stands there twice"),
        (lambda data: data.update(policies=[]), "$.policies"),
    ],
)
def test_an_unsound_catalogue_is_refused(edited, change, said):
    with pytest.raises(CatalogueError, match=r"phase_a\.yml") as raised:
        edited(change)
    assert said in str(raised.value)


def test_a_catalogue_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CatalogueError, match=r"nowhere\.yml"):
        load(tmp_path / "nowhere.yml")


def test_selection_by_id_role_and_skip():
    catalogue = load(SHIPPED)
    assert len(catalogue.select(["all"], [])) == 10
    assert [policy.id for policy in catalogue.select(["tenancy_rls"], [])] == ["A06"]
    assert [policy.id for policy in catalogue.select(["A06", "A07"], ["backup_restore"])] == ["A06"]
    with pytest.raises(CatalogueError, match="no policy is tagged tenancy_rsl"):
        catalogue.select(["tenancy_rsl"], [])
