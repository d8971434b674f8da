#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vault_probe
short_description: Try to get at secrets that one must not get at
description:
  - Logs in with an AppRole of the audit's own, and tries a wrong secret id, a used one, another service's path, and no token at all.
  - Finds its own requests in the audit device's log. The token it made is revoked.
options:
  approle_mount:
    description: Where the AppRole method is mounted.
    type: str
    default: approle
  probe_role:
    description: AppRole of the audit's own, whose secret ids work once.
    type: str
  probe_secret:
    description: KV version 2 secret that this role may read, as C(mount/path).
    type: str
  foreign_secret:
    description: KV version 2 secret of a service, which this role must not read.
    type: str
  audit_log:
    description: File of the audit device, on the host where this module runs.
    type: path
extends_documentation_fragment: [audit, vault]
"""

EXAMPLES = r"""
- name: Try the secret broker
  vault_probe:
    audit: "{{ audit_context }}"
    vault_addr: https://vault.example.com:8200
    probe_role: audit-probe
    probe_secret: secret/audit-probe
    foreign_secret: secret/app/database
    audit_log: /var/log/vault/audit.log
  register: vault_broker_probe_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, VAULT
from ..module_utils.result import Attempt, Outcome, Verdict, blocked, failed, judge_refusal, name_some, passed
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.vault import Vault

CHECKS = Checks(
    active=(
        "vault.approle_login",
        "vault.rejects_bad_secret_id",
        "vault.rejects_used_secret_id",
        "vault.rejects_out_of_scope",
        "vault.rejects_anonymous",
        "vault.access_audited",
    ),
)
TAIL = 4 * 1024 * 1024
"""How much of the audit log is read: what this run did is at its end."""
BAD_LOGIN = {"400", "403"}
"""Vault says 400 to a bad secret id; some auth methods say 403."""
HASHED = "hmac-sha256:"


@dataclass(frozen=True)
class Session:
    """The probe's login: how it went, its token, and the request that read its own secret."""

    login: Attempt
    token: str
    own: Attempt
    request_id: str


def examine(audit: Audit) -> None:
    """Log in; then try everything that must not work, beside what does."""
    audit.require_active()
    addr, token, role, own, foreign = audit.require(
        "vault_addr", "vault_token", "probe_role", "probe_secret", "foreign_secret"
    )
    place = {"cacert": audit.params["vault_cacert"], "namespace": audit.params["vault_namespace"]}
    auditor, nobody = Vault(addr, token, **place), Vault(addr, None, **place)
    mount = f"auth/{audit.params['approle_mount']}"
    role_id = str(auditor.data(f"{mount}/role/{role}/role-id")["role_id"])
    secret_id = str(auditor.write(f"{mount}/role/{role}/secret-id")["data"]["secret_id"])
    audit.keep_secret(secret_id)
    session = log_in(
        audit, nobody, f"{mount}/login", {"role_id": role_id, "secret_id": secret_id}, addr, place, kv_data(own)
    )
    try:
        audit.check("vault.approle_login", judge_login, session)
        again, _answer = nobody.attempt(
            "logging in with a used secret id", "write_data", f"{mount}/login", role_id=role_id, secret_id=secret_id
        )
        wrong, _answer = nobody.attempt(
            "logging in with a wrong secret id",
            "write_data",
            f"{mount}/login",
            role_id=role_id,
            secret_id=str(uuid.uuid4()),
        )
        audit.check(
            "vault.rejects_used_secret_id",
            judge_refusal,
            "logging in twice with one secret id",
            control=session.login,
            attempt=again,
            right_reasons=BAD_LOGIN,
        )
        audit.check(
            "vault.rejects_bad_secret_id",
            judge_refusal,
            "logging in with a wrong secret id",
            control=session.login,
            attempt=wrong,
            right_reasons=BAD_LOGIN,
        )
        probe = Vault(addr, session.token, **place)
        reaches = [
            probe.attempt(f"reading {path}", "read", path)[0]
            for path in (kv_data(foreign), "sys/auth", "sys/policies/acl/root")
        ]
        audit.check("vault.rejects_out_of_scope", judge_scope, session.own, reaches)
        anonymous, _answer = nobody.attempt("reading a secret without a token", "read", kv_data(own))
        audit.check(
            "vault.rejects_anonymous",
            judge_refusal,
            "reading a secret without a token",
            control=session.own,
            attempt=anonymous,
            right_reasons={"403", "401"},
        )
        audit.check("vault.access_audited", ask_log, audit, session)
    finally:
        if session.token:
            Vault(addr, session.token, **place).attempt(
                "revoking the probe's token", "write_data", "auth/token/revoke-self"
            )


def log_in(
    audit: Audit,
    nobody: Vault,
    path: str,
    credentials: Mapping[str, str],
    addr: str,
    place: Mapping[str, Any],
    secret: str,
) -> Session:
    """Log in, and read the role's own secret: the control of all others."""
    login, answer = nobody.attempt("logging in with a fresh secret id", "write_data", path, **credentials)
    token = str((answer.get("auth") or {}).get("client_token") or "")
    if not token:
        return Session(login, "", Attempt("reading the role's own secret", Outcome.UNCLEAR), "")
    audit.keep_secret(token)
    own, read = Vault(addr, token, **place).attempt("reading the role's own secret", "read", secret)
    audit.keep_secret(*map(str, ((read.get("data") or {}).get("data") or {}).values()))
    return Session(login, token, own, str(read.get("request_id") or ""))


def kv_data(path: str) -> str:
    """Where KV version 2 keeps the values of C(mount/path)."""
    mount, _, name = path.partition("/")
    return f"{mount}/data/{name}"


def ask_log(audit: Audit, session: Session) -> Verdict:
    path = Path(audit.require("audit_log"))
    if not session.request_id:
        raise Unanswerable("a request to look for: the probe could not read its own secret")
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL))
            lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if session.request_id in line]
    except OSError as error:
        raise Unanswerable(f"a readable audit log {path} (vault_broker_audit_log): {error.strerror}") from None
    return judge_log(session.request_id, lines, session.token)


def judge_login(session: Session) -> Verdict:
    facts = {"login": session.login.facts(), "own_secret": session.own.facts()}
    if session.login.outcome is not Outcome.ALLOWED or not session.token:
        return failed(f"the audit's own AppRole cannot log in: {session.login.reason} {session.login.detail}", **facts)
    return passed("the audit's own AppRole logs in with a fresh secret id; its token is revoked afterwards", **facts)


def judge_scope(control: Attempt, reaches: Collection[Attempt]) -> Verdict:
    facts = {"control": control.facts(), "attempts": [attempt.facts() for attempt in reaches]}
    allowed = [attempt.action for attempt in reaches if attempt.outcome is Outcome.ALLOWED]
    if allowed:
        return failed(f"a role's token reaches beyond its scope: {name_some(allowed)}", **facts)
    if control.outcome is not Outcome.ALLOWED:
        return blocked(f"a working control: {control.action} was {control.outcome.value} {control.reason}", **facts)
    odd = [f"{attempt.action}: {attempt.reason}" for attempt in reaches if attempt.reason != "403"]
    if odd:
        return blocked(f"refusals that prove the scope: {name_some(odd)}", **facts)
    return passed(f"a role's token reads its own secret, and is refused {len(reaches)} others", **facts)


def judge_log(request_id: str, lines: Collection[str], token: str) -> Verdict:
    """The request is in the log, with its response, and no value of it in the clear."""
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("request", {}).get("id") == request_id:
            entries.append(entry)
    kinds = sorted({str(entry.get("type")) for entry in entries})
    facts = {"request_id": request_id, "entries": len(entries), "types": kinds}
    if not entries:
        return failed("the audit device did not log the probe's request", **facts)
    clear = [leaf for entry in entries for leaf in _clear(entry)]
    if clear or any(token in line for line in lines):
        return failed(f"the audit device logs values in the clear: {name_some(set(clear) or {'the token'})}", **facts)
    if kinds != ["request", "response"]:
        return blocked(f"request and response in the audit log: found {', '.join(kinds)}", **facts)
    return passed("the audit device logged the probe's request and response, with their values hashed", **facts)


def _clear(entry: Mapping[str, Any]) -> list[str]:
    """Names of values of a secret, or of the token, that were logged without being hashed."""
    secret = ((entry.get("response") or {}).get("data") or {}).get("data") or {}
    found = [
        f"response {key}" for key, value in secret.items() if isinstance(value, str) and not value.startswith(HASHED)
    ]
    bearer = (entry.get("request") or {}).get("client_token") or (entry.get("auth") or {}).get("client_token") or ""
    return found + (["client token"] if bearer and not str(bearer).startswith(HASHED) else [])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **VAULT,
            "approle_mount": {"type": "str", "default": "approle"},
            "probe_role": {"type": "str"},
            "probe_secret": {"type": "str", "no_log": False},
            "foreign_secret": {"type": "str", "no_log": False},
            "audit_log": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
