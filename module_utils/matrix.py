# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The join: what was asked (catalogue) x who had to answer (hosts) x what they answered, folded into one verdict a row.

Pure functions over plain data. Whatever did not arrive, or arrived in a shape the contract does not allow, becomes a
BLOCKED check here: silence is never a PASS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .catalogue import Catalogue, Check, Policy
from .result import Status

SCHEMA_VERSION = 1
FILES = ("PhaseA_PolicyMatrix.json", "PhaseA_PolicyMatrix.md", "PhaseA_PolicyMatrix.csv")
"""The matrix's own files; the others are the catalogue's."""
NAMED_IN_NOTES = 12
NO_HOST = "-"
"""The target of a check that no host could be asked."""


@dataclass(frozen=True)
class Host:
    """One host of the inventory, and the registered results it came back with, by variable."""

    name: str
    environment: str
    groups: frozenset[str]
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """The frame of one run; ``limits`` says why it is partial, and is empty for a full one."""

    id: str
    started_at: str
    finished_at: str
    limits: tuple[str, ...] = ()
    selected: frozenset[str] = frozenset()


def join(catalogue: Catalogue, run: Run, environment: str, hosts: Iterable[Host]) -> dict[str, Any]:
    """The document of one environment: the matrix, and for the reports each check with its words and evidence."""
    members = [host for host in hosts if host.environment == environment]
    rows = [_row(policy, run, members) for policy in catalogue.policies]
    summary = Counter(row["result"] for row in rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "title": catalogue.title,
        "environment": environment,
        "run_id": run.id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "partial": bool(run.limits),
        "limits": list(run.limits),
        "accepted": not run.limits and all(row["result"] == Status.PASS.value for row in rows),
        "summary": {status.value: summary[status.value] for status in Status},
        "policies": rows,
    }


def matrix(document: Mapping[str, Any]) -> dict[str, Any]:
    """The published matrix: the document without the reports' words and the evidence (they are in their own files)."""
    kept = ("id", "aspect", "severity", "status", "target", "summary", "prerequisite", "duration_s")
    return {
        **{key: document[key] for key in document if key != "policies"},
        "policies": [
            {
                "id": row["id"],
                "policy": row["policy"],
                "implemented": row["implemented"],
                "enforced": row["enforced"],
                "evidence_files": row["evidence_files"],
                "result": row["result"],
                "notes": row["notes"],
                "justification": row["justification"],
                "checks": [{key: check[key] for key in kept} for check in row["checks"]],
            }
            for row in document["policies"]
        ],
    }


def rejections(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each document that is not accepted; a run that reports on nothing is rejected too."""
    lines = []
    empty = True
    for document in documents:
        empty = False
        if document["accepted"]:
            continue
        reasons = [f"partial ({' '.join(document['limits'])})"] if document["partial"] else []
        for status in (Status.FAIL.value, Status.BLOCKED.value):
            rows = [row["id"] for row in document["policies"] if row["result"] == status]
            if rows:
                reasons.append(f"{status} {', '.join(rows)}")
        lines.append(f"{document['environment']}: {'; '.join(reasons)}")
    return ["no environment to audit: the inventory has none"] if empty else lines


def fold(statuses: Iterable[str]) -> Status:
    """Any FAIL is a FAIL; else any BLOCKED, or nothing at all, is BLOCKED; else PASS."""
    seen = set(statuses)
    if Status.FAIL.value in seen:
        return Status.FAIL
    return Status.PASS if seen == {Status.PASS.value} else Status.BLOCKED


def _row(policy: Policy, run: Run, hosts: list[Host]) -> dict[str, Any]:
    answers = [answer for check in policy.checks for answer in _answers(check, policy, run, hosts)]
    said = {Status.PASS: "yes", Status.FAIL: "no", Status.BLOCKED: "unknown"}
    return {
        "id": policy.id,
        "policy": policy.policy,
        "implemented": said[fold(a["status"] for a in answers if a["aspect"] == "implemented")],
        "enforced": said[fold(a["status"] for a in answers if a["aspect"] == "enforced")],
        "report": policy.report,
        "evidence_files": policy.files,
        "result": fold(answer["status"] for answer in answers).value,
        "notes": _notes(answers),
        "justification": None,
        "checks": answers,
    }


def _answers(check: Check, policy: Policy, run: Run, hosts: list[Host]) -> list[dict[str, Any]]:
    words = {
        "id": check.id,
        "aspect": check.aspect,
        "severity": check.severity,
        "question": check.question,
        "how": check.how,
        "risk": check.risk,
        "remedy": check.remedy,
    }
    group = check.source.group
    members = [host for host in hosts if group in host.groups]
    if policy.id not in run.selected:
        return [{**words, "target": NO_HOST, **_blocked("a run that selects this policy (--tags)")}]
    if not members:
        return [{**words, "target": NO_HOST, **_blocked(f"a host in the inventory group '{group}'")}]
    return [
        {**words, "target": host.name, **_answer(check, host.results.get(check.source.variable))} for host in members
    ]


def _answer(check: Check, registered: Mapping[str, Any] | None) -> dict[str, Any]:
    """The host's answer to one check, or why there is none, in Ansible's own words."""
    if registered is None:
        return _blocked("an answer: the check did not run on this host (outside --limit, or its play ended early)")
    said = str(registered.get("msg") or registered.get("skip_reason") or "no reason given")
    if registered.get("unreachable"):
        return _blocked(f"a reachable host: {said}")
    checks = registered.get("checks")
    if not isinstance(checks, list):
        state = "was skipped" if registered.get("skipped") else "failed"
        return _blocked(f"an answer: module {check.source.module} {state}: {said}")
    answer = next((one for one in checks if isinstance(one, Mapping) and one.get("id") == check.id), None)
    if answer is None:
        return _blocked(f"an answer: module {check.source.module} returned none for this check")
    fault = _fault(answer)
    if fault:
        return _blocked(f"an answer that keeps the contract: module {check.source.module}: {fault}")
    return {
        key: answer.get(key) for key in ("status", "summary", "prerequisite", "evidence", "started_at", "duration_s")
    }


def _fault(answer: Mapping[str, Any]) -> str | None:
    """What breaks the result contract, if anything does."""
    status = answer.get("status")
    if status not in {member.value for member in Status}:
        return f"unknown status {status!r}"
    if status == Status.PASS.value and not answer.get("evidence"):
        return "PASS without evidence"
    if (status == Status.BLOCKED.value) != bool(answer.get("prerequisite")):
        return "a prerequisite belongs to BLOCKED, and only to BLOCKED"
    return None


def _blocked(prerequisite: str) -> dict[str, Any]:
    return {
        "status": Status.BLOCKED.value,
        "summary": f"not tested: {prerequisite}",
        "prerequisite": prerequisite,
        "evidence": {},
        "started_at": None,
        "duration_s": 0.0,
    }


def _notes(answers: list[dict[str, Any]]) -> str:
    """What an operator reads first: each failure in its own words, then each missing prerequisite once."""
    failures = [f"{a['id']}: {a['summary']}" for a in answers if a["status"] == Status.FAIL.value]
    missing = Counter(a["prerequisite"] for a in answers if a["status"] == Status.BLOCKED.value)
    parts = []
    if failures:
        parts.append(f"{len(failures)} of {len(answers)} checks FAIL: {_some(failures)}")
    if missing:
        parts.append(f"{missing.total()} of {len(answers)} checks BLOCKED, missing: {_some(list(missing))}")
    return " | ".join(parts) if parts else f"all {len(answers)} checks PASS"


def _some(texts: list[str]) -> str:
    rest = len(texts) - NAMED_IN_NOTES
    return "; ".join(texts[:NAMED_IN_NOTES]) + (f"; and {rest} more" if rest > 0 else "")
