# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HashiCorp Vault and OpenBao, with nothing taken from the environment, and every refusal told from a silence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hcl2
import hvac
import hvac.exceptions
import requests

from .result import Attempt, Outcome
from .unanswerable import Unanswerable

TIMEOUT_S = 8
NOTHING = "404"
WRITES = frozenset({"create", "update", "patch", "delete"})


class Vault:
    """A conversation with one server, with one token or with none.

    :raises Unanswerable: from every method, naming the address, and the path where the token may not go.
    """

    def __init__(
        self, addr: str, token: str | None, *, cacert: str | None = None, namespace: str | None = None
    ) -> None:
        self.name = f"Vault at {addr}"
        session = requests.Session()
        session.trust_env = False
        session.verify = cacert or True
        self._client = hvac.Client(
            url=addr, token=token or "", session=session, verify=session.verify, timeout=TIMEOUT_S, namespace=namespace
        )
        if not token:
            self._client.token = None  # hvac would look for VAULT_TOKEN and ~/.vault-token

    def read(self, path: str) -> dict[str, Any] | None:
        """The answer to a read, whole, with its ``request_id``; None if there is nothing."""
        answer = self._ask("read", path)
        return answer if isinstance(answer, dict) else None

    def data(self, path: str) -> dict[str, Any]:
        """The ``data`` of a path that must be there."""
        answer = self.read(path)
        if not answer or not isinstance(answer.get("data"), dict):
            raise Unanswerable(f"{self.name}: {path}: there is nothing")
        found: dict[str, Any] = answer["data"]
        return found

    def list(self, path: str) -> list[str]:
        """The keys below a path; an empty folder is 404 to the server, and an empty list here."""
        answer = self._ask("list", path)
        return list(answer["data"]["keys"]) if isinstance(answer, dict) else []

    def write(self, path: str, **data: Any) -> dict[str, Any]:
        """The answer to a write."""
        answer = self._ask("write_data", path, data=data)
        return answer if isinstance(answer, dict) else {}

    def health(self) -> dict[str, Any]:
        """``sys/health``, whose statuses say standby and sealed, too."""
        try:
            answer = self._client.sys.read_health_status(method="GET")
            found = answer if isinstance(answer, dict) else answer.json()
        except (hvac.exceptions.VaultError, requests.RequestException, ValueError) as error:
            raise self._silent(error) from None
        if not isinstance(found, dict):
            raise Unanswerable(f"{self.name}: sys/health says nothing")
        return found

    def attempt(self, action: str, method: str, path: str, **data: Any) -> tuple[Attempt, dict[str, Any]]:
        """Try ``read`` or ``write_data``; a refusal's reason is its HTTP status. The answer comes beside the attempt."""
        try:
            answer = getattr(self._client, method)(path, **({"data": data} if data else {}))
        except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized, hvac.exceptions.InvalidRequest) as error:
            status = {"Forbidden": "403", "Unauthorized": "401"}.get(type(error).__name__, "400")
            return Attempt(action, Outcome.REFUSED, status, _said(error)), {}
        except hvac.exceptions.InvalidPath:
            answer = None
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise self._silent(error) from None
        if answer is None:
            return Attempt(action, Outcome.UNCLEAR, NOTHING, f"there is nothing at {path}"), {}
        return Attempt(action, Outcome.ALLOWED), answer if isinstance(answer, dict) else {}

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            return getattr(self._client, method)(path, **options)
        except hvac.exceptions.Forbidden:
            raise Unanswerable(
                f"{self.name}: a right of vault_token: its policy does not let it {method.split('_', maxsplit=1)[0]} {path}"
            ) from None
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> Unanswerable:
        return Unanswerable(f"{self.name} does not answer: {_said(error)}")


@dataclass(frozen=True)
class Rule:
    """One path of a policy, with its capabilities."""

    path: str
    capabilities: frozenset[str]


def parse_policy(text: str) -> list[Rule]:
    """The rules of an ACL policy, in HCL or in JSON.

    :raises ValueError: if it is neither.
    """
    try:
        blocks = json.loads(text)["path"] if text.lstrip().startswith("{") else hcl2.loads(text).get("path", [])
    except Exception as error:  # the parser raises lark's own exceptions  # pylint: disable=broad-except
        raise ValueError("not a policy in HCL or JSON") from error
    pairs = [pair for block in blocks for pair in block.items()] if isinstance(blocks, list) else list(blocks.items())
    return [
        Rule(str(path).strip('"'), frozenset(str(one).strip('"') for one in body.get("capabilities", ())))
        for path, body in pairs
        if isinstance(body, Mapping)
    ]


def _said(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    reason: Any = error
    while isinstance(getattr(reason, "reason", None) or next(iter(reason.args), None), BaseException):
        reason = getattr(reason, "reason", None) or reason.args[0]
    return " ".join(("; ".join(map(str, errors)) if errors else str(reason).rsplit("] ", 1)[-1]).split())[:300]
