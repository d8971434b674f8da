"""Whether the systems answer that the registry can do without for a while."""

from __future__ import annotations

import requests

from atom.settings import Settings

TIMEOUT_S = 1


def of_others(settings: Settings) -> dict[str, str]:
    """``ok`` or ``unavailable`` for Vault and the object store; any HTTP answer below 500 counts as one."""
    with requests.Session() as session:
        session.trust_env = False
        return {
            "vault": _state(
                session, f"{settings['vault.addr']}/v1/sys/health", str(settings.get("vault.cacert", True))
            ),
            "s3": _state(session, settings["s3.endpoint"], True),
        }


def _state(session: requests.Session, url: str, verify: str | bool) -> str:
    try:
        answer = session.get(url, timeout=TIMEOUT_S, verify=verify)
    except (requests.RequestException, OSError):
        return "unavailable"
    return "ok" if answer.status_code < 500 else "unavailable"
