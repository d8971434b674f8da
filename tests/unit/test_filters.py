"""Filters: hostile text stays text, and each host is reported in its own environment."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).resolve().parents[2] / "filter_plugins"


def load(name):
    spec = importlib.util.spec_from_file_location(f"filters_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


safe_text, audit = load("safe_text"), load("audit")


@pytest.mark.parametrize("cell", ["=cmd()", "+1", "-1", "@x", "\t=1", " =1"])
def test_no_csv_cell_is_a_formula(cell):
    (parsed,) = csv.reader([safe_text.csv_row([cell])])
    assert parsed[0].startswith("'")


@given(st.lists(st.text(), min_size=2, max_size=6))
def test_csv_rows_keep_their_cells_apart(cells):
    line = safe_text.csv_row(cells)
    assert "\n" not in line
    (parsed,) = csv.reader([line])
    assert len(parsed) == len(cells)


@given(st.text())
def test_a_markdown_cell_stays_one_cell(text):
    cell = safe_text.md_text(text)
    assert "\n" not in cell
    assert "|" not in cell.replace("\\|", "")
    assert "<" not in cell.replace("\\<", "")


def test_markdown_links_and_html_are_literal():
    assert safe_text.md_text("[x](http://y)<script>") == "\\[x\\]\\(http://y\\)\\<script\\>"


@given(st.text())
def test_a_log_line_is_one_line_without_controls(text):
    line = safe_text.log_line(text)
    assert line == "" or line.isprintable()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.04 s"), (12.34, "12.3 s"), (125, "2 min 5 s"), (59.96, "60.0 s")]
)
def test_durations(seconds, said):
    assert safe_text.duration(seconds) == said


def hosts(tmp_path, *names, **extra):
    return {
        f"{name}-db": {"inventory_dir": str(tmp_path / name), "group_names": ["postgres"], **extra} for name in names
    }


def test_the_environment_is_the_folder_behind_the_link(tmp_path):
    (tmp_path / "inventory" / "prod").mkdir(parents=True)
    (tmp_path / "prod").symlink_to("inventory/prod")
    assert audit.environment_of({"inventory_dir": str(tmp_path / "prod")}) == "prod"


def test_an_environment_without_hosts_is_still_reported(tmp_path):
    for name in ("lab", "void"):
        (tmp_path / name).mkdir()
    assert audit.environments_of([str(tmp_path / "lab"), str(tmp_path / "void")], hosts(tmp_path, "lab")) == [
        "lab",
        "void",
    ]


def test_a_named_environment_replaces_its_folder(tmp_path):
    (tmp_path / "lab").mkdir()
    named = hosts(tmp_path, "lab", audit_environment="second-lab")
    assert audit.environments_of([str(tmp_path / "lab")], named) == ["second-lab"]


@pytest.mark.parametrize("name", ["../x", ".hidden", "a b", "a/b"])
def test_an_environment_cannot_lead_out_of_the_reports(name):
    with pytest.raises(AnsibleFilterError):
        audit.environment_of({"audit_environment": name})


def test_only_registered_answers_travel(tmp_path):
    found = audit.audited_hosts(hosts(tmp_path, "lab", rls={"checks": []}, other="x"), ["rls", "missing"])
    assert found == {"lab-db": {"environment": "lab", "groups": ["postgres"], "results": {"rls": {"checks": []}}}}


def test_policies_of_a_host():
    policies = [{"id": "A06", "groups": ["postgres"]}, {"id": "A02", "groups": ["vault", "app_hosts"]}]
    assert audit.policies_of(policies, ["app_hosts", "lab"]) == [policies[1]]
