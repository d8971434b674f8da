# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""S3, with credentials that were given and none that were found: no environment, no profile, no instance metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .result import Attempt, Outcome
from .unanswerable import Unanswerable

TIMEOUT_S = 8
UNKNOWN_CALLER = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed"})
"""Codes that refuse the credential, not the action: they prove nothing about rights."""


class Store:
    """One identity at one endpoint.

    :raises Unanswerable: from every method but :meth:`attempt`, naming the endpoint and what it said.
    """

    def __init__(
        self, endpoint: str, access_key: str, secret_key: str, *, region: str, cacert: str | None, who: str
    ) -> None:
        self.name = f"S3 at {endpoint} as {who}"
        session = boto3.session.Session(
            aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region
        )
        config = Config(
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            retries={"max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={},
        )
        # without a CA of its own botocore would take AWS_CA_BUNDLE's
        self._client = session.client("s3", endpoint_url=endpoint, config=config, verify=cacert or True)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One operation, by boto3's name for it."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            raise Unanswerable(f"{self.name}: {operation} of {_target(parameters)}: {_said(error)}") from None
        except (BotoCoreError, OSError) as error:
            raise self._silent(error) from None
        return answer

    def find(self, operation: str, absent: str, **parameters: Any) -> dict[str, Any] | None:
        """One operation that may find nothing: None when the service answers with the code ``absent``."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] == absent:
                return None
            raise Unanswerable(f"{self.name}: {operation} of {_target(parameters)}: {_said(error)}") from None
        except (BotoCoreError, OSError) as error:
            raise self._silent(error) from None
        return answer

    def attempt(self, action: str, operation: str, **parameters: Any) -> Attempt:
        """Try an operation; a refusal's reason is the service's error code.

        :raises Unanswerable: if the service is silent, or refuses the credential rather than the action.
        """
        try:
            answer = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in UNKNOWN_CALLER or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise Unanswerable(f"{self.name}: {action}: {_said(error)}") from None
            return Attempt(action, Outcome.REFUSED, code, _said(error))
        except (BotoCoreError, OSError) as error:
            raise self._silent(error) from None
        return Attempt(action, Outcome.ALLOWED, str(answer.get("VersionId") or ""))

    def versions(self, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
        """Every version and every delete marker below a prefix, in key order, newest first; ``deleted`` marks the latter."""
        position: dict[str, str] = {}
        while True:
            page = self.call("list_object_versions", Bucket=bucket, Prefix=prefix, **position)
            found = [{**one, "deleted": False} for one in page.get("Versions", [])]
            found += [{**one, "deleted": True} for one in page.get("DeleteMarkers", [])]
            yield from sorted(found, key=lambda one: str(one["Key"]))
            if not page.get("IsTruncated"):
                return
            position = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def lines(self, bucket: str, key: str, **parameters: Any) -> Iterator[bytes]:
        """The lines of an object, with their line ends, as they stream in."""
        body = self.call("get_object", Bucket=bucket, Key=key, **parameters)["Body"]
        try:
            yield from body.iter_lines(chunk_size=65_536, keepends=True)
        except (BotoCoreError, OSError) as error:
            raise self._silent(error) from None
        finally:
            body.close()

    def _silent(self, error: Exception) -> Unanswerable:
        return Unanswerable(f"{self.name} does not answer: {' '.join(str(error).split())}")


def _target(parameters: dict[str, Any]) -> str:
    return "/".join(str(parameters[key]) for key in ("Bucket", "Prefix", "Key") if parameters.get(key))


def _said(error: ClientError) -> str:
    found = error.response["Error"]
    return f"{found.get('Code', '?')}: {found.get('Message', '')}".strip(": ")
