# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the policy engine stops what it must, and nothing else: the judges of its answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .corpus import Entry
from .result import Attempt, Outcome, Status, Verdict, blocked, failed, judge_each, judge_refusal, name_some, passed
from .unanswerable import Unanswerable

SERVER_FAULT = "server fault"
"""The reason of an attempt that was answered 5xx."""


def judge_rules(rules: Any, required: Collection[str]) -> Verdict:
    """Each required class has a rule."""
    if not isinstance(rules, list):
        raise Unanswerable("'rules' in the registry's /policy/rules")
    covered: dict[str, list[str]] = {}
    for rule in rules:
        covered.setdefault(str(rule.get("class")), []).append(str(rule.get("id")))
    return judge_each(
        "classes of unsafe operations",
        list(required),
        dict.fromkeys(set(required) - set(covered), ""),
        sound=f"are covered by {len(rules)} rules",
        fault="have no rule",
        rules=covered,
    )


def judge_endpoint(attempt: Attempt, answer: Mapping[str, Any], digest: str) -> Verdict:
    """It answers for exactly the bytes it was sent."""
    facts: dict[str, Any] = {"attempt": attempt.facts(), "answer": dict(answer)}
    if attempt.outcome is not Outcome.ALLOWED:
        return failed(f"the dry-run endpoint refuses a harmless package: {attempt.reason} {attempt.detail}", **facts)
    if not isinstance(answer.get("findings"), list) or answer.get("verdict") not in ("allowed", "blocked"):
        return blocked("a dry-run's answer with 'verdict' and 'findings'", **facts)
    if answer.get("digest") != digest:
        return failed("the dry-run speaks of other bytes than it was sent", **facts)
    return passed("the dry-run endpoint answers for the exact bytes it was sent", **facts)


def judge_unsafe(
    entries: Collection[Entry],
    answers: Collection[tuple[Attempt, Mapping[str, Any]]],
    control: Mapping[str, Any],
    required: Collection[str],
) -> Verdict:
    """A miss is a miss; but that all were blocked proves something only if a harmless one is not, and no class is left out."""
    verdict = judge_corpus(entries, answers, "blocked")
    untried = set(required) - {entry.class_ for entry in entries}
    if verdict.status is not Status.PASS:
        return verdict
    if control.get("verdict") != "allowed":
        return blocked("a working control: a harmless package was not allowed", **verdict.evidence)
    if untried:
        return blocked(
            f"unsafe packages of each class (policy_dryrun_corpus): none of {name_some(untried)}", **verdict.evidence
        )
    return verdict


def judge_corpus(
    entries: Collection[Entry], answers: Collection[tuple[Attempt, Mapping[str, Any]]], wanted: str
) -> Verdict:
    """Safe packages are allowed; unsafe ones are blocked, with a finding of their own class among the reasons. A package
    refused for its form was not judged: neither is it evidence.
    """
    offenders, refused, seen = {}, [], {}
    for entry, (attempt, answer) in zip(entries, answers, strict=True):
        if attempt.outcome is not Outcome.ALLOWED:
            refused.append(f"{entry.name}: {attempt.reason}")
            continue
        classes = sorted({str(finding.get("class")) for finding in answer.get("findings") or []})
        verdict = str(answer.get("verdict"))
        seen[entry.name] = f"{verdict} {', '.join(classes)}".strip()
        if verdict != wanted:
            offenders[entry.name] = verdict
        elif entry.class_ and entry.class_ not in classes:
            offenders[entry.name] = f"blocked as {', '.join(classes) or 'nothing'}"
    if refused and not offenders:
        return blocked(f"a verdict on every package: {name_some(refused)}", verdicts=seen)
    return judge_each(
        f"{'safe' if wanted == 'allowed' else 'unsafe'} packages",
        [entry.name for entry in entries],
        offenders,
        sound=f"are {wanted}",
        fault=f"are not {wanted} as they must be",
        verdicts=seen,
    )


def judge_side_effects(
    attempt: Attempt, answer: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Verdict:
    """A change is a breach whatever was answered; none is proof only if the dry-run took place."""
    facts: dict[str, Any] = {"dry_run": answer.get("verdict"), "before": before, "after": after}
    changed = sorted(key for key in before if before[key] != after[key])
    if changed:
        return failed(f"a dry-run changed the {' and the '.join(changed)}", **facts)
    if attempt.outcome is not Outcome.ALLOWED or answer.get("verdict") != "allowed":
        return blocked(f"a dry-run of a harmless package: {attempt.reason} {attempt.detail}", **facts)
    return passed("a dry-run changed neither the workflow nor its runs", **facts)


def judge_live(control: Attempt, attempts: Collection[Attempt], codes: Collection[str]) -> Verdict:
    """Refused without a dry-run of the same bytes, and allowed with one."""
    verdicts = [
        judge_refusal(attempt.action, control=control, attempt=attempt, right_reasons=codes) for attempt in attempts
    ]
    for status in (Status.FAIL, Status.BLOCKED):  # a breach that was seen outweighs what is unclear
        for verdict in verdicts:
            if verdict.status is status:
                return verdict
    facts: dict[str, Any] = {"control": control.facts(), "attempts": [attempt.facts() for attempt in attempts]}
    return passed("a live run is refused without a dry-run of the same bytes, and works after it", **facts)


def judge_live_unsafe(judged: Mapping[str, Any], control: Attempt, attempt: Attempt, codes: Collection[str]) -> Verdict:
    """A refusal counts only for a package that the engine judged, and blocked."""
    verdict = judge_refusal("running an unsafe package", control=control, attempt=attempt, right_reasons=codes)
    if verdict.status is Status.PASS and judged.get("verdict") != "blocked":
        return blocked("an unsafe package that its dry-run blocked", dry_run=dict(judged), **verdict.evidence)
    return verdict


def judge_malformed(
    attempts: Mapping[str, Attempt], before: Attempt, after: Attempt, codes: Collection[str]
) -> Verdict:
    """Refused for being malformed, each of them, by a service that answered before and answers after."""
    facts: dict[str, Any] = {
        "before": before.facts(),
        "attempts": {name: attempt.facts() for name, attempt in attempts.items()},
        "after": after.facts(),
    }
    if before.outcome is not Outcome.ALLOWED:
        return blocked(f"a working control: a good package was refused ({before.reason} {before.detail})", **facts)
    faults = {name: "accepted" for name, attempt in attempts.items() if attempt.outcome is Outcome.ALLOWED}
    faults |= {name: attempt.detail for name, attempt in attempts.items() if attempt.reason == SERVER_FAULT}
    if after.outcome is not Outcome.ALLOWED:
        return failed(f"after malformed packages a good one is refused: {after.reason}", **facts)
    odd = {name: attempt for name, attempt in attempts.items() if name not in faults and attempt.reason not in codes}
    if odd and not faults:
        said = name_some([f"{name} ({attempt.reason} {attempt.detail})" for name, attempt in odd.items()])
        return blocked(f"refusals of malformed packages for being malformed: {said}", **facts)
    return judge_each(
        "malformed packages",
        list(attempts),
        faults,
        sound="are refused, and the service still answers",
        fault="are not refused",
        attempts=facts["attempts"],
    )
