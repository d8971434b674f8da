"""The policy engine: says before a run what a workflow would do that it must not.

Rules are data (``rules.yml``); this module's work is that they see what the workers would execute, not how it was
spelled. Every parameter is read in all the ways somebody could mean it (encodings undone, look-alike letters folded,
constant templates evaluated, comments taken out, lists joined), and a rule that matches any of them holds. What a
template makes of values nobody knows yet could become anything, and is a finding where it would be executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from atom import spellings
from atom.packages import Package
from atom.settings import Settings

CLASSES = (
    "destructive_data",
    "destructive_infrastructure",
    "privilege",
    "secret_exposure",
    "network_opening",
    "arbitrary_shell",
    "control_disabling",
)
LONGEST_VALUE = 16_000
"""Characters of one value that are looked at; a longer one is a finding, so that no rule's search can take long."""
PROSE = ("name", "description")
"""Keys of a step that nothing executes."""
BOUND = re.compile(r"\.(?:params|parameters|bind|values)\.")
"""Where workers pass values beside the code, never within it."""
TEXTUAL = re.compile(r"(?:core|http|mail|notify)\.")
"""Actions that only ever send or note a text: what a template makes of it is not executed."""


@dataclass(frozen=True)
class Rule:
    """One thing no workflow may do."""

    id: str
    class_: str
    severity: str
    description: str
    uses: re.Pattern[str] | None
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Finding:
    """Where a package breaks a rule."""

    rule: str
    class_: str
    path: str
    message: str

    def as_json(self) -> dict[str, str]:
        found = asdict(self)
        found["class"] = found.pop("class_")
        return found


@cache
def rules() -> tuple[Rule, ...]:
    """The rules, in the order of ``rules.yml``."""
    data = yaml.safe_load((Path(__file__).parent / "rules.yml").read_text(encoding="utf-8"))
    return tuple(
        Rule(
            id=item["id"],
            class_=item["class"],
            severity=item["severity"],
            description=item["description"],
            uses=re.compile(item["uses"]) if "uses" in item else None,
            pattern=re.compile("|".join(item["patterns"])),
        )
        for item in data
    )


def judge(package: Package, settings: Settings) -> list[Finding]:
    """Every finding in a package; none means it may run."""
    blind = {name for name in CLASSES if settings.defective(f"dryrun_misses_{name}")}
    steps = list(_steps(package.steps, "spec.steps"))
    found = [finding for path, step in steps for finding in _judge_step(path, step)]
    found += _leaks(steps)
    if settings.defective("dryrun_blocks_sql"):
        found += [
            Finding("any-sql", "destructive_data", path, "SQL") for path, s in steps if _action(s).startswith("sql")
        ]
    return [finding for finding in found if finding.class_ not in blind]


def _judge_step(path: str, step: Mapping[str, Any]) -> Iterator[Finding]:
    uses = _action(step)
    leaves = [leaf for key in step if key not in ("steps", "uses", *PROSE) for leaf in _leaves(key, step[key])]
    if any(len(value) > LONGEST_VALUE for _key, value in leaves):
        yield Finding("oversized-value", "arbitrary_shell", path, "A value too long to be judged")
        return
    readings = [(key, spellings.read(value)) for key, value in leaves]
    lines = {f"{spellings.fold(key)}={text}" for key, reading in readings for text in reading.texts}
    for rule in rules():
        if (rule.uses is None or rule.uses.match(uses)) and any(map(rule.pattern.search, ("", *lines))):
            yield Finding(rule.id, rule.class_, path, rule.description)
    executed = [reading for key, reading in readings if key.startswith("with") and not BOUND.search(f"{key}.")]
    if "{" in uses or (not TEXTUAL.match(uses) and any(reading.opaque for reading in executed)):
        yield Finding("opaque-template", "arbitrary_shell", path, "A template decides what is executed")


def _leaks(steps: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Finding]:
    """Steps that put what a secret was read into where everybody can read it."""
    secret = {str(step.get("name")) for _path, step in steps if _action(step).startswith("secret.")}
    for path, step in steps:
        if not TEXTUAL.match(_action(step)) or _action(step) == "core.set":
            continue
        for _key, value in _leaves("with", step.get("with")):
            if any(f"steps.{name}" in value for name in secret) and "{{" in value:
                yield Finding("secret-passed-on", "secret_exposure", path, "A secret read by a step is passed on")
                break


def _action(step: Mapping[str, Any]) -> str:
    return re.sub(r"\s", "", spellings.read(str(step.get("uses", ""))).texts[0])


def _steps(steps: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, step in enumerate(steps):
        here = f"{path}[{index}]"
        yield here, step
        yield from _steps(step.get("steps") or (), f"{here}.steps")


def _leaves(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every scalar with its dotted key; a list also as the one text that a worker would join its scalars to."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(f"{key}.{name}", item)
    elif isinstance(value, (list, tuple, set)):
        scalars = [item for _key, item in (leaf for entry in value for leaf in _leaves(key, entry))]
        if scalars:
            yield key, " ".join(scalars)
            yield key, "".join(scalars)
        for item in value:
            yield from _leaves(key, item)
    else:
        yield key, str(value)
