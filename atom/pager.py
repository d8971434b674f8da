"""``python -m atom.pager --settings FILE``: where alerts arrive, and can be looked up again.

Takes Alertmanager's webhook (version 4) and keeps the newest notifications in memory; the sender and the readers have a
bearer token each.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from datetime import datetime, timezone
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from atom import credentials, server

KEPT = 2_000


def application(webhook_sha256: str, reader_sha256: str) -> Starlette:
    """The receiver; both arguments are hex digests of the tokens it takes."""
    kept: deque[dict[str, Any]] = deque(maxlen=KEPT)

    async def webhook(request: Request) -> Response:
        if not _bears(request, webhook_sha256):
            return _refusal(401, "unauthenticated")
        try:
            body = await request.json()
            notification = {"status": body["status"], "receiver": body["receiver"], "alerts": body["alerts"]}
        except (ValueError, KeyError, TypeError):
            return _refusal(400, "malformed")
        kept.append({"received_at": _now(), **notification})
        return JSONResponse({"status": "kept"})

    async def notifications(request: Request) -> Response:
        if not _bears(request, reader_sha256):
            return _refusal(401, "unauthenticated")
        try:
            since = datetime.fromisoformat(request.query_params.get("since", "1970-01-01T00:00:00Z"))
            found = [one for one in kept if datetime.fromisoformat(one["received_at"]) >= since]
        except (ValueError, TypeError):  # TypeError: it names no time zone
            return _refusal(400, "malformed")
        return JSONResponse({"notifications": found})

    async def health(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/webhook", webhook, methods=["POST"]),
            Route("/notifications", notifications),
            Route("/healthz", health),
        ]
    )


def _bears(request: Request, sha256: str) -> bool:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(hashlib.sha256(token.encode()).hexdigest(), sha256)


def _refusal(status: int, code: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": code}}, status)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main() -> None:
    settings = server.settings_from_arguments("The receiver of alerts")
    secret = credentials.fetch(settings, "pager")
    server.serve(settings, "pager", application(secret["webhook_sha256"], secret["reader_sha256"]))


if __name__ == "__main__":
    main()
