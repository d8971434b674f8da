# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check may answer, and the few shapes of judgement that every policy shares.

A judge is a pure function: observations in, one :class:`Verdict` out. It never talks to a server, so that
each rule can be tested without one. The functions here hold the two rules no judge may get wrong: nothing
examined is never a PASS (:func:`judge_each`), and a refusal proves something only when it is the right
refusal and the allowed thing was allowed (:func:`judge_refusal`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

NAMED_OFFENDERS = 5
"""How many offenders a summary names before it only counts them; the evidence names up to the redaction bound."""


class Status(StrEnum):
    """The answer of one check."""

    PASS = "PASS"  # noqa: S105 -- not a password
    FAIL = "FAIL"
    BLOCKED = "BLOCKED"


@dataclass(frozen=True)
class Verdict:
    """One judged answer: what is said to a person, and the facts another auditor could judge again."""

    status: Status
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    prerequisite: str | None = None


def passed(summary: str, **evidence: Any) -> Verdict:
    """The policy held. Evidence is obligatory: the guard turns a PASS without any into BLOCKED."""
    return Verdict(Status.PASS, summary, evidence)


def failed(summary: str, **evidence: Any) -> Verdict:
    """The policy was seen not to hold."""
    return Verdict(Status.FAIL, summary, evidence)


def blocked(prerequisite: str, **evidence: Any) -> Verdict:
    """The question could not be asked; ``prerequisite`` is what an operator has to supply or mend."""
    return Verdict(Status.BLOCKED, f"not tested: {prerequisite}", evidence, prerequisite)


def name_some(names: Collection[str], limit: int = NAMED_OFFENDERS) -> str:
    """``a, b, c and 4 more``: a bounded list for a sentence, in sorted order."""
    ordered = sorted(names)
    rest = len(ordered) - limit
    return ", ".join(ordered[:limit]) + (f" and {rest} more" if rest > 0 else "")


def judge_each(
    noun: str,
    examined: Collection[str],
    offenders: Mapping[str, str],
    *,
    sound: str,
    fault: str,
    **evidence: Any,
) -> Verdict:
    """Judge a set of objects of which every one must be sound.

    :param noun: what is examined, in the plural: ``tenant tables``.
    :param examined: the name of every object that was looked at.
    :param offenders: name of the object to what is wrong with it.
    :param sound: how a sound set reads after "all 41 tenant tables": ``have row security enabled``.
    :param fault: how the offenders read after "3 of 41 tenant tables": ``have no row security``.
    """
    facts = {"examined": sorted(examined), "offenders": dict(sorted(offenders.items())), **evidence}
    if not examined and not offenders:
        return blocked(f"{noun} to examine: none was found", **facts)
    if offenders:
        named = name_some([f"{name} ({why})" if why else name for name, why in offenders.items()])
        return failed(f"{len(offenders)} of {len(examined)} {noun} {fault}: {named}", **facts)
    return passed(f"all {len(examined)} {noun} {sound}", **facts)


class Outcome(StrEnum):
    """What a system did with an attempt."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Attempt:
    """One thing that was tried on a live system, and its answer.

    ``reason`` is the system's own token for a refusal (a SQLSTATE, an error code, an HTTP status), which the
    judge compares; ``detail`` is the system's own words, which people read.
    """

    action: str
    outcome: Outcome
    reason: str = ""
    detail: str = ""

    def facts(self) -> dict[str, str]:
        return {"action": self.action, "outcome": self.outcome.value, "reason": self.reason, "detail": self.detail}


def judge_refusal(
    what: str, *, control: Attempt, attempt: Attempt, right_reasons: Collection[str], **evidence: Any
) -> Verdict:
    """Judge an active probe: the forbidden ``attempt`` must be refused, rightly, while the ``control`` is allowed.

    An allowed attempt is a FAIL whatever the control did: the breach itself was seen.
    """
    facts = {
        "control": control.facts(),
        "attempt": attempt.facts(),
        "right_reasons": sorted(right_reasons),
        **evidence,
    }
    if attempt.outcome is Outcome.ALLOWED:
        return failed(f"{what} was allowed", **facts)
    if control.outcome is not Outcome.ALLOWED:
        return blocked(f"a working control: {control.action} was {_answer(control)}", **facts)
    if attempt.outcome is Outcome.REFUSED and attempt.reason in right_reasons:
        return passed(f"{what} was refused ({attempt.reason}), while {control.action} was allowed", **facts)
    return blocked(f"a refusal that proves the policy: {attempt.action} was {_answer(attempt)}", **facts)


def _answer(attempt: Attempt) -> str:
    said = ": ".join(part for part in (attempt.reason, attempt.detail) if part)
    return f"{attempt.outcome.value} ({said})" if said else attempt.outcome.value
