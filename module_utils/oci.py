# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An OCI registry, read, and the signatures that cosign leaves in it.

Distribution: https://github.com/opencontainers/distribution-spec; signatures: cosign's specification (a manifest tagged
``sha256-<hex>.sig`` whose layers are simple-signing payloads, the signature in an annotation). What a digest names is always hashed again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from .http import HttpClient
from .signatures import PublicKey, SignatureFormatError, decode, signer_of
from .unanswerable import Unanswerable

REFERENCE = re.compile(
    r"(?:(?P<host>[^/@]+(?:\.[^/@]+|:\d+)|localhost)/)?(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "oci.image.index.v1+json",
        "oci.image.manifest.v1+json",
        "docker.distribution.manifest.list.v2+json",
        "docker.distribution.manifest.v2+json",
    )
)
SIGNATURE = "dev.cosignproject.cosign/signature"


class ImageRegistry:
    """One registry, anonymously or as one user.

    :raises Unanswerable: from every method, naming the registry.
    """

    def __init__(
        self, url: str, *, username: str | None = None, password: str | None = None, cacert: str | None = None
    ) -> None:
        self._http = HttpClient("image registry", url, cacert=cacert)
        self._auth = (username, password or "") if username else None
        self.name = self._http.system

    def resolve(self, name: str, reference: str) -> str | None:
        """The digest of a manifest by its tag or digest; None if there is none."""
        body = self._manifest(name, reference)
        return None if body is None else digest_of(body)

    def signatures(self, name: str, digest: str) -> list[tuple[bytes, str]]:
        """Payload and base64 signature of everything that was signed for a digest."""
        body = self._manifest(name, f"{digest.replace(':', '-')}.sig")
        if body is None:
            return []
        try:
            layers = json.loads(body)["layers"]
            wanted = [
                (str(layer["digest"]), str((layer.get("annotations") or {}).get(SIGNATURE, ""))) for layer in layers
            ]
        except (ValueError, KeyError, TypeError):
            raise Unanswerable(
                f"{self.name}: a signature manifest that can be understood, of {name}@{digest}"
            ) from None
        return [(self._blob(name, layer), signature) for layer, signature in wanted]

    def _manifest(self, name: str, reference: str) -> bytes | None:
        answer = self._http.request(
            "GET", f"/v2/{name}/manifests/{reference}", headers={"Accept": MANIFESTS}, auth=self._auth
        )
        if answer.status == 404:
            return None
        body = self._http.expect(answer, 200).body
        if reference.startswith("sha256:") and digest_of(body) != reference:
            raise Unanswerable(f"{self.name}: the manifest of {name}@{reference}: other bytes came")
        return body

    def _blob(self, name: str, digest: str) -> bytes:
        body = self._http.expect(self._http.request("GET", f"/v2/{name}/blobs/{digest}", auth=self._auth), 200).body
        if digest_of(body) != digest:
            raise Unanswerable(f"{self.name}: the blob {name}@{digest}: other bytes came")
        return body


def parse_reference(reference: str) -> tuple[str, str | None, str | None]:
    """Name, tag and digest of an image reference, its host apart.

    :raises Unanswerable: if it is not one.
    """
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise Unanswerable(f"an image reference that can be understood: {reference!r}")
    return match["name"], match["tag"], match["digest"]


def signature_fault(signed: list[tuple[bytes, str]], digest: str, keys: Mapping[str, PublicKey]) -> str | None:
    """Why none of the signatures vouches for a digest, if none does. A good signature over another digest is a replay."""
    if not signed:
        return "not signed"
    faults = []
    for payload, text in signed:
        try:
            signer = signer_of(keys, decode(text), payload)
            stated: Any = json.loads(payload)["critical"]["image"]["docker-manifest-digest"]
        except (SignatureFormatError, ValueError, KeyError, TypeError):
            faults.append("a signature that cannot be understood")
            continue
        if signer is None:
            faults.append("no trusted key signed it")
        elif stated != digest:
            faults.append("the signature is another image's")
        else:
            return None
    return faults[0]


def digest_of(body: bytes) -> str:
    """``sha256:`` and the hex digest of exactly these bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
