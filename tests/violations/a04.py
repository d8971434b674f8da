"""Faults of A04, Policy Engine Dry-Run."""

from __future__ import annotations

from atom.policy_engine import CLASSES
from tests.violations import defect_violation

ALSO = {"destructive_data": {"dryrun.live_unsafe_refused"}}
"""The unsafe package that is run for real is of this class."""

VIOLATIONS = [
    *(
        defect_violation(
            f"engine-misses-{class_.replace('_', '-')}",
            "dryrun.unsafe_blocked",
            f"The policy engine has no rules about {class_.replace('_', ' ')}",
            defect=f"dryrun_misses_{class_}",
            also=frozenset({"dryrun.rules_loaded", *ALSO.get(class_, ())}),
        )
        for class_ in CLASSES
    ),
    defect_violation(
        "dry-run-of-other-bytes",
        "dryrun.endpoint",
        "A dry-run answers for other bytes than it was sent",
        defect="dryrun_other_digest",
    ),
    defect_violation(
        "engine-too-strict",
        "dryrun.safe_succeeds",
        "The policy engine blocks whatever is SQL",
        defect="dryrun_blocks_sql",
    ),
    defect_violation(
        "dry-run-executes",
        "dryrun.no_side_effects",
        "A dry-run starts the workflow",
        defect="dryrun_executes",
    ),
    defect_violation(
        "live-without-dry-run",
        "dryrun.live_requires_dryrun",
        "A workflow runs that was never dry-run",
        defect="live_without_dryrun",
    ),
    defect_violation(
        "unsafe-runs-live",
        "dryrun.live_unsafe_refused",
        "A workflow runs that the policy engine blocks",
        defect="live_unsafe_allowed",
    ),
    defect_violation(
        "malformed-accepted",
        "dryrun.malformed_rejected",
        "Malformed packages are taken for packages",
        defect="malformed_accepted",
    ),
]
