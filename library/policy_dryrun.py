#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: policy_dryrun
short_description: Try the policy engine with a corpus of safe and unsafe packages
description:
  - Dry-runs every package of a corpus, looks that a dry-run changes nothing, and tries to run what was not dry-run, or is blocked.
options:
  corpus:
    description: Folder of YAML files; each names a C(class) (null for safe packages) and its C(entries), with C(about) and C(package) or C(text).
    type: path
  required_classes:
    description: Classes of unsafe operations that the engine's rules must cover.
    type: list
    elements: str
    default:
      - destructive_data
      - destructive_infrastructure
      - privilege
      - secret_exposure
      - network_opening
      - arbitrary_shell
      - control_disabling
  tenant:
    description: Tenant set aside for probes.
    type: str
    default: audit-probe
  probe_key:
    description: PEM private key (ECDSA P-256) whose public half the registry trusts for that tenant.
    type: path
extends_documentation_fragment: [audit, workflow_registry]
"""

EXAMPLES = r"""
- name: Try the policy engine
  policy_dryrun:
    audit: "{{ audit_context }}"
    workflow_registry_url: https://registry.example.com/api
    corpus: "{{ role_path }}/files/corpus"
    probe_key: keys/probe.key
  register: policy_dryrun_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.corpus import Entry, load_corpus
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import (
    Attempt,
    Outcome,
    Verdict,
    blocked,
    failed,
    judge_each,
    judge_refusal,
    name_some,
    passed,
)
from ..module_utils.signatures import load_signer, sign
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import WorkflowRegistry, form, package, probe_name

CHECKS = Checks(
    passive=("dryrun.rules_loaded",),
    active=(
        "dryrun.endpoint",
        "dryrun.safe_succeeds",
        "dryrun.unsafe_blocked",
        "dryrun.no_side_effects",
        "dryrun.live_requires_dryrun",
        "dryrun.live_unsafe_refused",
        "dryrun.malformed_rejected",
    ),
)
UNSAFE = [{"name": "drop", "uses": "sql.query", "with": {"statement": "DROP TABLE audit_probe"}}]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)
MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)) * 8,
    "not YAML": b"{[}]: ][",
    "not a package": b"hello: world\n",
    "YAML bomb": BOMB.encode(),
    "duplicate keys": b"apiVersion: atom/v1\napiVersion: atom/v1\nkind: WorkflowPackage\n",
    "oversized": b"# " + b"x" * (4 * 1024 * 1024) + b"\n",
}
ADHOC = "/workflows/adhoc/dry-run"


class Engine:
    """The policy engine, through the registry, as a publisher of the tenant set aside."""

    def __init__(self, audit: Audit) -> None:
        self.registry = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), "policy_dryrun")
        self._key = load_signer(audit.require("probe_key"))
        self._tenant: str = audit.params["tenant"]
        self._name = probe_name(audit, "dryrun")

    def dry_run(self, data: bytes, path: str = ADHOC) -> tuple[Attempt, dict[str, Any]]:
        return self.registry.attempt("a dry-run", "POST", path, files=form(data))

    def package(self, name: str, steps: Sequence[Mapping[str, Any]] | None = None, text: str = "") -> bytes:
        return package(f"{self._name}-{name}", self._tenant, steps, mode="manual") + text.encode()

    def publish(self, data: bytes, replaces: str | None = None) -> dict[str, Any]:
        attempt, workflow = self.registry.upload(data, sign(self._key, data), replaces)
        if attempt.outcome is not Outcome.ALLOWED:
            raise Unanswerable(
                f"{self.registry.name}: the right to publish in {self._tenant}: {attempt.reason} {attempt.detail}"
            )
        return workflow

    def run(self, action: str, workflow: Mapping[str, Any]) -> Attempt:
        return self.registry.attempt(action, "POST", f"/workflows/{workflow['id']}/runs", json={"trigger": "user"})[0]

    def runs(self, workflow: Mapping[str, Any]) -> int:
        return len(self.registry.get(f"/workflows/{workflow['id']}/runs")["runs"])

    def sweep(self) -> None:
        self.registry.sweep(self._name)


def examine(audit: Audit) -> None:
    """The rules first; then the corpus; then live runs of packages of one's own."""
    _url, token = audit.require("workflow_registry_url", "workflow_registry_token")
    reader = WorkflowRegistry(audit, token, "policy_dryrun")
    audit.check("dryrun.rules_loaded", ask_rules, reader, audit.params["required_classes"])
    audit.require_active()
    audit.require("workflow_registry_publisher_token", "probe_key", "corpus")
    engine = Engine(audit)
    entries = load_corpus(Path(audit.require("corpus")))
    try:
        audit.check("dryrun.endpoint", ask_endpoint, engine)
        audit.check("dryrun.safe_succeeds", ask_safe, engine, [entry for entry in entries if entry.class_ is None])
        audit.check("dryrun.unsafe_blocked", ask_unsafe, engine, [entry for entry in entries if entry.class_])
        audit.check("dryrun.no_side_effects", ask_side_effects, engine)
        audit.check("dryrun.live_requires_dryrun", ask_live, engine)
        audit.check("dryrun.live_unsafe_refused", ask_live_unsafe, engine)
        audit.check("dryrun.malformed_rejected", ask_malformed, engine)
    finally:
        engine.sweep()


def ask_rules(reader: WorkflowRegistry, required: Collection[str]) -> Verdict:
    return judge_rules(reader.get("/policy/rules").get("rules"), required)


def judge_rules(rules: Any, required: Collection[str]) -> Verdict:
    if not isinstance(rules, list):
        raise Unanswerable("'rules' in the registry's /policy/rules")
    covered: dict[str, list[str]] = {}
    for rule in rules:
        covered.setdefault(str(rule.get("class")), []).append(str(rule.get("id")))
    return judge_each(
        "classes of unsafe operations",
        list(required),
        dict.fromkeys(set(required) - set(covered), ""),
        sound=f"are covered by {len(rules)} rules",
        fault="have no rule",
        rules=covered,
    )


def ask_endpoint(engine: Engine) -> Verdict:
    data = engine.package("endpoint")
    attempt, answer = engine.dry_run(data)
    return judge_endpoint(attempt, answer, f"sha256:{hashlib.sha256(data).hexdigest()}")


def judge_endpoint(attempt: Attempt, answer: Mapping[str, Any], digest: str) -> Verdict:
    facts = {"attempt": attempt.facts(), "answer": dict(answer)}
    if attempt.outcome is not Outcome.ALLOWED:
        return failed(f"the dry-run endpoint refuses a harmless package: {attempt.reason} {attempt.detail}", **facts)
    if not isinstance(answer.get("findings"), list) or answer.get("verdict") not in ("allowed", "blocked"):
        return blocked("a dry-run's answer with 'verdict' and 'findings'", **facts)
    if answer.get("digest") != digest:
        return failed("the dry-run speaks of other bytes than it was sent", **facts)
    return passed("the dry-run endpoint answers for the exact bytes it was sent", **facts)


def ask_safe(engine: Engine, entries: Collection[Entry]) -> Verdict:
    return judge_corpus(entries, [engine.dry_run(entry.data) for entry in entries], "allowed")


def ask_unsafe(engine: Engine, entries: Collection[Entry]) -> Verdict:
    return judge_corpus(entries, [engine.dry_run(entry.data) for entry in entries], "blocked")


def judge_corpus(
    entries: Collection[Entry], answers: Collection[tuple[Attempt, Mapping[str, Any]]], wanted: str
) -> Verdict:
    """Safe packages are allowed; unsafe ones are blocked, with a finding of their own class among the reasons. A package
    refused for its form was not judged: neither is it evidence."""
    offenders, refused, seen = {}, [], {}
    for entry, (attempt, answer) in zip(entries, answers, strict=True):
        if attempt.outcome is not Outcome.ALLOWED:
            refused.append(f"{entry.name}: {attempt.reason}")
            continue
        classes = sorted({str(finding.get("class")) for finding in answer.get("findings") or []})
        verdict = str(answer.get("verdict"))
        seen[entry.name] = f"{verdict} {', '.join(classes)}".strip()
        if verdict != wanted:
            offenders[entry.name] = verdict
        elif entry.class_ and entry.class_ not in classes:
            offenders[entry.name] = f"blocked as {', '.join(classes) or 'nothing'}"
    if refused and not offenders:
        return blocked(f"a verdict on every package: {name_some(refused)}", verdicts=seen)
    return judge_each(
        f"{'safe' if wanted == 'allowed' else 'unsafe'} packages",
        [entry.name for entry in entries],
        offenders,
        sound=f"are {wanted}",
        fault=f"are not {wanted} as they must be",
        verdicts=seen,
    )


def ask_side_effects(engine: Engine) -> Verdict:
    """The workflow and its runs are the same before and after its dry-run."""
    data = engine.package("effects")
    workflow = engine.publish(data)
    path = f"/workflows/{workflow['id']}"
    before = {"workflow": engine.registry.get(path), "runs": engine.runs(workflow)}
    attempt, answer = engine.dry_run(data, f"{path}/dry-run")
    after = {"workflow": engine.registry.get(path), "runs": engine.runs(workflow)}
    return judge_side_effects(attempt, answer, before, after)


def judge_side_effects(
    attempt: Attempt, answer: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Verdict:
    facts = {"dry_run": answer.get("verdict"), "before": before, "after": after}
    changed = sorted(key for key in before if before[key] != after[key])
    if changed:
        return failed(f"a dry-run changed the {' and the '.join(changed)}", **facts)
    if attempt.outcome is not Outcome.ALLOWED or answer.get("verdict") != "allowed":
        return blocked(f"a dry-run of a harmless package: {attempt.reason} {attempt.detail}", **facts)
    return passed("a dry-run changed neither the workflow nor its runs", **facts)


def ask_live(engine: Engine) -> Verdict:
    """Run before the dry-run, after it, and after a change of the bytes."""
    data = engine.package("live")
    workflow = engine.publish(data)
    early = engine.run("running without a dry-run", workflow)
    engine.dry_run(data, f"/workflows/{workflow['id']}/dry-run")
    control = engine.run("running after a dry-run", workflow)
    engine.publish(engine.package("live", text="# changed after its dry-run\n"), str(workflow["id"]))
    late = engine.run("running after a change", workflow)
    return judge_live(control, [early, late])


def judge_live(control: Attempt, attempts: Collection[Attempt]) -> Verdict:
    for attempt in attempts:
        verdict = judge_refusal(attempt.action, control=control, attempt=attempt, right_reasons={"dry_run_required"})
        if verdict.status.value != "PASS":
            return verdict
    facts = {"control": control.facts(), "attempts": [attempt.facts() for attempt in attempts]}
    return passed("a live run is refused without a dry-run of the same bytes, and works after it", **facts)


def ask_live_unsafe(engine: Engine) -> Verdict:
    harmless = engine.package("harmless")
    workflow = engine.publish(harmless)
    engine.dry_run(harmless, f"/workflows/{workflow['id']}/dry-run")
    control = engine.run("running a harmless package", workflow)
    unsafe = engine.package("unsafe", UNSAFE)
    workflow = engine.publish(unsafe)
    engine.dry_run(unsafe, f"/workflows/{workflow['id']}/dry-run")
    attempt = engine.run("running an unsafe package", workflow)
    return judge_refusal(
        "running an unsafe package",
        control=control,
        attempt=attempt,
        right_reasons={"policy_blocked", "dry_run_required"},
    )


def ask_malformed(engine: Engine) -> Verdict:
    """Each is refused with a 4xx, and the service still answers."""
    attempts = {name: engine.dry_run(data)[0] for name, data in MALFORMED.items()}
    control = engine.dry_run(engine.package("afterwards"))[0]
    return judge_malformed(attempts, control)


def judge_malformed(attempts: Mapping[str, Attempt], control: Attempt) -> Verdict:
    if control.outcome is not Outcome.ALLOWED:
        return failed(f"after malformed packages a good one is refused: {control.reason}", control=control.facts())
    return judge_each(
        "malformed packages",
        list(attempts),
        {name: "accepted" for name, attempt in attempts.items() if attempt.outcome is not Outcome.REFUSED},
        sound="are refused, and the service still answers",
        fault="are not refused",
        attempts={name: attempt.facts() for name, attempt in attempts.items()},
    )


def main() -> None:
    classes = [
        "destructive_data",
        "destructive_infrastructure",
        "privilege",
        "secret_exposure",
        "network_opening",
        "arbitrary_shell",
        "control_disabling",
    ]
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **WORKFLOW_REGISTRY,
            "corpus": {"type": "path"},
            "required_classes": {"type": "list", "elements": "str", "default": classes},
            "tenant": {"type": "str", "default": "audit-probe"},
            "probe_key": {"type": "path", "no_log": False},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
