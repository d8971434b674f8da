"""Faults of A02, Vault Secret Broker."""

from __future__ import annotations

import base64
from pathlib import Path

from labkit.bench import Bench
from tests.violations import Violation, file_violation

EXPORTER = 'path "secret/data/atom/exporter" { capabilities = ["read"] }\n'
PROBE = 'path "secret/data/atom/audit-probe" { capabilities = ["read"] }\n'


def policy_violation(id: str, check: str, about: str, *, policy: str, proper: str, planted: str) -> Violation:
    """A service's policy that grants more than it should."""
    return Violation(
        id,
        check,
        about,
        lambda bench: bench.vault.sys.create_or_update_policy(policy, proper + planted),
        lambda bench: bench.vault.sys.create_or_update_policy(policy, proper),
    )


def role_violation(id: str, check: str, about: str, *, role: str, field: str, value: object) -> Violation:
    """One wrong bound of an AppRole."""

    def plant(bench: Bench) -> None:
        before = bench.vault.auth.approle.read_role(role)["data"][field]
        bench.state.setdefault("before", before)
        bench.vault.write_data(f"auth/approle/role/{role}", data={field: value})

    def remove(bench: Bench) -> None:
        if "before" in bench.state:
            before = bench.state["before"]
            bench.vault.write_data(f"auth/approle/role/{role}", data={field: "" if before is None else before})

    return Violation(id, check, about, plant, remove)


def audit_log(bench: Bench) -> Path:
    return bench.path("openbao", "audit.log")


def rotate_untold(bench: Bench) -> None:
    audit_log(bench).rename(audit_log(bench).with_suffix(".1"))
    audit_log(bench).touch(mode=0o600)


def rotate_back(bench: Bench) -> None:
    rotated = audit_log(bench).with_suffix(".1")
    if rotated.exists():
        rotated.replace(audit_log(bench))


def tune_secret_mount(bench: Bench, keys: str) -> None:
    bench.vault.write_data("sys/mounts/secret/tune", data={"audit_non_hmac_response_keys": keys})


def enable_userpass(bench: Bench) -> None:
    if "userpass/" not in bench.vault.sys.list_auth_methods()["data"]:
        bench.vault.sys.enable_auth_method("userpass")


def make_endless_token(bench: Bench) -> None:
    answer = bench.vault.auth.token.create(policies=["default"], no_parent=True, period="24h")
    bench.state["accessor"] = answer["auth"]["accessor"]


def end_token(bench: Bench) -> None:
    if "accessor" in bench.state:
        bench.vault.auth.token.revoke_accessor(bench.state["accessor"])


def value_in_a_file(bench: Bench) -> bytes:
    secret = bench.vault.secrets.kv.v2.read_secret_version("atom/backup", raise_on_deleted_version=True)
    value = secret["data"]["data"]["postgres_password"]
    return b"BACKUP_OPTIONS=" + base64.b64encode(value.encode()) + b"\n"


def write_value(bench: Bench) -> None:
    path = bench.path("etc", "backup.env")
    path.touch(mode=0o600)
    path.write_bytes(value_in_a_file(bench))


VIOLATIONS = [
    Violation(
        "secrets-logged-in-the-clear",
        "vault.audit_devices",
        "The audit device does not hash what the secret mount answers",
        lambda bench: tune_secret_mount(bench, "data"),
        lambda bench: tune_secret_mount(bench, ""),
    ),
    role_violation(
        "approle-unlimited",
        "vault.approle_bounded",
        "An AppRole's secret ids work any number of times",
        role="pager",
        field="secret_id_num_uses",
        value=0,
    ),
    policy_violation(
        "policy-covers-the-mount",
        "vault.policies_least_privilege",
        "A service's policy reads every secret of the mount",
        policy="exporter",
        proper=EXPORTER,
        planted='path "secret/*" { capabilities = ["read"] }\n',
    ),
    Violation(
        "auth-method-forgotten",
        "vault.auth_methods",
        "Passwords are an auth method, which nobody allowed",
        enable_userpass,
        lambda bench: bench.vault.sys.disable_auth_method("userpass"),
    ),
    Violation(
        "token-without-end",
        "vault.no_root_tokens",
        "An orphan token can be renewed for ever",
        make_endless_token,
        end_token,
    ),
    Violation(
        "required-secret-deleted",
        "vault.required_secrets",
        "A secret that a service needs is deleted",
        lambda bench: bench.vault.secrets.kv.v2.delete_latest_version_of_secret("atom/pager"),
        lambda bench: bench.vault.secrets.kv.v2.undelete_secret_versions("atom/pager", versions=[1]),
    ),
    role_violation(
        "approle-bound-elsewhere",
        "vault.approle_login",
        "An AppRole can only log in from a network where nobody is",
        role="audit-probe",
        field="secret_id_bound_cidrs",
        value=["198.51.100.0/24"],
    ),
    Violation(
        "audit-log-rotated-untold",
        "vault.access_audited",
        "The audit log was rotated, and the server still writes to the file that was moved away",
        rotate_untold,
        rotate_back,
    ),
    role_violation(
        "secret-id-works-again",
        "vault.rejects_used_secret_id",
        "A secret id that should work once works five times",
        role="audit-probe",
        field="secret_id_num_uses",
        value=5,
    ),
    policy_violation(
        "token-out-of-scope",
        "vault.rejects_out_of_scope",
        "A role's token reads another service's secret",
        policy="audit-probe",
        proper=PROBE,
        planted='path "secret/data/atom/registry" { capabilities = ["read"] }\n',
    ),
    Violation(
        "vault-value-in-a-file",
        "env.no_plaintext_secrets",
        "A value that Vault holds stands, in base64, in an environment file",
        write_value,
        lambda bench: bench.path("etc", "backup.env").unlink(missing_ok=True),
    ),
    file_violation(
        "password-in-a-unit-file",
        "env.no_plaintext_secrets",
        "A unit file sets a password",
        file=lambda bench: bench.path("etc", "atom-registry.service"),
        edit=lambda _data: b"[Service]\nDATABASE_PASSWORD=correct-horse-battery\n",
    ),
]
