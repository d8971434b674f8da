"""The registry's HTTP face."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from atom import audit_log, policy_engine, signing
from atom.database import DependencyUnavailableError
from atom.packages import MAX_BYTES
from atom.registry import health
from atom.registry.identities import Identities, Identity
from atom.registry.refusals import STATUS, Refusal
from atom.registry.service import Registry
from atom.settings import Settings

MAX_REQUEST = 2 * MAX_BYTES


class Api:
    """Routes to operations; every answer is JSON, except packages, signatures and metrics."""

    def __init__(
        self, settings: Settings, registry: Registry, identities: Identities, metrics: Callable[[], bytes]
    ) -> None:
        self._settings, self._registry, self._identities, self._metrics = settings, registry, identities, metrics

    def application(
        self, lifespan: Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]] | None = None
    ) -> Starlette:
        workflow = "/workflows/{id}"
        routes = [
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
            Route("/enforcement", self.enforcement),
            Route("/policy/rules", self.rules),
            Route("/audit/events", self.events),
            Route("/workflows", self.page, methods=["GET"]),
            Route("/workflows", self.upload, methods=["POST"]),
            Route(workflow, self.get, methods=["GET"]),
            Route(workflow, self.replace, methods=["PUT"]),
            Route(workflow, self.delete, methods=["DELETE"]),
            Route(f"{workflow}/package", self.package),
            Route(f"{workflow}/signature", self.signature),
            Route(f"{workflow}/approvals", self.approve, methods=["POST"]),
            Route(f"{workflow}/dry-run", self.dry_run, methods=["POST"]),
            Route(f"{workflow}/runs", self.runs, methods=["GET"]),
            Route(f"{workflow}/runs", self.run, methods=["POST"]),
            Route(f"{workflow}/schedule-now", self.schedule_now, methods=["POST"]),
        ]
        handlers = {Refusal: _refused, DependencyUnavailableError: _unavailable, HTTPException: _http_error}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)  # type: ignore[arg-type]

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        """Only PostgreSQL is needed to serve; what else is away is said, and waited for."""
        await run_in_threadpool(self._registry.events, "health")
        others = await run_in_threadpool(health.of_others, self._settings)
        return JSONResponse({"status": "ok", "dependencies": {"postgresql": "ok", **others}})

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002
        return PlainTextResponse(self._metrics(), media_type="text/plain; version=0.0.4")

    async def enforcement(self, request: Request) -> Response:
        self._who(request)
        return JSONResponse(await run_in_threadpool(self._enforcement))

    def _enforcement(self) -> dict[str, Any]:
        trusted = signing.load_keys(Path(self._settings["signatures.trusted_keys"]))
        revoked = signing.load_keys(Path(self._settings["signatures.revoked_keys"]))
        return {
            "signature_mode": self._settings["signatures.mode"],
            "trusted_keys": [{"key_id": known, "pem": signing.pem(key)} for known, key in trusted.items()],
            "revoked_keys": sorted(revoked),
            "default_mode": self._settings["safety.default_mode"],
            "require_dry_run": self._settings["policy.require_dry_run"],
        }

    async def rules(self, request: Request) -> Response:
        self._who(request)
        listed = [
            {"id": rule.id, "class": rule.class_, "severity": rule.severity, "description": rule.description}
            for rule in policy_engine.rules()
            if not self._settings.defective(f"dryrun_misses_{rule.class_}")
        ]
        return JSONResponse({"rules": listed})

    async def events(self, request: Request) -> Response:
        who = self._who(request)
        if "*" not in who.tenants:
            raise Refusal("forbidden", "the audit log spans all tenants")
        found = await run_in_threadpool(self._registry.events, _text(request.query_params.get("request_id", "")))
        return JSONResponse({"events": found})

    async def page(self, request: Request) -> Response:
        asked = request.query_params
        limit = int(asked["limit"]) if re.fullmatch("[0-9]{1,4}", asked.get("limit", "")) else 100
        found, after = await run_in_threadpool(
            self._registry.page, self._who(request), after=_text(asked.get("after", "")), limit=min(max(limit, 1), 500)
        )
        return JSONResponse({"workflows": _plain(found), "next": after})

    async def get(self, request: Request) -> Response:
        return JSONResponse(_plain(await run_in_threadpool(self._registry.get, self._who(request), _id(request))))

    async def package(self, request: Request) -> Response:
        data, _signature = await run_in_threadpool(self._registry.content, self._who(request), _id(request))
        return Response(data, media_type="application/octet-stream")

    async def signature(self, request: Request) -> Response:
        _data, signature = await run_in_threadpool(self._registry.content, self._who(request), _id(request))
        if signature is None:
            raise Refusal("not_found", "the package is not signed")
        return PlainTextResponse(signature)

    async def upload(self, request: Request) -> Response:
        return await self._take_in(request, None, 201)

    async def replace(self, request: Request) -> Response:
        return await self._take_in(request, _id(request), 200)

    async def _take_in(self, request: Request, replaces: str | None, status: int) -> Response:
        who = self._who(request)
        data, signature = await _form(request)
        found = await run_in_threadpool(self._registry.upload, who, data, signature, _request_id(request), replaces)
        return JSONResponse(_plain(found), status)

    async def delete(self, request: Request) -> Response:
        await run_in_threadpool(self._registry.delete, self._who(request), _id(request), _request_id(request))
        return Response(status_code=204)

    async def approve(self, request: Request) -> Response:
        who, body = self._who(request), await _json(request)
        digest = str(body.get("digest", ""))
        found = await run_in_threadpool(self._registry.approve, who, _id(request), digest, _request_id(request))
        return JSONResponse(_plain(found), 201)

    async def dry_run(self, request: Request) -> Response:
        who = self._who(request)
        data, _signature = await _form(request)
        return JSONResponse(
            await run_in_threadpool(self._registry.dry_run, who, _id(request), data, _request_id(request))
        )

    async def runs(self, request: Request) -> Response:
        return JSONResponse(
            {"runs": _plain(await run_in_threadpool(self._registry.runs, self._who(request), _id(request)))}
        )

    async def run(self, request: Request) -> Response:
        who, body = self._who(request), await _json(request)
        trigger = "retry" if body.get("trigger") == "retry" else "user"
        started = await run_in_threadpool(self._registry.run, who, _id(request), trigger, _request_id(request))
        return JSONResponse(started, 202)

    async def schedule_now(self, request: Request) -> Response:
        await run_in_threadpool(self._registry.make_due, self._who(request), _id(request), _request_id(request))
        return JSONResponse({"status": "due"}, 202)

    def _who(self, request: Request) -> Identity:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        who = self._identities.of(token) if scheme.lower() == "bearer" and token else None
        if who is None:
            raise Refusal("unauthenticated", "a bearer token of this registry is needed")
        return who


async def _form(request: Request) -> tuple[bytes, str | None]:
    """The package and its signature from a multipart form of bounded size."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_REQUEST:
        raise Refusal("package_too_large", f"a request of at most {MAX_REQUEST} bytes, with its length, is taken")
    async with request.form(max_files=2, max_fields=2) as form:
        file, signature = form.get("file"), form.get("signature")
        if not isinstance(file, UploadFile):
            raise Refusal("package_malformed", "the multipart field 'file' is missing")
        text = await signature.read() if isinstance(signature, UploadFile) else (signature or "").encode()
        return await file.read(), text.decode("ascii", "replace").strip() or None


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal("package_malformed", "the body is not a JSON object")
    return body


def _id(request: Request) -> str:
    return _text(str(request.path_params["id"]))


def _text(value: str) -> str:
    """Without NUL, which a URL can carry and PostgreSQL cannot."""
    return value.replace("\0", "")


def _request_id(request: Request) -> str | None:
    return request.headers.get("x-request-id", "")[:200] or None


def _plain(value: Any) -> Any:
    """Times as RFC 3339 text, at any depth."""
    if isinstance(value, datetime):
        return audit_log.utc(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _refused(_request: Request, refusal: Refusal) -> Response:
    return JSONResponse({"error": {"code": refusal.code, "message": str(refusal)}}, refusal.status)


def _http_error(_request: Request, error: HTTPException) -> Response:
    body = {"error": {"code": "bad_request" if error.status_code == 400 else "not_found", "message": error.detail}}
    return JSONResponse(body, error.status_code, headers=error.headers)


def _unavailable(_request: Request, error: DependencyUnavailableError) -> Response:
    code = "dependency_unavailable"
    return JSONResponse({"error": {"code": code, "message": str(error)}}, STATUS[code])
