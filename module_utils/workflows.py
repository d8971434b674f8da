# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workflow registry: its answers as they are, and its refusals as attempts with the registry's own code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import yaml

from .guard import ABANDONED, Audit
from .http import Answer, HttpClient
from .result import Attempt, Outcome
from .unanswerable import Unanswerable

PROBE_PREFIX = "audit-probe-"
"""How every package of the audit's own is called, so that the next run can sweep up what a killed one left. They are
examined like all the others: they are soundly signed, and never run by themselves without an approval.
"""
MOST_PAGES = 1_000
DELETED = "deleted"


class ServerFaultError(Unanswerable):
    """The registry answered 5xx: no refusal, and no permission either."""


class WorkflowRegistry:
    """The registry as one caller; each request carries the run's id and the check's, for the audit log.

    :raises Unanswerable: from every method, naming the registry and what it said.
    """

    def __init__(self, audit: Audit, token: str, purpose: str) -> None:
        url = audit.require("workflow_registry_url")
        cacert = audit.params["workflow_registry_cacert"]
        self._http = HttpClient("workflow registry", url, token=token, cacert=cacert)
        self._headers = {"X-Request-ID": f"{audit.run_id}/{purpose}"}
        self.name = self._http.system

    def get(self, path: str) -> Any:
        """The JSON of a path that must be there."""
        return self._http.get_json(path, headers=self._headers)

    def listing(self) -> Iterator[dict[str, Any]]:
        """Every workflow that the caller may see, page by page."""
        after = ""
        for _page in range(MOST_PAGES):
            page = self._http.get_json("/workflows", params={"after": after, "limit": 200}, headers=self._headers)
            if not isinstance(page, dict) or not isinstance(page.get("workflows"), list) or "next" not in page:
                raise Unanswerable(f"{self.name}: a listing with 'workflows' and 'next'")
            yield from page["workflows"]
            if not page["next"]:
                return
            after = str(page["next"])
        raise Unanswerable(f"{self.name}: a listing that ends")

    def exists(self, workflow_id: str) -> bool:
        """Whether a workflow is there."""
        answer = self._http.request("GET", f"/workflows/{workflow_id}", headers=self._headers)
        return self._http.expect(answer, 200, 404).status == 200

    def content(self, workflow_id: str, part: str) -> bytes | None:
        """The exact bytes of a workflow's ``package`` or ``signature``; None if there is none."""
        answer = self._http.request("GET", f"/workflows/{workflow_id}/{part}", headers=self._headers)
        if answer.status == 404:
            return None
        return self._http.expect(answer, 200).body

    def upload(self, data: bytes, signature: str | None, replaces: str | None = None) -> tuple[Attempt, dict[str, Any]]:
        """Try to publish a package, or with ``replaces`` a new version of one."""
        method, path = ("PUT", f"/workflows/{replaces}") if replaces else ("POST", "/workflows")
        return self.attempt("uploading a package", method, path, files=form(data, signature))

    def attempt(self, action: str, method: str, path: str, **options: Any) -> tuple[Attempt, dict[str, Any]]:
        """Try a request: 2xx is allowed, 4xx is refused with the registry's code, anything else is no answer.

        What was allowed was allowed, even if the answer says nothing that can be read: its body is then ``{}``.
        """
        answer = self._http.request(method, path, headers=self._headers, **options)
        if 200 <= answer.status < 300:
            return Attempt(action, Outcome.ALLOWED, str(answer.status)), _mapping(answer)
        if 400 <= answer.status < 500:
            code, message = _refusal(answer)
            return Attempt(action, Outcome.REFUSED, code, message), {}
        fault = ServerFaultError if answer.status >= 500 else Unanswerable
        raise fault(f"{self.name}: {action}: HTTP {answer.status}: {_refusal(answer)[1]}")

    def delete(self, workflow_id: str) -> Attempt:
        return self.attempt("deleting a package", "DELETE", f"/workflows/{workflow_id}")[0]

    def sweep(self, names: str) -> dict[str, str]:
        """Delete the packages whose names begin so: each one's name, and ``deleted`` or why it was not."""
        return self._delete([one for one in self.listing() if str(one.get("name", "")).startswith(names)])

    def sweep_abandoned(self, tenant: str) -> dict[str, str]:
        """Delete what runs left that were killed, in the tenant set aside; a probe's name says when its run began. The prefix
        alone proves nothing: anybody may choose it.
        """
        before = f"{PROBE_PREFIX}{datetime.now(timezone.utc) - ABANDONED:%Y%m%dt%H%M%S}"
        own = [one for one in self.listing() if one.get("tenant") == tenant]
        return self._delete([one for one in own if PROBE_PREFIX <= str(one.get("name", "")) < before])

    def _delete(self, workflows: list[dict[str, Any]]) -> dict[str, str]:
        gone = {str(one["name"]): self.delete(str(one["id"])) for one in workflows}
        return {
            name: DELETED if attempt.outcome is Outcome.ALLOWED else f"{attempt.reason} {attempt.detail}"
            for name, attempt in gone.items()
        }


def probe_name(audit: Audit, purpose: str) -> str:
    """What a package of the audit's own is called: found again by its run and its purpose, and by nobody else's sweep."""
    return f"{PROBE_PREFIX}{audit.run_id}-{purpose}".lower()


def form(data: bytes, signature: str | None = None) -> dict[str, tuple[str, bytes | str]]:
    """A package, and its signature, as the multipart form the registry takes."""
    files: dict[str, tuple[str, bytes | str]] = {"file": ("audit-probe.wpk.yaml", data)}
    return {**files, "signature": ("audit-probe.wpk.yaml.sig", signature)} if signature else files


def package(name: str, tenant: str, steps: Sequence[Mapping[str, Any]] | None = None, **spec: Any) -> bytes:
    """A small package of the audit's own; ``spec`` adds to or replaces what its spec says."""
    harmless = [{"name": "say", "uses": "core.log", "with": {"message": "policy audit"}}]
    document = {
        "apiVersion": "atom/v1",
        "kind": "WorkflowPackage",
        "metadata": {"name": name, "version": "1.0.0", "author": "policy-audit", "tenant": tenant},
        "spec": {**spec, "steps": list(steps or harmless)},
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text.encode()


def _mapping(answer: Answer) -> dict[str, Any]:
    try:
        body = answer.json()
    except Unanswerable:
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(answer: Answer) -> tuple[str, str]:
    """The registry's code and words; the HTTP status stands in for a code."""
    try:
        error = answer.json()["error"]
        return str(error["code"]), str(error.get("message", ""))
    except (Unanswerable, KeyError, TypeError):
        return str(answer.status), answer.quote()
