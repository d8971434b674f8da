"""Runs the steps this platform has workers for; anything else ends the run, honestly, as failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from atom.packages import Package

LONGEST_SLEEP_S = 2.0


class StepError(Exception):
    """A step that did not succeed."""


def execute(package: Package) -> tuple[list[dict[str, str]], str | None]:
    """Run the steps in order: what became of each, and why the run failed (None: it did not)."""
    done: list[dict[str, str]] = []
    try:
        _run_all(package.steps, {}, done)
    except StepError as error:
        return done, str(error)
    return done, None


def _run_all(steps: Any, variables: dict[str, Any], done: list[dict[str, str]]) -> None:
    for step in steps:
        entry = {"name": str(step.get("name", "")), "uses": str(step["uses"]), "status": "failed", "detail": ""}
        done.append(entry)
        try:
            entry["detail"] = _run(step, variables, done)
        except (AttributeError, TypeError, ValueError):  # the package says what no worker can do
            entry["detail"] = "bad_parameters"
            raise StepError("bad_parameters") from None
        except StepError as error:
            entry["detail"] = str(error)
            raise
        entry["status"] = "succeeded"


def _run(step: Mapping[str, Any], variables: dict[str, Any], done: list[dict[str, str]]) -> str:
    given = step.get("with") or {}
    match step["uses"]:
        case "core.log":
            return str(given.get("message", ""))[:500]
        case "core.set":
            variables.update(given)
        case "core.assert":
            if given.get("condition") is not True:
                raise StepError("assertion_failed")
        case "core.sleep":
            time.sleep(min(float(given.get("seconds", 0)), LONGEST_SLEEP_S))
        case "core.group":
            _run_all(step.get("steps") or (), variables, done)
        case _:
            raise StepError("no_worker")
    return ""
