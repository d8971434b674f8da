"""The same audit from Python, through ansible-runner and the data directory that the repository ships."""

from __future__ import annotations

import json

import ansible_runner
import pytest

from tests.harness import BIN, POLICIES, ROOT, read_matrices

RUNNER = ROOT / "runner"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the audit as a program would, leaving nothing in the data directory."""
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")

    def start(variables, **options):
        return ansible_runner.run(
            private_data_dir=str(RUNNER),
            artifact_dir=str(tmp_path / "artifacts"),
            playbook="audit.yml",
            extravars={"policy_matrix_directory": str(tmp_path / "reports"), **variables},
            suppress_env_files=True,
            quiet=True,
            **options,
        )

    return start


def test_runner_audits_the_lab(run, lab, tmp_path):
    result = run({"lab_dir": str(lab)})
    assert result.rc == 0, result.stdout.read()[-4000:]
    assert result.status == "successful"
    (matrix,) = read_matrices(tmp_path / "reports").values()
    assert {row["id"]: row["result"] for row in matrix["policies"]} == dict.fromkeys(POLICIES, "PASS")


def test_the_gate_reaches_python(run, tmp_path):
    result = run({}, inventory=str(ROOT / "prod"))
    assert (result.rc, result.status) == (2, "failed")
    assert json.loads((tmp_path / "reports" / "prod" / "PhaseA_PolicyMatrix.json").read_text())["accepted"] is False


def test_credentials_are_in_the_one_artifact_that_the_manual_warns_of(run, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIT_VAULT_TOKEN", "canary-d41d8cd98f00b204")
    before = sorted(RUNNER.rglob("*"))
    run({}, inventory=str(ROOT / "prod"))
    kept = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert kept == {"artifacts", "reports"}
    telling = [path for path in tmp_path.rglob("*") if path.is_file() and b"canary-d41d8c" in path.read_bytes()]
    assert [(path.name, path.stat().st_mode & 0o777) for path in telling] == [("command", 0o600)]
    assert sorted(RUNNER.rglob("*")) == before
