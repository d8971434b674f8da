"""How a service comes by its credentials: AppRole, with a secret id that was response-wrapped for it alone.

The wrapping token lies in a file only the service may read, works once, and is deleted on reading. What Vault answers
is kept in memory; nothing is taken from the environment or the command line, where other processes could see it.
"""

from __future__ import annotations

from pathlib import Path

import hvac
import requests

from atom.settings import Settings


def fetch(settings: Settings, service: str) -> dict[str, str]:
    """The key-value pairs of the service's own secret."""
    ours = settings[f"services.{service}"]
    session = requests.Session()
    session.trust_env = False
    session.verify = settings["vault.cacert"]
    vault = hvac.Client(url=settings["vault.addr"], session=session, verify=session.verify, timeout=10)
    vault.token = _read_once(Path(ours["secret_id_file"]))
    secret_id = vault.sys.unwrap()["data"]["secret_id"]
    vault.auth.approle.login(ours["role_id"], secret_id, mount_point=settings["vault.approle_mount"])
    try:
        answer = vault.secrets.kv.v2.read_secret_version(
            ours["secret_path"], mount_point=settings["vault.kv_mount"], raise_on_deleted_version=True
        )
    finally:
        vault.auth.token.revoke_self()
    return dict(answer["data"]["data"])


def _read_once(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    finally:
        path.unlink(missing_ok=True)
