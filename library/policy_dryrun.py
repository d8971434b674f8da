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
  refusals:
    description: The registry's codes for the right refusals, by the name of the attempt (C(malformed), C(no_dry_run), C(unsafe)).
    type: dict
    default: {}
extends_documentation_fragment: [audit, workflow_registry]
"""

EXAMPLES = r"""
- name: Try the policy engine
  policy_dryrun:
    audit: "{{ audit_context }}"
    workflow_registry_url: https://registry.example.com/api
    corpus: "{{ role_path }}/files/corpus"
    workflow_registry_probe_key: keys/probe.key
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
from ..module_utils.dryrun_rules import (
    SERVER_FAULT,
    judge_corpus,
    judge_endpoint,
    judge_live,
    judge_live_unsafe,
    judge_malformed,
    judge_rules,
    judge_side_effects,
    judge_unsafe,
)
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, WORKFLOW_REGISTRY
from ..module_utils.result import Attempt, Outcome, Verdict
from ..module_utils.signatures import load_signer, sign
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.workflows import ServerFaultError, WorkflowRegistry, form, package, probe_name

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
UNSAFE: list[Mapping[str, Any]] = [
    {"name": "drop", "uses": "sql.query", "with": {"statement": "DROP TABLE audit_probe"}}
]
REFUSALS: dict[str, list[str]] = {
    "malformed": ["package_malformed", "package_too_large"],
    "no_dry_run": ["dry_run_required"],
    "unsafe": ["policy_blocked"],
}
BOMB = "x0: &x0 [y, y, y, y, y, y, y, y, y]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
OVERSIZE = 4 * 1024 * 1024


def malformed(whole: bytes) -> dict[str, bytes]:
    """What must be refused; most are ``whole``, a good package, with one fault, so that nothing else refuses them."""
    return {
        "empty": b"",
        "binary": bytes(range(256)) * 8,
        "not YAML": b"{[}]: ][",
        "not a package": b"hello: world\n",
        "YAML bomb": whole + BOMB.encode(),
        "duplicate keys": whole + b"kind: WorkflowPackage\n",
        "oversized": whole + b"# " + b"x" * OVERSIZE + b"\n",
    }


ADHOC = "/workflows/adhoc/dry-run"


class Engine:
    """The policy engine, through the registry, as a publisher of the tenant set aside."""

    def __init__(self, audit: Audit) -> None:
        self.registry = WorkflowRegistry(audit, audit.require("workflow_registry_publisher_token"), "policy_dryrun")
        self._key = load_signer(audit.require("workflow_registry_probe_key"))
        self._tenant: str = audit.params["workflow_registry_probe_tenant"]
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
    audit.require("workflow_registry_publisher_token", "workflow_registry_probe_key", "corpus")
    engine = Engine(audit)
    entries = load_corpus(Path(audit.require("corpus")))
    codes = {**REFUSALS, **audit.params["refusals"]}
    unsafe = [entry for entry in entries if entry.class_]
    try:
        audit.check("dryrun.endpoint", ask_endpoint, engine)
        audit.check("dryrun.safe_succeeds", ask_safe, engine, [entry for entry in entries if entry.class_ is None])
        audit.check("dryrun.unsafe_blocked", ask_unsafe, engine, unsafe, audit.params["required_classes"])
        audit.check("dryrun.no_side_effects", ask_side_effects, engine)
        audit.check("dryrun.live_requires_dryrun", ask_live, engine, codes["no_dry_run"])
        audit.check("dryrun.live_unsafe_refused", ask_live_unsafe, engine, codes["unsafe"])
        audit.check("dryrun.malformed_rejected", ask_malformed, engine, codes["malformed"])
    finally:
        engine.sweep()


def ask_rules(reader: WorkflowRegistry, required: Collection[str]) -> Verdict:
    return judge_rules(reader.get("/policy/rules").get("rules"), required)


def ask_endpoint(engine: Engine) -> Verdict:
    data = engine.package("endpoint")
    attempt, answer = engine.dry_run(data)
    return judge_endpoint(attempt, answer, f"sha256:{hashlib.sha256(data).hexdigest()}")


def ask_safe(engine: Engine, entries: Collection[Entry]) -> Verdict:
    return judge_corpus(entries, [engine.dry_run(entry.data) for entry in entries], "allowed")


def ask_unsafe(engine: Engine, entries: Collection[Entry], required: Collection[str]) -> Verdict:
    control = engine.dry_run(engine.package("control"))[1]
    return judge_unsafe(entries, [engine.dry_run(entry.data) for entry in entries], control, required)


def ask_side_effects(engine: Engine) -> Verdict:
    """The workflow and its runs are the same before and after its dry-run."""
    data = engine.package("effects")
    workflow = engine.publish(data)
    path = f"/workflows/{workflow['id']}"
    before = {"workflow": engine.registry.get(path), "runs": engine.runs(workflow)}
    attempt, answer = engine.dry_run(data, f"{path}/dry-run")
    after = {"workflow": engine.registry.get(path), "runs": engine.runs(workflow)}
    return judge_side_effects(attempt, answer, before, after)


def ask_live(engine: Engine, codes: Collection[str]) -> Verdict:
    """Run before the dry-run, after it, and after a change of the bytes."""
    data = engine.package("live")
    workflow = engine.publish(data)
    early = engine.run("running without a dry-run", workflow)
    engine.dry_run(data, f"/workflows/{workflow['id']}/dry-run")
    control = engine.run("running after a dry-run", workflow)
    engine.publish(engine.package("live", text="# changed after its dry-run\n"), str(workflow["id"]))
    late = engine.run("running after a change", workflow)
    return judge_live(control, [early, late], codes)


def ask_live_unsafe(engine: Engine, codes: Collection[str]) -> Verdict:
    """The statement names a table that nobody has: should it be run after all, it fails."""
    harmless = engine.package("harmless")
    workflow = engine.publish(harmless)
    engine.dry_run(harmless, f"/workflows/{workflow['id']}/dry-run")
    control = engine.run("running a harmless package", workflow)
    unsafe = engine.package("unsafe", UNSAFE)
    workflow = engine.publish(unsafe)
    judged = engine.dry_run(unsafe, f"/workflows/{workflow['id']}/dry-run")[1]
    attempt = engine.run("running an unsafe package", workflow)
    return judge_live_unsafe(judged, control, attempt, codes)


def ask_malformed(engine: Engine, codes: Collection[str]) -> Verdict:
    """Each is refused with a 4xx, and the service still answers. It must have answered before, or its silence is no news."""
    whole = engine.package("whole")
    before = engine.dry_run(whole)[0]
    attempts = {name: try_malformed(engine, data) for name, data in malformed(whole).items()}
    return judge_malformed(attempts, before, engine.dry_run(whole)[0], codes)


def try_malformed(engine: Engine, data: bytes) -> Attempt:
    try:
        return engine.dry_run(data)[0]
    except ServerFaultError as error:
        return Attempt("a dry-run", Outcome.UNCLEAR, SERVER_FAULT, error.prerequisite)
    except Unanswerable as error:  # a server may hang up on what is too large before it has answered
        return Attempt("a dry-run", Outcome.UNCLEAR, "no answer", error.prerequisite)


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
            "refusals": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
