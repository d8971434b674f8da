"""Every way the registry says no: a code for programs, a status for HTTP, a sentence for people."""

from __future__ import annotations

STATUS = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_admin": 403,
    "self_approval": 403,
    "policy_blocked": 403,
    "not_found": 404,
    "already_exists": 409,
    "digest_mismatch": 409,
    "dry_run_required": 409,
    "package_too_large": 413,
    "package_malformed": 422,
    "mode_unknown": 422,
    "signature_missing": 422,
    "signature_invalid": 422,
    "signer_revoked": 422,
    "dependency_unavailable": 503,
}


class Refusal(Exception):  # noqa: N818 -- not an error of ours
    """The request is refused, and nothing was changed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
