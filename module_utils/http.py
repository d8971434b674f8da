# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP as an auditor needs it: every answer is bounded in time and size, and none is taken for another.

Redirects are not followed (a moved endpoint is an inventory that needs mending, and a token must not travel along),
the environment's proxies and CA bundles do not apply (``requests`` would let ``REQUESTS_CA_BUNDLE`` override
``verify``), and a non-answer is always :class:`~.unanswerable.Unanswerable` with the system's name and address.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from .unanswerable import Unanswerable

MAX_BODY = 32 * 1024 * 1024
SAID = 300
"""How much of an error answer is worth quoting."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end."""

    system: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        :raises Unanswerable: if it is not JSON, whatever the status says.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise Unanswerable(
                f"JSON from {self.system}: HTTP {self.status} with {self.quote() or 'an empty body'}"
            ) from None

    def quote(self) -> str:
        """The beginning of the body, for a message."""
        return " ".join(self.body[: SAID * 4].decode("utf-8", "replace").split())[:SAID]


class HttpClient:
    """Conversation with one HTTP system.

    :param system: what people call it: ``workflow registry``; every message names it together with ``base_url``.
    :param base_url: may hold a route prefix; paths are appended to it.
    :param timeout_s: connect and read timeout, and the bound for one whole answer is four times that.
    """

    def __init__(
        self, system: str, base_url: str, *, token: str | None = None, cacert: str | None = None, timeout_s: float = 5.0
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.system = f"{system} at {self.base_url}"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = cacert or True
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send one request (``options`` as ``requests`` takes them); every HTTP status is an answer.

        :raises Unanswerable: if no whole answer came in time.
        """
        deadline = time.monotonic() + 4 * self._timeout_s
        options.setdefault("timeout", self._timeout_s)
        try:
            with self._session.request(
                method, self.base_url + path, stream=True, allow_redirects=False, **options
            ) as response:
                body = bytearray()
                for chunk in response.iter_content(65_536):
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise Unanswerable(f"an answer of bounded size: {self.system} sent over {MAX_BODY >> 20} MiB")
                    if time.monotonic() > deadline:
                        raise Unanswerable(
                            f"{self.system}: the answer was not complete after {4 * self._timeout_s:g} s"
                        )
                return Answer(self.system, response.status_code, response.headers, bytes(body))
        except requests.exceptions.SSLError as error:
            raise Unanswerable(f"{self.system}: TLS verification failed: {_root_cause(error)}") from None
        except requests.exceptions.Timeout:
            raise Unanswerable(f"{self.system} did not answer within {self._timeout_s:g} s") from None
        except (requests.exceptions.RequestException, ValueError, OSError) as error:
            raise Unanswerable(f"{self.system} does not answer: {_root_cause(error)}") from None

    def get_json(self, path: str, **options: Any) -> Any:
        """The JSON of a 200 answer.

        :raises Unanswerable: for any other status, quoting it.
        """
        return self.expect(self.request("GET", path, **options), 200).json()

    def expect(self, answer: Answer, *statuses: int) -> Answer:
        """The same answer, if its status is one of ``statuses``.

        :raises Unanswerable: otherwise, quoting status and body.
        """
        if answer.status not in statuses:
            raise Unanswerable(f"{self.system}: HTTP {answer.status} instead of {statuses[0]}: {answer.quote()}")
        return answer

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _root_cause(error: BaseException) -> str:
    """The innermost reason in ``requests``' and ``urllib3``'s nesting of exceptions, without their reprs of objects."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in getattr(reason, "args", ()) if isinstance(arg, BaseException)), None)
        if inner is None or inner is reason:
            break
        reason = inner
    # urllib3 says "<connection>: Failed to establish a new connection: [Errno 111] Connection refused"
    return str(getattr(reason, "strerror", None) or reason).rsplit("] ", 1)[-1]
