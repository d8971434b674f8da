"""What the tests of the whole share: a lab of their own, and the audit as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
POLICIES = tuple(f"A{number:02}" for number in range(1, 11))
AUDIT_TIMEOUT_S = 300


@dataclass(frozen=True)
class Outcome:
    """How one run of the audit ended."""

    code: int
    output: str
    reports: Path
    matrices: dict[str, dict[str, Any]] = field(default_factory=dict)

    def matrix(self, environment: str = "lab") -> dict[str, Any]:
        assert environment in self.matrices, f"no matrix of {environment}; the audit said:\n{self.output[-4000:]}"
        return self.matrices[environment]

    def rows(self, environment: str = "lab") -> dict[str, str]:
        """Policy id to result."""
        return {row["id"]: row["result"] for row in self.matrix(environment)["policies"]}

    def checks(self, status: str, environment: str = "lab") -> dict[str, str]:
        """Id to summary of every check with that status."""
        return {
            check["id"]: check["summary"]
            for row in self.matrix(environment)["policies"]
            for check in row["checks"]
            if check["status"] == status
        }


def run(*command: str | Path, env: dict[str, str] | None = None, timeout: float = AUDIT_TIMEOUT_S) -> tuple[int, str]:
    """A command in the checkout: exit code, and standard output and error together."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **(env or {})}
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, text=True, timeout=timeout, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout


def audit(*arguments: str, reports: Path, lab: Path | None = None, env: dict[str, str] | None = None) -> Outcome:
    """``ansible-playbook audit.yml`` with these arguments, its reports in ``reports``."""
    where = ("-e", f"lab_dir={lab}") if lab else ()
    command = ("ansible-playbook", "audit.yml", *arguments, *where, "-e", f"policy_matrix_directory={reports}")
    code, output = run(*command, env=env)
    return Outcome(code, output, reports, read_matrices(reports))


def read_matrices(reports: Path) -> dict[str, dict[str, Any]]:
    """Environment to matrix, of the newest run, be it full or partial."""
    found: dict[str, dict[str, Any]] = {}
    for path in (*reports.glob("*/PhaseA_PolicyMatrix.json"), *reports.glob("*/partial/PhaseA_PolicyMatrix.json")):
        matrix = json.loads(path.read_text())
        known = found.get(matrix["environment"])
        if known is None or known["run_id"] < matrix["run_id"]:
            found[matrix["environment"]] = matrix
    return found
