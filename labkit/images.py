"""Small real OCI images, pushed over the distribution API and signed the way cosign signs them.

Formats: the OCI image and distribution specifications; cosign's signature specification (a manifest tagged
``sha256-<hex>.sig`` whose one layer is the simple-signing payload and carries the signature as an annotation).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from labkit.pki import sign

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"


class Images:
    """One OCI registry without authentication."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def push(self, repository: str, tag: str, content: str) -> str:
        """Push an image that holds one file with this content; its manifest's digest."""
        archive = _layer(content)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(archive)]},
        }
        layer = self._blob(repository, LAYER, gzip.compress(archive, mtime=0))
        return self._manifest(repository, tag, self._blob(repository, CONFIG, _json(config)), layer)

    def sign(self, repository: str, digest: str, key_file: Path, *, names: str | None = None) -> None:
        """Sign a manifest; ``names`` puts another digest than its own into the signed payload (a replay)."""
        payload = _json(
            {
                "critical": {
                    "identity": {"docker-reference": f"{urlsplit(self.url).netloc}/{repository}"},
                    "image": {"docker-manifest-digest": names or digest},
                    "type": "cosign container image signature",
                },
                "optional": None,
            }
        )
        signature = base64.b64encode(sign(key_file, payload)).decode()
        layer = {**self._blob(repository, PAYLOAD, payload), "annotations": {SIGNATURE: signature}}
        config = {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(payload)]},
        }
        tag = digest.replace("sha256:", "sha256-") + ".sig"
        self._manifest(repository, tag, self._blob(repository, CONFIG, _json(config)), layer)

    def digest(self, repository: str, reference: str) -> str:
        """The digest a tag points to now."""
        return self._ask("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST}).headers[
            "Docker-Content-Digest"
        ]

    def tag(self, repository: str, digest: str, tag: str) -> None:
        """Point a tag at a manifest that is there."""
        manifest = self._ask("GET", f"/v2/{repository}/manifests/{digest}", headers={"Accept": MANIFEST}).content
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", data=manifest, headers={"Content-Type": MANIFEST})

    def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest, and the tags that point to it."""
        self._ask("DELETE", f"/v2/{repository}/manifests/{digest}")

    def _manifest(self, repository: str, tag: str, config: dict[str, Any], layer: dict[str, Any]) -> str:
        manifest = _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", data=manifest, headers={"Content-Type": MANIFEST})
        return _digest(manifest)

    def _blob(self, repository: str, media_type: str, data: bytes) -> dict[str, Any]:
        place = self._ask("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        path = place.removeprefix(self.url)
        self._ask(
            "PUT",
            path,
            params={"digest": _digest(data)},
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._session.request(method, self.url + path, timeout=10, **options)
        answer.raise_for_status()
        return answer


def _layer(content: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("app")
        entry.size, entry.mode = len(content.encode()), 0o755
        tar.addfile(entry, io.BytesIO(content.encode()))
    return archive.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
