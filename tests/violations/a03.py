"""Faults of A03, WPK Safety Mode."""

from __future__ import annotations

from tests.violations import defect_violation

VIOLATIONS = [
    defect_violation(
        "no-mode-is-automatic",
        "safety.default_manual",
        "A package that names no mode is automatic",
        defect="default_auto",
        also=frozenset({"safety.auto_approved"}),
    ),
    defect_violation(
        "odd-mode-accepted",
        "safety.unknown_mode_rejected",
        "A package with an unknown mode is accepted",
        defect="accept_unknown_mode",
    ),
    defect_violation(
        "scheduler-starts-manual",
        "safety.manual_waits",
        "The scheduler starts whatever is due",
        defect="scheduler_runs_manual",
        also=frozenset({"safety.auto_needs_approval", "safety.approval_bound_to_digest"}),
    ),
    defect_violation(
        "automatic-without-approval",
        "safety.auto_needs_approval",
        "A package that says auto is automatic, approved or not",
        defect="auto_without_approval",
        also=frozenset({"safety.approval_bound_to_digest"}),
    ),
    defect_violation(
        "publisher-approves",
        "safety.rejects_non_admin_approval",
        "A publisher's approval counts",
        defect="non_admin_approval",
    ),
    defect_violation(
        "author-approves",
        "safety.rejects_self_approval",
        "An administrator approves a package of their own",
        defect="self_approval",
    ),
    defect_violation(
        "approval-survives-change",
        "safety.approval_bound_to_digest",
        "An approval stays good after the package changed",
        defect="approval_survives_change",
    ),
]
