# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prometheus and Alertmanager by their HTTP APIs, and the little of their languages that an auditor must read himself.

https://prometheus.io/docs/prometheus/latest/querying/api/, https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .http import HttpClient
from .unanswerable import Unanswerable

DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
MATCHER = re.compile(r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"?((?:[^"\\]|\\.)*)"?\s*""")
SELECTOR = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\s*\(|[\w:])")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
KEYWORDS = frozenset(
    {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "inf", "nan", "atan2"}
)


class Prometheus:
    """Prometheus, read."""

    def __init__(self, url: str, *, token: str | None = None, cacert: str | None = None) -> None:
        self._http = HttpClient("Prometheus", url, token=token, cacert=cacert)
        self.name = self._http.system

    def api(self, path: str, **parameters: Any) -> Any:
        """The ``data`` of an API answer.

        :raises Unanswerable: for anything but success.
        """
        answer = self._http.get_json(f"/api/v1/{path}", params=parameters)
        if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
            raise Unanswerable(f"{self.name}: an answer of {path} that says success")
        return answer["data"]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its group's name; alerting ones have ``type`` alerting."""
        groups = self.api("rules").get("groups")
        if not isinstance(groups, list):
            raise Unanswerable(f"{self.name}: 'groups' in its rules")
        return [{**rule, "group": group["name"]} for group in groups for rule in group.get("rules", ())]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing."""
        found = self.api("alerts").get("alerts")
        if not isinstance(found, list):
            raise Unanswerable(f"{self.name}: 'alerts' in its alerts")
        return found

    def targets(self) -> list[dict[str, Any]]:
        """The active scrape targets."""
        found = self.api("targets", state="active").get("activeTargets")
        if not isinstance(found, list):
            raise Unanswerable(f"{self.name}: 'activeTargets' in its targets")
        return found

    def formatted(self, expression: str) -> str:
        """An expression as Prometheus prints it, so that two spellings of one compare equal."""
        return str(self.api("format_query", query=expression))

    def series(self, selector: str) -> int:
        """How many series a selector has now."""
        result = self.api("query", query=f"count({selector})").get("result") or []
        return int(float(result[0]["value"][1])) if result else 0


class Alertmanager:
    """Alertmanager, read."""

    def __init__(self, url: str, *, token: str | None = None, cacert: str | None = None) -> None:
        self._http = HttpClient("Alertmanager", url, token=token, cacert=cacert)
        self.name = self._http.system
        self.address = url.rstrip("/")

    def status(self) -> Any:
        """What it says of itself."""
        return self._http.get_json("/api/v2/status")

    def configuration(self) -> dict[str, Any]:
        """The configuration it runs with."""
        try:
            found = yaml.safe_load(self.status()["config"]["original"])
        except (KeyError, TypeError, yaml.YAMLError):
            raise Unanswerable(f"{self.name}: its configuration in /api/v2/status") from None
        if not isinstance(found, dict) or not isinstance(found.get("route"), dict):
            raise Unanswerable(f"{self.name}: a configuration with a route")
        return found

    def silences(self) -> list[dict[str, Any]]:
        """The silences that are active."""
        found = self._http.get_json("/api/v2/silences")
        if not isinstance(found, list):
            raise Unanswerable(f"{self.name}: a list of silences")
        return [one for one in found if (one.get("status") or {}).get("state") == "active"]


def seconds(duration: Any) -> float:
    """A duration as Prometheus writes it, ``1h30m``, or a number of seconds."""
    if isinstance(duration, (int, float)):
        return float(duration)
    parts = DURATION.findall(str(duration or "0s"))
    return float(sum(int(number) * SECONDS[unit] for number, unit in parts))


def selectors(expression: str) -> list[str]:
    """The vector selectors of an expression: ``up``, ``http_requests_total{code="500"}``."""
    bare = GROUPING.sub(" ", re.sub(r"\[[^\]]*\]", "", expression))
    found = []
    for name, labels in SELECTOR.findall(_without_labels_in_strings(bare)):
        if name.lower() not in KEYWORDS:
            found.append(f"{name}{labels}")
    return sorted(set(found))


def _without_labels_in_strings(expression: str) -> str:
    """A brace in a label's value would end its selector early; such values are rare, and left out."""
    return re.sub(r'"[^"]*[{}][^"]*"', '""', expression)


def receivers(route: Mapping[str, Any], labels: Mapping[str, str], inherited: str = "") -> list[str]:
    """The receivers that Alertmanager routes an alert with these labels to."""
    own = str(route.get("receiver") or inherited)
    found: list[str] = []
    for child in route.get("routes") or ():
        if matches(child, labels):
            found += receivers(child, labels, own)
            if not child.get("continue"):
                return found
    return found or [own]


def matches(holder: Mapping[str, Any], labels: Mapping[str, str], prefix: str = "") -> bool:
    """Whether a route's, silence's or inhibition's matchers (``<prefix>matchers``, ``match``, ``match_re``) take the labels."""
    pairs = [_parse(text) for text in holder.get(f"{prefix}matchers") or ()]
    pairs += [(name, "=", str(value)) for name, value in (holder.get(f"{prefix}match") or {}).items()]
    pairs += [(name, "=~", str(value)) for name, value in (holder.get(f"{prefix}match_re") or {}).items()]
    return all(_holds(labels.get(name, ""), operator, value) for name, operator, value in pairs)


def _parse(matcher: Any) -> tuple[str, str, str]:
    """A matcher as the configuration writes it, or as the API gives it."""
    if isinstance(matcher, dict):
        operator = (
            ("=~" if matcher.get("isRegex") else "=")
            if matcher.get("isEqual", True)
            else ("!~" if matcher.get("isRegex") else "!=")
        )
        return str(matcher["name"]), operator, str(matcher["value"])
    match = MATCHER.fullmatch(str(matcher))
    if match is None:
        raise Unanswerable(f"an Alertmanager matcher that can be understood: {matcher!r}")
    return match[1], match[2], match[3]


def _holds(value: str, operator: str, wanted: str) -> bool:
    if operator in ("=~", "!~"):
        try:
            found = re.fullmatch(wanted, value) is not None
        except re.error:
            raise Unanswerable(f"an Alertmanager pattern that can be understood: {wanted!r}") from None
        return found == (operator == "=~")
    return (value == wanted) == (operator == "=")


def repository_rules(files: Iterable[str]) -> list[dict[str, Any]]:
    """The rules of rule files, with their group's name.

    :raises Unanswerable: if one cannot be read or understood.
    """
    found = []
    for file in files:
        try:
            groups = yaml.safe_load(Path(file).read_text(encoding="utf-8"))["groups"]
            found += [{**rule, "group": group["name"]} for group in groups for rule in group["rules"]]
        except OSError as error:
            raise Unanswerable(f"a readable rule file {file}: {error.strerror}") from None
        except (yaml.YAMLError, KeyError, TypeError):
            raise Unanswerable(f"a rule file that can be understood: {file}") from None
    return found
