"""The registry's decisions, apart from HTTP and SQL: may this be uploaded, approved, started?"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from atom import signing
from atom.packages import MODES, Package
from atom.registry.identities import Identity
from atom.registry.refusals import Refusal
from atom.settings import Settings


class SignatureMemory:
    """Which signatures were found good, for which packages; only deliberate defects take its word for anything."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def remember(self, signature: str, name: str) -> None:
        self._names.setdefault(signature, set()).add(name)

    def excuses(self, settings: Settings, signature: str, name: str) -> bool:
        """Whether a switched-on defect would let a signature pass that no trusted key made over these bytes."""
        names = self._names.get(signature)
        if names is None:
            return settings.defective("accept_untrusted_key")
        return settings.defective("accept_tampered" if name in names else "accept_swapped_signature")


def signer_of(settings: Settings, memory: SignatureMemory, name: str, data: bytes, signature: str | None) -> str | None:
    """The trusted key that signed exactly these bytes; None where signatures are not enforced and there is none.

    A detached signature names no key, so one by a stranger cannot be told from a broken one: both are
    ``signature_invalid``.

    :raises Refusal: signature_missing, signature_invalid or signer_revoked.
    """
    enforced = settings["signatures.mode"] == "enforce"
    if not signature:
        if enforced and not settings.defective("accept_unsigned"):
            raise Refusal("signature_missing", "the package is not signed")
        return None
    for known, key in signing.load_keys(Path(settings["signatures.revoked_keys"])).items():
        if signing.verifies(key, signature, data):
            if enforced and not settings.defective("accept_revoked_key"):
                raise Refusal("signer_revoked", "the package is signed with a revoked key")
            return known
    for known, key in signing.load_keys(Path(settings["signatures.trusted_keys"])).items():
        if signing.verifies(key, signature, data):
            memory.remember(signature, name)
            return known
    if enforced and not memory.excuses(settings, signature, name):
        raise Refusal("signature_invalid", "no trusted key signed exactly these bytes")
    return None


def check_mode(settings: Settings, package: Package) -> None:
    """Refuse a mode that is not exactly one of the two words; no mode is manual.

    :raises Refusal: mode_unknown.
    """
    mode = package.declared_mode
    if mode is None or (isinstance(mode, str) and mode in MODES):
        return
    if not settings.defective("accept_unknown_mode"):
        raise Refusal("mode_unknown", f"spec.mode must be one of {', '.join(MODES)}")


def effective_mode(settings: Settings, version: dict[str, Any], approval: dict[str, Any] | None) -> str:
    """``auto`` only for a package that declares it and has a sound approval of exactly these bytes."""
    declared = version["declared_mode"]
    if declared is None:
        return "auto" if settings.defective("default_auto") else str(settings["safety.default_mode"])
    if declared != "auto":
        return "manual"
    if settings.defective("auto_without_approval"):
        return "auto"
    return "auto" if approval and approval_holds(settings, version, approval) else "manual"


def approval_holds(settings: Settings, version: dict[str, Any], approval: dict[str, Any]) -> bool:
    """Whether an approval is by an admin who is not the author, of this digest, and has not expired."""
    bound = approval["digest"] == version["digest"] or settings.defective("approval_survives_change")
    by_admin = approval["role"] == "admin" or settings.defective("non_admin_approval")
    by_other = approval["approved_by"] != version["author"] or settings.defective("self_approval")
    return bound and by_admin and by_other and approval["expires_at"] > datetime.now(timezone.utc)


def check_approval(settings: Settings, who: Identity, version: dict[str, Any], digest: str) -> None:
    """Refuse an approval that would not hold.

    :raises Refusal: not_admin, self_approval or digest_mismatch.
    """
    if who.role != "admin" and not settings.defective("non_admin_approval"):
        raise Refusal("not_admin", "only an admin approves automatic runs")
    if who.name == version["author"] and not settings.defective("self_approval"):
        raise Refusal("self_approval", "nobody approves a package of their own")
    if digest != version["digest"]:
        raise Refusal("digest_mismatch", "the approval is for other bytes than the present version's")


def check_run(settings: Settings, *, dry_run: dict[str, Any] | None, unsafe: bool) -> None:
    """Refuse a live run of what was not dry-run, or of what the policy engine blocks.

    :raises Refusal: dry_run_required or policy_blocked.
    """
    if unsafe:
        if settings.defective("live_unsafe_allowed"):
            return
        raise Refusal("policy_blocked", "the policy engine blocks this package")
    if dry_run is None and settings["policy.require_dry_run"] and not settings.defective("live_without_dryrun"):
        raise Refusal("dry_run_required", "a live run needs a dry-run of the same digest first")
