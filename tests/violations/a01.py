"""Faults of A01, Cosign Signature Integrity."""

from __future__ import annotations

from pathlib import Path

from labkit.bench import Bench
from labkit.pki import make_signing_key
from tests.violations import Violation, defect_violation, file_violation, setting_violation


def some_package(bench: Bench) -> Path:
    return Path(bench.auditor["packages_dir"]) / "acme-invoice-sync.wpk.yaml"


def trust_a_stranger(bench: Bench) -> None:
    make_signing_key(bench.path("keys", "trusted"), "stranger")
    bench.path("keys", "trusted", "stranger.key").unlink()


def forget_the_stranger(bench: Bench) -> None:
    bench.path("keys", "trusted", "stranger.pub").unlink(missing_ok=True)


REJECTS = frozenset(
    f"cosign.rejects_{what}" for what in ("unsigned", "tampered", "untrusted_key", "revoked_key", "swapped_signature")
)
VIOLATIONS = [
    file_violation(
        "package-changed-after-signing",
        "cosign.packages_signed",
        "A package on disk was changed after it was signed",
        file=some_package,
        edit=lambda data: data.replace(b"24h", b"48h"),
    ),
    Violation(
        "stranger-trusted",
        "cosign.trust_policy",
        "The registry trusts a key that nobody knows of",
        trust_a_stranger,
        forget_the_stranger,
    ),
    setting_violation(
        "signatures-only-warned-about",
        "cosign.enforcement_mode",
        "The registry warns about bad signatures, and takes the package",
        key="signatures.mode",
        value="warn",
        also=REJECTS,
    ),
    *(
        defect_violation(
            f"accepts-{what.replace('_', '-')}",
            f"cosign.rejects_{what}",
            f"The registry takes an upload that it must refuse ({what.replace('_', ' ')})",
            defect=f"accept_{what}",
        )
        for what in ("unsigned", "tampered", "untrusted_key", "revoked_key", "swapped_signature")
    ),
    defect_violation(
        "bytes-reformatted",
        "cosign.accepts_signed",
        "The registry serves packages in a formatting of its own, which nobody signed",
        defect="content_reformatted",
        also=frozenset({"cosign.packages_signed"}),
    ),
    defect_violation(
        "uploads-not-logged",
        "cosign.uploads_logged",
        "Uploads leave no record in the audit log",
        defect="skip_upload_audit",
    ),
]
