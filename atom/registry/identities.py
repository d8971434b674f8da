"""Who is asking: bearer tokens, of which only digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """A caller. ``role`` is admin, publisher or viewer; ``tenants`` may be ``*``."""

    name: str
    role: str
    tenants: tuple[str, ...]

    def may_see(self, tenant: str) -> bool:
        return "*" in self.tenants or tenant in self.tenants

    def may_write(self, tenant: str) -> bool:
        return self.role in ("admin", "publisher") and self.may_see(tenant)


class Identities:
    """Tokens to callers, from the registry's own secret."""

    def __init__(self, as_json: str) -> None:
        self._by_digest = {
            entry["sha256"]: Identity(entry["name"], entry["role"], tuple(entry["tenants"]))
            for entry in json.loads(as_json)
        }

    def of(self, token: str) -> Identity | None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        for known, identity in self._by_digest.items():
            if hmac.compare_digest(known, digest):
                return identity
        return None
