"""Faults of A10, CI/CD Security."""

from __future__ import annotations

from labkit.bench import Bench
from tests.violations import Violation, defect_violation, file_violation

RUNNER = "atom/runner"


def workflow_violation(
    id: str, check: str, about: str, old: bytes, new: bytes, *, file: str = "build.yml"
) -> Violation:
    """A workflow file in which the first ``old`` became ``new``."""
    return file_violation(
        id,
        check,
        about,
        file=lambda bench: bench.path("ci-repo", ".github", "workflows", file),
        edit=lambda data: data.replace(old, new, 1),
    )


def unsign(bench: Bench) -> None:
    digest = bench.images.digest(RUNNER, "1.0.0")
    bench.images.delete(RUNNER, bench.images.digest(RUNNER, f"{digest.replace(':', '-')}.sig"))


def sign_again(bench: Bench) -> None:
    bench.images.sign(RUNNER, bench.images.digest(RUNNER, "1.0.0"), bench.path("keys", "release.key"))


VIOLATIONS = [
    workflow_violation(
        "image-signed-by-tag",
        "cicd.images_signed_in_pipeline",
        "The pipeline signs a tag, which may point elsewhere by then",
        b'cosign sign --yes "ghcr.io/atom/runner@${DIGEST}"',
        b'cosign sign --yes "ghcr.io/atom/runner:${GITHUB_SHA}"',
    ),
    workflow_violation(
        "gate-may-fail",
        "cicd.policy_gate",
        "The gate's failure goes unnoticed",
        b"    name: Policy gate\n",
        b"    name: Policy gate\n    continue-on-error: true\n",
    ),
    workflow_violation(
        "deploy-without-gate",
        "cicd.policy_gate",
        "The deployment no longer needs the gate",
        b"needs: [image, gate]",
        b"needs: [image]",
    ),
    workflow_violation(
        "audit-monthly",
        "cicd.weekly_audit",
        "The audit runs once a month",
        b"17 3 * * 1",
        b"17 3 1 * *",
        file="policy-audit.yml",
    ),
    workflow_violation(
        "action-by-tag",
        "cicd.actions_pinned",
        "An action is named by a tag that can be moved",
        b"actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
        b"actions/checkout@v4",
    ),
    workflow_violation(
        "permissions-wide",
        "cicd.permissions_minimal",
        "A job that only verifies may write everything",
        b"    permissions:\n      packages: read\n",
        b"    permissions: write-all\n",
    ),
    workflow_violation(
        "pull-requests-privileged",
        "cicd.no_dangerous_triggers",
        "Pull requests from outside run with the repository's secrets",
        b"  push:\n    branches: [main]\n",
        b"  push:\n    branches: [main]\n  pull_request_target:\n",
    ),
    Violation(
        "deployed-image-unsigned",
        "cicd.deployed_images_signed",
        "A deployed image has lost its signature",
        unsign,
        sign_again,
    ),
    defect_violation(
        "admits-unsigned", "cicd.rejects_unsigned", "Unsigned images are admitted", defect="admit_unsigned"
    ),
    defect_violation(
        "admits-strangers",
        "cicd.rejects_untrusted_signer",
        "Images that a stranger signed are admitted",
        defect="admit_untrusted",
    ),
    defect_violation("admits-moved-tags", "cicd.rejects_tag_swap", "Moved tags are admitted", defect="admit_tag_swap"),
    defect_violation("refuses-signed", "cicd.admits_signed", "Signed images are refused", defect="reject_signed"),
]
