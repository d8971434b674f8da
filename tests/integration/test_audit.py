"""The whole audit of a clean lab, as an operator runs it, and every report it leaves."""

from __future__ import annotations

import csv
import json
import re
import stat

import jsonschema
import pytest

from tests.harness import POLICIES, ROOT, audit

COLUMNS = ["Policy", "Implemented", "Enforced", "Evidence File", "Pass/Fail", "Notes"]
FILES = {
    "PhaseA_PolicyMatrix.json", "PhaseA_PolicyMatrix.md", "PhaseA_PolicyMatrix.csv",
    "Audit_Cosign_Vault.md", "Audit_Cosign.log", "Audit_Vault.log",
    "Audit_Dryrun.md", "Audit_Dryrun.json",
    "Audit_RLS.md", "Audit_RLS.log", "Audit_RLS.json",
    "Audit_Backup_DR.md", "Audit_Restore.log", "Audit_Backup_Hash.txt",
    "Audit_Observability.md", "Audit_PromRules.json", "Audit_ActiveAlerts.json",
    "Audit_Logs_ETL.md", "Audit_LogIntegrity.log", "Audit_ETL.log",
    "Audit_CICD.md", "Audit_CICD.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def clean(lab, tmp_path_factory):
    return audit("-i", "lab", lab=lab, reports=tmp_path_factory.mktemp("reports"))


@pytest.fixture
def folder(clean):
    return clean.reports / "lab"


def test_a_clean_lab_is_accepted(clean):
    assert {**clean.checks("FAIL"), **clean.checks("BLOCKED")} == {}
    assert clean.rows() == dict.fromkeys(POLICIES, "PASS")
    assert clean.matrix()["accepted"] is True
    assert clean.code == 0, clean.output


def test_every_file_of_the_review_is_there_and_private(folder):
    published = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert published == FILES
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in FILES} == {0o600}


def test_the_json_matrix_keeps_its_published_schema(folder):
    schema = json.loads((ROOT / "docs" / "PhaseA_PolicyMatrix.schema.json").read_text())
    jsonschema.validate(json.loads((folder / "PhaseA_PolicyMatrix.json").read_text()), schema)


def test_the_csv_matrix_has_the_six_columns_and_ten_rows(folder):
    rows = list(csv.reader((folder / "PhaseA_PolicyMatrix.csv").read_text().splitlines()))
    assert rows[0] == COLUMNS
    assert [row[0].split()[0] for row in rows[1:]] == list(POLICIES)
    assert {len(row) for row in rows} == {6}


def test_the_markdown_matrix_has_the_six_columns_and_ten_rows(folder):
    lines = (folder / "PhaseA_PolicyMatrix.md").read_text().splitlines()
    start = lines.index(f"| {' | '.join(COLUMNS)} |")
    rows = [line for line in lines[start + 2 :] if line.startswith("|")]
    assert [row.split()[1] for row in rows] == list(POLICIES)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}


def test_each_report_says_what_was_examined_how_and_seen(clean, folder):
    for row in clean.matrix()["policies"]:
        report = (folder / row["evidence_files"][0]).read_text().replace("\\", "")
        for check in row["checks"]:
            section = report.split(f"### {check['id']} on {check['target']}: {check['status']}")[1].split("###")[0]
            assert "- How: " in section
            assert f"- Seen: {' '.join(check['summary'].split())}" in section


def test_evidence_holds_facts_for_each_check(clean, folder):
    for row in clean.matrix()["policies"]:
        logs = [name for name in row["evidence_files"] if name.endswith((".log", ".txt"))]
        for check in row["checks"]:
            for name in logs:
                assert f" {check['id']} target={check['target']}" in (folder / name).read_text()


def test_json_evidence_is_json_with_facts_for_each_check(clean, folder):
    for row in clean.matrix()["policies"]:
        for name in (name for name in row["evidence_files"] if name.endswith(".json")):
            evidence = {check["id"]: check for check in json.loads((folder / name).read_text())["checks"]}
            assert {check["id"] for check in row["checks"]} == set(evidence)
            assert all(evidence[check["id"]]["evidence"] for check in row["checks"])


def test_a_person_sees_a_line_per_check_then_the_matrix_then_the_paths(clean, folder):
    for row in clean.matrix()["policies"]:
        for check in row["checks"]:
            assert re.search(
                rf"^PASS +{re.escape(check['id'])} +{check['target']} +\d+\.\d\d s$", clean.output, re.MULTILINE
            )
    assert clean.output.index("Policy  ") > clean.output.index("PASS ")
    assert clean.output.index(str(folder / "PhaseA_PolicyMatrix.json")) > clean.output.index("Policy  ")
    assert "\x1b" not in clean.output
    assert "TASK [" not in clean.output
