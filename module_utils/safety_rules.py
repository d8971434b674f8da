# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether workflows run by themselves only when an administrator approved them: the judges of what was read and tried."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .result import Attempt, Outcome, Verdict, blocked, failed, judge_each, judge_refusal, name_some, passed
from .unanswerable import Unanswerable

STARTED, SKIPPED, SILENT = "started", "skipped", "silent"


@dataclass
class Drill:
    """What the registry and its scheduler did with the audit's own packages, step by step."""

    manual: str = SILENT
    unapproved_mode: str = ""
    unapproved: str = SILENT
    by_publisher: Attempt = field(default_factory=lambda: Attempt("approving as a publisher", Outcome.UNCLEAR))
    by_approver: Attempt = field(default_factory=lambda: Attempt("approving as an administrator", Outcome.UNCLEAR))
    by_author: Attempt = field(default_factory=lambda: Attempt("approving a package of one's own", Outcome.UNCLEAR))
    approved_mode: str = ""
    approved: str = SILENT
    changed_mode: str = ""
    changed: str = SILENT
    swept: Mapping[str, str] = field(default_factory=dict)
    cut_short: str = ""
    """Why the drill could not be finished; what was seen before that still counts."""


def judge_default(default_mode: Any, listed: Collection[Mapping[str, Any]]) -> Verdict:
    """What the registry says the default is, and what it made of every package that names none."""
    silent = [one for one in listed if one.get("declared_mode", "") is None]
    if default_mode is None:
        raise Unanswerable("'default_mode' in the registry's /enforcement")
    if default_mode != "manual":
        return failed(f"the registry's default mode is {default_mode!r}, not 'manual'", default_mode=default_mode)
    mute = [_name(one) for one in listed if "declared_mode" not in one]
    if mute and all(one.get("mode") == "manual" for one in silent):
        return blocked(f"'declared_mode' of every workflow: missing of {name_some(mute)}", default_mode=default_mode)
    return judge_each(
        "workflows that name no mode",
        [_name(one) for one in silent],
        {_name(one): f"mode {one.get('mode')}" for one in silent if one.get("mode") != "manual"},
        sound="are manual",
        fault="are not manual",
        default_mode=default_mode,
    )


def judge_approved(listed: Collection[Mapping[str, Any]], now: datetime) -> Verdict:
    """Every automatic workflow has an approval that holds."""
    automatic = [one for one in listed if one.get("mode") != "manual"]
    return judge_each(
        "automatic workflows",
        [_name(one) for one in automatic],
        {_name(one): fault for one in automatic if (fault := approval_fault(one, now))},
        sound="are approved by another's administrator, for their present bytes",
        fault="are not soundly approved",
    )


def approval_fault(  # noqa: PLR0911 -- one reason a line
    workflow: Mapping[str, Any], now: datetime
) -> str | None:
    """Why a workflow must not run by itself, if it must not."""
    approval = workflow.get("approval")
    if not isinstance(approval, dict):
        return "no approval"
    if approval.get("role") != "admin":
        return f"approved by a {approval.get('role')}"
    if not workflow.get("author"):
        return "its author is not named"
    if not approval.get("approved_by") or approval.get("approved_by") == workflow.get("author"):
        return "approved by its author"
    if not workflow.get("digest") or approval.get("digest") != workflow.get("digest"):
        return "approved for other bytes"
    try:
        expires = datetime.fromisoformat(str(approval.get("expires_at")))
    except ValueError:
        return "approved without an end"
    if expires.tzinfo is None:
        return "approved till a time without a zone"
    return "the approval has expired" if expires <= now else None


def judge_modes(control: Attempt, attempts: Mapping[str, Attempt], codes: Collection[str]) -> Verdict:
    """Each odd mode is refused for being odd."""
    facts: dict[str, Any] = {
        "control": control.facts(),
        "attempts": {mode: attempt.facts() for mode, attempt in attempts.items()},
    }
    taken = [mode for mode, attempt in attempts.items() if attempt.outcome is Outcome.ALLOWED]
    if taken:
        return failed(f"packages with the mode {name_some(taken)} are accepted", **facts)
    if control.outcome is not Outcome.ALLOWED:
        return blocked(f"a working control: a manual package was refused ({control.reason})", **facts)
    odd = [f"{mode}: {attempt.reason}" for mode, attempt in attempts.items() if attempt.reason not in codes]
    if odd or not attempts:
        return blocked(f"refusals of odd modes for being odd: {name_some(odd) or 'none was tried'}", **facts)
    return passed(f"{len(attempts)} odd modes are refused, while manual is accepted", **facts)


def judge_manual(drill: Drill) -> Verdict:
    """A manual workflow is passed over."""
    return _judge_waiting("a manual workflow", drill.manual, drill)


def judge_unapproved(drill: Drill) -> Verdict:
    """An automatic one without an approval is manual, and is passed over."""
    if drill.unapproved_mode not in ("manual", ""):
        return failed(
            f"an automatic workflow without an approval is {drill.unapproved_mode!r}, not manual", **_facts(drill)
        )
    return _judge_waiting("an automatic workflow without an approval", drill.unapproved, drill)


def judge_changed(drill: Drill) -> Verdict:
    """One that was changed after its approval is manual again, and is passed over."""
    if drill.changed_mode not in ("manual", ""):
        return failed(f"a workflow changed after its approval is {drill.changed_mode!r}, not manual", **_facts(drill))
    return _judge_waiting("a workflow changed after its approval", drill.changed, drill)


def judge_approval(drill: Drill, attempt: Attempt, codes: Collection[str]) -> Verdict:
    """The wrong approver is refused for being that, and the right one is not."""
    if drill.cut_short and attempt.outcome is not Outcome.ALLOWED:
        return blocked(drill.cut_short, **_facts(drill))
    return judge_refusal(attempt.action, control=drill.by_approver, attempt=attempt, right_reasons=codes)


def _judge_waiting(what: str, decision: str, drill: Drill) -> Verdict:
    """The scheduler passed it over, and said so, while it starts what is approved."""
    facts = _facts(drill)
    if decision == STARTED:
        return failed(f"the scheduler started {what}", **facts)
    if drill.cut_short:
        return blocked(drill.cut_short, **facts)
    if decision != SKIPPED:
        return blocked(f"the scheduler's decision about {what}: it made none in time", **facts)
    if (drill.approved_mode, drill.approved) != ("auto", STARTED):
        return blocked(
            f"a working control: an approved workflow is {drill.approved_mode!r}, and was {drill.approved}", **facts
        )
    return passed(f"the scheduler passed over {what}, and started an approved one", **facts)


def _facts(drill: Drill) -> dict[str, Any]:
    return {
        "manual": drill.manual,
        "unapproved": [drill.unapproved_mode, drill.unapproved],
        "approved": [drill.approved_mode, drill.approved],
        "changed": [drill.changed_mode, drill.changed],
        "swept_from_earlier_runs": dict(drill.swept),
    }


def _name(workflow: Mapping[str, Any]) -> str:
    return f"{workflow.get('tenant')}/{workflow.get('name')}"
