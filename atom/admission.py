"""``python -m atom.admission --settings FILE``: may this image be deployed?

A validating webhook (Kubernetes ``admission.k8s.io/v1`` AdmissionReview). Every image of a pod template must be named
by digest, a tag beside the digest must still point to it, and a trusted key must have signed exactly that digest, as
cosign does (a manifest tagged ``sha256-<hex>.sig``). It reads and decides; a dry run is no different.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from atom import server, signing
from atom.settings import Settings

REFERENCE = re.compile(
    r"(?:(?P<host>localhost|[^/]*[.:][^/]*)/)?(?P<name>[a-z0-9._/-]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
TIMEOUT_S = 5
MAX_BODY = 3 * 1024 * 1024


class DeniedError(Exception):
    """An image that must not be deployed; ``code`` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ImageRegistryUnavailableError(Exception):
    """The image registry does not answer, so nothing can be decided."""


class Gate:
    """Decides about images of one registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.trust_env = False

    def decide(self, image: str) -> None:
        """Return if the image may be deployed.

        :raises DeniedError: tag_not_pinned, digest_mismatch, signature_missing or signer_untrusted.
        """
        match = REFERENCE.fullmatch(image)
        if match is None or not match["digest"]:
            raise DeniedError("tag_not_pinned", f"{image}: deploy by digest (name@sha256:...)")
        name, tag, digest = match["name"], match["tag"], match["digest"]
        if tag and not self._settings.defective("admit_tag_swap") and self._resolve(name, tag) != digest:
            raise DeniedError("digest_mismatch", f"{image}: the tag no longer points to this digest")
        if self._settings.defective("reject_signed"):
            raise DeniedError("signature_missing", f"{image}: nobody signed this digest")
        payloads = list(self._signatures(name, digest))
        if not payloads and not self._settings.defective("admit_unsigned"):
            raise DeniedError("signature_missing", f"{image}: nobody signed this digest")
        if payloads and not self._trusted(payloads, digest) and not self._settings.defective("admit_untrusted"):
            raise DeniedError("signer_untrusted", f"{image}: no trusted key signed this digest")

    def _trusted(self, payloads: list[tuple[bytes, str]], digest: str) -> bool:
        keys = signing.load_keys(Path(self._settings["images.trusted_keys"])).values()
        for payload, signature in payloads:
            if not any(signing.verifies(key, signature, payload) for key in keys):
                continue
            if json.loads(payload)["critical"]["image"]["docker-manifest-digest"] == digest:
                return True
        return False

    def _resolve(self, name: str, tag: str) -> str | None:
        answer = self._ask(f"/v2/{name}/manifests/{tag}")
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}" if answer.status_code == 200 else None

    def _signatures(self, name: str, digest: str) -> Iterator[tuple[bytes, str]]:
        """Signed payload and signature of each layer of the signature manifest."""
        answer = self._ask(f"/v2/{name}/manifests/{digest.replace(':', '-')}.sig")
        if answer.status_code != 200:
            return
        for layer in answer.json().get("layers", []):
            payload = self._ask(f"/v2/{name}/blobs/{layer['digest']}").content
            if f"sha256:{hashlib.sha256(payload).hexdigest()}" == layer["digest"]:
                yield payload, layer.get("annotations", {}).get(SIGNATURE, "")

    def _ask(self, path: str) -> requests.Response:
        base = self._settings["images.registry"]
        try:
            answer = self._session.get(base + path, headers={"Accept": MANIFESTS}, timeout=TIMEOUT_S)
        except requests.RequestException:
            raise ImageRegistryUnavailableError(f"image registry at {base} is unavailable") from None
        if answer.status_code not in (200, 404):
            raise ImageRegistryUnavailableError(f"image registry at {base} answered {answer.status_code}")
        return answer


def images_of(review: dict[str, Any]) -> list[str]:
    """Every image of the pod, or of the pod template, in a review's object."""
    spec = review["request"]["object"]["spec"]
    pod = spec.get("template", {}).get("spec", spec)
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container["image"] for kind in kinds for container in pod.get(kind) or []]


def application(settings: Settings) -> Starlette:
    """The webhook."""
    gate = Gate(settings)

    async def validate(request: Request) -> Response:
        body = await request.body()
        try:
            if len(body) > MAX_BODY:
                raise ValueError
            review = json.loads(body)
            uid, images = review["request"]["uid"], images_of(review)
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(400, "malformed", "the body is not an AdmissionReview of a pod or a pod template")
        response: dict[str, Any] = {"uid": uid, "allowed": True}
        try:
            if not images:
                raise DeniedError("no_image", "the object names no image")
            for image in images:
                await run_in_threadpool(gate.decide, image)
        except DeniedError as denied:
            response["allowed"] = False
            response["status"] = {"code": 403, "reason": denied.code, "message": f"{denied.code}: {denied}"}
        except ImageRegistryUnavailableError as error:
            return _error(503, "dependency_unavailable", str(error))
        return JSONResponse({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    async def health(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/validate", validate, methods=["POST"]), Route("/healthz", health)])


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


def main() -> None:
    settings = server.settings_from_arguments("The admission webhook")
    server.serve(settings, "admission", application(settings))


if __name__ == "__main__":
    main()
