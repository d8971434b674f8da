# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract between a check module and the matrix, and the guard that keeps it.

A module declares which checks it answers, and hands :func:`run_audit` the procedure that answers them. Whatever
happens in between, an exception, a hung server, a check that was forgotten, each declared check leaves with exactly
one answer, and none of those roads leads to PASS.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .options import AUDIT_OPTIONS, SHARED_OPTIONS
from .redaction import Redactor
from .result import Status, Verdict, blocked
from .unanswerable import CheckMode, Unanswerable

ABANDONED = timedelta(minutes=15)
"""A run is over long before this: what of the audit's own is older was left by one that was killed."""


@dataclass(frozen=True)
class Checks:
    """The ids a module answers: ``passive`` ones only read, ``active`` ones attempt something on the live system."""

    passive: tuple[str, ...] = ()
    active: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return self.passive + self.active


class Audit:
    """One module's run: its options, its deadline, and the answers it has given so far."""

    def __init__(self, params: dict[str, Any], checks: Checks, *, check_mode: bool, secrets: set[str]) -> None:
        context = params.get("audit") or {}
        self.params = params
        self.run_id: str = context.get("run_id") or "adhoc"
        self._role: str = context.get("role") or ""
        self._checks = checks
        self._passive_because = (
            "check mode allows passive probes only"
            if check_mode
            else "audit_probes is 'passive' for this policy"
            if context.get("probes") == "passive"
            else None
        )
        self.deadline = time.monotonic() + float(context.get("deadline_s") or AUDIT_OPTIONS["deadline_s"]["default"])
        self._answers: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._began = (_now(), time.monotonic())
        self._redactor = Redactor(secrets)

    def require(self, *options: str) -> Any:
        """The values of options that these checks cannot do without (one value, or a list of them).

        :raises Unanswerable: naming every inventory variable that has no value.
        """
        missing = [self.variable(option) for option in options if self.params.get(option) in (None, "", [], {})]
        if missing:
            raise Unanswerable(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set in the inventory")
        values = [self.params[option] for option in options]
        return values[0] if len(values) == 1 else values

    def variable(self, option: str) -> str:
        """The inventory variable behind an option: shared ones keep their name, others carry their role's."""
        return option if option in SHARED_OPTIONS or not self._role else f"{self._role}_{option}"

    def keep_secret(self, *values: str) -> None:
        """Remember secrets met on the way (tokens made, values read), so that no answer can show them."""
        self._redactor.learn(*values)

    def remaining(self) -> float:
        """Seconds until the deadline, never less than 0.1: what clients bound their own waits with."""
        return max(0.1, self.deadline - time.monotonic())

    def check(self, check_id: str, ask: Callable[..., Verdict], *observed: Any, **options: Any) -> None:
        """Answer one check with ``ask(*observed, **options)``; an exception in it blocks this check alone.

        Its time begins where the answer before it was given: what was observed for it took time, too.
        Active checks are not asked, but BLOCKED, where only passive probes are allowed.
        """
        if check_id not in self._checks.ids:
            raise AssertionError(f"{check_id} is not declared by this module")
        try:
            if check_id in self._checks.active:
                self.require_active()
            verdict = ask(*observed, **options)
        except Exception as error:  # pylint: disable=broad-except  # one check must never take another with it
            verdict = unanswered(error)
        self._record(check_id, verdict)

    def require_active(self) -> None:
        """Stop here unless this run may attempt things on the live system.

        For the preparation that several active checks share; :meth:`check` asks by itself.

        :raises CheckMode: saying why only passive probes are allowed.
        """
        if self._passive_because:
            raise CheckMode(f"active probes: {self._passive_because}")

    def answers(self, otherwise: Verdict) -> list[dict[str, Any]]:
        """Every declared check in order of declaration; those without an answer get ``otherwise``."""
        for check_id in self._checks.ids:
            if check_id not in self._answers:
                self._record(check_id, otherwise)
        with self._lock:
            return [self._answers[check_id] for check_id in self._checks.ids]

    def _record(self, check_id: str, verdict: Verdict) -> None:
        if verdict.status is Status.PASS and not verdict.evidence:
            verdict = blocked("evidence: the check passed without any")
        with self._lock:
            if check_id in self._answers:  # an overrun check that answers after the guard gave up must not be believed
                return
            started_at, started = self._began
            self._began = (_now(), time.monotonic())
            self._answers[check_id] = {
                "id": check_id,
                "status": verdict.status.value,
                "summary": self._redactor.text(verdict.summary),
                "prerequisite": self._redactor.text(verdict.prerequisite) if verdict.prerequisite else None,
                "evidence": self._redactor.clean(verdict.evidence),
                "started_at": started_at,
                "duration_s": round(self._began[1] - started, 3),
            }


def run_audit(module: Any, checks: Checks, procedure: Callable[[Audit], None]) -> None:
    """Run ``procedure`` within its deadline, then leave with one answer per declared check.

    The procedure runs in a thread of its own because a signal cannot interrupt a module that a strategy plugin runs
    inside a long-lived process; the clients' own timeouts unwind it, this is the net under them.
    """
    secrets = {
        str(module.params[name])
        for name, spec in module.argument_spec.items()
        if spec.get("no_log") and module.params[name]
    }
    audit = Audit(module.params, checks, check_mode=module.check_mode, secrets=secrets)
    outcome: list[Verdict] = []

    def worker() -> None:
        try:
            procedure(audit)
            outcome.append(blocked("an answer: the procedure ended without asking this"))
        except Exception as error:  # pylint: disable=broad-except  # whatever it was, the checks left over are blocked
            outcome.append(unanswered(error))

    thread = threading.Thread(target=worker, daemon=True)
    thread.start()
    thread.join(audit.remaining())
    overrun = blocked("an answer within the deadline: the system was still silent when time ran out")
    module.exit_json(changed=False, checks=audit.answers(outcome[0] if outcome else overrun))


def unanswered(error: BaseException) -> Verdict:
    """What an exception means: the question was not answered. Foreseen ones say why; others say where."""
    if isinstance(error, Unanswerable):
        return blocked(error.prerequisite)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {last[0].filename.rsplit('/', 1)[-1]}:{last[0].lineno}" if last else ""
    return blocked(f"an answer this audit understands: {type(error).__name__}{where}: {error}")


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
