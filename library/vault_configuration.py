#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vault_configuration
short_description: Judge a Vault or OpenBao server by its configuration
description:
  - Reads health, audit devices, mounts, AppRoles with their outstanding secret ids, policies, auth methods and live tokens.
options:
  approle_mount:
    description: Where the AppRole method is mounted.
    type: str
    default: approle
  max_secret_id_ttl_s:
    description: How long a secret id may live, in seconds.
    type: int
    default: 86400
  max_secret_id_uses:
    description: How often a secret id may be used.
    type: int
    default: 10
  max_token_ttl_s:
    description: How long a role's token may live without being renewed, in seconds.
    type: int
    default: 3600
  max_token_max_ttl_s:
    description: How long a role's token may live at all, in seconds.
    type: int
    default: 86400
  allowed_auth_methods:
    description: Types of auth methods that may be enabled.
    type: list
    elements: str
    default: [token, approle]
  required_secrets:
    description: Paths of KV version 2 secrets that must exist, as C(mount/path).
    type: list
    elements: str
extends_documentation_fragment: [audit, vault]
"""

EXAMPLES = r"""
- name: Examine the secret broker
  vault_configuration:
    audit: "{{ audit_context }}"
    vault_addr: https://vault.example.com:8200
    required_secrets: [secret/app/database]
  register: vault_broker_configuration_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, VAULT
from ..module_utils.result import Outcome, Verdict, blocked, failed, judge_each, passed
from ..module_utils.unanswerable import Unanswerable
from ..module_utils.vault import NOTHING, WRITES, Rule, Vault, parse_policy

CHECKS = Checks(
    passive=(
        "vault.health",
        "vault.audit_devices",
        "vault.approle_bounded",
        "vault.policies_least_privilege",
        "vault.auth_methods",
        "vault.no_root_tokens",
        "vault.required_secrets",
    ),
)
OWN_TOKEN = {f"auth/token/{verb}-self" for verb in ("lookup", "renew", "revoke")}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def examine(audit: Audit) -> None:
    """Health needs no token; everything else is read with the auditor's."""
    addr, params = audit.require("vault_addr"), audit.params
    place = {"cacert": params["vault_cacert"], "namespace": params["vault_namespace"]}
    audit.check("vault.health", ask_health, Vault(addr, None, **place), addr)
    vault = Vault(addr, audit.require("vault_token"), **place)
    audit.check("vault.audit_devices", ask_audit_devices, vault)
    audit.check("vault.auth_methods", ask_auth_methods, vault, params["allowed_auth_methods"])
    audit.check("vault.no_root_tokens", ask_tokens, vault)
    audit.check("vault.required_secrets", ask_secrets, audit, vault)
    mount = f"auth/{params['approle_mount']}/role"
    roles = {name: vault.data(f"{mount}/{name}") for name in vault.list(mount)}
    limits = {key.removeprefix("max_"): params[key] for key in params if key.startswith("max_")}
    audit.check("vault.approle_bounded", ask_approles, vault, mount, roles, limits)
    audit.check("vault.policies_least_privilege", ask_policies, vault, roles)


def ask_health(vault: Vault, addr: str) -> Verdict:
    return judge_health(addr, vault.health())


def judge_health(addr: str, health: Mapping[str, Any]) -> Verdict:
    place = urlsplit(addr)
    facts = {key: health.get(key) for key in ("initialized", "sealed", "standby", "version")} | {"scheme": place.scheme}
    if health.get("initialized") is not True or health.get("sealed") is not False:
        return failed(f"initialized is {health.get('initialized')}, sealed is {health.get('sealed')}", **facts)
    if place.scheme != "https" and place.hostname not in LOOPBACK:
        return failed(f"{addr} is reached without TLS", **facts)
    return passed(f"initialised, unsealed, version {health.get('version')}, by {place.scheme}", **facts)


def ask_audit_devices(vault: Vault) -> Verdict:
    return judge_audit_devices(vault.data("sys/audit"), vault.data("sys/mounts"))


def judge_audit_devices(devices: Mapping[str, Any], mounts: Mapping[str, Any]) -> Verdict:
    """A raw device, or a mount whose keys are exempt from hashing, writes secrets to the log in the clear."""
    found = {name: device for name, device in devices.items() if isinstance(device, Mapping) and "type" in device}
    raw = {
        name: "log_raw" for name, device in found.items() if str((device.get("options") or {}).get("log_raw")) == "true"
    }
    for name, mount in mounts.items():
        tuned = (mount.get("config") or {}) if isinstance(mount, Mapping) else {}
        exempt = [key for kind in ("request", "response") for key in tuned.get(f"audit_non_hmac_{kind}_keys") or ()]
        if exempt:
            raw[f"mount {name}"] = f"logs {', '.join(sorted(set(exempt)))} in the clear"
    if not found:
        return failed("no audit device is enabled", devices=list(devices))
    return judge_each(
        "audit devices",
        list(found),
        raw,
        sound="hash what they log",
        fault="log secrets in the clear",
        types={name: device["type"] for name, device in found.items()},
    )


def ask_auth_methods(vault: Vault, allowed: Collection[str]) -> Verdict:
    return judge_auth_methods(vault.data("sys/auth"), allowed)


def judge_auth_methods(methods: Mapping[str, Any], allowed: Collection[str]) -> Verdict:
    found = {path: str(m["type"]) for path, m in methods.items() if isinstance(m, Mapping) and "type" in m}
    offenders = {path: kind for path, kind in found.items() if kind not in {*allowed, "ns_token"}}
    return judge_each(
        "auth methods", list(found), offenders, sound="are allowed", fault="are not allowed", allowed=list(allowed)
    )


def ask_tokens(vault: Vault) -> Verdict:
    tokens = {}
    for accessor in vault.list("auth/token/accessors"):
        answer = look_up(vault, "auth/token/lookup-accessor", accessor=accessor)
        if answer:
            tokens[accessor] = answer["data"]
    return judge_tokens(tokens)


def look_up(vault: Vault, path: str, **accessor: str) -> dict[str, Any]:
    """What is behind an accessor; nothing for one that ended between the list and the look.

    :raises Unanswerable: if the server says anything else: what is passed over would not be judged.
    """
    attempt, answer = vault.attempt(f"looking up what {path} knows", "write_data", path, **accessor)
    ended = attempt.reason == NOTHING or "invalid accessor" in attempt.detail
    if attempt.outcome is not Outcome.ALLOWED and not ended:
        raise Unanswerable(f"{vault.name}: a right of vault_token to write {path}: {attempt.reason} {attempt.detail}")
    return answer


def judge_tokens(tokens: Mapping[str, Mapping[str, Any]]) -> Verdict:
    offenders = {}
    for accessor, token in tokens.items():
        bounded = int(token.get("ttl") or 0) > 0 and (
            int(token.get("explicit_max_ttl") or 0) > 0 or not token.get("period")
        )
        if "root" in (token.get("policies") or ()):
            offenders[accessor] = "root"
        elif token.get("orphan") and not bounded:
            offenders[accessor] = f"orphan without an end, policies {', '.join(token.get('policies') or ())}"
    return judge_each(
        "live tokens", list(tokens), offenders, sound="are bounded, none is root", fault="are root or unbounded"
    )


def ask_secrets(audit: Audit, vault: Vault) -> Verdict:
    states = {}
    for path in audit.require("required_secrets"):
        mount, _, name = path.partition("/")
        answer = vault.read(f"{mount}/metadata/{name}")
        states[path] = answer["data"] if answer else {}
    return judge_secrets(states)


def judge_secrets(states: Mapping[str, Mapping[str, Any]]) -> Verdict:
    offenders = {}
    for path, state in states.items():
        versions = state.get("versions") or {}
        newest = versions.get(str(state.get("current_version")), {})
        if not versions:
            offenders[path] = "does not exist"
        elif newest.get("deletion_time") or newest.get("destroyed"):
            offenders[path] = "is deleted"
    return judge_each("required secrets", list(states), offenders, sound="exist", fault="are missing")


def ask_approles(
    vault: Vault, mount: str, roles: Mapping[str, Mapping[str, Any]], limits: Mapping[str, int]
) -> Verdict:
    outstanding = {}
    for name in roles:
        for accessor in vault.list(f"{mount}/{name}/secret-id"):
            path = f"{mount}/{name}/secret-id-accessor/lookup"
            answer = look_up(vault, path, secret_id_accessor=accessor)
            if answer:
                outstanding[f"{name} secret id {accessor}"] = answer["data"]
    return judge_approles(roles, outstanding, limits)


def judge_approles(
    roles: Mapping[str, Mapping[str, Any]], outstanding: Mapping[str, Mapping[str, Any]], limits: Mapping[str, int]
) -> Verdict:
    """The role's bounds, and those of each secret id it gave out before: tightening a role leaves the old ones as they were.
    To Vault 0 means without limit."""
    offenders = {}
    for name, role in roles.items():
        policies = {*(role.get("token_policies") or ()), *(role.get("policies") or ())}
        faults = [_unbounded(key, role.get(key), limit) for key, limit in _role_limits(limits).items()]
        faults += ["holds the root policy"] if "root" in policies else []
        faults += ["needs no secret id"] if role.get("bind_secret_id") is not True else []
        if any(faults):
            offenders[name] = ", ".join(filter(None, faults))
    for name, secret_id in outstanding.items():
        faults = [
            _unbounded("secret_id_ttl", secret_id.get("secret_id_ttl"), limits["secret_id_ttl_s"]),
            _unbounded("secret_id_num_uses", secret_id.get("secret_id_num_uses"), limits["secret_id_uses"]),
        ]
        if any(faults):
            offenders[name] = ", ".join(filter(None, faults))
    return judge_each(
        "AppRoles",
        list(roles),
        offenders,
        sound=f"are bounded, and so are their {len(outstanding)} outstanding secret ids",
        fault="are not bounded",
        limits=dict(limits),
    )


def _role_limits(limits: Mapping[str, int]) -> dict[str, int]:
    return {
        "secret_id_ttl": limits["secret_id_ttl_s"],
        "secret_id_num_uses": limits["secret_id_uses"],
        "token_ttl": limits["token_ttl_s"],
        "token_max_ttl": limits["token_max_ttl_s"],
    }


def _unbounded(key: str, value: Any, limit: int) -> str:
    number = int(value or 0)
    return f"{key} is {number or 'unlimited'}, {limit} is allowed" if not 0 < number <= limit else ""


def ask_policies(vault: Vault, roles: Mapping[str, Mapping[str, Any]]) -> Verdict:
    held: dict[str, list[str]] = {}
    for name, role in roles.items():
        for policy in {*(role.get("token_policies") or ()), *(role.get("policies") or ())}:
            held.setdefault(policy, []).append(name)
    rules = {}
    for policy in held:
        if policy == "root":
            continue
        data = vault.data(f"sys/policies/acl/{policy}")
        try:
            rules[policy] = parse_policy(str(data["policy"]))
        except (ValueError, KeyError):
            return blocked(f"a policy that can be read: {policy} is neither HCL nor JSON")
    return judge_policies(held, rules)


def judge_policies(held: Mapping[str, Collection[str]], rules: Mapping[str, Collection[Rule]]) -> Verdict:
    offenders = {
        policy: f"grants everything to {', '.join(sorted(by))}" for policy, by in held.items() if policy == "root"
    }
    for policy, entries in rules.items():
        faults = [f"{rule.path}: {fault}" for rule in entries if (fault := rule_fault(rule))]
        if faults:
            offenders[policy] = "; ".join(faults)
    return judge_each(
        "policies held by AppRoles",
        list(held),
        offenders,
        sound="grant no more than a service needs",
        fault="grant too much",
        rules={policy: {r.path: sorted(r.capabilities) for r in entries} for policy, entries in rules.items()},
    )


def rule_fault(rule: Rule) -> str | None:
    """What a service's policy must not grant: a wildcard over a whole mount, sudo, or changes to how Vault itself works."""
    if rule.capabilities <= {"deny"}:
        return None
    parts = rule.path.strip("/").split("/")
    fixed = [part for part in parts if part not in ("*", "+")]
    if parts[-1].endswith("*") and len([part for part in fixed if part not in ("data", "metadata")]) < 2:
        return "covers a whole mount"
    if "sudo" in rule.capabilities:
        return "grants sudo"
    if parts[0] in ("sys", "auth", "+") and rule.capabilities & WRITES and rule.path not in OWN_TOKEN:
        return f"lets it change {parts[0]}/"
    return None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **VAULT,
            "approle_mount": {"type": "str", "default": "approle"},
            "max_secret_id_ttl_s": {"type": "int", "default": 86400, "no_log": False},
            "max_secret_id_uses": {"type": "int", "default": 10, "no_log": False},
            "max_token_ttl_s": {"type": "int", "default": 3600, "no_log": False},
            "max_token_max_ttl_s": {"type": "int", "default": 86400, "no_log": False},
            "allowed_auth_methods": {"type": "list", "elements": "str", "default": ["token", "approle"]},
            "required_secrets": {"type": "list", "elements": "str", "no_log": False},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()
