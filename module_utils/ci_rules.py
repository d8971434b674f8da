# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""GitHub Actions workflows as a graph of jobs, and what a signing gate must not let happen in it.

Workflow syntax: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax. What zizmor looks for is
left to zizmor; these rules are about the gate, which it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from .unanswerable import Unanswerable

PUSHES = re.compile(
    r"\b(docker|podman|nerdctl)\s+(image\s+)?push\b|\bbuildah\s+push\b|\bcrane\s+(push|copy|append)\b|\bskopeo\s+copy\b|\bko\s+(build|publish)\b|\bdocker\s+buildx\b.*--push"
)
SIGNS = re.compile(r"\bcosign\s+sign\b(?!-blob)")
SIGNS_BY_DIGEST = re.compile(r"\bcosign\s+sign\b[^\n]*@(sha256:|\$\{?\w*digest)", re.IGNORECASE)
VERIFIES = re.compile(r"\bcosign\s+verify\b(?!-blob)")
VERIFIES_BY_DIGEST = re.compile(r"\bcosign\s+verify\b[^\n]*@(sha256:|\$\{?\w*digest)", re.IGNORECASE)
WEAK_VERIFY = {
    "--insecure-ignore-tlog": "ignores the transparency log",
    "--insecure-ignore-sct": "ignores the certificate's timestamp",
    "--allow-insecure-registry": "trusts a registry without TLS",
    "--check-claims=false": "does not compare the signed digest",
}
WIDE_IDENTITY = re.compile(
    r"--certificate-(?:identity|oidc-issuer)-regexp[= ]\s*['\"]?\^?(?:\.\*|\.\+)?\$?['\"]?(?:\s|$)"
)
SWALLOWS = re.compile(r"\|\|\s*(true|:|exit\s+0)\b|\bset\s+\+e\b|;\s*true\s*$|\|\|\s*echo\b", re.MULTILINE)
ALWAYS = re.compile(r"\b(always|failure|cancelled)\s*\(\s*\)")
BUILD_ACTION = re.compile(r"^docker/(build-push|bake)-action@")


@dataclass(frozen=True)
class Job:
    """One job, with the workflow it is in."""

    workflow: str
    id: str
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.workflow}:{self.id}"

    @property
    def needs(self) -> list[str]:
        found = self.body.get("needs") or []
        return [found] if isinstance(found, str) else list(found)

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        return [step for step in self.body.get("steps") or [] if isinstance(step, dict)]

    def script(self, step: Mapping[str, Any]) -> str:
        """A step's commands, with continued lines joined and comments gone."""
        text = str(step.get("run") or "")
        return re.sub(r"(?m)^\s*#.*$", "", text).replace("\\\n", " ")

    def scripts(self) -> str:
        return "\n".join(self.script(step) for step in self.steps)

    def pushes_at(self) -> int | None:
        """The index of the first step that pushes an image."""
        return next(
            (n for n, step in enumerate(self.steps) if _builds_and_pushes(step) or PUSHES.search(self.script(step))),
            None,
        )

    def deploys_at(self, pattern: str) -> int | None:
        """The index of the first step whose commands or action deploy; a job's name alone deploys nothing."""
        found = re.compile(pattern, re.IGNORECASE)
        texts = [(self.script(step), str(step.get("uses") or "")) for step in self.steps]
        return next(
            (n for n, (script, action) in enumerate(texts) if found.search(script) or found.search(action)), None
        )

    def before(self, index: int) -> Job:
        """The same job, as far as it came when a step begins."""
        return replace(self, body={**self.body, "steps": self.steps[:index]})


@dataclass(frozen=True)
class Workflow:
    """One workflow file."""

    name: str
    triggers: Mapping[str, Any]
    jobs: Mapping[str, Job]

    def ancestors(self, job: Job) -> Iterator[Job]:
        """Every job that must have succeeded before this one starts."""
        pending, seen = list(job.needs), set()
        while pending:
            name = pending.pop()
            if name in seen or name not in self.jobs:
                continue
            seen.add(name)
            yield self.jobs[name]
            pending += self.jobs[name].needs


def load_workflows(repository: Path) -> list[Workflow]:
    """Every workflow of a repository.

    :raises Unanswerable: if there is none, or one cannot be read or understood.
    """
    files = workflow_files(repository)
    found = []
    for path in files:
        try:
            body = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 -- keeps `on` a word
            jobs = {str(name): Job(path.name, str(name), job) for name, job in body["jobs"].items()}
        except OSError as error:
            raise Unanswerable(f"a readable workflow {path}: {error.strerror}") from None
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
            raise Unanswerable(f"a workflow that can be understood: {path}") from None
        triggers = body.get("on") or {}
        if isinstance(triggers, str):
            triggers = {triggers: None}
        elif isinstance(triggers, list):
            triggers = dict.fromkeys(triggers)
        found.append(Workflow(path.name, triggers, jobs))
    return found


def workflow_files(repository: Path) -> list[Path]:
    """The workflow files of a repository.

    :raises Unanswerable: if there is none.
    """
    folder = repository / ".github" / "workflows"
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if not files:
        raise Unanswerable(f"workflow files in {folder} (cicd_gate_repository)")
    return files


def signing_fault(workflow: Workflow, job: Job) -> str | None:
    """Why what a job pushes is not soundly signed, if it is not: after the push, always, and by digest."""
    pushed_at = job.pushes_at()
    later = [(job, step) for step in job.steps[(pushed_at or 0) :]]
    later += [
        (other, step) for other in workflow.jobs.values() if job in workflow.ancestors(other) for step in other.steps
    ]
    signing = [(holder, step) for holder, step in later if SIGNS.search(holder.script(step))]
    if not signing:
        return "pushes an image that nothing signs"
    for holder, step in signing:
        fault = skip_fault(holder, step)
        if fault:
            return f"the signing {fault}"
        if not SIGNS_BY_DIGEST.search(holder.script(step)):
            return "signs by tag, not by the digest that was built"
    return None


def _builds_and_pushes(step: Mapping[str, Any]) -> bool:
    """Docker's actions push if told to; an expression that decides it at run time may say so."""
    options = step.get("with") or {}
    asked = str(options.get("push") or "false").lower() != "false" or "push=true" in str(options.get("outputs") or "")
    return bool(BUILD_ACTION.match(str(step.get("uses") or ""))) and asked


def gate_fault(workflow: Workflow, job: Job, deploys_at: int) -> str | None:
    """Why a deployment could go around its gate, if it could. What is verified after it was deployed gates nothing."""
    condition = str(job.body.get("if") or "")
    if ALWAYS.search(condition):
        return f"runs whatever its gate says (if: {condition})"
    gates = [one for one in (job.before(deploys_at), *workflow.ancestors(job)) if VERIFIES.search(one.scripts())]
    if not gates:
        return "needs no job that verifies a signature"
    faults = [fault for gate in gates if (fault := _verify_fault(gate))]
    chain = [one for one in workflow.ancestors(job) if ALWAYS.search(str(one.body.get("if") or ""))]
    if chain and not faults:
        faults.append(f"its gate runs whatever happened before (if: {chain[0].body['if']})")
    return faults[0] if len(faults) >= len(gates) or chain else None


def _verify_fault(gate: Job) -> str | None:
    steps = [step for step in gate.steps if VERIFIES.search(gate.script(step))]
    for step in steps:
        script = gate.script(step)
        fault = skip_fault(gate, step)
        if fault:
            return f"its gate {fault}"
        for flag, meaning in WEAK_VERIFY.items():
            if flag in script:
                return f"its gate {meaning}"
        if WIDE_IDENTITY.search(script):
            return "its gate trusts every identity"
        if not VERIFIES_BY_DIGEST.search(script):
            return "its gate verifies a tag, not the digest that was built"
    return None


def skip_fault(job: Job, step: Mapping[str, Any]) -> str | None:
    """How a step's failure, or its absence, would go unnoticed."""
    for holder, what in ((job.body, "job"), (step, "step")):
        if str(holder.get("continue-on-error", "false")).lower() != "false":
            return f"may fail unnoticed (continue-on-error of the {what})"
        if holder.get("if"):
            return f"can be skipped (if: {holder['if']})"
    swallowed = SWALLOWS.search(job.script(step))
    return f"may fail unnoticed ({' '.join(swallowed[0].split())})" if swallowed else None
