"""The same audit from Python, through ansible-runner and the data directory that the repository ships."""

from __future__ import annotations

import json
import shutil

import ansible_runner

from tests.harness import BIN, POLICIES, ROOT, read_matrices


def test_runner_audits_the_lab(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    result = ansible_runner.run(
        private_data_dir=str(ROOT / "runner"),
        artifact_dir=str(tmp_path / "artifacts"),
        playbook="audit.yml",
        extravars={"lab_dir": str(lab), "policy_matrix_directory": str(tmp_path / "reports")},
        quiet=True,
    )
    assert result.rc == 0, result.stdout.read()[-4000:]
    assert result.status == "successful"
    (matrix,) = read_matrices(tmp_path / "reports").values()
    assert {row["id"]: row["result"] for row in matrix["policies"]} == dict.fromkeys(POLICIES, "PASS")


def test_runner_writes_no_environment_file():
    assert "suppress_env_files: true" in (ROOT / "runner" / "env" / "settings").read_text()
    shutil.rmtree(ROOT / "runner" / "artifacts", ignore_errors=True)


def test_the_gate_reaches_python(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    result = ansible_runner.run(
        private_data_dir=str(ROOT / "runner"),
        artifact_dir=str(tmp_path / "artifacts"),
        playbook="audit.yml",
        inventory=str(ROOT / "prod"),
        extravars={"policy_matrix_directory": str(tmp_path / "reports")},
        quiet=True,
    )
    assert (result.rc, result.status) == (2, "failed")
    assert json.loads((tmp_path / "reports" / "prod" / "PhaseA_PolicyMatrix.json").read_text())["accepted"] is False
