# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one place where evidence enters a result: secrets leave it, and so do excess and disorder.

Two nets, because each has holes of its own. Known values (every ``no_log`` option, and every secret a module met
while it worked) are removed in each form they are likely to travel in. Unknown values are removed by their shape,
for the credentials whose shape is published.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
MAX_TEXT = 2_000
MAX_ITEMS = 200
MAX_DEPTH = 8
SHORTEST_SECRET = 6
"""Shorter values are too likely to be ordinary words; masking them would ruin the evidence and hide nothing."""

SHAPES = re.compile(
    r"""
      -----BEGIN\ [A-Z0-9 ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z0-9 ]*PRIVATE\ KEY-----|\Z)  # RFC 7468
    | \b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}                        # Vault and OpenBao tokens
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                                  # AWS access key ids
    | \bgh[pousr]_[A-Za-z0-9]{36,}\b | \bgithub_pat_\w{22,}\b         # GitHub tokens
    | \bglpat-[A-Za-z0-9_-]{20,}                                     # GitLab tokens
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                                 # Slack tokens
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*      # JSON Web Tokens, RFC 7519
    """,
    re.VERBOSE | re.DOTALL,
)
SECRET_NAME = re.compile(
    r"(?:^|_)(?:pass(?:word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|credential)s?$", re.IGNORECASE
)
"""Names whose value, if it has one, is a credential."""
CARRIERS = re.compile(
    r"(?P<keep>\b(?:authorization:\s*(?:bearer|basic)\s+|x-vault-token:\s*|password\s*[=:]\s*['\"]?))[^\s'\"@,;]+"
    r"|(?P<userinfo>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)
"""Places that carry a secret of any shape: headers, ``password=`` of a libpq DSN, the userinfo of a URL."""


def forms(secret: str) -> set[str]:
    """The secret as it may appear in text: raw, base64 (with each alphabet), URL-encoded, JSON-escaped, hex."""
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        raw.hex(),
        *encoded,
        *(text.rstrip("=") for text in encoded),
    }


class Redactor:
    """Clean whatever leaves a module."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Remember values that must never be seen outside."""
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                self._known |= forms(secret)
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, value: str) -> str:
        """One string without secrets, without control characters a terminal would obey, and bounded."""
        if self._pattern:
            value = self._pattern.sub(MASK, value)
        value = CARRIERS.sub(lambda carrier: (carrier["keep"] or carrier["userinfo"]) + MASK, SHAPES.sub(MASK, value))
        value = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in value)
        excess = len(value) - MAX_TEXT
        return f"{value[:MAX_TEXT]}… ({excess} more characters)" if excess > 0 else value

    def clean(self, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 -- one return a type
        """Any observed value as plain JSON data: redacted, bounded in every direction, in the order given."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.text(bytes(value).decode("utf-8", "replace"))
        if depth >= MAX_DEPTH:
            return f"… (deeper than {MAX_DEPTH} levels)"
        if isinstance(value, Mapping):
            kept = {self.text(str(key)): self.clean(item, depth + 1) for key, item in list(value.items())[:MAX_ITEMS]}
            if len(value) > MAX_ITEMS:
                kept["…"] = f"{len(value) - MAX_ITEMS} more"
            return kept
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=str)
        if isinstance(value, Iterable):
            items = list(value)
            kept_items = [self.clean(item, depth + 1) for item in items[:MAX_ITEMS]]
            if len(items) > MAX_ITEMS:
                kept_items.append(f"… and {len(items) - MAX_ITEMS} more")
            return kept_items
        return self.text(str(value))
